//! Manifests, a resource at a time, as text that a user would write.

/// A Gateway with its class.
pub(crate) const GATEWAY: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: tollgate}
spec: {controllerName: tollgate.dev/gateway}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: tollgate}
spec:
  gatewayClassName: tollgate
  listeners: [{name: http, protocol: HTTP, port: 1975}]
";

/// A backend at a plain address. `schema` is YAML, such as `{name: OpenAI}`.
pub(crate) fn backend(name: &str, schema: &str, address: &str) -> String {
    backend_with(name, schema, address, "")
}

/// The same with further fields of the spec, a line each.
pub(crate) fn backend_with(name: &str, schema: &str, address: &str, fields: &str) -> String {
    format!(
        "---
apiVersion: aigateway.envoyproxy.io/v1beta1
kind: AIServiceBackend
metadata: {{name: {name}}}
spec:
  schema: {schema}
  backendRef: {{group: tollgate.dev, kind: Host, name: \"{address}\"}}
{fields}"
    )
}

/// What an API key is for: type and field of a BackendSecurityPolicy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyOf {
    OpenAi,
    Azure,
    Anthropic,
}

/// The key of a backend: a Secret and its policy.
pub(crate) fn key(backend: &str, of: KeyOf, key: &str) -> String {
    key_with(backend, of, key, "")
}

/// The same with further fields of the policy's spec, a line each.
pub(crate) fn key_with(backend: &str, of: KeyOf, key: &str, fields: &str) -> String {
    let (kind, field) = match of {
        KeyOf::OpenAi => ("APIKey", "apiKey"),
        KeyOf::Azure => ("AzureAPIKey", "azureAPIKey"),
        KeyOf::Anthropic => ("AnthropicAPIKey", "anthropicAPIKey"),
    };
    format!(
        "---
apiVersion: v1
kind: Secret
metadata: {{name: {backend}}}
stringData: {{apiKey: \"{key}\"}}
---
apiVersion: aigateway.envoyproxy.io/v1beta1
kind: BackendSecurityPolicy
metadata: {{name: {backend}}}
spec:
  targetRefs: [{{group: aigateway.envoyproxy.io, kind: AIServiceBackend, name: {backend}}}]
  type: {kind}
  {field}: {{secretRef: {{name: {backend}}}}}
{fields}"
    )
}

/// A backend that speaks OpenAI's dialect, with a key.
pub(crate) fn openai(name: &str, address: &str) -> String {
    backend(name, "{name: OpenAI}", address) + &key(name, KeyOf::OpenAi, "key-of-the-backend")
}

/// A backend that speaks Anthropic's dialect, with a key.
pub(crate) fn anthropic(name: &str, address: &str) -> String {
    backend(name, "{name: Anthropic}", address) + &key(name, KeyOf::Anthropic, "key-of-the-backend")
}

/// A route. `rules` is made of [`rule`]s; `fields` are further fields of the spec, a line each.
pub(crate) fn route(name: &str, fields: &str, rules: &str) -> String {
    format!(
        "---
apiVersion: aigateway.envoyproxy.io/v1beta1
kind: AIGatewayRoute
metadata: {{name: {name}}}
spec:
  parentRefs: [{{name: tollgate}}]
{fields}  rules:
{rules}"
    )
}

/// A rule for one model. `backends` is the inside of a YAML list: `{name: a, priority: 1}, {name: b}`; `fields` are
/// further fields of the rule, in YAML's flow style.
pub(crate) fn rule(model: &str, backends: &str, fields: &str) -> String {
    let comma = if fields.is_empty() { "" } else { ", " };
    format!(
        "  - {{matches: [{{headers: [{{name: x-ai-eg-model, value: \"{model}\"}}]}}], backendRefs: [{backends}]{comma}{fields}}}\n"
    )
}
