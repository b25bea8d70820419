//! ClientTrafficPolicy of Envoy Gateway, as far as it says how large a request may be.

use schemars::JsonSchema;
use serde::Deserialize;

use super::reference::PolicyTarget;
use super::text::QuantityText;
use super::{ENVOY_GROUP, Resource};
use crate::schema::{Definition, definition_of_spec};

/// How clients of some Gateways are treated. Every other field is told to be not honoured; one that asks for clients'
/// certificates closes the Gateway.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct ClientTrafficPolicySpec {
    /// What it is for; in older manifests.
    pub(crate) target_ref: Option<PolicyTarget>,
    /// What it is for.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub(crate) target_refs: Vec<PolicyTarget>,
    /// Bounds of a connection.
    pub(crate) connection: Option<ClientConnection>,
}

/// The fields that are read.
pub(crate) const READ_FIELDS: [&str; 3] = ["targetRef", "targetRefs", "connection"];
/// The field of `connection` that is read.
pub(crate) const READ_OF_CONNECTION: &str = "bufferLimit";

/// Bounds of a connection.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub(crate) struct ClientConnection {
    /// The largest request body.
    pub(crate) buffer_limit: Option<QuantityText>,
}

pub(super) fn definition() -> Definition {
    definition_of_spec::<ClientTrafficPolicySpec>("ClientTrafficPolicy", ENVOY_GROUP, &["v1alpha1"], |spec| {
        Resource::ClientTrafficPolicy(Box::new(spec))
    })
}
