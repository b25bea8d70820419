//! One good object of each kind and version, with as much in it as fits together, and some that differ from it in several
//! places, where a rule looks at several.

use serde_json::{Value, json};

/// Every served kind: plural, version, and its objects without metadata.
pub(crate) fn all() -> Vec<(&'static str, &'static str, Vec<Value>)> {
    let mut all = Vec::new();
    for version in ["v1beta1", "v1alpha1"] {
        all.push(("aigatewayroutes", version, routes()));
        all.push(("aiservicebackends", version, backends()));
        all.push(("backendsecuritypolicies", version, policies()));
        all.push(("gatewayconfigs", version, configs()));
    }
    all.push(("quotapolicies", "v1alpha1", quotas()));
    all.push(("consumers", "v1alpha1", consumers()));
    all.push(("budgets", "v1alpha1", budgets()));
    all.push(("pricelists", "v1alpha1", prices()));
    all
}

fn routes() -> Vec<Value> {
    let costs = json!([
        {"metadataKey": "in", "type": "InputToken"},
        {"metadataKey": "own", "type": "CEL", "cel": "input_tokens + output_tokens"},
    ]);
    let pool = json!({"name": "p", "group": "inference.networking.k8s.io", "kind": "InferencePool"});
    let matches = json!([{"headers": [{"name": "x-ai-eg-model", "type": "Exact", "value": "gpt"}]}]);
    vec![
        json!({
            "hostnames": ["*.example.com", "api.example.com"],
            "parentRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "g", "namespace": "n", "port": 80,
                "sectionName": "http"}],
            "llmRequestCosts": costs,
            "rules": [
                {
                    "name": "first", "matches": matches, "modelsOwnedBy": "us", "modelsCreatedAt": "2026-11-23T00:00:00Z",
                    "streamIdleTimeout": "30s", "timeouts": {"request": "1m", "backendRequest": "30s"},
                    "backendRefs": [
                        {"name": "one", "namespace": "n", "modelNameOverride": "m", "priority": 0, "weight": 2,
                         "headerMutation": {"set": [{"name": "x-a", "value": "1"}], "remove": ["x-b"]},
                         "bodyMutation": {"set": [{"path": "a", "value": "1"}], "remove": ["b"]}},
                        {"name": "two", "priority": 1},
                    ],
                },
                {"name": "second", "backendRefs": [pool]},
            ],
        }),
        json!({"rules": [{"backendRefs": [pool, {"name": "two"}]}]}),
        json!({"rules": [{"backendRefs": [pool, pool]}]}),
        json!({"rules": [{"backendRefs": [{"name": "p", "group": "a.example", "kind": "Other"}]}]}),
        json!({"rules": [{"name": "route-not-found", "backendRefs": [{"name": "two"}]}]}),
        json!({"rules": [{"name": "a"}, {"name": "a"}]}),
    ]
}

fn backends() -> Vec<Value> {
    let backend = json!({"group": "gateway.envoyproxy.io", "kind": "Backend", "name": "b", "namespace": "n", "port": 80});
    vec![
        json!({
            "schema": {"name": "OpenAI", "version": "v1", "prefix": "/v1"}, "backendRef": backend,
            "headerMutation": {"set": [{"name": "x-a", "value": "1"}], "remove": ["x-b"]},
            "bodyMutation": {"set": [{"path": "a", "value": "1"}], "remove": ["b"]},
            "headerValueFilters": [{"name": "anthropic-beta", "mode": "Allowlist", "values": ["a"]}],
        }),
        json!({"schema": {"name": "Anthropic"}, "backendRef": {"group": "", "kind": "Service", "name": "s", "port": 80}}),
        json!({"schema": {"name": "Anthropic"}, "backendRef": {"group": "apps", "kind": "Deployment", "name": "s"}}),
        json!({"schema": {"name": "Anthropic"}, "backendRef": backend, "headerValueFilters": [{"name": "other"}]}),
    ]
}

