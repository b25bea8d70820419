//! What is told to an API server of its objects: conditions, made of the problems that compiling found. Pure, and the same on
//! every node, so that two who tell say the same.
//!
//! | kinds | what is told |
//! | --- | --- |
//! | GatewayClass, Envoy Gateway's Backend | Accepted |
//! | Gateway | see [`gateway`] |
//! | BackendTLSPolicy, BackendTrafficPolicy, ClientTrafficPolicy, SecurityPolicy | Accepted, ResolvedRefs, for each Gateway that it concerns |
//! | the AI gateway's and our own | Accepted, or else NotAccepted: one condition, as Envoy AI Gateway has it |

use serde_json::{Value, json};
use tollgate_cluster::state::resources::ResourceKey;
use tollgate_crds::{Problem, Severity};

use super::gateway;
use super::mirror::{Mirror, is_mirrored};
use super::object::Object;
use super::ours::Ours;
use crate::config::entry::{Holdings, name_of};

/// A longer message is cut: nobody reads on, and the API server takes no more than 32 KiB.
const MOST_MESSAGE_CHARS: usize = 2_000;
/// Gateway API has room for no more.
const MOST_ANCESTORS: usize = 16;
/// Says of a condition that all is well.
const SERVED: &str = "served";

/// What statuses are made of.
pub(crate) struct View<'a> {
    pub(crate) mirror: &'a Mirror,
    /// The store's resources that were compiled.
    pub(crate) holdings: &'a Holdings,
    /// What compiling them found.
    pub(crate) found: &'a [Problem],
    /// About objects that are not in the store.
    pub(crate) refused: &'a [Problem],
    /// As API servers write it.
    pub(crate) now: &'a str,
}

/// A status that differs from the one that is there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Report {
    pub(crate) key: ResourceKey,
    pub(crate) api_version: String,
    pub(crate) uid: String,
    pub(crate) status: Value,
    /// Others write to the same list: the version of the object that it was read from. None: the fields are our own.
    pub(crate) read_at: Option<u64>,
}

/// One statement.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub(super) says: &'static str,
    pub(super) holds: bool,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// What is wrong with one object.
pub(super) struct Verdict<'a> {
    pub(super) rejected: Vec<&'a Problem>,
    not_honoured: Vec<&'a Problem>,
    /// An older version of it serves.
    is_kept_back: bool,
}

/// What has to be told.
pub(crate) fn reports(view: &View<'_>) -> Vec<Report> {
    let ours = Ours::find(view.mirror, view.holdings);
    let mut reports = Vec::new();
    for kind in tollgate_crds::kinds() {
        let objects = view.mirror.objects(kind.kind).filter(|object| ours.contains(object));
        reports.extend(objects.filter_map(|object| report(view, &ours, object)));
    }
    reports
}

fn report(view: &View<'_>, ours: &Ours, object: &Object) -> Option<Report> {
    let verdict = view.verdict(object)?;
    let (status, read_at) = match object.key.kind.as_str() {
        "Secret" | "ConfigMap" | "ReferenceGrant" => return None,
        // Who serves beside us tells of these; two would never agree on whose word is the last.
        _ if ours.is_shared && is_theirs(object) => return None,
        "GatewayClass" | "Backend" => {
            let accepted = verdict.condition("Accepted", ("Accepted", "Invalid"));
            (view.conditions(object, &[accepted]), None)
        }
        "Gateway" => (gateway::status(view, (ours, object), &verdict), None),
        "BackendTLSPolicy" | "BackendTrafficPolicy" | "ClientTrafficPolicy" | "SecurityPolicy" => {
            let status = ancestors(view, (ours, object), &verdict);
            (status, Some(object.origin.resource_version))
        }
        _ => (view.conditions(object, &[verdict.accepted_or_not()]), None),
    };
    let is_exact =
        !matches!(object.key.kind.as_str(), "GatewayClass" | "Backend" | "Gateway" | "GatewayConfig");
    if is_said(&status, &object.status, is_exact) {
        return None;
    }
    let Object { key, origin, api_version, .. } = object;
    Some(Report {
        key: key.clone(),
        api_version: api_version.clone(),
        uid: origin.uid.clone(),
        status,
        read_at,
    })
}

