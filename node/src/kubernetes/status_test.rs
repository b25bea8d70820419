//! What objects are told: from manifests and what compiling found to conditions.

use std::sync::Arc;

use super::*;
use crate::config::entry::Held;
use crate::config::revision::revise;
use crate::kubernetes::mirror::{Event, Plan};
use crate::kubernetes::object::Read;

const NOW: &str = "2026-11-23T05:00:00Z";
const GATEWAY: &str = "gateway.networking.k8s.io/v1";
const AI: &str = "aigateway.envoyproxy.io/v1beta1";

/// An API server, and a store that has what it said.
struct World {
    mirror: Mirror,
    holdings: Holdings,
    found: Vec<Problem>,
    refused: Vec<Problem>,
}

/// An object: what it is, its name, its spec as YAML's flow style has it, which is JSON here.
fn object((api_version, kind): (&str, &str), name: &str, content: &Value) -> Value {
    let mut object = json!({
        "apiVersion": api_version, "kind": kind,
        "metadata": {"name": name, "namespace": "d", "uid": name, "resourceVersion": "5", "generation": 3},
    });
    object.as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
    object
}

fn class(name: &str, controller: &str) -> Value {
    let mut class = object((GATEWAY, "GatewayClass"), name, &json!({"spec": {"controllerName": controller}}));
    class["metadata"].as_object_mut().unwrap().remove("namespace");
    class
}

fn gateway(listeners: &Value) -> Value {
    object((GATEWAY, "Gateway"), "g", &json!({"spec": {"gatewayClassName": "c", "listeners": listeners}}))
}

fn plain() -> Value {
    json!([{"name": "http", "port": 80, "protocol": "HTTP"}])
}

fn route(name: &str, parent: &Value, backend: &str) -> Value {
    let spec = json!({"spec": {"parentRefs": [parent], "rules": [{"backendRefs": [{"name": backend}]}]}});
    object((AI, "AIGatewayRoute"), name, &spec)
}

fn backend(name: &str) -> Value {
    let host = json!({"group": "tollgate.dev", "kind": "Host", "name": "127.0.0.1:9000"});
    object(
        (AI, "AIServiceBackend"),
        name,
        &json!({"spec": {"schema": {"name": "OpenAI"}, "backendRef": host}}),
    )
}

