//! Loading: documents, variables, strictness, lines.

use super::*;

fn problems(text: &str) -> Vec<String> {
    let variables = |name: &str| (name == "PORT").then(|| "8080".to_owned());
    let (_, problems) = parse("in.yaml", text, &variables);
    problems.iter().map(ToString::to_string).collect()
}

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";

#[test]
fn faults_are_named_with_their_line() {
    let deep = format!("{MAP}data: {}{}\n", "[".repeat(100), "]".repeat(100));
    #[rustfmt::skip]
    let rows = [
        ("a: [",                    "in.yaml:2: document 1: expected YAML, got"),             // no YAML
        ("- a",                     "in.yaml:1: document 1: expected a mapping"),             // no object
        ("kind: X",                 "in.yaml:1: document 1: apiVersion: expected a text"),    // no version
        ("apiVersion: v1",          "in.yaml:1: document 1: kind: expected a text"),          // no kind
        ("apiVersion: 1\nkind: X",  "apiVersion: expected a text: apiVersion says what the object is, got 1"), // no text
        ("apiVersion: v1\nkind: ConfigMap", "ConfigMap in document 1: metadata.name: expected a value"), // no name
        ("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: A_b", "in.yaml:4: ConfigMap default/A_b: metadata.name: expected a text that fits"), // no DNS name
        ("apiVersion: v2\nkind: ConfigMap\nmetadata: {name: a}", "apiVersion: expected one of the versions v1, got v2"), // no such version
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, nam: b}", "metadata.nam: expected no such field"), // strict there too
        ("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}", "not honoured: expected a kind that a gateway serves: Deployment"), // infrastructure
        ("apiVersion: aigateway.envoyproxy.io/v1beta1\nkind: MCPRoute\nmetadata: {name: a}", "not honoured: expected a kind that is served: kind MCPRoute of group aigateway.envoyproxy.io is not served yet"), // of others
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  x: 1", "in.yaml:5: ConfigMap default/a: data.x: expected a text, got 1"), // no text
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  x: a\n  x: b", "in.yaml:6: document 1: expected each key once in a mapping, got x"), // twice
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  x: ${NO}", "in.yaml:5: document 1: data.x: expected the variable NO to be set, or a default: ${NO:-…}, got ${NO}"), // not set
        ("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: [sk-1]", "stringData: expected a mapping, got [redacted]"), // no secrets shown
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: !x {}\nimmutable: !x 1", "no tags but YAML's own"), // foreign tags
        (deep.as_str(),             "expected at most 64 levels"),                            // too deep
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: *x", "in.yaml:4: document 1: expected YAML"), // no such anchor
    ];
    for (text, want) in rows {
        let got = problems(text);
        assert!(got.iter().any(|line| line.contains(want)), "{text}\nwant {want}\n got {got:#?}");
    }
}

#[test]
fn aliases_are_bounded() {
    let mut bomb =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\na: &a [x, x, x, x, x, x, x, x, x, x]\n"
            .to_owned();
    for (name, of) in
        ["b", "c", "d", "e", "f", "g", "h", "i"].iter().zip(["a", "b", "c", "d", "e", "f", "g", "h"])
    {
        let aliases = vec![format!("*{of}"); 10].join(", ");
        bomb = format!("{bomb}{name}: &{name} [{aliases}]\n");
    }
    assert!(problems(&bomb)[0].contains("at most 500000 nodes"));
    let nested = format!(
        "{MAP}a: &a [&b [&c [1]]]\nb: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[*a]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n"
    );
    assert!(problems(&nested).iter().all(|line| line.contains("no such field")), "{:?}", problems(&nested));
}

#[test]
fn a_fault_in_one_document_leaves_the_others() {
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\n}{\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n";
    let (loaded, problems) = parse("in.yaml", text, &|_| None);
    let names: Vec<_> = loaded.iter().map(|loaded| loaded.name.to_string()).collect();
    assert_eq!(names, ["default/a", "default/b"]);
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].at.as_ref().map(|place| place.line), Some(5));
}