/// Whether Envoy Gateway or Envoy AI Gateway says in the same place what we would say.
fn is_theirs(object: &Object) -> bool {
    let ResourceKey { group, kind, .. } = &object.key;
    kind == "Backend" || (group == "aigateway.envoyproxy.io" && kind != "AIGatewayRoute")
}

impl<'a> View<'a> {
    /// What there is to say of an object. None: it is not known yet.
    fn verdict(&self, object: &Object) -> Option<Verdict<'a>> {
        let name = name_of(&object.key);
        let held = self.holdings.get(&object.key);
        let of_it =
            |problems: &'a [Problem]| problems.iter().filter(|one| one.resource == name).collect::<Vec<_>>();
        let refused = of_it(self.refused);
        let is_refused = !refused.is_empty();
        let problems = if is_refused { refused } else { of_it(self.found) };
        let is_stored = || {
            let same = |read: &std::sync::Arc<crate::config::entry::Held>| {
                held.is_some_and(|held| is_mirrored(held) && held.entry.written == read.entry.written)
            };
            object.held.as_ref().is_some_and(same)
        };
        if !is_refused && !is_stored() {
            return None;
        }
        let (rejected, not_honoured): (Vec<_>, Vec<_>) =
            problems.into_iter().partition(|problem| problem.severity == Severity::Rejected);
        let older = held.is_some_and(|held| is_mirrored(held) && (is_refused || held.entry.good.is_some()));
        Some(Verdict { is_kept_back: older && !rejected.is_empty(), rejected, not_honoured })
    }

    /// A status of nothing but conditions.
    fn conditions(&self, object: &Object, conditions: &[Condition]) -> Value {
        json!({"conditions": self.written(conditions, (object.generation, &object.status["conditions"]))})
    }

    /// Conditions as they are written. The time is that of the last change, which is not now if nothing changes.
    pub(super) fn written(&self, conditions: &[Condition], (generation, there): (i64, &Value)) -> Vec<Value> {
        let written = |Condition { says, holds, reason, message }: &Condition| {
            let status = if *holds { "True" } else { "False" };
            let known = there.as_array().into_iter().flatten();
            let mut same = known.filter(|one| one["type"] == *says && one["status"] == status);
            let since = same.next().and_then(|one| one["lastTransitionTime"].as_str()).unwrap_or(self.now);
            json!({
                "type": says, "status": status, "reason": reason, "message": message,
                "observedGeneration": generation, "lastTransitionTime": since,
            })
        };
        conditions.iter().map(written).collect()
    }
}

impl Verdict<'_> {
    /// A condition that holds unless something was rejected.
    pub(super) fn condition(
        &self,
        says: &'static str,
        (good, bad): (&'static str, &'static str),
    ) -> Condition {
        let holds = self.rejected.is_empty();
        Condition { says, holds, reason: if holds { good } else { bad }, message: self.message() }
    }

    /// As Envoy AI Gateway says it.
    fn accepted_or_not(&self) -> Condition {
        let says = if self.rejected.is_empty() { "Accepted" } else { "NotAccepted" };
        self.condition(says, ("ReconciliationSucceeded", "ReconciliationFailed"))
    }

    /// The problems in words.
    pub(super) fn message(&self) -> String {
        let mut words: Vec<String> = self.rejected.iter().map(|problem| told(problem)).collect();
        if self.is_kept_back {
            words.push("the last good version keeps serving".to_owned());
        }
        words.extend(self.not_honoured.iter().map(|problem| told(problem)));
        if words.is_empty() {
            words.push(SERVED.to_owned());
        }
        cut(&words.join("; "))
    }
}

