//! BackendSecurityPolicy: how the gateway proves itself to an upstream.

use schemars::JsonSchema;
use serde::Deserialize;

use super::reference::{SecretReference, TargetReference};
use super::text::{HeaderName, Untyped};
use super::{AI_GROUP, Resource};
use crate::schema::{Crd, Definition, definition_of_spec};

/// The credential of one or more backends.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("maxProperties" = 4, "x-kubernetes-validations" = [
    only("APIKey", "apiKey"),
    only("AWSCredentials", "awsCredentials"),
    only("AzureAPIKey", "azureAPIKey"),
    only("AzureCredentials", "azureCredentials"),
    only("GCPCredentials", "gcpCredentials"),
    only("AnthropicAPIKey", "anthropicAPIKey"),
]))]
pub struct BackendSecurityPolicySpec {
    /// Which backends, in the same namespace.
    #[serde(default)]
    #[schemars(length(max = 16), extend("x-kubernetes-validations" = [{
        "rule": "self.all(ref, (ref.group == 'aigateway.envoyproxy.io' && ref.kind == 'AIServiceBackend') || (ref.group == 'inference.networking.k8s.io' && ref.kind == 'InferencePool'))",
        "message": "must be an AIServiceBackend of aigateway.envoyproxy.io or an InferencePool of inference.networking.k8s.io",
    }]))]
    pub(crate) target_refs: Vec<TargetReference>,
    /// Which sort of credential; the field of the same name holds it.
    #[serde(rename = "type")]
    pub(crate) policy_type: PolicyType,
    /// A key that goes in the header Authorization, after Bearer.
    pub(crate) api_key: Option<SecretKey>,
    /// A key that goes in the header api-key.
    #[serde(rename = "azureAPIKey")]
    pub(crate) azure_api_key: Option<SecretKey>,
    /// A key that goes in the header x-api-key.
    #[serde(rename = "anthropicAPIKey")]
    pub(crate) anthropic_api_key: Option<SecretKey>,
    /// How requests to AWS are signed.
    pub(crate) aws_credentials: Option<AwsCredentials>,
    /// How a token of Entra is had.
    pub(crate) azure_credentials: Option<AzureCredentials>,
    /// How a token of Google is had.
    pub(crate) gcp_credentials: Option<GcpCredentials>,
    /// Where a request may bring a credential of its own.
    pub(crate) credential_override: Option<CredentialSource>,
}

/// Sorts of credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) enum PolicyType {
    /// A key after Bearer.
    #[serde(rename = "APIKey")]
    ApiKey,
    /// AWS Signature Version 4.
    #[serde(rename = "AWSCredentials")]
    AwsCredentials,
    /// A key of Azure.
    #[serde(rename = "AzureAPIKey")]
    AzureApiKey,
    /// A token of Entra.
    AzureCredentials,
    /// A token of Google.
    #[serde(rename = "GCPCredentials")]
    GcpCredentials,
    /// A key of Anthropic.
    #[serde(rename = "AnthropicAPIKey")]
    AnthropicApiKey,
}

/// A key in a Secret.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SecretKey {
    /// The Secret; its key apiKey holds the credential.
    pub(crate) secret_ref: SecretReference,
}

/// How requests to AWS are signed; with neither source the default chain is used.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AwsCredentials {
    /// The region to sign for.
    #[schemars(length(min = 1))]
    pub(crate) region: String,
    /// A file of credentials.
    pub(crate) credentials_file: Option<AwsCredentialsFile>,
    /// A token that is exchanged for credentials.
    pub(crate) oidc_exchange_token: Option<AwsOidcExchangeToken>,
}

/// A file of AWS credentials.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AwsCredentialsFile {
    /// The Secret; its key credentials holds the file.
    pub(crate) secret_ref: SecretReference,
    /// The profile in the file.
    #[serde(default = "default_profile")]
    pub(crate) profile: String,
}

/// A token that is exchanged for AWS credentials.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "checked whole; not served yet")]
pub(crate) struct AwsOidcExchangeToken {
    /// The OpenID provider and client.
    pub(crate) oidc: Oidc,
    /// The grant to ask for.
    pub(crate) grant_type: Option<String>,
    /// The audience to ask for.
    pub(crate) aud: Option<String>,
    /// The role to take.
    #[schemars(length(min = 1))]
    pub(crate) aws_role_arn: String,
}

/// A token that is exchanged for another one.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "checked whole; not served yet")]
pub(crate) struct OidcExchangeToken {
    /// The OpenID provider and client.
    pub(crate) oidc: Oidc,
    /// The grant to ask for.
    pub(crate) grant_type: Option<String>,
    /// The audience to ask for.
    pub(crate) aud: Option<String>,
}

/// An OpenID provider and client, as Envoy Gateway writes them. Its other fields are about people who log in.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
#[expect(dead_code, reason = "checked whole; not served yet")]
pub(crate) struct Oidc {
    /// The provider: its issuer and endpoints.
    pub(crate) provider: Untyped,
    /// The client's name.
    #[serde(rename = "clientID")]
    pub(crate) client_id: Option<String>,
    /// The Secret with the client's secret.
    pub(crate) client_secret: SecretReference,
    /// Scopes to ask for.
    #[serde(default)]
    pub(crate) scopes: Vec<String>,
}

