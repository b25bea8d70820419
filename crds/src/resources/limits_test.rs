//! Every limit and rule of the kinds, from both sides: what just fits and what just does not.

use serde_json::{Value, json};

use crate::load::parse;

/// The problems of one resource of the AI gateway's group (or of the group that its kind says).
fn problems(kind: &str, spec: &Value) -> Vec<String> {
    let api_version = match kind {
        "Gateway" | "GatewayClass" | "BackendTLSPolicy" | "ReferenceGrant" => "gateway.networking.k8s.io/v1",
        "Backend" | "BackendTrafficPolicy" | "SecurityPolicy" => "gateway.envoyproxy.io/v1alpha1",
        "QuotaPolicy" => "aigateway.envoyproxy.io/v1alpha1",
        "Consumer" | "Budget" | "PriceList" => "tollgate.dev/v1alpha1",
        _ => "aigateway.envoyproxy.io/v1beta1",
    };
    let object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}, "spec": spec});
    let (_, problems) = parse("in.json", &object.to_string(), &|_| None);
    problems.iter().map(|problem| format!("{}: {}", problem.field, problem.expected)).collect()
}

pub(super) fn check(kind: &str, rows: Vec<(Value, &str, &str)>) {
    for (spec, want, why) in rows {
        let got = problems(kind, &spec);
        let fits = if want.is_empty() { got.is_empty() } else { got.iter().any(|line| line.contains(want)) };
        assert!(fits, "{kind}: {why}: want {want:?}, got {got:#?}\n{spec}");
    }
}

pub(super) fn times(count: usize, make: impl Fn(usize) -> Value) -> Value {
    (0..count).map(make).collect()
}

fn rule(fields: &Value) -> Value {
    json!({"rules": [fields]})
}

fn reference(fields: &Value) -> Value {
    rule(&json!({"backendRefs": [fields]}))
}

