//! Listeners of one port beside each other: the narrowest hostname that meets a request is asked alone (Gateway API,
//! `Gateway.spec.listeners`, listener isolation).

use http::HeaderMap;

use crate::{compile, parse};

const GATEWAY: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: c}
spec: {controllerName: example.com/any}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: g}
spec:
  gatewayClassName: c
  listeners:
  - {name: all, protocol: HTTP, port: 80}
  - {name: wild, protocol: HTTP, port: 80, hostname: \"*.example.com\"}
  - {name: deep, protocol: HTTP, port: 80, hostname: \"*.b.example.com\"}
  - {name: exact, protocol: HTTP, port: 80, hostname: a.example.com}
  - {name: empty, protocol: HTTP, port: 80, hostname: empty.org}
  - {name: other, protocol: HTTP, port: 81}
---
apiVersion: aigateway.envoyproxy.io/v1beta1
kind: AIServiceBackend
metadata: {name: x}
spec:
  schema: {name: OpenAI}
  backendRef: {group: tollgate.dev, kind: Host, name: \"x.internal:8000\"}
";

fn route(name: &str, section: &str, hostnames: &str) -> String {
    format!(
        "---
apiVersion: aigateway.envoyproxy.io/v1beta1
kind: AIGatewayRoute
metadata: {{name: {name}}}
spec:
  parentRefs: [{{name: g, sectionName: {section}}}]
  hostnames: [{hostnames}]
  rules:
  - matches: [{{headers: [{{name: x-ai-eg-model, value: {name}}}]}}]
    backendRefs: [{{name: x}}]
"
    )
}

#[test]
fn the_narrowest_listener_is_asked_alone() {
    let text = GATEWAY.to_owned()
        + &route("of-all", "all", "")
        + &route("of-all-hosts", "all", "\"*.org\", c.example.com")
        + &route("of-wild", "wild", "")
        + &route("of-deep", "deep", "")
        + &route("of-exact", "exact", "")
        + &route("of-other", "other", "");
    let (loaded, problems) = parse("in.yaml", &text, &|_| None);
    assert_eq!(problems, []);
    let (snapshot, problems) = compile(&loaded);
    assert_eq!(problems, []);
    let of_80 = ["of-all", "of-all-hosts", "of-wild", "of-deep", "of-exact"];
    #[rustfmt::skip]
    let rows: [(&str, &[&str], &str); 7] = [
        ("stranger.net",    &["of-all"],                 "no other listener means it"),
        ("x.org",           &["of-all-hosts", "of-all"], "nor this; both routes of the listener are candidates"),
        ("empty.org",       &[],                         "a listener without routes keeps its host for itself"),
        ("x.example.com",   &["of-wild"],                "narrower than all hosts"),
        ("c.example.com",   &["of-wild"],                "also where a route of a wider listener names the very host"),
        ("x.b.example.com", &["of-deep"],                "the longer wildcard"),
        ("a.example.com",   &["of-exact"],               "the exact name"),
    ];
    for (host, models, why) in rows {
        let serves = |port, model: &&&str| {
            let headers: HeaderMap =
                [(http::HeaderName::from_static("x-ai-eg-model"), model.parse().unwrap())]
                    .into_iter()
                    .collect();
            snapshot.routes.find(host, port, model, &headers).is_some()
        };
        let mut want = models.to_vec();
        want.sort_unstable();
        for port in [Some(80), None] {
            let mut got: Vec<&str> = of_80.iter().filter(|model| serves(port, model)).copied().collect();
            got.sort_unstable();
            assert_eq!(got, want, "{host} on {port:?}: {why}");
        }
        assert!(serves(Some(81), &&"of-other") && !serves(Some(80), &&"of-other"), "{host}: ports are apart");
        let listed: Vec<String> =
            snapshot.routes.models(host, Some(80)).into_iter().map(|model| model.id).collect();
        assert_eq!(listed, models, "{host}: the list of models says the same");
    }
}

#[test]
fn a_route_that_no_request_can_reach_is_told() {
    let (loaded, _) =
        parse("in.yaml", &(GATEWAY.to_owned() + &route("r", "all", "a.example.com")), &|_| None);
    let (snapshot, problems) = compile(&loaded);
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(told.len() == 1 && told[0].contains("no other listener of the port"), "{told:?}");
    assert!(snapshot.routes.rules().is_empty());
}