/// How a token of Entra is had.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.clientSecretRef) != has(self.oidcExchangeToken)",
    "message": "must have exactly one of clientSecretRef, oidcExchangeToken",
}]))]
pub(crate) struct AzureCredentials {
    /// The client.
    #[serde(rename = "clientID")]
    #[schemars(length(min = 1))]
    pub(crate) client_id: String,
    /// The tenant.
    #[serde(rename = "tenantID")]
    #[schemars(length(min = 1))]
    pub(crate) tenant_id: String,
    /// The Secret; its key client-secret holds the client's secret.
    pub(crate) client_secret_ref: Option<SecretReference>,
    /// A token that is exchanged.
    pub(crate) oidc_exchange_token: Option<OidcExchangeToken>,
}

/// How a token of Google is had; with neither source the default credentials are used.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!(has(self.credentialsFile) && has(self.workloadIdentityFederationConfig))",
    "message": "credentialsFile and workloadIdentityFederationConfig exclude each other",
}]))]
pub(crate) struct GcpCredentials {
    /// The project.
    #[schemars(length(min = 1))]
    pub(crate) project_name: String,
    /// The region.
    #[schemars(length(min = 1))]
    pub(crate) region: String,
    /// A file of credentials.
    pub(crate) credentials_file: Option<GcpCredentialsFile>,
    /// A token that is exchanged.
    pub(crate) workload_identity_federation_config: Option<WorkloadIdentityFederation>,
}

/// A file of Google credentials.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct GcpCredentialsFile {
    /// The Secret; its key service_account.json holds the file.
    pub(crate) secret_ref: SecretReference,
}

/// A token that is exchanged for one of Google.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "checked whole; not served yet")]
pub(crate) struct WorkloadIdentityFederation {
    /// The project.
    #[serde(rename = "projectID")]
    #[schemars(length(min = 1))]
    pub(crate) project_id: String,
    /// The provider in the pool.
    #[schemars(length(min = 1))]
    pub(crate) workload_identity_provider_name: String,
    /// The pool.
    #[schemars(length(min = 1))]
    pub(crate) workload_identity_pool_name: String,
    /// The token.
    pub(crate) oidc_exchange_token: OidcExchangeToken,
    /// A service account to act as.
    pub(crate) service_account_impersonation: Option<ServiceAccountImpersonation>,
}

/// A service account to act as.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "checked whole; not served yet")]
pub(crate) struct ServiceAccountImpersonation {
    /// Its name.
    #[schemars(length(min = 1))]
    pub(crate) service_account_name: String,
}

/// Where a request may bring a credential of its own: exactly one place.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub(crate) struct CredentialSource {
    /// A header of the request.
    pub(crate) from_request_headers: Option<RequestHeaders>,
    /// Metadata that another filter wrote.
    pub(crate) from_dynamic_metadata: Option<DynamicMetadata>,
}

/// A header of the request.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RequestHeaders {
    /// Name of the header; one by the policy's type when absent.
    pub(crate) header: Option<HeaderName>,
    /// Use the configured credential when the request brings none; otherwise it is refused.
    #[serde(default = "yes")]
    pub(crate) fallback_to_configured: bool,
}

/// Metadata that another filter wrote.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct DynamicMetadata {
    /// Namespace of the metadata.
    #[schemars(length(min = 1))]
    #[expect(dead_code, reason = "reported as a whole")]
    pub(crate) namespace: String,
    /// Key in the namespace; one by the policy's type when absent.
    #[expect(dead_code, reason = "reported as a whole")]
    pub(crate) key: Option<String>,
    /// Use the configured credential when there is none; otherwise the request is refused.
    #[serde(default = "yes")]
    pub(crate) fallback_to_configured: bool,
}

/// The fields of which a policy has exactly one.
const CREDENTIAL_FIELDS: [&str; 6] =
    ["apiKey", "awsCredentials", "azureAPIKey", "azureCredentials", "gcpCredentials", "anthropicAPIKey"];

/// The rule that a type comes with its own field and no other.
fn only(policy_type: &str, field: &str) -> serde_json::Value {
    let others: String = CREDENTIAL_FIELDS
        .iter()
        .filter(|other| **other != field)
        .flat_map(|other| [" && !has(self.", other, ")"])
        .collect();
    serde_json::json!({
        "rule": format!("self.type != '{policy_type}' || (has(self.{field}){others})"),
        "message": format!("the type {policy_type} comes with {field} and no other credential"),
    })
}

fn yes() -> bool {
    true
}

fn default_profile() -> String {
    "default".to_owned()
}

pub(super) fn definition() -> Definition {
    definition_of_spec::<BackendSecurityPolicySpec>(
        "BackendSecurityPolicy",
        AI_GROUP,
        &["v1beta1", "v1alpha1"],
        |spec| Resource::BackendSecurityPolicy(Box::new(spec)),
    )
    .with_crd(Crd { plural: "backendsecuritypolicies", short_names: &[] })
}
