//! What is proposed for what an API server says: steps of one term after another, and what they change.

use serde_json::{Value, json};

use super::*;
use crate::kubernetes::object::Read;

const CONTROLLER: &str = "tollgate.dev/gateway-controller";
const AI: &str = "aigateway.envoyproxy.io/v1beta1";
const GATEWAY: &str = "gateway.networking.k8s.io/v1";
const KINDS: [&str; 6] =
    ["GatewayClass", "Gateway", "AIGatewayRoute", "AIServiceBackend", "BackendSecurityPolicy", "Secret"];

/// One thing that happens.
enum Step {
    /// Another node leads, or the same one anew.
    Term,
    List(&'static str, Vec<Value>),
    /// A list that has begun and is not over.
    Begin(&'static str, Vec<Value>),
    Put(Value),
    Gone(Value),
    Is(&'static str, fn() -> Event),
    /// Somebody else put it into the store.
    Stored(Value, Source),
}

use Step::{Begin, Gone, Is, List, Put, Stored, Term};

struct World {
    mirror: Mirror,
    holdings: Holdings,
    revision: u64,
}

fn mirror() -> Mirror {
    Mirror::new(CONTROLLER, KINDS.into_iter())
}

fn read(value: &Value) -> Box<Object> {
    let text = |field: &str| value[field].as_str().unwrap();
    let read = Read { api_version: text("apiVersion"), kind: text("kind"), at_s: 7 };
    Box::new(read.object(value.clone()).unwrap())
}

impl World {
    /// Whether it was said to be of concern to the store.
    fn step(&mut self, step: Step) -> bool {
        match step {
            Term => self.mirror = mirror(),
            List(kind, objects) => {
                self.step(Begin(kind, objects));
                return self.mirror.take(kind, Event::InitDone);
            }
            Begin(kind, objects) => {
                self.mirror.take(kind, Event::Init);
                for object in &objects {
                    self.mirror.take(kind, Event::Listed(read(object)));
                }
            }
            Put(object) => {
                let kind = object["kind"].as_str().unwrap();
                return self.mirror.take(kind, Event::Applied(read(&object)));
            }
            Gone(object) => {
                let kind = object["kind"].as_str().unwrap();
                return self.mirror.take(kind, Event::Deleted(read(&object)));
            }
            Is(kind, event) => return self.mirror.take(kind, event()),
            Stored(object, source) => {
                let object = read(&object);
                let entry = Entry { source, ..object.held.as_ref().unwrap().entry.clone() };
                self.holdings.insert(object.key, Arc::new(Held::read(1, entry)));
            }
        }
        true
    }

    /// Does what is proposed, and tells it.
    fn settle(&mut self) -> String {
        let Some(plan) = self.mirror.plan(&self.holdings, &|_| None) else { return "…".to_owned() };
        let mut told: Vec<String> = plan.set_back.iter().map(|key| format!("^{}", key.name)).collect();
        for Change { key, expects, entry } in plan.changes {
            let there = self.holdings.get(&key);
            assert_eq!(expects, expected(there), "{key}");
            self.revision += 1;
            let sign = match (&entry, there) {
                (None, _) => "-",
                (Some(entry), _) if entry.good.is_some() => "!",
                (Some(_), None) => "+",
                (Some(_), Some(_)) => "~",
            };
            told.push(format!("{sign}{}", key.name));
            match entry {
                Some(entry) => _ = self.holdings.insert(key, Arc::new(Held::read(self.revision, entry))),
                None => _ = self.holdings.remove(&key),
            }
        }
        told.extend(plan.problems.iter().map(|problem| format!("?{}", problem.resource)));
        told.join(" ")
    }
}

fn check(rows: Vec<(Vec<Step>, &str, &str)>) {
    let mut world = World { mirror: mirror(), holdings: Holdings::new(), revision: 1 };
    for (steps, want, why) in rows {
        let is_news = steps.into_iter().fold(false, |is_news, step| world.step(step) | is_news);
        assert!(is_news || !want.contains(['+', '-', '~', '!']), "nobody would look: {why}");
        assert_eq!(world.settle(), want, "{why}");
        assert!(want == "…" || !world.settle().contains(['+', '-', '~', '!']), "it is done: {why}");
    }
}

/// An object; `at` is its uid, a dot and its resourceVersion.
fn object(kind: (&str, &str), (name, at): (&str, &str), content: &Value) -> Value {
    let (uid, version) = at.split_once('.').unwrap();
    let mut object = json!({
        "apiVersion": kind.0, "kind": kind.1,
        "metadata": {"name": name, "namespace": "d", "uid": uid, "resourceVersion": version, "generation": 1},
    });
    object.as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
    object
}

fn class(name: &str, at: &str, controller: &str) -> Value {
    let mut class =
        object((GATEWAY, "GatewayClass"), (name, at), &json!({"spec": {"controllerName": controller}}));
    class["metadata"].as_object_mut().unwrap().remove("namespace");
    class
}

fn gateway(name: &str, at: &str, class: &str) -> Value {
    let listeners = json!([{"name": "http", "port": 80, "protocol": "HTTP"}]);
    let spec = json!({"spec": {"gatewayClassName": class, "listeners": listeners}});
    object((GATEWAY, "Gateway"), (name, at), &spec)
}

fn route(name: &str, at: &str, (gateway, backend): (&str, &str)) -> Value {
    let spec = json!({"spec": {
        "parentRefs": [{"name": gateway, "kind": "Gateway", "group": "gateway.networking.k8s.io"}],
        "rules": [{"backendRefs": [{"name": backend}]}],
    }});
    object((AI, "AIGatewayRoute"), (name, at), &spec)
}

fn backend(name: &str, at: &str) -> Value {
    let host = json!({"group": "tollgate.dev", "kind": "Host", "name": "127.0.0.1:9000"});
    let spec = json!({"spec": {"schema": {"name": "OpenAI"}, "backendRef": host}});
    object((AI, "AIServiceBackend"), (name, at), &spec)
}

fn policy(name: &str, at: &str, (backend, secret): (&str, &str)) -> Value {
    let spec = json!({"spec": {
        "targetRefs": [{"group": "aigateway.envoyproxy.io", "kind": "AIServiceBackend", "name": backend}],
        "type": "APIKey", "apiKey": {"secretRef": {"name": secret}},
    }});
    object((AI, "BackendSecurityPolicy"), (name, at), &spec)
}

fn secret(name: &str, at: &str, key: &str) -> Value {
    object(("v1", "Secret"), (name, at), &json!({"stringData": {"apiKey": key}}))
}

/// A whole configuration, a list a kind.
fn everything() -> Vec<Step> {
    vec![
        List("GatewayClass", vec![class("c", "1.1", CONTROLLER)]),
        List("Gateway", vec![gateway("g", "2.2", "c")]),
        List("AIGatewayRoute", vec![route("r", "3.3", ("g", "b"))]),
        List("AIServiceBackend", vec![backend("b", "4.4")]),
        List("BackendSecurityPolicy", vec![policy("p", "5.5", ("b", "s"))]),
        List("Secret", vec![secret("s", "6.6", "sk-1"), secret("z", "7.7", "other")]),
    ]
}

fn first(count: usize) -> Vec<Step> {
    everything().into_iter().take(count).collect()
}

fn last() -> Step {
    everything().pop().unwrap()
}

const ALL: &str = "+s +c +p +g +b +r";

#[test]
#[rustfmt::skip]
fn what_the_api_server_has_is_mirrored() {
    check(vec![
        (first(5), "…", "one kind is not known: it may hold what the others need"),
        (vec![Begin("Secret", vec![secret("s", "6.6", "sk-1")])], "…", "a list that is not over says nothing"),
        (vec![last()], ALL, "all at once, what is referred to first; nobody takes Secret z"),
        (vec![Put(route("r", "3.9", ("g", "b")))], "", "a status was written, or nothing"),
        (vec![Put(policy("p", "5.10", ("b", "z")))], "+z ~p -s", "another Secret is taken, and the old one by nobody"),
        (vec![Put(secret("z", "7.11", "new"))], "~z", "a key was rotated"),
        (vec![Put(secret("s", "6.12", "new"))], "", "nobody takes it any more"),
        (vec![Put(route("r", "3.13", ("g", "gone")))], "!r", "it was broken: the version before it is kept"),
        (vec![Put(route("r", "3.14", ("g", "b")))], "~r", "it was mended"),
        (vec![Put(route("r", "3.9", ("g", "x")))], "", "an old event does not come back"),
        (vec![Gone(route("r", "3.15", ("g", "b")))], "-r", "deleted there, deleted here"),
        (vec![Put(route("r", "8.16", ("g", "b"))), Gone(route("r", "3.15", ("g", "b")))], "+r", "the one of that name is another one"),
        (vec![Begin("AIServiceBackend", vec![])], "", "a new list has begun: what is known counts on"),
        (vec![Is("AIServiceBackend", || Event::InitDone)], "-b", "it was deleted while nobody looked"),
    ]);
}

#[test]
#[rustfmt::skip]
fn a_new_leader_takes_nothing_away_before_it_knows_everything() {
    let again = |without: &'static str| first(6).into_iter().filter(move |step| !matches!(step, List(kind, _) if *kind == without));
    check(vec![
        (first(6), ALL, "the leader before it"),
        (vec![Term, List("Gateway", vec![])], "…", "nothing is known of the others"),
        (vec![Term].into_iter().chain(again("Secret")).collect(), "…", "only the Secrets are not known"),
        (vec![Is("Secret", || Event::Stalled)], "", "they can't be had: what was there stays"),
        (vec![List("AIServiceBackend", vec![backend("n", "8.8")])], "+n", "what is new comes, what is gone stays"),
        (vec![last()], "-b", "all is known"),
        (vec![Term, Is("Secret", || Event::Stalled)].into_iter().chain(again("Secret")).collect(), "+b", "it came back; n may be anywhere"),
        (vec![Is("Secret", || Event::Forbidden)], "-n", "it will never be known: that does not stop the others"),
        (vec![Put(policy("p", "5.20", ("b", "z")))], "!p", "z was forbidden to be seen: s stays, and with it what serves"),
    ]);
}

#[test]
#[rustfmt::skip]
fn a_secret_stays_while_what_may_take_it_is_not_known() {
    let known = |without: &'static str| first(6).into_iter().filter(move |step| !matches!(step, List(kind, _) if *kind == without));
    check(vec![
        (first(6), ALL, "the leader before it"),
        (vec![Term, Is("AIServiceBackend", || Event::Stalled)].into_iter().chain(known("AIServiceBackend"))
            .chain([Put(policy("p", "5.9", ("b", "z")))]).collect(), "+z ~p", "s may be taken by a backend that is not known"),
        (first(4).drain(3..).collect(), "-s", "it is not"),
    ]);
}

#[test]
#[rustfmt::skip]
fn kinds_that_are_not_there_are_no_error() {
    check(vec![
        (vec![Is("BackendSecurityPolicy", || Event::Missing)], "…", "the others are not known"),
        (first(4), "…", "the Secrets are not"),
        (vec![last()], "+c +g +b +r", "without policies nobody takes a Secret"),
        (vec![List("BackendSecurityPolicy", vec![policy("p", "5.5", ("b", "s"))])], "+s +p", "it was installed"),
        (vec![Is("BackendSecurityPolicy", || Event::Missing)], "", "a server that starts does not know all kinds"),
        (vec![Is("BackendSecurityPolicy", || Event::Missing)], "-p -s", "it was taken away"),
        (vec![Term, Is("AIServiceBackend", || Event::Missing), Is("BackendSecurityPolicy", || Event::Missing)]
            .into_iter().chain(first(3)).chain([last()]).collect(), "", "a new leader can't know yet"),
        (vec![Is("AIServiceBackend", || Event::Missing)], "-b", "and then does"),
    ]);
}

#[test]
#[rustfmt::skip]
fn what_belongs_to_others_is_left_alone() {
    let api = || Source::Api;
    check(vec![
        (vec![Stored(backend("b", "0.0"), api()), Stored(backend("a", "0.0"), api())], "…", "somebody was here before"),
        (first(6), "+s +c +p +g +r ?AIServiceBackend d/b", "what is there stays, and who asked for its name is told"),
        (vec![Put(class("x", "8.8", "example.com/other")), Put(gateway("h", "9.9", "x")), Put(route("q", "10.10", ("h", "b")))],
            "?AIServiceBackend d/b", "another controller's"),
        (vec![Put(route("q", "10.11", ("nowhere", "b")))], "?AIServiceBackend d/b", "nobody's"),
        (vec![Put(route("q", "10.12", ("g", "b")))], "+q ?AIServiceBackend d/b", "ours now"),
        (vec![Put(class("c", "1.13", "example.com/other"))], "-q -r -g -c ?AIServiceBackend d/b", "the class was given away"),
        (vec![List("AIServiceBackend", vec![])], "", "the admin API's backends stay"),
    ]);
}

#[test]
#[rustfmt::skip]
fn an_api_server_that_was_set_back_is_followed() {
    check(vec![
        (first(6), ALL, "before"),
        (vec![Put(route("r", "3.90", ("g", "gone")))], "!r", "much happened"),
        (vec![List("AIGatewayRoute", vec![route("r", "3.3", ("g", "b"))])], "^r ~r", "numbers ran backwards: the list counts"),
        (vec![Put(route("r", "3.4", ("g", "gone")))], "!r", "and what comes after it"),
        (vec![List("AIGatewayRoute", vec![route("r", "11.2", ("g", "b"))])], "~r", "another one of that name has its own numbers"),
    ]);
}

#[test]
fn what_is_of_no_concern_to_the_store_is_known() {
    let mut world = World { mirror: mirror(), holdings: Holdings::new(), revision: 1 };
    for step in first(6) {
        world.step(step);
    }
    world.settle();
    let mut told = route("r", "3.9", ("g", "b"));
    told["status"] = json!({"conditions": []});
    #[rustfmt::skip]
    let rows = [
        (Put(told.clone()),                            false), // its status was written
        (Put(route("r", "3.9", ("g", "b"))),           false), // the same event twice
        (Put(secret("z", "7.9", "new")),                false), // nobody takes it
        (Gone(secret("z", "7.10", "new")),              false),
        (Put(secret("s", "6.9", "new")),                true),  // a policy does
        (Put(route("r", "3.10", ("g", "c"))),          true),  // it refers to another backend
        (Put(route("r", "8.11", ("g", "c"))),          true),  // another one of that name
        (Gone(route("r", "8.12", ("g", "c"))),         true),
    ];
    for (at, (step, is_news)) in rows.into_iter().enumerate() {
        assert_eq!(world.step(step), is_news, "row {at}");
        if at == 0 {
            let route = world.mirror.objects("AIGatewayRoute").next().unwrap();
            assert_eq!(route.status, told["status"], "those who report have to know");
        }
    }
}

#[test]
fn what_does_not_fit_is_told() {
    let mut world = World { mirror: mirror(), holdings: Holdings::new(), revision: 1 };
    for step in first(6) {
        world.step(step);
    }
    world.step(Put(secret("s", "6.9", &"x".repeat(MOST_ENTRY_BYTES))));
    assert!(world.settle().contains("?Secret d/s"));
}

#[test]
fn proposals_are_bounded() {
    let change = |bytes: usize| {
        let object = read(&secret("s", "1.1", &"x".repeat(bytes)));
        let entry = object.held.unwrap().entry.clone();
        Change { key: object.key, expects: expected(None), entry: Some(entry) }
    };
    let (small, large) = (change(1), change(1_000_000));
    let many: Vec<Change> = (0..600).map(|_| small.clone()).collect();
    assert_eq!(batches(&many).iter().map(|batch| batch.len()).collect::<Vec<_>>(), [256, 256, 88]);
    let few: Vec<Change> = (0..6).map(|_| large.clone()).collect();
    assert_eq!(batches(&few).iter().map(|batch| batch.len()).collect::<Vec<_>>(), [4, 2]);
    assert!(batches(&[]).is_empty());
}
