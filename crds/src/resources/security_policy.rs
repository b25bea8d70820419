//! SecurityPolicy of Envoy Gateway, as far as it says who calls: tokens and API keys.

use schemars::JsonSchema;
use serde::Deserialize;

use super::reference::{PolicyTarget, SecretReference};
use super::text::{HeaderName, ObjectName, Untyped};
use super::{ENVOY_GROUP, Resource};
use crate::schema::{Definition, definition_of_spec};

/// What callers of some routes have to prove. What asks for any other check closes the targets.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct SecurityPolicySpec {
    /// What it is for; in older manifests.
    pub(crate) target_ref: Option<PolicyTarget>,
    /// What it is for.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub(crate) target_refs: Vec<PolicyTarget>,
    /// A token of one of several issuers.
    pub(crate) jwt: Option<Jwt>,
    /// A key of a list.
    pub(crate) api_key_auth: Option<ApiKeyAuth>,
}

/// The fields that are read.
pub(crate) const READ_FIELDS: [&str; 4] = ["targetRef", "targetRefs", "jwt", "apiKeyAuth"];
/// The fields without which nobody more is let in.
pub(crate) const HARMLESS_FIELDS: [&str; 3] = ["cors", "csrf", "mergeType"];

/// A token of one of several issuers.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Jwt {
    /// A request without a token passes.
    #[serde(default)]
    pub(crate) optional: bool,
    /// The issuers.
    #[schemars(length(min = 1, max = 4))]
    pub(crate) providers: Vec<JwtProvider>,
}

/// An issuer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.remoteJWKS) != has(self.localJWKS)",
    "message": "exactly one of remoteJWKS and localJWKS",
}]))]
pub(crate) struct JwtProvider {
    /// Its name in the policy.
    #[schemars(length(min = 1, max = 253))]
    pub(crate) name: String,
    /// What `iss` must be; not checked when absent.
    #[schemars(length(max = 253))]
    pub(crate) issuer: Option<String>,
    /// Of what `aud` must have one; not checked when empty.
    #[serde(default)]
    #[schemars(length(max = 8))]
    pub(crate) audiences: Vec<String>,
    /// Keys to be fetched.
    #[serde(rename = "remoteJWKS")]
    pub(crate) remote_jwks: Option<RemoteJwks>,
    /// Keys that are here.
    #[serde(rename = "localJWKS")]
    pub(crate) local_jwks: Option<LocalJwks>,
    /// Claims that go into headers.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub(crate) claim_to_headers: Vec<ClaimToHeader>,
    /// Routes see the headers that claims make. They always do here: who calls is known before the route.
    #[expect(dead_code, reason = "as the gateway does it anyway")]
    pub(crate) recompute_route: Option<bool>,
    /// Where the token stands; `Authorization: Bearer` or the query's `access_token` when absent.
    pub(crate) extract_from: Option<JwtExtractor>,
}

/// Keys to be fetched.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RemoteJwks {
    /// Where they are.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^https?://[^/?#]+"))]
    pub(crate) uri: String,
    /// Ways to get there; not served.
    pub(crate) backend_ref: Option<Untyped>,
    /// Ways to get there; not served.
    pub(crate) backend_refs: Option<Untyped>,
    /// Settings of the way; not served.
    pub(crate) backend_settings: Option<Untyped>,
    /// How long they are kept; the gateway decides.
    pub(crate) cache_duration: Option<Untyped>,
}

/// Keys that are here.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "self.type == 'Inline' ? has(self.inline) && !has(self.valueRef) : has(self.valueRef) && !has(self.inline)",
    "message": "Inline comes with inline, ValueRef with valueRef",
}]))]
pub(crate) struct LocalJwks {
    /// Where they are.
    #[serde(default, rename = "type")]
    #[expect(dead_code, reason = "checked against the two fields by a rule")]
    pub(crate) jwks_type: LocalJwksType,
    /// The keys, as JSON.
    pub(crate) inline: Option<String>,
    /// A ConfigMap that holds them under `jwks`, or as its first value.
    pub(crate) value_ref: Option<ValueReference>,
}

/// Where keys are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
pub(crate) enum LocalJwksType {
    /// In the policy.
    #[default]
    Inline,
    /// In a ConfigMap.
    ValueRef,
}

/// A ConfigMap in the same namespace.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ValueReference {
    /// Group of the object; empty.
    pub(crate) group: Option<String>,
    /// Kind of the object; `ConfigMap`.
    pub(crate) kind: Option<String>,
    /// Name of the object.
    pub(crate) name: ObjectName,
}

/// A claim that goes into a header.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ClaimToHeader {
    /// The header.
    pub(crate) header: HeaderName,
    /// The claim, with a dot between the names of its levels.
    #[schemars(length(min = 1, max = 253))]
    pub(crate) claim: String,
}

/// Where a token stands.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct JwtExtractor {
    /// In headers.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub(crate) headers: Vec<JwtHeader>,
    /// In cookies.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub(crate) cookies: Vec<String>,
    /// In the query.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub(crate) params: Vec<String>,
}

/// A header with a token.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct JwtHeader {
    /// Its name.
    pub(crate) name: HeaderName,
    /// What stands before the token.
    pub(crate) value_prefix: Option<String>,
}

/// A key of a list.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ApiKeyAuth {
    /// Secrets whose values are keys, each under its client's id.
    #[schemars(length(min = 1, max = 64))]
    pub(crate) credential_refs: Vec<SecretReference>,
    /// Where the key stands; the first place that has one counts.
    #[schemars(length(min = 1, max = 16))]
    pub(crate) extract_from: Vec<ExtractFrom>,
    /// The header that tells the upstream the client's id.
    #[serde(rename = "forwardClientIDHeader")]
    pub(crate) forward_client_id_header: Option<HeaderName>,
    /// The upstream does not see the key.
    #[serde(default)]
    pub(crate) sanitize: bool,
}

/// Where a key stands: one of three.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub(crate) struct ExtractFrom {
    /// In headers.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub(crate) headers: Vec<HeaderName>,
    /// In the query.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub(crate) params: Vec<String>,
    /// In cookies.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub(crate) cookies: Vec<String>,
}

pub(super) fn definition() -> Definition {
    definition_of_spec::<SecurityPolicySpec>("SecurityPolicy", ENVOY_GROUP, &["v1alpha1"], |spec| {
        Resource::SecurityPolicy(Box::new(spec))
    })
}
