//! GatewayConfig: what holds for every route of a Gateway. A Gateway names it by an annotation.

use schemars::JsonSchema;
use serde::Deserialize;

use super::llm_request_cost::LlmRequestCost;
use super::text::Untyped;
use super::{AI_GROUP, Resource};
use crate::schema::{Crd, Definition, definition_of_spec};

/// Settings of a Gateway.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GatewayConfigSpec {
    /// Settings of a sidecar process, which this gateway does not have.
    pub(crate) ext_proc: Option<ExtProc>,
    /// What finished requests are charged, on every route that does not say otherwise for the same key.
    #[serde(default, rename = "globalLLMRequestCosts")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["metadataKey"]))]
    pub(crate) global_llm_request_costs: Vec<LlmRequestCost>,
    /// The proxy that all upstream traffic takes.
    pub(crate) forward_proxy: Option<ForwardProxy>,
}

/// Settings of a sidecar process.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ExtProc {
    /// Its container.
    pub(crate) kubernetes: Option<ExtProcContainer>,
    /// Metadata namespaces that are handed to it.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub(crate) metadata_forwarding_namespaces: Vec<String>,
}

/// The container of a sidecar process.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "typed so that unknown fields are refused; the container as a whole is reported"
)]
pub(crate) struct ExtProcContainer {
    /// Environment variables.
    #[serde(default)]
    pub(crate) env: Vec<Untyped>,
    /// Wishes for CPU and memory.
    pub(crate) resources: Option<Untyped>,
    /// Rights of the process.
    pub(crate) security_context: Option<Untyped>,
    /// Image to run.
    pub(crate) image: Option<String>,
    /// Image to run, without its tag.
    pub(crate) image_repository: Option<String>,
    /// Volumes to mount.
    #[serde(default)]
    pub(crate) volume_mounts: Vec<Untyped>,
}

/// An HTTP CONNECT proxy.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ForwardProxy {
    /// Its address, host:port.
    #[schemars(
        length(min = 3, max = 261),
        regex(pattern = r"^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}$")
    )]
    pub(crate) address: String,
}

pub(super) fn definition() -> Definition {
    definition_of_spec::<GatewayConfigSpec>("GatewayConfig", AI_GROUP, &["v1beta1", "v1alpha1"], |spec| {
        Resource::GatewayConfig(Box::new(spec))
    })
    .with_crd(Crd { plural: "gatewayconfigs", short_names: &["gwconfig"] })
}
