//! Manifests of the tests' gateways: the resources that a user would write, a piece at a time.

use std::fmt::Write as _;

/// Grows by resource; [`Manifest::text`] is what a file holds.
pub(crate) struct Manifest {
    resources: String,
    rules: String,
}

/// How a backend is spoken to.
pub(crate) struct Backend<'a> {
    pub(crate) name: &'a str,
    /// `OpenAI`, `Anthropic`, `Cohere` or `GCPVertexAI`.
    pub(crate) schema: &'a str,
    /// `http://host:port`.
    pub(crate) url: &'a str,
    pub(crate) key: Key<'a>,
}

/// How the gateway identifies itself to a backend.
#[derive(Clone, Copy)]
pub(crate) enum Key<'a> {
    /// `Authorization: Bearer`.
    Bearer(&'a str),
    /// `x-api-key`.
    Anthropic(&'a str),
}

impl Manifest {
    pub(crate) fn new() -> Self {
        Self { resources: GATEWAY.to_owned(), rules: String::new() }
    }

    /// A backend with its service and its key.
    pub(crate) fn backend(mut self, backend: &Backend<'_>) -> Self {
        let Backend { name, schema, url, key } = backend;
        let (host, port) = url.trim_start_matches("http://").rsplit_once(':').expect("a URL with a port");
        let (kind, field, key) = match key {
            Key::Bearer(key) => ("APIKey", "apiKey", key),
            Key::Anthropic(key) => ("AnthropicAPIKey", "anthropicAPIKey", key),
        };
        // Gemini with a key is Google's Gemini API.
        let prefix = match *schema {
            "GCPVertexAI" => "/v1beta",
            "Cohere" => "/v2",
            _ => "/v1",
        };
        write!(
            self.resources,
            "---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {{name: {name}}}
spec: {{endpoints: [{{ip: {{address: {host}, port: {port}}}}}]}}
---
apiVersion: aigateway.envoyproxy.io/v1beta1
kind: AIServiceBackend
metadata: {{name: {name}}}
spec:
  backendRef: {{group: gateway.envoyproxy.io, kind: Backend, name: {name}}}
  schema: {{name: {schema}, prefix: {prefix}}}
---
apiVersion: v1
kind: Secret
metadata: {{name: {name}}}
stringData: {{apiKey: {key}}}
---
apiVersion: aigateway.envoyproxy.io/v1beta1
kind: BackendSecurityPolicy
metadata: {{name: {name}}}
spec:
  targetRefs: [{{group: aigateway.envoyproxy.io, kind: AIServiceBackend, name: {name}}}]
  type: {kind}
  {field}: {{secretRef: {{name: {name}}}}}
"
        )
        .expect("writing to a string cannot fail");
        self
    }

    /// A rule for one model; the first backend is asked first. `extra`: more fields of the rule, in YAML's flow style.
    pub(crate) fn rule(mut self, model: &str, backends: &[&str], extra: &str) -> Self {
        let references: Vec<String> = backends
            .iter()
            .enumerate()
            .map(|(priority, name)| format!("{{name: {name}, priority: {priority}}}"))
            .collect();
        writeln!(
            self.rules,
            "  - {{matches: [{{headers: [{{type: Exact, name: x-ai-eg-model, value: {model}}}]}}], backendRefs: [{}]{extra}}}",
            references.join(", ")
        )
        .expect("writing to a string cannot fail");
        self
    }

    /// The file.
    pub(crate) fn text(&self) -> String {
        format!("{}---\n{ROUTE}{}", self.resources, self.rules)
    }
}

const GATEWAY: &str = "\
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

const ROUTE: &str = "\
apiVersion: aigateway.envoyproxy.io/v1beta1
kind: AIGatewayRoute
metadata: {name: clients}
spec:
  parentRefs: [{name: tollgate}]
  rules:
";
