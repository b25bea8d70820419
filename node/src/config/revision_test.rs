//! Edits, good and bad, one after the other: who serves, and how many problems are told.

use tollgate_cluster::state::resources::Expected;

use super::*;
use crate::config::entry::{Entry, Source};
use crate::config::plan::{Change, Files, Plan, Text, plan};

const GATEWAY: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: c}
spec: {controllerName: tollgate.dev/gateway}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: g}
spec:
  gatewayClassName: c
  listeners: [{name: http, protocol: HTTP, port: 1975}]
";

fn backend(name: &str) -> String {
    format!(
        "
---
apiVersion: aigateway.envoyproxy.io/v1beta1
kind: AIServiceBackend
metadata: {{name: {name}}}
spec:
  schema: {{name: OpenAI}}
  backendRef: {{group: tollgate.dev, kind: Host, name: \"127.0.0.1:9000\"}}
"
    )
}

fn route(name: &str, model: &str, backend: &str, more: &str) -> String {
    format!(
        "
---
apiVersion: aigateway.envoyproxy.io/v1beta1
kind: AIGatewayRoute
metadata: {{name: {name}}}
spec:
  parentRefs: [{{name: g, kind: Gateway, group: gateway.networking.k8s.io}}]
  rules:
  - matches: [{{headers: [{{type: Exact, name: x-ai-eg-model, value: {model}}}]}}]
    backendRefs: [{{name: {backend}}}]
{more}"
    )
}

fn served(snapshot: &Snapshot) -> String {
    let models = snapshot.routes.models("localhost", None);
    models.iter().map(|model| model.id.as_str()).collect::<Vec<_>>().join(" ")
}

fn revise(holdings: &Holdings) -> Revision {
    super::revise(holdings, &|_| None)
}

/// A file's name, and its text or why it can't be read.
type File = (&'static str, Result<String, String>);

/// Puts what the files say where the store would have it. Said again, it asks for nothing.
fn take(holdings: &mut Holdings, files: &[File]) -> Plan {
    let texts: Vec<Text> =
        files.iter().map(|(name, text)| Text { name: (*name).to_owned(), text: text.clone() }).collect();
    let files = Files { texts: &texts, variable: &|_| None, written_at_s: 0, counted: &|_| None };
    let planned = plan(holdings, &files);
    for Change { key, expects, entry } in planned.changes.clone() {
        let there = holdings.get(&key).map(|held| held.revision);
        assert_eq!(expects, there.map_or(Expected::Absent, Expected::Revision), "{key}");
        match entry {
            Some(entry) => {
                let held = Held::read(there.unwrap_or(1) + 1, entry);
                holdings.insert(key, Arc::new(held));
            }
            None => _ = holdings.remove(&key),
        }
    }
    assert_eq!(plan(holdings, &files).changes, [], "said again");
    planned
}

/// Plays `steps` (files, models served after them, problems, resources kept back, why) in order.
fn check(steps: &[(Vec<File>, &str, usize, usize, &str)]) {
    let mut holdings = Holdings::new();
    for (files, models, problems, kept_back, why) in steps {
        let planned = take(&mut holdings, files);
        let revision = revise(&holdings);
        let told: Vec<String> =
            planned.problems.iter().chain(&revision.problems).map(ToString::to_string).collect();
        assert_eq!(served(&revision.snapshot), *models, "{why}: {told:#?}");
        assert_eq!(told.len(), *problems, "{why}: {told:#?}");
        assert_eq!(planned.kept + revision.kept_back, *kept_back, "{why}");
    }
}

fn base() -> File {
    ("gateway.yaml", Ok(GATEWAY.to_owned() + &backend("b")))
}

#[test]
fn a_bad_edit_keeps_the_last_good_version_until_it_is_mended_or_taken_away() {
    let a = |model: &str| route("a", model, "b", "");
    let file = |text: String| vec![base(), ("routes.yaml", Ok(text))];
    let unknown_field = route("a", "two", "b", "    colour: red\n");
    let dangling = route("a", "two", "nobody", "");
    let other = route("z", "zed", "b", "");
    check(&[
        (file(a("one")), "one", 0, 0, "a good start"),
        (
            file(a("one") + "\n  rules: [}\n"),
            "one",
            1,
            1,
            "text that is no YAML hides the file's resources, not their service",
        ),
        (
            file(unknown_field.clone() + &other),
            "one zed",
            1,
            1,
            "an unknown field holds one resource back, its neighbour loads",
        ),
        (file(dangling + &other), "one zed", 1, 1, "so does a reference to nobody"),
        (file(a("two") + &other), "two zed", 0, 0, "mended"),
        (
            file(unknown_field),
            "two",
            1,
            1,
            "the last good version is the newest one; what was taken away is gone",
        ),
        (file(String::new()), "", 0, 0, "taken away"),
    ]);
}

#[test]
fn a_file_that_can_not_be_read_keeps_serving_and_one_that_is_gone_does_not() {
    let a = || ("a.yaml", Ok(route("a", "one", "b", "")));
    check(&[
        (vec![base(), a()], "one", 0, 0, "a good start"),
        (vec![base(), ("a.yaml", Err("permission denied".to_owned()))], "one", 1, 1, "unreadable"),
        (vec![base(), a()], "one", 0, 0, "readable again"),
        (vec![base()], "", 0, 0, "no longer in the folder"),
    ]);
}

#[test]
fn what_was_never_good_does_not_serve_and_harms_nobody() {
    let bad = || ("bad.yaml", Ok(route("bad", "two", "nobody", "")));
    let a = || ("a.yaml", Ok(route("a", "one", "b", "")));
    check(&[
        (
            vec![base(), bad(), a()],
            "one two",
            1,
            0,
            "a rule without backend stays in the table, and is refused by name",
        ),
        (
            vec![base(), ("bad.yaml", Ok("kind: [".to_owned())), a()],
            "one two",
            2,
            0,
            "what can't be read is not taken away: still refused by name",
        ),
    ]);
}

#[test]
fn a_folder_that_can_not_be_read_takes_no_file_with_it() {
    let gone = || ("conf", Err("No such file or directory".to_owned()));
    let gateway = || ("conf/gateway.yaml", Ok(GATEWAY.to_owned() + &backend("b")));
    let a = |model: &str| ("conf/a.yaml", Ok(route("a", model, "b", "")));
    let other = || ("conf-2/z.yaml", Ok(route("z", "zed", "b", "")));
    check(&[
        (vec![gateway(), a("one"), other()], "one zed", 0, 0, "a good start"),
        (vec![gone(), other()], "one zed", 1, 4, "moved away"),
        (vec![gone()], "one", 1, 4, "still away; what only begins with the same letters is gone"),
        (vec![gateway(), a("two")], "two", 0, 0, "back, and changed"),
        (vec![gateway()], "", 0, 0, "a file that is taken out of a folder that is there is gone"),
    ]);
}

#[test]
fn what_others_refer_to_goes_back_alone() {
    let key = |key: &str| {
        let text = format!(
            "
apiVersion: v1
kind: Secret
metadata: {{name: k}}
stringData: {{apiKey: \"{key}\"}}
---
apiVersion: aigateway.envoyproxy.io/v1beta1
kind: BackendSecurityPolicy
metadata: {{name: p}}
spec:
  targetRefs: [{{group: aigateway.envoyproxy.io, kind: AIServiceBackend, name: b}}]
  type: APIKey
  apiKey: {{secretRef: {{name: k}}}}
"
        );
        ("key.yaml", Ok(text))
    };
    let unset = |file: File| (file.0, file.1.map(|text| text.replace("name: k}}", "name: \"${UNSET}\"}}")));
    let a = |model: &str| ("a.yaml", Ok(route("a", model, "b", "")));
    let dangling = || ("a.yaml", Ok(route("a", "three", "nobody", "")));
    check(&[
        (vec![base(), key("sk-1"), a("one")], "one", 0, 0, "a good start"),
        (
            vec![base(), unset(key("sk-1")), a("one")],
            "one",
            1,
            1,
            "a policy whose variable is not set goes back too",
        ),
        (
            vec![base(), key(""), a("two")],
            "two",
            4,
            1,
            "the key goes back; policy, backend and route are told, but the route is new",
        ),
        (
            vec![base(), key(""), dangling()],
            "two",
            4,
            2,
            "what was new then is what a bad route goes back to",
        ),
    ]);
}

#[test]
fn what_somebody_else_put_there_stays() {
    let a = |model: &str| ("a.yaml", Ok(route("a", model, "b", "")));
    let mut holdings = Holdings::new();
    take(&mut holdings, &[base(), a("one")]);
    let (key, held) = holdings.iter().find(|(key, _)| key.kind == "AIGatewayRoute").unwrap();
    let (key, entry) = (key.clone(), Entry { source: Source::Api, ..held.entry.clone() });
    holdings.insert(key.clone(), Arc::new(Held::read(9, entry)));

    let planned = take(&mut holdings, &[base(), a("two")]);
    assert_eq!((planned.taken, planned.problems.len()), (1, 1));
    let told = planned.problems[0].to_string();
    assert!(told.contains("AIGatewayRoute default/a") && told.contains("one from api (a.yaml:2)"), "{told}");
    assert_eq!(served(&revise(&holdings).snapshot), "one");
    take(&mut holdings, &[]);
    assert_eq!(holdings.keys().collect::<Vec<_>>(), [&key], "files take away only what came from files");
}

#[test]
fn of_two_with_one_name_the_first_counts() {
    let a = |file, model: &str| (file, Ok(route("a", model, "b", "")));
    check(&[
        (vec![base(), a("a.yaml", "one"), a("b.yaml", "two")], "one", 1, 0, "told, and the first one serves"),
        (vec![base(), a("b.yaml", "two")], "two", 0, 0, "the first one is gone"),
    ]);
}

#[test]
fn a_version_to_go_back_to_is_kept_only_while_it_is_needed() {
    let mut holdings = Holdings::new();
    let a = |text: String| ("a.yaml", Ok(text));
    let goods = |holdings: &Holdings| holdings.values().filter(|held| held.entry.good.is_some()).count();
    take(&mut holdings, &[base(), a(route("a", "one", "b", ""))]);
    take(&mut holdings, &[base(), a(route("a", "two", "later", ""))]);
    assert_eq!(goods(&holdings), 1);
    assert_eq!(served(&revise(&holdings).snapshot), "one");
    take(&mut holdings, &[base(), a(route("a", "two", "later", "") + &backend("later"))]);
    assert_eq!((goods(&holdings), &*served(&revise(&holdings).snapshot)), (0, "two"));
}

#[test]
fn a_budget_that_was_counted_otherwise_stays_what_it_was() {
    let budget = |unit: &str| {
        let spec = format!("{{unit: {unit}, limit: 10, window: {{lifetime: true}}}}");
        let head = "apiVersion: tollgate.dev/v1alpha1\nkind: Budget\nmetadata: {name: acme}\nspec: ";
        vec![Text { name: "a.yaml".to_owned(), text: Ok(format!("{head}{spec}\n")) }]
    };
    // The ledger knows it as one of requests.
    let known = |kept: &KeptBudget| {
        let is_known = kept.budget.unit == tollgate_ratelimit::unit::Unit::Requests;
        (!is_known).then(|| ("unit".to_owned(), "as it was".to_owned()))
    };
    let mut holdings = Holdings::new();
    let units = |revision: &Revision| -> Vec<String> {
        let all = revision.snapshot.quota.budgets.all().iter();
        all.map(|kept| format!("{:?}", kept.budget.unit)).collect()
    };
    #[rustfmt::skip]
    let steps = [
        // unit         in force            kept back  waits   why
        ("requests",    vec!["Requests"],   0,         false,  "as the ledger knows it"),
        ("totalTokens", vec!["Requests"],   1,         false,  "the version before it serves"),
    ];
    for (unit, in_force, kept_back, waits, why) in steps {
        let texts = budget(unit);
        let files = Files { texts: &texts, variable: &|_| None, written_at_s: 0, counted: &known };
        for Change { key, entry, .. } in plan(&holdings, &files).changes {
            holdings.insert(key, Arc::new(Held::read(1, entry.unwrap())));
        }
        let revision = super::revise(&holdings, &known);
        assert_eq!(
            (units(&revision), revision.kept_back, revision.waits),
            (in_force.iter().map(ToString::to_string).collect(), kept_back, waits),
            "{why}"
        );
        let told: Vec<String> = revision.problems.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), kept_back, "{why}: {told:?}");
        assert!(
            told.iter().all(|one| one == "a.yaml:4: Budget default/acme: spec.unit: expected as it was"),
            "{told:?}"
        );
    }
    // Made anew under the same name, it has no version to go back to.
    for held in holdings.values_mut() {
        *held = Arc::new(Held::read(2, Entry { good: None, ..held.entry.clone() }));
    }
    let revision = super::revise(&holdings, &known);
    assert_eq!((units(&revision), revision.waits, revision.problems.len()), (vec![], true, 1));
}