#[test]
fn routes() {
    let parents =
        |count| json!({"rules": [], "parentRefs": times(count, |n| json!({"name": format!("g{n}")}))});
    let hosts = |count| json!({"rules": [], "hostnames": times(count, |n| json!(format!("h{n}.com")))});
    let rules = |count| json!({"rules": times(count, |_| json!({}))});
    let costs = |count| json!({"rules": [], "llmRequestCosts": times(count, |n| json!({"metadataKey": format!("k{n}"), "type": "InputToken"}))});
    let backends = |count| rule(&json!({"backendRefs": times(count, |_| json!({"name": "a"}))}));
    let matches = |count| rule(&json!({"matches": times(count, |_| json!({}))}));
    let headers = |count| {
        rule(
            &json!({"matches": [{"headers": times(count, |n| json!({"name": format!("h{n}"), "value": "v"}))}]}),
        )
    };
    let pool = json!({"name": "p", "group": "inference.networking.k8s.io", "kind": "InferencePool"});
    let host = |host: &str| json!({"rules": [], "hostnames": [host]});
    let timeout = |text: &str| rule(&json!({"timeouts": {"request": text}}));
    #[rustfmt::skip]
    check("AIGatewayRoute", vec![
        (json!({}),      "spec.rules: a value: the field is required", "rules are required"),
        (json!({"rules": []}), "", "and may be none"),
        (parents(16),    "", "16 parents"),
        (parents(17),    "spec.parentRefs: at most 16 entries", "17 parents"),
        (json!({"rules": [], "parentRefs": [{"name": "s", "kind": "Service"}]}), "only Gateway is a parent", "another parent"),
        (hosts(16),      "", "16 hosts"),
        (hosts(17),      "spec.hostnames: at most 16 entries", "17 hosts"),
        (host("*.a.com"), "", "a wildcard"),
        (host("a.*.com"), "spec.hostnames[0]: a text that fits", "a wildcard inside"),
        (host("A.com"),  "spec.hostnames[0]: a text that fits", "upper case"),
        (rules(15),      "", "15 rules"),
        (rules(16),      "spec.rules: at most 15 entries", "16 rules"),
        (json!({"rules": [{"name": "a"}, {"name": "b"}, {}, {}]}), "", "names that differ, and none"),
        (json!({"rules": [{"name": "a"}, {"name": "a"}]}), "names of rules must differ", "a name twice"),
        (rule(&json!({"name": "route-not-found"})), "this rule to be met: the name must not be route-not-found", "their own rule's name"),
        (costs(36),      "", "36 costs"),
        (costs(37),      "spec.llmRequestCosts: at most 36 entries", "37 costs"),
        (json!({"rules": [], "llmRequestCosts": [{"metadataKey": "k", "type": "CEL"}]}), "cel is required", "CEL without an expression"),
        (json!({"rules": [], "llmRequestCosts": [{"metadataKey": "k", "type": "Words"}]}), "one of InputToken", "no such type"),
        (json!({"rules": [], "llmRequestCosts": [{"type": "InputToken"}]}), "metadataKey: a value", "no key"),
        (backends(128),  "", "128 references"),
        (backends(129),  "backendRefs: at most 128 entries", "129 references"),
        (matches(128),   "", "128 matches"),
        (matches(129),   "matches: at most 128 entries", "129 matches"),
        (headers(16),    "", "16 headers"),
        (headers(17),    "headers: at most 16 entries", "17 headers"),
        (rule(&json!({"matches": [{"headers": [{"name": "a", "value": "1"}, {"name": "a", "value": "2"}]}]})), "entries that differ in name", "a header twice"),
        (rule(&json!({"matches": [{"headers": [{"name": "a", "value": "1", "type": "Prefix"}]}]})), "one of Exact, RegularExpression", "no such comparison"),
        (rule(&json!({"matches": [{"headers": [{"name": "a b", "value": "1"}]}]})), "a text that fits", "no header's name"),
        (rule(&json!({"matches": [{"headers": [{"name": "a", "value": ""}]}]})), "from 1 to 4096 characters", "an empty value"),
        (rule(&json!({"matches": [{"path": {"value": "/"}}]})), "matches[0].path: no such field", "headers only"),
        (rule(&json!({"backendRefs": [pool]})), "", "a pool"),
        (rule(&json!({"backendRefs": [pool, pool]})), "at most one InferencePool", "two pools"),
        (rule(&json!({"backendRefs": [pool, {"name": "a"}]})), "can't be mixed", "a pool and a backend"),
        (reference(&json!({"name": "a", "kind": "InferencePool"})), "group and kind go together", "a kind alone"),
        (reference(&json!({"name": "a", "kind": "Service", "group": ""})), "only InferencePool", "another kind"),
        (reference(&json!({"name": ""})), "name: from 1 to 253 characters", "no name"),
        (reference(&json!({"name": "a", "weight": -1})), "weight: a whole number", "a negative weight"),
        (reference(&json!({"name": "a", "weight": 1.5})), "weight: a whole number", "half a weight"),
        (reference(&json!({"name": "a", "weight": 0, "priority": 4_294_967_295_u32})), "", "the bounds"),
        (reference(&json!({"name": "a", "priority": 4_294_967_296_u64})), "priority: a whole number", "33 bits"),
        (timeout("1h30m10s5ms"), "", "four parts"),
        (timeout("1h1h1h1h1h"), "a text that fits", "five parts"),
        (timeout("1.5s"), "a text that fits", "a fraction"),
        (timeout("100000s"), "a text that fits", "six digits"),
        (rule(&json!({"streamIdleTimeout": 5})), "a text", "a number is no duration"),
        (rule(&json!({"modelsCreatedAt": "2025-01-01T00:00:00Z", "modelsOwnedBy": "me", "excludeFromModelsEndpoint": true})), "", "listing"),
        (rule(&json!({"modelsCreatedAt": "yesterday"})), "a moment such as", "no moment"),
    ]);
}

