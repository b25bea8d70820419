//! GatewayClass of Gateway API. From files every class is ours; in Kubernetes the watcher looks at the controller.

use schemars::JsonSchema;
use serde::Deserialize;

use super::text::{Group, KindName, Namespace, ObjectName};
use super::{GATEWAY_GROUP, Resource};
use crate::schema::{Definition, definition_of_spec};

/// Who looks after Gateways of this class.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GatewayClassSpec {
    /// Name of the controller, a domain and a path.
    #[schemars(
        length(min = 1, max = 253),
        regex(
            pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9\/\-._~%!$&'()*+,;=:]+$"
        )
    )]
    #[expect(dead_code, reason = "every controller is taken as ours")]
    pub(crate) controller_name: String,
    /// Settings for the controller.
    pub(crate) parameters_ref: Option<ParametersReference>,
    /// Words for people.
    #[schemars(length(max = 64))]
    #[expect(dead_code, reason = "for people")]
    pub(crate) description: Option<String>,
}

/// Settings for a controller.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "typed so that unknown fields are refused; the reference as a whole is reported"
)]
pub(crate) struct ParametersReference {
    /// Group of the object.
    pub(crate) group: Group,
    /// Kind of the object.
    pub(crate) kind: KindName,
    /// Name of the object.
    pub(crate) name: ObjectName,
    /// Namespace of the object.
    pub(crate) namespace: Option<Namespace>,
}

pub(super) fn definition() -> Definition {
    definition_of_spec::<GatewayClassSpec>("GatewayClass", GATEWAY_GROUP, &["v1", "v1beta1"], |spec| {
        Resource::GatewayClass(Box::new(spec))
    })
    .without_namespace()
}
