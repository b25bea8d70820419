//! What every object says about itself.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::text::{DNS_NAME, Namespace, Untyped};

/// An object's metadata: all fields that API servers write are known, few are read.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "API servers write more than is read")]
pub(crate) struct Metadata {
    /// Name of the object.
    #[schemars(length(min = 1, max = 253), regex(pattern = DNS_NAME))]
    pub(crate) name: String,
    /// Namespace of the object.
    pub(crate) namespace: Option<Namespace>,
    /// Labels.
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default)]
    pub(crate) annotations: BTreeMap<String, String>,
    /// When the object was made.
    #[schemars(extend("format" = "date-time"))]
    pub(crate) creation_timestamp: Option<String>,
    /// Version of the spec.
    pub(crate) generation: Option<i64>,
    /// Identity of the object.
    pub(crate) uid: Option<String>,
    /// Version of the object.
    pub(crate) resource_version: Option<String>,
    /// Written by API servers.
    pub(crate) managed_fields: Option<Untyped>,
    /// Written by API servers.
    pub(crate) owner_references: Option<Untyped>,
    /// Written by API servers.
    pub(crate) finalizers: Option<Untyped>,
    /// Written by API servers.
    pub(crate) self_link: Option<String>,
    /// Prefix for a name that the API server completes.
    pub(crate) generate_name: Option<String>,
    /// When the object is to go.
    pub(crate) deletion_timestamp: Option<String>,
    /// How long it may take to go.
    pub(crate) deletion_grace_period_seconds: Option<i64>,
}