#[test]
fn mutations_and_backends() {
    let to = json!({"group": "gateway.envoyproxy.io", "kind": "Backend", "name": "b"});
    let with = |name: &str, value: Value| {
        let mut spec = json!({"schema": {"name": "OpenAI"}, "backendRef": to});
        spec[name] = value;
        spec
    };
    let header = |n: usize| json!({"name": format!("h{n}"), "value": "v"});
    let field = |n: usize| json!({"path": format!("f{n}"), "value": "1"});
    let name = |n: usize| json!(format!("n{n}"));
    let filters = |count, values| {
        let filter =
            |_| json!({"name": "anthropic-beta", "mode": "Allowlist", "values": times(values, name)});
        with("headerValueFilters", times(count, filter))
    };
    let mut rows = vec![
        (json!({"backendRef": to}), "spec.schema: a value", "no schema"),
        (with("schema", json!({"name": "Mine"})), "one of OpenAI, Cohere", "no such schema"),
        (with("backendRef", json!({"kind": "Service", "name": "s", "port": 80})), "", "a Service"),
        (with("backendRef", json!({"name": "s"})), "", "a Service by default, as in Gateway API"),
        (with("backendRef", json!({"group": "tollgate.dev", "kind": "Host", "name": "h:1"})), "", "a host"),
        (
            with("backendRef", json!({"group": "x.io", "kind": "Backend", "name": "b"})),
            "must be a Backend",
            "another group",
        ),
        (
            with("backendRef", json!({"name": "s", "port": 0})),
            "port: a whole number from 1 to 65535",
            "no port",
        ),
        (
            with("backendRef", json!({"name": "s", "port": "80"})),
            "port: a whole number from 1 to 65535",
            "a text",
        ),
        (filters(16, 64), "", "the bounds of filters"),
        (filters(17, 1), "headerValueFilters: at most 16 entries", "17 filters"),
        (filters(1, 65), "values: at most 64 entries", "65 values"),
        (
            with("headerValueFilters", json!([{"name": "x"}])),
            "only the header anthropic-beta",
            "another header",
        ),
        (
            with("headerMutation", json!({"set": [header(1), header(1)]})),
            "entries that differ in name",
            "a header twice",
        ),
        (
            with("bodyMutation", json!({"set": [field(1), field(1)]})),
            "entries that differ in path",
            "a field twice",
        ),
        (with("headerMutation", json!({"remove": ["a", "a"]})), "entries that differ", "a name twice"),
        (
            with("bodyMutation", json!({"set": [{"path": "a", "value": 1}]})),
            "value: a text",
            "a literal is written as text",
        ),
    ];
    for (list, make) in [("headerMutation", &header as &dyn Fn(usize) -> Value), ("bodyMutation", &field)] {
        rows.push((with(list, json!({"set": times(16, make), "remove": times(16, name)})), "", "16 changes"));
        rows.push((with(list, json!({"set": times(17, make)})), "set: at most 16 entries", "17 to set"));
        rows.push((
            with(list, json!({"remove": times(17, name)})),
            "remove: at most 16 entries",
            "17 to remove",
        ));
    }
    check("AIServiceBackend", rows);
}