/// A problem without its place and its resource, which is the object itself.
pub(super) fn told(problem: &Problem) -> String {
    let own = Problem { at: None, ..problem.clone() }.to_string();
    own.strip_prefix(&format!("{}: ", problem.resource)).map_or(own.clone(), str::to_owned)
}

pub(super) fn cut(message: &str) -> String {
    let mut cut: String = message.chars().take(MOST_MESSAGE_CHARS).collect();
    if cut.len() < message.len() {
        cut.push('…');
    }
    cut
}

/// The status of a policy: one entry for each Gateway that it concerns, beside those of other controllers.
fn ancestors(view: &View<'_>, (ours, object): (&Ours, &Object), verdict: &Verdict<'_>) -> Value {
    let there = object.status["ancestors"].as_array().map_or(&[][..], Vec::as_slice);
    let controller = view.mirror.controller();
    let mut all: Vec<Value> =
        there.iter().filter(|one| one["controllerName"] != controller).cloned().collect();
    let accepted = verdict.condition("Accepted", ("Accepted", "Invalid"));
    let is_reference = |problem: &&&Problem| problem.field.contains("Ref");
    let unresolved = verdict.rejected.iter().find(is_reference).map(|problem| told(problem));
    let resolved = Condition {
        says: "ResolvedRefs",
        holds: unresolved.is_none(),
        reason: if unresolved.is_none() { "ResolvedRefs" } else { "RefNotFound" },
        message: cut(unresolved.as_deref().unwrap_or("found")),
    };
    for (namespace, name) in concerned(ours, object) {
        let reference = json!({
            "group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": namespace, "name": name,
        });
        let known =
            there.iter().find(|one| one["controllerName"] == controller && one["ancestorRef"] == reference);
        let known = known.map_or(&Value::Null, |one| &one["conditions"]);
        let conditions = view.written(&[accepted.clone(), resolved.clone()], (object.generation, known));
        all.push(json!({"ancestorRef": reference, "controllerName": controller, "conditions": conditions}));
    }
    all.truncate(MOST_ANCESTORS);
    json!({"ancestors": all})
}

/// The Gateways that a policy is for; what is for something behind them concerns all.
fn concerned<'a>(ours: &'a Ours, object: &'a Object) -> Vec<(&'a str, &'a str)> {
    let spec = object.spec();
    let several = spec.and_then(|spec| spec["targetRefs"].as_array()).into_iter().flatten();
    let targets: Vec<&Value> =
        several.chain(spec.map(|spec| &spec["targetRef"]).filter(|one| one.is_object())).collect();
    let namespace = object.key.namespace.as_str();
    if !targets.is_empty() && targets.iter().all(|target| target["kind"] == "Gateway") {
        let named = targets.iter().filter_map(|target| target["name"].as_str());
        return named
            .filter(|name| ours.has_gateway(namespace, name))
            .map(|name| (namespace, name))
            .collect();
    }
    ours.gateways().map(|(namespace, name)| (namespace.as_str(), name.as_str())).collect()
}

/// Whether `there` says what is wanted. Conditions of others may stand beside it, unless the list is wanted as it is.
fn is_said(wanted: &Value, there: &Value, is_exact: bool) -> bool {
    match (wanted, there) {
        (Value::Object(wanted), Value::Object(there)) => wanted.iter().all(|(name, wanted)| {
            let is_exact = is_exact || name != "conditions";
            there.get(name).is_some_and(|there| is_said(wanted, there, is_exact))
        }),
        (Value::Array(wanted), Value::Array(there)) => {
            let said = |one: &Value| there.iter().any(|there| is_said(one, there, false));
            (!is_exact || wanted.len() == there.len()) && wanted.iter().all(said)
        }
        (wanted, there) => wanted == there,
    }
}

#[cfg(test)]
#[path = "status_test.rs"]
mod tests;
