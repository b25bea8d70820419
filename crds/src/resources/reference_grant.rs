//! ReferenceGrant of Gateway API: who may refer into its namespace.

use schemars::JsonSchema;
use serde::Deserialize;

use super::text::{Group, KindName, Namespace, ObjectName};
use super::{GATEWAY_GROUP, Resource};
use crate::schema::{Definition, definition_of_spec};

/// Lets objects elsewhere refer to objects here.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReferenceGrantSpec {
    /// Who may refer.
    #[schemars(length(min = 1, max = 16))]
    pub(crate) from: Vec<GrantFrom>,
    /// To what.
    #[schemars(length(min = 1, max = 16))]
    pub(crate) to: Vec<GrantTo>,
}

/// Who may refer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct GrantFrom {
    /// Group of the referring object.
    pub(crate) group: Group,
    /// Kind of the referring object.
    pub(crate) kind: KindName,
    /// Namespace of the referring object.
    pub(crate) namespace: Namespace,
}

/// What may be referred to.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct GrantTo {
    /// Group of the object referred to.
    pub(crate) group: Group,
    /// Kind of the object referred to.
    pub(crate) kind: KindName,
    /// Its name; every one when absent.
    pub(crate) name: Option<ObjectName>,
}

pub(super) fn definition() -> Definition {
    definition_of_spec::<ReferenceGrantSpec>("ReferenceGrant", GATEWAY_GROUP, &["v1beta1", "v1"], |spec| {
        Resource::ReferenceGrant(Box::new(spec))
    })
}
