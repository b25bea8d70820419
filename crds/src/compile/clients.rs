//! ClientTrafficPolicies to bounds of what clients may send. One that asks clients for certificates closes its targets: they
//! are not checked yet.

use std::collections::BTreeMap;

use super::attach::created;
use super::index::{Entry, Index};
use crate::load::Loaded;
use crate::problem::{Problem, shown};
use crate::resources::{
    CLIENT_CONNECTION_FIELD, CLIENT_FIELDS, ClientConnection, ClientTrafficPolicySpec, GATEWAY_GROUP,
    PolicyTarget, RejectedPolicy,
};
use crate::snapshot::ResourceName;

/// The largest bodies, by Gateway and, where the policy is for one, listener.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    by_target: BTreeMap<(ResourceName, Option<String>), Option<u64>>,
}

/// Compiles every ClientTrafficPolicy, older ones first. Gateways that would be open to clients that were to be checked are
/// closed in the index.
pub(super) fn compile(index: &mut Index<'_>, problems: &mut Vec<Problem>) -> Bounds {
    let mut policies: Vec<Entry<'_, ClientTrafficPolicySpec>> = index.client_policies.iter().collect();
    policies.sort_by(|a, b| (created(a.loaded), &a.loaded.name).cmp(&(created(b.loaded), &b.loaded.name)));
    let mut bounds = Bounds::default();
    for Entry { loaded, spec } in policies {
        if let Some(rejected) = RejectedPolicy::read(loaded.kind, &loaded.json) {
            let what = "no clientValidation: clients' certificates are not checked yet, and the Gateway is not opened without it";
            problems.push(loaded.problem("spec.tls.clientValidation", "", what));
            index.protect(&loaded.name.namespace, &rejected);
        }
        let ClientTrafficPolicySpec { target_ref, target_refs, connection } = spec;
        others(loaded, problems);
        let bytes = connection.as_ref().and_then(|connection| largest(loaded, connection, problems));
        let one = target_ref.iter().map(|target| ("spec.targetRef".to_owned(), target));
        let several = target_refs.iter().enumerate();
        let several = several.map(|(at, target)| (format!("spec.targetRefs[{at}]"), target));
        for (field, target) in one.chain(several) {
            let found = found(index, loaded, target)
                .map_err(|(part, what)| loaded.problem(&format!("{field}{part}"), shown(&target.name), what));
            match found {
                Ok(target) if bounds.by_target.contains_key(&target) => {
                    let what = "a target that no earlier ClientTrafficPolicy is for; the earlier one counts";
                    problems.push(loaded.problem(&field, "", what));
                }
                Ok(target) => _ = bounds.by_target.insert(target, bytes),
                Err(problem) => problems.push(problem),
            }
        }
        if target_ref.is_none() && target_refs.is_empty() {
            problems.push(loaded.problem("spec.targetRefs", "none", "at least one target"));
        }
    }
    bounds
}

impl Bounds {
    /// By the listener's own policy, else by its Gateway's.
    pub(super) fn of(&self, gateway: &ResourceName, listener: &str) -> Option<u64> {
        let own = self.by_target.get(&(gateway.clone(), Some(listener.to_owned())));
        own.or_else(|| self.by_target.get(&(gateway.clone(), None))).copied().flatten()
    }
}

fn found(
    index: &Index<'_>,
    loaded: &Loaded,
    target: &PolicyTarget,
) -> Result<(ResourceName, Option<String>), (&'static str, String)> {
    let PolicyTarget { group, kind, name, section_name } = target;
    if (&**group, &**kind) != (GATEWAY_GROUP, "Gateway") {
        return Err((".kind", format!("a Gateway of {GATEWAY_GROUP}")));
    }
    let name = ResourceName::new(&*loaded.name.namespace, &**name);
    let gateway = index.gateways.find(&name).ok_or_else(|| (".name", index.missing("Gateway", &name)))?;
    let Some(section) = section_name else { return Ok((name, None)) };
    if gateway.spec.listeners.iter().any(|listener| *listener.name == **section) {
        return Ok((name, Some(section.to_string())));
    }
    Err((".sectionName", format!("the name of a listener of {name}")))
}

fn largest(loaded: &Loaded, connection: &ClientConnection, problems: &mut Vec<Problem>) -> Option<u64> {
    let ClientConnection { buffer_limit } = connection;
    let written = buffer_limit.as_ref()?;
    let bytes = written.bytes().filter(|bytes| *bytes > 0);
    if bytes.is_none() {
        let what = "a number of bytes above 0, such as 50Mi";
        problems.push(loaded.problem("spec.connection.bufferLimit", shown(written), what));
    }
    bytes
}

/// Tells every field that is not read.
fn others(loaded: &Loaded, problems: &mut Vec<Problem>) {
    let spec = &loaded.json["spec"];
    let what = "connection.bufferLimit alone: nothing else of this policy is served";
    for (path, object, read) in [
        ("spec", spec, &CLIENT_FIELDS[..]),
        ("spec.connection", &spec["connection"], &[CLIENT_CONNECTION_FIELD]),
    ] {
        let written = object.as_object().into_iter().flatten();
        for (field, _) in written.filter(|(field, value)| !value.is_null() && !read.contains(&field.as_str()))
        {
            problems.push(loaded.not_honoured(&format!("{path}.{field}"), what));
        }
    }
}
