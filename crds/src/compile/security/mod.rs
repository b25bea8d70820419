//! SecurityPolicies to what callers have to prove. A policy that can't be kept whole closes its targets: nothing is opened
//! to callers that somebody wanted checked.

mod api_keys;
mod tokens;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::attach::created;
use super::index::{Entry, Index};
use crate::load::Loaded;
use crate::problem::{Problem, shown};
use crate::resources::{
    AI_GROUP, GATEWAY_GROUP, HARMLESS_FIELDS, PolicyTarget, RejectedPolicy, SECURITY_FIELDS,
    SecurityPolicySpec,
};
use crate::snapshot::{Access, Issuer, JwtAccess, ResourceName};

/// What a policy is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Gateway(ResourceName),
    Route(ResourceName),
    Rule(ResourceName, String),
}

/// What callers have to prove, by target.
#[derive(Debug, Default)]
pub(super) struct Guards {
    by_target: BTreeMap<Target, Arc<Access>>,
    pub(super) issuers: Vec<Arc<Issuer>>,
}

/// Compiles every SecurityPolicy, older ones first. Targets of those that can't be kept are closed in the index.
pub(super) fn compile(index: &mut Index<'_>, problems: &mut Vec<Problem>) -> Guards {
    let mut policies: Vec<Entry<'_, SecurityPolicySpec>> = index.access_policies.iter().collect();
    policies.sort_by(|a, b| (created(a.loaded), &a.loaded.name).cmp(&(created(b.loaded), &b.loaded.name)));
    let mut guards = Guards::default();
    let mut closed = Vec::new();
    for policy in policies {
        let kept = access(index, policy, problems).filter(|access| {
            // Every target must have it: where one can't, all are closed, which says so soonest.
            guards.protect(index, policy, access, problems)
        });
        if kept.is_none() {
            closed.push(policy.loaded);
        }
    }
    for loaded in closed {
        if let Some(rejected) = RejectedPolicy::read(loaded.kind, &loaded.json) {
            index.protect(&loaded.name.namespace, &rejected);
        }
    }
    guards
}

impl Guards {
    /// What a rule's callers have to prove: by the rule's own policy, else the route's, else its Gateways'. Err: the Gateways
    /// ask for different things, and a rule can't tell by which of them a caller came.
    pub(super) fn of<'g>(
        &self,
        route: &ResourceName,
        rule: Option<&str>,
        gateways: impl Iterator<Item = &'g ResourceName>,
    ) -> Result<Option<Arc<Access>>, ()> {
        let of_rule = rule.map(|rule| Target::Rule(route.clone(), rule.to_owned()));
        let own = of_rule.into_iter().chain([Target::Route(route.clone())]);
        if let Some(access) = own.into_iter().find_map(|target| self.by_target.get(&target)) {
            return Ok(Some(Arc::clone(access)));
        }
        let mut of_gateways =
            gateways.filter_map(|gateway| self.by_target.get(&Target::Gateway(gateway.clone())));
        let first = of_gateways.next();
        match (first, of_gateways.find(|other| first.is_some_and(|first| first.policy != other.policy))) {
            (_, Some(_)) => Err(()),
            (first, None) => Ok(first.cloned()),
        }
    }

    /// False where a target can't be had.
    fn protect(
        &mut self,
        index: &Index<'_>,
        policy: Entry<'_, SecurityPolicySpec>,
        access: &Arc<Access>,
        problems: &mut Vec<Problem>,
    ) -> bool {
        let Entry { loaded, spec } = policy;
        let one = spec.target_ref.iter().map(|target| ("spec.targetRef".to_owned(), target));
        let several = spec.target_refs.iter().enumerate();
        let several = several.map(|(at, target)| (format!("spec.targetRefs[{at}]"), target));
        let mut all = true;
        for (field, target) in one.chain(several) {
            match read(index, loaded, target) {
                Ok(target) if self.by_target.contains_key(&target) => {
                    let what = "a target that no earlier SecurityPolicy is for; the earlier one counts";
                    problems.push(loaded.problem(&field, "", what));
                }
                Ok(target) => {
                    self.by_target.insert(target, Arc::clone(access));
                }
                Err((part, what)) => {
                    problems.push(loaded.problem(&format!("{field}{part}"), shown(&target.name), what));
                    all = false;
                }
            }
        }
        if let (true, Some(JwtAccess { issuers, .. })) = (all, &access.jwt) {
            self.issuers.extend(issuers.iter().cloned());
        }
        all
    }
}

