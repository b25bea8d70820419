//! AIServiceBackend: what an upstream speaks.

use schemars::JsonSchema;
use serde::Deserialize;

use super::mutation::{BodyMutation, HeaderMutation};
use super::text::{Group, KindName, Namespace};
use super::{AI_GROUP, Resource};
use crate::schema::{Crd, Definition, definition_of_spec};

/// An upstream and the wire format that it speaks.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AiServiceBackendSpec {
    /// The wire format.
    pub(crate) schema: VersionedSchema,
    /// Where the upstream is.
    #[schemars(extend("x-kubernetes-validations" = [{
        "rule": "(self.group == 'gateway.envoyproxy.io' && self.kind == 'Backend') || (self.group == '' && self.kind == 'Service') || (self.group == 'tollgate.dev' && self.kind == 'Host')",
        "message": "must be a Backend of gateway.envoyproxy.io, a Service of the core group, or a Host of tollgate.dev",
    }]))]
    pub(crate) backend_ref: BackendObjectReference,
    /// Changes to the request's headers.
    pub(crate) header_mutation: Option<HeaderMutation>,
    /// Changes to the request's body.
    pub(crate) body_mutation: Option<BodyMutation>,
    /// Values to keep away from the upstream.
    #[serde(default)]
    #[schemars(length(max = 16), extend("x-kubernetes-validations" = [{
        "rule": "self.all(filter, filter.name == 'anthropic-beta')",
        "message": "only the header anthropic-beta can be filtered",
    }]))]
    pub(crate) header_value_filters: Vec<HeaderValueFilter>,
}

/// A wire format.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct VersionedSchema {
    /// Name of the wire format.
    pub(crate) name: SchemaName,
    /// Its version, where it has one: Azure's api-version, Anthropic's anthropic_version on other clouds.
    pub(crate) version: Option<String>,
    /// First part of the path, with or without a slash in front; /v1 for OpenAI and Anthropic when absent.
    pub(crate) prefix: Option<String>,
}

/// Names of wire formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) enum SchemaName {
    /// OpenAI's API and all that imitate it.
    OpenAI,
    /// Cohere's API.
    Cohere,
    /// Bedrock's Converse API.
    AWSBedrock,
    /// Azure's OpenAI service.
    AzureOpenAI,
    /// Gemini on Vertex AI.
    GCPVertexAI,
    /// Claude on Vertex AI.
    GCPAnthropic,
    /// Anthropic's own API.
    Anthropic,
    /// Claude on Bedrock.
    AWSAnthropic,
    /// Bedrock's OpenAI-compatible API.
    AWSOpenAI,
    /// TypeSafe's API.
    TypeSafe,
}

/// A reference to where the upstream is.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct BackendObjectReference {
    /// Group of the object; empty for the core group.
    #[serde(default = "super::reference::core_group")]
    pub(crate) group: Group,
    /// Kind of the object.
    #[serde(default = "service_kind")]
    pub(crate) kind: KindName,
    /// Name of the object; for a Host its address, host:port.
    #[schemars(length(min = 1, max = 253))]
    pub(crate) name: String,
    /// Namespace of the object; the referring object's own when absent. Another one needs a ReferenceGrant there.
    pub(crate) namespace: Option<Namespace>,
    /// Port of a Service.
    #[schemars(range(min = 1, max = 65535))]
    pub(crate) port: Option<u16>,
}

/// Values of a header to keep away from an upstream that refuses them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "for schemas that are not served yet; reported as a whole")]
pub(crate) struct HeaderValueFilter {
    /// Name of the header.
    pub(crate) name: String,
    /// Whether the values are the ones to drop or the ones to keep.
    #[serde(default)]
    pub(crate) mode: FilterMode,
    /// The values.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub(crate) values: Vec<String>,
}

/// What a filter's values mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
pub(crate) enum FilterMode {
    /// Drop these.
    #[default]
    Denylist,
    /// Keep only these.
    Allowlist,
}

fn service_kind() -> KindName {
    KindName("Service".to_owned())
}

pub(super) fn definition() -> Definition {
    definition_of_spec::<AiServiceBackendSpec>(
        "AIServiceBackend",
        AI_GROUP,
        &["v1beta1", "v1alpha1"],
        |spec| Resource::AiServiceBackend(Box::new(spec)),
    )
    .with_crd(Crd { plural: "aiservicebackends", short_names: &[] })
}