#[test]
fn security_policies() {
    let secret = json!({"secretRef": {"name": "s"}});
    let aws = json!({"region": "r"});
    let azure = json!({"clientID": "c", "tenantID": "t", "clientSecretRef": {"name": "s"}});
    let oidc = json!({"oidc": {"provider": {"issuer": "i"}, "clientID": "c", "clientSecret": {"name": "s"}}});
    let gcp = json!({"projectName": "p", "region": "r"});
    let types = [
        ("APIKey", "apiKey", secret.clone()),
        ("AWSCredentials", "awsCredentials", aws.clone()),
        ("AzureAPIKey", "azureAPIKey", secret.clone()),
        ("AzureCredentials", "azureCredentials", azure),
        ("GCPCredentials", "gcpCredentials", gcp),
        ("AnthropicAPIKey", "anthropicAPIKey", secret.clone()),
    ];
    let mut rows = Vec::new();
    for (policy_type, field, value) in &types {
        let want = format!("the type {policy_type} comes with {field} and no other credential");
        let mut spec = json!({"type": policy_type});
        spec[*field] = value.clone();
        rows.push((spec.clone(), String::new(), "its own field"));
        rows.push((json!({"type": policy_type}), want.clone(), "no field"));
        for (_, other, value) in types.iter().filter(|(_, other, _)| other != field) {
            let mut spec = spec.clone();
            spec[*other] = value.clone();
            rows.push((spec, want.clone(), "another field beside it"));
        }
    }
    let key = |extra: &str, value: Value| {
        let mut spec = json!({"type": "APIKey", "apiKey": secret});
        spec[extra] = value;
        spec
    };
    let target = |kind: &str, group: &str| json!([{"group": group, "kind": kind, "name": "a"}]);
    let ours = |count| {
        times(
            count,
            |n| json!({"group": "aigateway.envoyproxy.io", "kind": "AIServiceBackend", "name": format!("a{n}")}),
        )
    };
    let of_type = |policy_type: &str, field: &str, value: Value| {
        let mut spec = json!({"type": policy_type});
        spec[field] = value;
        spec
    };
    let federation = json!({"projectID": "p", "workloadIdentityProviderName": "w", "workloadIdentityPoolName": "w", "oidcExchangeToken": oidc});
    #[rustfmt::skip]
    let more = [
        (json!({"type": "Words"}), "one of APIKey", "no such type"),
        (key("targetRefs", ours(16)), "", "16 targets"),
        (key("targetRefs", ours(17)), "targetRefs: at most 16 entries", "17 targets"),
        (key("targetRefs", target("InferencePool", "inference.networking.k8s.io")), "", "a pool"),
        (key("targetRefs", target("Service", "")), "must be an AIServiceBackend", "another target"),
        (key("credentialOverride", json!({})), "credentialOverride: exactly 1 field", "no place"),
        (key("credentialOverride", json!({"fromRequestHeaders": {}})), "", "a header by default"),
        (key("credentialOverride", json!({"fromRequestHeaders": {}, "fromDynamicMetadata": {"namespace": "n"}})), "exactly 1 field", "two places"),
        (key("credentialOverride", json!({"fromDynamicMetadata": {}})), "namespace: a value", "no namespace"),
        (of_type("AWSCredentials", "awsCredentials", json!({})), "region: a value", "no region"),
        (of_type("AWSCredentials", "awsCredentials", json!({"region": "r", "credentialsFile": {"secretRef": {"name": "s"}, "profile": "p"}})), "", "a file"),
        (of_type("AWSCredentials", "awsCredentials", json!({"region": "r", "oidcExchangeToken": oidc})), "awsRoleArn: a value", "no role"),
        (of_type("AzureCredentials", "azureCredentials", json!({"clientID": "c", "tenantID": "t"})), "exactly one of clientSecretRef", "neither"),
        (of_type("AzureCredentials", "azureCredentials", json!({"clientID": "c", "tenantID": "t", "clientSecretRef": {"name": "s"}, "oidcExchangeToken": oidc})), "exactly one of clientSecretRef", "both"),
        (of_type("AzureCredentials", "azureCredentials", json!({"tenantID": "t", "clientSecretRef": {"name": "s"}})), "clientID: a value", "no client"),
        (of_type("GCPCredentials", "gcpCredentials", json!({"projectName": "p", "region": "r", "workloadIdentityFederationConfig": federation})), "", "federation"),
        (of_type("GCPCredentials", "gcpCredentials", json!({"projectName": "p", "region": "r", "credentialsFile": {"secretRef": {"name": "s"}}, "workloadIdentityFederationConfig": federation})), "exclude each other", "both"),
        (of_type("GCPCredentials", "gcpCredentials", json!({"region": "r"})), "projectName: a value", "no project"),
    ];
    check(
        "BackendSecurityPolicy",
        rows.iter().map(|(spec, want, why)| (spec.clone(), want.as_str(), *why)).collect(),
    );
    check("BackendSecurityPolicy", more.into());
}

