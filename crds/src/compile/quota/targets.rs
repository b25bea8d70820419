//! Which rules a policy of Envoy Gateway is for. The most specific policy counts: that of a rule before that of a route
//! before that of a Gateway; of two that are alike the older, then the first by name.

use std::collections::BTreeMap;

use crate::compile::attach::created;
use crate::compile::index::Index;
use crate::load::Loaded;
use crate::problem::{Problem, shown};
use crate::resources::{AI_GROUP, GATEWAY_GROUP, PolicyTarget};
use crate::snapshot::ResourceName;

use super::Routed;

/// What a target means.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Gateway(ResourceName),
    Route(ResourceName),
    Rule(ResourceName, String),
}

/// One target of one policy, and the rules where no other policy comes first.
#[derive(Debug)]
pub(super) struct Claimed {
    /// The policy, by its place among those that were given.
    pub(super) policy: usize,
    /// The target, as a part of names: `route/chat`, `gateway/front`, `route/chat/rule`.
    pub(super) label: String,
    /// By index, in order.
    pub(super) rules: Vec<usize>,
}

/// A policy and what it is for.
pub(super) struct Policy<'p> {
    pub(super) loaded: &'p Loaded,
    pub(super) target_ref: Option<&'p PolicyTarget>,
    pub(super) target_refs: &'p [PolicyTarget],
}

/// Gives each rule to one policy. Claims come in the order of the policies and their targets.
pub(super) fn claim(
    (index, routed): (&Index<'_>, Routed<'_>),
    policies: &[Policy<'_>],
    problems: &mut Vec<Problem>,
) -> Vec<Claimed> {
    let mut order: Vec<usize> = (0..policies.len()).collect();
    order.sort_by_key(|at| (created(policies[*at].loaded), &policies[*at].loaded.name));
    let mut owners: BTreeMap<Target, usize> = BTreeMap::new();
    let mut targets = Vec::new();
    for policy in order {
        let Policy { loaded, target_ref, target_refs } = &policies[policy];
        let one = target_ref.map(|target| ("spec.targetRef".to_owned(), target));
        let several =
            target_refs.iter().enumerate().map(|(at, target)| (format!("spec.targetRefs[{at}]"), target));
        for (field, target) in one.into_iter().chain(several) {
            match read(index, routed, loaded, target) {
                Ok(target) if owners.contains_key(&target) => {
                    let what = "a target that no earlier policy of the kind is for; the earlier one counts";
                    problems.push(loaded.problem(&field, shown(&targets_name(&target)), what));
                }
                Ok(target) => {
                    owners.insert(target.clone(), policy);
                    targets.push((policy, target));
                }
                Err((part, what)) => {
                    problems.push(loaded.problem(&format!("{field}{part}"), shown(&target.name), what));
                }
            }
        }
    }
    targets.sort_by_key(|(policy, _)| *policy);
    targets
        .iter()
        .map(|(policy, target)| {
            let rules = routed.rules.iter().filter(|rule| owner(&owners, routed, rule) == Some(target));
            let label = targets_name(target);
            Claimed { policy: *policy, label, rules: rules.map(|rule| rule.index).collect() }
        })
        .collect()
}

/// The most specific target of a rule. Of several Gateways the first by the route's references.
fn owner<'o>(
    owners: &'o BTreeMap<Target, usize>,
    routed: Routed<'_>,
    rule: &crate::snapshot::Rule,
) -> Option<&'o Target> {
    let named = rule.name.as_ref().map(|name| Target::Rule(rule.route.clone(), name.clone()));
    let route = Target::Route(rule.route.clone());
    let gateways = routed.gateways.get(&rule.route).into_iter().flatten();
    let gateways = gateways.map(|gateway| Target::Gateway((*gateway).clone()));
    named
        .into_iter()
        .chain(std::iter::once(route))
        .chain(gateways)
        .find_map(|target| owners.get_key_value(&target).map(|(target, _)| target))
}

fn read(
    index: &Index<'_>,
    routed: Routed<'_>,
    loaded: &Loaded,
    target: &PolicyTarget,
) -> Result<Target, (&'static str, String)> {
    let PolicyTarget { group, kind, name, section_name } = target;
    let name = ResourceName::new(&*loaded.name.namespace, &**name);
    match (&**group, &**kind, section_name) {
        (GATEWAY_GROUP, "Gateway", None) if index.gateways.find(&name).is_some() => Ok(Target::Gateway(name)),
        (GATEWAY_GROUP, "Gateway", None) => Err((".name", index.missing("Gateway", &name))),
        (GATEWAY_GROUP, "Gateway", Some(_)) => {
            Err((".sectionName", "a whole Gateway: policies of one listener are not served".to_owned()))
        }
        (GATEWAY_GROUP, "HTTPRoute", section) | (AI_GROUP, "AIGatewayRoute", section) => {
            if index.routes.find(&name).is_none() {
                return Err((".name", index.missing("AIGatewayRoute", &name)));
            }
            let Some(section) = section else { return Ok(Target::Route(name)) };
            let mut rules = routed.rules.iter().filter(|rule| rule.route == name);
            if rules.any(|rule| rule.name.as_deref() == Some(&**section)) {
                return Ok(Target::Rule(name, section.to_string()));
            }
            Err((".sectionName", format!("the name of a rule of {name} that is served")))
        }
        (_, _, _) => Err((
            ".kind",
            format!("a Gateway or HTTPRoute of {GATEWAY_GROUP}, or an AIGatewayRoute of {AI_GROUP}"),
        )),
    }
}

fn targets_name(target: &Target) -> String {
    match target {
        Target::Gateway(name) => format!("gateway/{}", name.name),
        Target::Route(name) => format!("route/{}", name.name),
        Target::Rule(name, rule) => format!("route/{}/{rule}", name.name),
    }
}
