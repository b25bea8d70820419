//! ConfigMap of the core group.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Resource;
use crate::schema::{Definition, definition_of_content};

/// A ConfigMap's content.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfigMapContent {
    /// Texts by key.
    #[serde(default)]
    pub(crate) data: BTreeMap<String, String>,
    /// Bytes by key, in base64.
    #[serde(default)]
    #[expect(dead_code, reason = "nothing refers to it")]
    pub(crate) binary_data: BTreeMap<String, String>,
    /// Can't be changed, only replaced.
    #[expect(dead_code, reason = "nothing refers to it")]
    pub(crate) immutable: Option<bool>,
}

pub(super) fn definition() -> Definition {
    definition_of_content::<ConfigMapContent>("ConfigMap", |content| Resource::ConfigMap(Box::new(content)))
}