fn policies() -> Vec<Value> {
    let targets = json!([{"group": "aigateway.envoyproxy.io", "kind": "AIServiceBackend", "name": "b"}]);
    let oidc = json!({"oidc": {
        "provider": {"issuer": "https://login.example.com", "tokenEndpoint": "https://login.example.com/token"},
        "clientID": "c", "clientSecret": {"name": "s", "namespace": "n"}, "scopes": ["a"],
    }});
    let secret = json!({"secretRef": {"name": "s", "namespace": "n"}});
    let federation = json!({"projectID": "p", "workloadIdentityPoolName": "pool", "workloadIdentityProviderName": "provider",
        "oidcExchangeToken": oidc, "serviceAccountImpersonation": {"serviceAccountName": "a"}});
    let kinds = [
        ("APIKey", "apiKey", secret.clone()),
        (
            "AWSCredentials",
            "awsCredentials",
            json!({"region": "r", "credentialsFile": {"secretRef": {"name": "s"}, "profile": "p"}}),
        ),
        (
            "AWSCredentials",
            "awsCredentials",
            json!({"region": "r", "oidcExchangeToken": {"awsRoleArn": "arn:aws:iam::1:role/a", "oidc": oidc["oidc"]}}),
        ),
        ("AzureAPIKey", "azureAPIKey", secret.clone()),
        (
            "AzureCredentials",
            "azureCredentials",
            json!({"clientID": "c", "tenantID": "t", "clientSecretRef": {"name": "s"}}),
        ),
        (
            "AzureCredentials",
            "azureCredentials",
            json!({"clientID": "c", "tenantID": "t", "oidcExchangeToken": oidc}),
        ),
        (
            "GCPCredentials",
            "gcpCredentials",
            json!({"projectName": "p", "region": "r", "credentialsFile": {"secretRef": {"name": "s"}}}),
        ),
        (
            "GCPCredentials",
            "gcpCredentials",
            json!({"projectName": "p", "region": "r", "workloadIdentityFederationConfig": federation}),
        ),
        ("AnthropicAPIKey", "anthropicAPIKey", secret),
    ];
    let mut all: Vec<Value> = kinds
        .iter()
        .map(|(kind, field, value)| json!({"targetRefs": targets, "type": kind, *field: value}))
        .collect();
    let overrides = json!({"fromRequestHeaders": {"header": "x-key"}});
    all.push(json!({"targetRefs": targets, "type": "APIKey", "apiKey": {"secretRef": {"name": "s"}}, "credentialOverride": overrides}));
    let pool = json!([{"group": "inference.networking.k8s.io", "kind": "InferencePool", "name": "p"}]);
    all.push(json!({"targetRefs": pool, "type": "APIKey", "apiKey": {"secretRef": {"name": "s"}}}));
    let other = json!([{"group": "apps", "kind": "Deployment", "name": "p"}]);
    all.push(json!({"targetRefs": other, "type": "APIKey", "apiKey": {"secretRef": {"name": "s"}}}));
    all.push(json!({"type": "GCPCredentials", "gcpCredentials": {"projectName": "p", "region": "r",
        "credentialsFile": {"secretRef": {"name": "s"}}, "workloadIdentityFederationConfig": federation}}));
    all
}

fn configs() -> Vec<Value> {
    let costs = json!([{"metadataKey": "in", "type": "InputToken"}, {"metadataKey": "own", "type": "CEL", "cel": "1"}]);
    vec![json!({
        "globalLLMRequestCosts": costs,
        "forwardProxy": {"address": "proxy.example.com:3128"},
        "extProc": {"metadataForwardingNamespaces": ["a"]},
    })]
}

fn quotas() -> Vec<Value> {
    let targets = json!([{"group": "aigateway.envoyproxy.io", "kind": "AIServiceBackend", "name": "b"}]);
    let quota = json!({"limit": 10, "duration": "1h"});
    let selectors = json!([{"headers": [{"name": "x-user", "type": "Exact", "value": "a"}, {"name": "x-team", "type": "Distinct"}]}]);
    let other = json!([{"group": "", "kind": "Service", "name": "b"}]);
    vec![
        json!({
            "targetRefs": targets,
            "serviceQuota": {"costExpression": "input_tokens", "quota": quota},
            "perModelQuotas": [{"modelName": "m", "quota": {"costExpression": "output_tokens", "mode": "Shared", "defaultBucket": quota,
                "bucketRules": [{"clientSelectors": selectors, "quota": quota, "shadowMode": true}]}}],
        }),
        json!({"targetRefs": other, "serviceQuota": {"quota": quota}}),
    ]
}

fn consumers() -> Vec<Value> {
    let hash = format!("sha256:{}", "0".repeat(64));
    vec![json!({
        "organization": "o", "team": "t", "user": "u", "labels": {"tier": "gold"}, "jwt": {"issuer": "i", "subject": "s"},
        "apiKeys": [
            {"name": "laptop", "secretRef": {"name": "s", "key": "k"}, "notAfter": "2027-01-01T00:00:00Z"},
            {"name": "server", "hash": hash},
        ],
    })]
}

fn budgets() -> Vec<Value> {
    let matches = json!({"organization": "o", "team": "t", "user": "u", "consumer": "c", "labels": {"a": "b"}, "models": ["m"],
        "routes": ["r"], "backends": ["b"], "headers": [{"name": "x-a", "value": "1"}]});
    let with = |window: Value| {
        json!({"match": matches, "per": ["user", "header:x-a"], "unit": "cost", "limit": "250.00 USD", "window": window,
            "enforcement": "strict", "onExhausted": "Refuse"})
    };
    vec![
        with(json!({"every": "month", "timeZone": "Europe/Berlin"})),
        with(json!({"rolling": "1m", "burst": "10 USD"})),
        with(json!({"lifetime": true})),
        with(json!({"lifetime": false})),
        with(json!({"lifetime": true, "every": "day"})),
        json!({"unit": {"cel": "input_tokens"}, "limit": 10, "window": {"every": "day"}, "enforcement": {"bounded": {"perNode": 5}}}),
    ]
}

fn prices() -> Vec<Value> {
    let tokens = json!({"input": "1.25", "output": "10", "cachedInput": "0.1", "cacheCreationInput": "2", "reasoning": "10"});
    let price = |who: &str, value: Value| {
        json!({"models": ["m"], who: value, "perMillionTokens": tokens, "perRequest": "0.01", "notBefore": "2026-01-01",
            "notAfter": "2027-01-01", "tiers": [{"overInputTokens": 200_000, "perMillionTokens": tokens}]})
    };
    let both = {
        let mut both = price("provider", json!("OpenAI"));
        both["backends"] = json!(["b"]);
        both
    };
    vec![
        json!({"builtIn": "Keep", "currency": "USD", "prices": [price("backends", json!(["b"])), price("provider", json!("OpenAI"))]}),
        json!({"prices": [both]}),
    ]
}