/// A policy for a Backend whose authority is nowhere.
fn tls_policy() -> Value {
    let spec = json!({"spec": {
        "targetRefs": [{"group": "gateway.envoyproxy.io", "kind": "Backend", "name": "x"}],
        "validation": {"hostname": "h.example", "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "nowhere"}]},
    }});
    object((GATEWAY, "BackendTLSPolicy"), "t", &spec)
}

fn world(objects: &[Value]) -> World {
    let kinds = tollgate_crds::kinds();
    let mut mirror = Mirror::new("tollgate.dev/gateway", kinds.iter().map(|kind| kind.kind));
    for kind in kinds {
        mirror.take(kind.kind, Event::Init);
        for object in objects.iter().filter(|object| object["kind"] == kind.kind) {
            let read = Read { api_version: object["apiVersion"].as_str().unwrap(), kind: kind.kind, at_s: 7 };
            mirror.take(kind.kind, Event::Listed(Box::new(read.object(object.clone()).unwrap())));
        }
        mirror.take(kind.kind, Event::InitDone);
    }
    let mut world = World { mirror, holdings: Holdings::new(), found: Vec::new(), refused: Vec::new() };
    world.store();
    world
}

impl World {
    /// Brings into the store what is there.
    fn store(&mut self) {
        let Plan { changes, problems, .. } = self.mirror.plan(&self.holdings, &|_| None).unwrap();
        for change in changes {
            match change.entry {
                Some(entry) => _ = self.holdings.insert(change.key, Arc::new(Held::read(9, entry))),
                None => _ = self.holdings.remove(&change.key),
            }
        }
        self.refused = problems;
        self.found = revise(&self.holdings, &|_| None).problems;
    }

    fn put(&mut self, object: &Value) {
        let kind = object["kind"].as_str().unwrap().to_owned();
        let read = Read { api_version: object["apiVersion"].as_str().unwrap(), kind: &kind, at_s: 7 };
        let object = Box::new(read.object(object.clone()).unwrap());
        self.mirror.take(&kind, Event::Applied(object));
    }

    fn reports(&self) -> Vec<Report> {
        let Self { mirror, holdings, found, refused } = self;
        reports(&View { mirror, holdings, found, refused, now: NOW })
    }

    /// What an object of that kind and name is told, condition by condition: its place, type, status and reason.
    fn told(&self, kind: &str, name: &str) -> Vec<String> {
        let reports = self.reports();
        let report = reports.iter().find(|one| one.key.kind == kind && one.key.name == name);
        let mut told = Vec::new();
        if let Some(report) = report {
            walk("", &report.status, &mut told);
        }
        told
    }

    fn status(&self, kind: &str) -> Value {
        self.reports().into_iter().find(|one| one.key.kind == kind).unwrap().status
    }
}

fn walk(place: &str, status: &Value, told: &mut Vec<String>) {
    for condition in status["conditions"].as_array().into_iter().flatten() {
        assert_eq!(
            (&condition["observedGeneration"], condition["lastTransitionTime"].as_str()),
            (&json!(3), Some(NOW))
        );
        let text = |field: &str| condition[field].as_str().unwrap();
        told.push(format!("{place}{}={} {}", text("type"), text("status"), text("reason")));
    }
    for part in ["listeners", "ancestors"] {
        for one in status[part].as_array().into_iter().flatten() {
            let name = one["name"].as_str().or(one["ancestorRef"]["name"].as_str()).unwrap();
            walk(&format!("{name}: "), one, told);
        }
    }
}

fn ours() -> Value {
    class("c", "tollgate.dev/gateway")
}

fn to_gateway() -> Value {
    json!({"name": "g", "kind": "Gateway", "group": "gateway.networking.k8s.io"})
}

#[test]
fn what_is_good_is_told_so() {
    let world = world(&[ours(), gateway(&plain()), route("r", &to_gateway(), "b"), backend("b")]);
    assert_eq!(world.told("GatewayClass", "c"), ["Accepted=True Accepted"]);
    assert_eq!(world.told("AIGatewayRoute", "r"), ["Accepted=True ReconciliationSucceeded"]);
    assert_eq!(world.told("AIServiceBackend", "b"), ["Accepted=True ReconciliationSucceeded"]);
    assert_eq!(
        world.told("Gateway", "g"),
        [
            "Accepted=True Accepted",
            "Programmed=True Programmed",
            "http: Accepted=True Accepted",
            "http: Programmed=True Programmed",
            "http: ResolvedRefs=True ResolvedRefs",
        ]
    );
    assert_eq!(world.status("Gateway")["listeners"][0]["attachedRoutes"], 1);
}

#[test]
fn what_is_bad_is_told_why() {
    let mut world = world(&[ours(), gateway(&plain()), route("r", &to_gateway(), "b"), backend("b")]);
    world.put(&json!({"apiVersion": AI, "kind": "AIGatewayRoute", "metadata": {
        "name": "r", "namespace": "d", "uid": "r", "resourceVersion": "6", "generation": 3,
    }, "spec": {"parentRefs": [to_gateway()], "rules": [{"backendRefs": [{"name": "nobody"}]}]}}));
    assert_eq!(world.told("AIGatewayRoute", "r"), [""; 0], "nobody knows yet");
    world.store();
    assert_eq!(world.told("AIGatewayRoute", "r"), ["NotAccepted=False ReconciliationFailed"]);
    let message = world.status("AIGatewayRoute")["conditions"][0]["message"].as_str().unwrap().to_owned();
    let start = "spec.rules[0].backendRefs[0].name: expected an AIServiceBackend that exists: d/nobody does not, got nobody";
    assert_eq!(message, format!("{start}; the last good version keeps serving"));
}

#[test]
fn listeners_are_told_one_by_one() {
    let tls =
        json!({"certificateRefs": [{"name": "nowhere", "group": "", "kind": "Secret"}], "mode": "Terminate"});
    let world = world(&[
        ours(),
        gateway(&json!([
            {"name": "good", "port": 80, "protocol": "HTTP"},
            {"name": "odd", "port": 81, "protocol": "UDP"},
            {"name": "tls", "port": 443, "protocol": "HTTPS", "tls": tls},
            {"name": "twice", "port": 80, "protocol": "HTTP"},
        ])),
        route("all", &to_gateway(), "b"),
        route(
            "one",
            &json!({"name": "g", "kind": "Gateway", "group": "gateway.networking.k8s.io", "sectionName": "good"}),
            "b",
        ),
        route(
            "odd",
            &json!({"name": "g", "kind": "Gateway", "group": "gateway.networking.k8s.io", "sectionName": "odd"}),
            "b",
        ),
        backend("b"),
    ]);
    assert_eq!(
        world.told("Gateway", "g"),
        [
            "Accepted=True ListenersNotValid",
            "Programmed=True Programmed",
            "good: Accepted=True Accepted",
            "good: Programmed=True Programmed",
            "good: ResolvedRefs=True ResolvedRefs",
            "odd: Accepted=False UnsupportedProtocol",
            "odd: Programmed=False Invalid",
            "odd: ResolvedRefs=True ResolvedRefs",
            "tls: Accepted=True Accepted",
            "tls: Programmed=False Invalid",
            "tls: ResolvedRefs=False InvalidCertificateRef",
            "twice: Accepted=False Invalid",
            "twice: Programmed=False Invalid",
            "twice: ResolvedRefs=True ResolvedRefs",
        ]
    );
    let listeners = world.status("Gateway")["listeners"].take();
    let attached: Vec<_> = listeners.as_array().unwrap().iter().map(|one| &one["attachedRoutes"]).collect();
    assert_eq!(attached, [2, 1, 1, 1], "a route whose only listener is not served hangs nowhere");
}

#[test]
fn policies_are_told_for_each_gateway_beside_what_others_say() {
    let other =
        json!({"ancestorRef": {"name": "o"}, "controllerName": "example.com/other", "conditions": []});
    let mut policy = tls_policy();
    policy["status"] = json!({"ancestors": [other.clone()]});
    let world = world(&[ours(), gateway(&plain()), policy]);
    let told = world.told("BackendTLSPolicy", "t");
    assert_eq!(told, ["g: Accepted=False Invalid", "g: ResolvedRefs=False RefNotFound"]);
    let report = world.reports().into_iter().find(|one| one.key.kind == "BackendTLSPolicy").unwrap();
    assert_eq!((&report.status["ancestors"][0], report.read_at), (&other, Some(5)), "what others said stays");
}

#[test]
fn what_is_said_already_is_not_said_again() {
    let objects = [ours(), gateway(&plain()), route("r", &to_gateway(), "b"), backend("b"), tls_policy()];
    let mut told: Vec<Value> = objects.to_vec();
    for report in world(&objects).reports() {
        let one = told.iter_mut().find(|one| one["kind"] == report.key.kind.as_str()).unwrap();
        one["status"] = report.status;
        // Somebody else's, in a list where there is room for others.
        if one["kind"] == "Gateway" {
            one["status"]["conditions"]
                .as_array_mut()
                .unwrap()
                .push(json!({"type": "Seen", "status": "True"}));
            one["status"]["addresses"] = json!([]);
        }
    }
    assert_eq!(world(&told).reports(), []);

    // The time is that of the last change of the condition's status.
    for one in &mut told {
        one["metadata"]["generation"] = json!(4);
        if one["kind"] == "AIGatewayRoute" {
            one["status"]["conditions"][0]["lastTransitionTime"] = json!("2020-01-01T00:00:00Z");
        }
    }
    let again = world(&told);
    let route = again.reports().into_iter().find(|one| one.key.kind == "AIGatewayRoute").unwrap();
    let condition = &route.status["conditions"][0];
    assert_eq!(
        (&condition["observedGeneration"], &condition["lastTransitionTime"]),
        (&json!(4), &json!("2020-01-01T00:00:00Z"))
    );
    assert_eq!(again.reports().len(), objects.len(), "every one has a new generation");
}

#[test]
fn others_are_told_nothing() {
    let theirs = class("x", "gateway.envoyproxy.io/gatewayclass-controller");
    let mut objects = vec![theirs, gateway(&plain()), route("r", &to_gateway(), "b"), backend("b")];
    assert_eq!(world(&objects).reports(), [], "Envoy Gateway tells of what may be its own");
    objects.push(ours());
    let told: Vec<String> = world(&objects).reports().into_iter().map(|report| report.key.kind).collect();
    assert_eq!(told, ["GatewayClass", "Gateway", "AIGatewayRoute"], "and we of what is ours");
}
