//! The status of a Gateway: of itself (Accepted, Programmed), and of each listener (Accepted, Programmed, ResolvedRefs) with
//! how many routes hang there.

use serde_json::{Value, json};
use tollgate_crds::Problem;

use super::object::Object;
use super::ours::Ours;
use super::status::{Condition, Verdict, View, cut, told};
use crate::config::entry::name_of;

/// See the file's purpose.
pub(super) fn status(view: &View<'_>, (ours, object): (&Ours, &Object), verdict: &Verdict<'_>) -> Value {
    let listeners =
        object.spec().and_then(|spec| spec["listeners"].as_array()).map_or(&[][..], Vec::as_slice);
    let of_listener = |problem: &&&Problem| listeners.iter().enumerate().any(|one| is_about(problem, one));
    let (of_listeners, of_itself): (Vec<&Problem>, Vec<&Problem>) =
        verdict.rejected.iter().partition(|problem| of_listener(problem));
    let bad =
        |at: usize, listener: &Value| of_listeners.iter().any(|problem| is_about(problem, (at, listener)));
    let all_bad = listeners.iter().enumerate().all(|(at, listener)| bad(at, listener));
    let (holds, reason) = match (of_itself.is_empty(), of_listeners.is_empty()) {
        (true, true) => (true, "Accepted"),
        (true, false) => (true, "ListenersNotValid"),
        (false, _) => (false, "Invalid"),
    };
    let programmed = holds && !all_bad;
    let message = verdict.message();
    let conditions = [
        Condition { says: "Accepted", holds, reason, message: message.clone() },
        Condition {
            says: "Programmed",
            holds: programmed,
            reason: if programmed { "Programmed" } else { "Invalid" },
            message,
        },
    ];
    let told = listeners.iter().enumerate().map(|(at, listener)| {
        let problems: Vec<&Problem> =
            of_listeners.iter().copied().filter(|problem| is_about(problem, (at, listener))).collect();
        let conditions = listener_conditions(&problems, of_itself.is_empty());
        let known = object.status["listeners"].as_array().into_iter().flatten();
        let known = known.into_iter().find(|one| one["name"] == listener["name"]);
        let known = known.map_or(&Value::Null, |one| &one["conditions"]);
        json!({
            "name": listener["name"],
            "attachedRoutes": attached(view, (ours, object), listener),
            "supportedKinds": [{"group": "aigateway.envoyproxy.io", "kind": "AIGatewayRoute"}],
            "conditions": view.written(&conditions, (object.generation, known)),
        })
    });
    json!({
        "conditions": view.written(&conditions, (object.generation, &object.status["conditions"])),
        "listeners": told.collect::<Vec<_>>(),
    })
}

fn listener_conditions(problems: &[&Problem], opens: bool) -> [Condition; 3] {
    let is_reference = |problem: &&&Problem| problem.field.contains("certificateRefs");
    let (references, others): (Vec<&Problem>, Vec<&Problem>) = problems.iter().partition(is_reference);
    let words = |problems: &[&Problem], well: &str| {
        let words: Vec<String> = problems.iter().map(|problem| told(problem)).collect();
        if words.is_empty() { well.to_owned() } else { cut(&words.join("; ")) }
    };
    let granted = references.iter().all(|problem| !problem.expected.contains("ReferenceGrant"));
    let condition = |says, holds, (good, bad): (&'static str, &'static str), message| Condition {
        says,
        holds,
        reason: if holds { good } else { bad },
        message,
    };
    let accepted = if problems.iter().any(|problem| problem.field.ends_with(".protocol")) {
        "UnsupportedProtocol"
    } else {
        "Invalid"
    };
    let invalid = if granted { "InvalidCertificateRef" } else { "RefNotPermitted" };
    [
        condition("Accepted", others.is_empty(), ("Accepted", accepted), words(&others, "served")),
        condition(
            "Programmed",
            opens && problems.is_empty(),
            ("Programmed", "Invalid"),
            words(problems, if opens { "served" } else { "the Gateway is not served" }),
        ),
        condition(
            "ResolvedRefs",
            references.is_empty(),
            ("ResolvedRefs", invalid),
            words(&references, "found"),
        ),
    ]
}

/// Whether a problem is about this listener alone. Conflicts of ports name it in their value.
fn is_about(problem: &Problem, (at, listener): (usize, &Value)) -> bool {
    let name = listener["name"].as_str().unwrap_or_default();
    let by_name = || {
        let listener = format!("listener {name}");
        problem.value.ends_with(&listener) || problem.expected.ends_with(&listener)
    };
    problem.field.starts_with(&format!("spec.listeners[{at}]"))
        || (problem.field == "spec.listeners" && by_name())
}

/// How many routes hang at a listener: those that name it, or all listeners, and were not told that they may not.
fn attached(view: &View<'_>, (ours, gateway): (&Ours, &Object), listener: &Value) -> usize {
    let hangs = |route: &&std::sync::Arc<Object>| {
        let name = name_of(&route.key);
        let refused = |at: usize| {
            let field = format!("spec.parentRefs[{at}]");
            view.found.iter().any(|problem| problem.resource == name && problem.field == field)
        };
        ours.parents(route).any(|(at, parent)| {
            let namespace = parent["namespace"].as_str().unwrap_or(&route.key.namespace);
            let is_here = parent["name"] == gateway.key.name.as_str() && namespace == gateway.key.namespace;
            let section = &parent["sectionName"];
            let port = &parent["port"];
            is_here
                && (section.is_null() || *section == listener["name"])
                && (port.is_null() || *port == listener["port"])
                && !refused(at)
        })
    };
    view.mirror.objects("AIGatewayRoute").filter(hangs).count()
}