#[test]
fn variables_are_values_and_never_yaml() {
    let text = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata:\n  name: a\n  annotations: {x: \"${EVIL}\"}\nspec:\n  gatewayClassName: c\n  listeners:\n  - name: h\n    protocol: HTTP\n    port: ${PORT}\n";
    let variables = |name: &str| match name {
        "PORT" => Some("8080".to_owned()),
        "EVIL" => Some("}\nspec: {}\n# ".to_owned()),
        _ => None,
    };
    let (loaded, problems) = parse("in.yaml", text, &variables);
    assert_eq!(problems, []);
    assert_eq!(loaded[0].metadata.annotations["x"], "}\nspec: {}\n# ");
    assert_eq!(loaded[0].json["spec"]["listeners"][0]["port"], 8080);
    // Quoted, the same variable is a text, which a port is not; and what came from a variable is not shown.
    let quoted = text.replace("${PORT}", "\"${PORT}\"");
    let (_, problems) = parse("in.yaml", &quoted, &variables);
    assert_eq!(
        problems[0].to_string(),
        "in.yaml:11: Gateway default/a: spec.listeners[0].port: expected a whole number from 1 to 65535, got [redacted]"
    );
    let (loaded, _) = parse_as_is(
        "in.json",
        "{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"a\"}, \"data\": {\"x\": \"${PORT}\"}}",
    );
    assert_eq!(loaded[0].json["data"]["x"], "${PORT}");
}

#[test]
fn lists_are_unpacked_and_anchors_and_merges_read() {
    let text = "apiVersion: v1\nkind: List\nitems:\n- &a\n  apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: a}\n- <<: *a\n  metadata: {name: b, namespace: other}\n- {}\n";
    let (loaded, problems) = parse("in.yaml", text, &|_| None);
    let names: Vec<_> = loaded.iter().map(|loaded| loaded.name.to_string()).collect();
    assert_eq!(names, ["default/a", "other/b"]);
    assert_eq!(
        problems[0].to_string(),
        "in.yaml:10: document 1 items[2]: apiVersion: expected a text: apiVersion says what the object is"
    );
}

#[test]
fn a_variable_that_looks_like_a_number_is_a_text_where_one_is_due() {
    let text = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\n  annotations: {x: 1${V}}\nstringData:\n  apiKey: ${V}\n";
    let text = text.replace("{x: 1${V}}", "\n    x.y/z: ${V}");
    for value in ["12345", "1e5", "0x1F", "true", "null", "~", "sk-1", "007"] {
        let (loaded, problems) = parse("in.yaml", &text, &|_| Some(value.to_owned()));
        assert_eq!(problems, [], "{value}");
        let Resource::Secret(content) = &loaded[0].resource else { panic!("{:?}", loaded[0]) };
        assert_eq!(content.string_data["apiKey"], value, "as it is");
        assert_eq!(loaded[0].metadata.annotations["x.y/z"], value, "in metadata too");
    }
    let (loaded, _) = parse("in.yaml", &text, &|_| Some(String::new()));
    assert!(
        loaded[0].metadata.annotations.is_empty(),
        "nothing is nothing: an empty variable leaves a field out"
    );
    let written = text.replace("${V}", "12345");
    assert!(problems(&written)[0].contains("expected a text"), "what stands in the file is read as YAML");
}

#[test]
fn an_unquoted_variable_in_flow_style_gets_a_hint() {
    let flow = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {apiKey: ${PORT}}\n";
    for text in [flow, "a: [${PORT}]\n", "a:\n- {b: x${PORT}, c: 1}\n"] {
        let got = problems(text);
        assert!(got[0].contains("a variable inside { } or [ ] is quoted: \"${NAME}\""), "{got:?}");
    }
    assert!(!problems("a: [")[0].contains("variable"));
    assert_eq!(problems(&flow.replace("${PORT}", "\"${PORT}\"")), Vec::<String>::new());
}
