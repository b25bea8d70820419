//! What is kept gives the same again, and shows nothing secret.

use super::*;
use crate::{Resource, parse, parse_as_is};

fn kept(written: &Written) -> Written {
    let text = serde_json::to_string(written).unwrap();
    serde_json::from_str(&text).unwrap()
}

const GATEWAY: &str = "\n# first\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: a}\nspec:\n  gatewayClassName: ${CLASS}\n  listeners:\n  - {name: h, protocol: HTTP, port: 8080}\n";

#[test]
fn read_again_it_is_the_same() {
    let variables = |name: &str| (name == "CLASS").then(|| "the-class".to_owned());
    let bad = GATEWAY.replace("8080", "99999");
    let unset = GATEWAY.replace("CLASS", "NOBODY");
    let list = "kind: List\napiVersion: v1\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: a}, stringData: {k: \"${CLASS}\"}}\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n";
    #[rustfmt::skip]
    let rows = [
        // text             resources  problems  why
        (GATEWAY,           1,         0,        "a good one"),
        (bad.as_str(),      1,         1,        "one that does not pass its checks"),
        (unset.as_str(),    1,         1,        "one that lacks a variable"),
        (list,              2,         0,        "items of a list"),
    ];
    for (text, resources, told, why) in rows {
        let (loaded, problems) = parse("a.yaml", text, &variables);
        assert_eq!((loaded.len(), problems.len()), (resources, told), "{why}: {problems:?}");
        let mut again = Vec::new();
        for one in &loaded {
            let (back, found) = kept(one.written()).load();
            let back = back.unwrap();
            assert_eq!(back.is_rejected(), one.is_rejected(), "{why}");
            assert_eq!(
                (back.json, back.name, back.kind),
                (one.json.clone(), one.name.clone(), one.kind),
                "{why}"
            );
            again.extend(found);
        }
        assert_eq!(again, problems, "{why}");
    }
}

#[test]
fn what_could_be_secret_is_known_and_not_shown() {
    let variables = |name: &str| (name == "KEY").then(|| "sk-1".to_owned());
    let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\n  annotations: {last-applied: sk-1}\ntype: Opaque\nstringData: {k: sk-1}\ndata: {l: [sk-1]}\nstringDatas: {k: sk-1}\n";
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: \"x ${KEY}\", d: \"${NONE:-of it}\"}\n";
    let list = format!("apiVersion: v1\nkind: List\nitems:\n- {}", map.replace('\n', "\n  "));
    #[rustfmt::skip]
    let rows = [
        // text       has variables  shown
        (secret,      false,         "k\":\"REDACTED"),        // the keys stay
        (map,         true,          "x ${KEY}"),              // as it was written
        (&list,       true,          "\"k\":\"REDACTED\""),    // what was written is not known any more
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: \"$$x ${NONE:-y}\"}\n", false, "$$x ${NONE:-y}"), // nothing was put in
    ];
    for (text, has_variables, word) in rows {
        let (loaded, _) = parse("a.yaml", text, &variables);
        let written = loaded[0].written();
        assert_eq!(written.has_variables(), has_variables, "{text}");
        let shown = written.shown().to_string();
        assert!(shown.contains(word) && shown.contains("\"name\":\"a\""), "{shown}");
        assert!(!shown.contains("sk-1") && !format!("{written:?}").contains("sk-1"), "{shown}");
    }
    let (loaded, _) = parse_as_is("api", map);
    let Resource::ConfigMap(_) = &loaded[0].resource else { panic!("{loaded:?}") };
    assert!(!loaded[0].written().has_variables());
    assert_eq!(loaded[0].written().load().0.unwrap().json["data"]["k"], "x ${KEY}");
}