fn read(index: &Index<'_>, loaded: &Loaded, target: &PolicyTarget) -> Result<Target, (&'static str, String)> {
    let PolicyTarget { group, kind, name, section_name } = target;
    let name = ResourceName::new(&*loaded.name.namespace, &**name);
    match (&**group, &**kind, section_name) {
        (GATEWAY_GROUP, "Gateway", None) if index.gateways.find(&name).is_some() => Ok(Target::Gateway(name)),
        (GATEWAY_GROUP, "Gateway", None) => Err((".name", index.missing("Gateway", &name))),
        (GATEWAY_GROUP, "Gateway", Some(_)) => {
            let what =
                "a whole Gateway: policies of one listener are not served, and the Gateway is not opened";
            Err((".sectionName", what.to_owned()))
        }
        (GATEWAY_GROUP, "HTTPRoute", section) | (AI_GROUP, "AIGatewayRoute", section) => {
            let Some(route) = index.routes.find(&name) else {
                return Err((".name", index.missing("AIGatewayRoute", &name)));
            };
            let Some(section) = section else { return Ok(Target::Route(name)) };
            let mut rules = route.spec.rules.iter();
            if rules.any(|rule| rule.name.as_ref().is_some_and(|rule| **rule == **section)) {
                return Ok(Target::Rule(name, section.to_string()));
            }
            Err((".sectionName", format!("the name of a rule of {name}; the route is not served")))
        }
        (_, _, _) => {
            let what =
                format!("a Gateway or HTTPRoute of {GATEWAY_GROUP}, or an AIGatewayRoute of {AI_GROUP}");
            Err((".kind", what))
        }
    }
}

/// What a policy asks for; None where that can't be done whole.
fn access(
    index: &Index<'_>,
    policy: Entry<'_, SecurityPolicySpec>,
    problems: &mut Vec<Problem>,
) -> Option<Arc<Access>> {
    let Entry { loaded, spec } = policy;
    let SecurityPolicySpec { target_ref, target_refs, jwt, api_key_auth } = spec;
    let mut whole = others(loaded, problems);
    if target_ref.is_none() && target_refs.is_empty() {
        let what = "targetRef or targetRefs: without them it may be for anything, and nothing of the namespace is opened";
        problems.push(loaded.problem("spec.targetRefs", "none", what));
        whole = false;
    }
    if whole && jwt.is_none() && api_key_auth.is_none() {
        problems.push(loaded.problem("spec", "", "jwt or apiKeyAuth: it checks nobody"));
    }
    let jwt = jwt.as_ref().map(|jwt| tokens::compile(index, loaded, jwt, problems));
    let api_keys = api_key_auth.as_ref().map(|auth| api_keys::compile(index, loaded, auth, problems));
    let (jwt, api_keys) =
        (jwt.map_or(Some(None), |jwt| jwt.map(Some))?, api_keys.map_or(Some(None), |keys| keys.map(Some))?);
    (whole && (jwt.is_some() || api_keys.is_some()))
        .then(|| Arc::new(Access { policy: loaded.name.to_string(), jwt, api_keys }))
}

/// Tells every field that is not read. False where one of them asks for a check.
fn others(loaded: &Loaded, problems: &mut Vec<Problem>) -> bool {
    let written = loaded.json["spec"].as_object();
    let written = written.into_iter().flat_map(|fields| fields.iter().filter(|(_, value)| !value.is_null()));
    let mut whole = true;
    for (field, _) in written.filter(|(field, _)| !SECURITY_FIELDS.contains(&field.as_str())) {
        let path = format!("spec.{field}");
        if HARMLESS_FIELDS.contains(&field.as_str()) {
            problems.push(loaded.not_honoured(&path, "jwt and apiKeyAuth alone"));
        } else {
            let what = "jwt and apiKeyAuth alone: other checks are not done, and the targets are not opened without them";
            problems.push(loaded.problem(&path, "", what));
            whole = false;
        }
    }
    whole
}
