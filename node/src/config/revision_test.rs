//! Edits, good and bad, one after the other: who serves, and how many problems are told.

use super::*;

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

/// A file's name, and its text or why it can't be read.
type File = (&'static str, Result<String, String>);

/// Plays `steps` (files, models served after them, problems, resources kept back, why) in order.
fn check(steps: &[(Vec<File>, &str, usize, usize, &str)]) {
    let mut good = Good::default();
    for (files, models, problems, kept_back, why) in steps {
        let texts: Vec<Text> =
            files.iter().map(|(name, text)| Text { name: (*name).to_owned(), text: text.clone() }).collect();
        let revision = revise(&good, &texts, &|_| None);
        let told: Vec<String> = revision.problems.iter().map(ToString::to_string).collect();
        assert_eq!(served(&revision.snapshot), *models, "{why}: {told:#?}");
        assert_eq!(told.len(), *problems, "{why}: {told:#?}");
        assert_eq!(revision.kept_back, *kept_back, "{why}");
        good = revision.good;
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
        (vec![base(), ("bad.yaml", Ok("kind: [".to_owned())), a()], "one", 1, 0, "nothing to go back to"),
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