#[test]
fn gateways_and_their_configuration() {
    let namespaces = |count| json!({"extProc": {"metadataForwardingNamespaces": times(count, |n| json!(format!("n{n}")))}});
    let cost = json!({"metadataKey": "k", "type": "InputToken"});
    #[rustfmt::skip]
    check("GatewayConfig", vec![
        (json!({}), "", "nothing is required"),
        (json!({"globalLLMRequestCosts": [cost, cost]}), "entries that differ in metadataKey", "a key twice"),
        (json!({"forwardProxy": {}}), "address: a value", "no address"),
        (json!({"forwardProxy": {"address": "proxy:3128"}}), "", "an address"),
        (json!({"forwardProxy": {"address": "http://proxy"}}), "a text that fits", "a URL"),
        (json!({"extProc": {"kubernetes": {"env": [{"name": "A"}], "image": "i", "volumeMounts": []}}}), "", "a container"),
        (json!({"extProc": {"kubernetes": {"args": []}}}), "args: no such field", "more than a container has"),
        (namespaces(32), "", "32 namespaces"),
        (namespaces(33), "at most 32 entries", "33 namespaces"),
    ]);
    let listener = |fields: Value| {
        let mut one = json!({"name": "l", "port": 80, "protocol": "HTTP"});
        one.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        json!({"gatewayClassName": "c", "listeners": [one]})
    };
    let two = json!({"gatewayClassName": "c", "listeners": [{"name": "l", "port": 1, "protocol": "HTTP"}, {"name": "l", "port": 2, "protocol": "HTTP"}]});
    #[rustfmt::skip]
    check("Gateway", vec![
        (listener(json!({})), "", "the least"),
        (json!({"gatewayClassName": "c", "listeners": []}), "from 1 to 64 entries", "no listener"),
        (two, "entries that differ in name", "a name twice"),
        (listener(json!({"port": 65536})), "port: a whole number from 1 to 65535", "17 bits"),
        (listener(json!({"tls": {"certificateRefs": [{"name": "s"}]}})), "tls is not for the protocols", "TLS in the clear"),
        (listener(json!({"protocol": "HTTPS", "tls": {}})), "certificateRefs or options are required", "no certificate"),
        (listener(json!({"protocol": "HTTPS", "tls": {"mode": "Passthrough"}})), "tls.mode must be Terminate", "HTTPS passed on"),
        (listener(json!({"protocol": "TCP", "hostname": "a.com"})), "hostname is not for", "a host without HTTP"),
        (listener(json!({"allowedRoutes": {"namespaces": {"from": "Some"}}})), "one of Same, All, Selector, None", "no such choice"),
    ]);
    check(
        "GatewayClass",
        vec![
            (json!({"controllerName": "a.io/b"}), "", "a domain and a path"),
            (json!({"controllerName": "a"}), "a text that fits", "no path"),
        ],
    );
}

#[test]
fn where_upstreams_are() {
    let name = json!({"fqdn": {"hostname": "a.com", "port": 1}});
    let ip = json!({"ip": {"address": "10.0.0.1", "port": 1}});
    let both = json!({"fqdn": {"hostname": "a.com", "port": 1}, "ip": {"address": "10.0.0.1", "port": 1}});
    #[rustfmt::skip]
    check("Backend", vec![
        (json!({"endpoints": [name, ip, {"unix": {"path": "/s"}}]}), "", "one of each"),
        (json!({"endpoints": [both]}), "must have exactly one of", "two in one"),
        (json!({"endpoints": [{}]}), "must have exactly one of", "none"),
        (json!({"endpoints": []}), "from 1 to 64 entries", "no endpoint"),
        (json!({"endpoints": times(65, |_| name.clone())}), "from 1 to 64 entries", "65 endpoints"),
        (json!({"endpoints": [{"unix": {"path": "x".repeat(108)}}]}), "from 1 to 107 characters", "too long for the system"),
        (json!({"type": "DynamicResolver", "endpoints": [name]}), "has no endpoints", "resolved and listed"),
        (json!({"endpoints": [name], "tls": {"insecureSkipVerify": true, "wellKnownCACertificates": "System"}}), "excludes authorities", "checked and not"),
    ]);
    let policy = |validation: Value| json!({"targetRefs": [{"group": "g.io", "kind": "Backend", "name": "b"}], "validation": validation});
    #[rustfmt::skip]
    check("BackendTLSPolicy", vec![
        (policy(json!({"hostname": "a.com", "wellKnownCACertificates": "System"})), "", "the least"),
        (policy(json!({"hostname": "a.com"})), "must have exactly one of", "no authority"),
        (policy(json!({"hostname": "a.com", "wellKnownCACertificates": "System", "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "c"}]})), "must have exactly one of", "both"),
        (policy(json!({"wellKnownCACertificates": "System"})), "hostname: a value", "no name"),
        (policy(json!({"hostname": "a.com", "wellKnownCACertificates": "System", "subjectAltNames": times(6, |_| json!({"type": "Hostname", "hostname": "a.com"}))})), "at most 5 entries", "6 names"),
        (policy(json!({"hostname": "a.com", "wellKnownCACertificates": "System", "subjectAltNames": [{"type": "URI", "hostname": "a.com"}]})), "must have hostname for the type", "the wrong field"),
    ]);
    let from = json!([{"group": "", "kind": "K", "namespace": "n"}]);
    check(
        "ReferenceGrant",
        vec![
            (json!({"from": from, "to": [{"group": "", "kind": "Secret", "name": "s"}]}), "", "a grant"),
            (
                json!({"from": [], "to": [{"group": "", "kind": "Secret"}]}),
                "from 1 to 16 entries",
                "to nobody",
            ),
        ],
    );
}
