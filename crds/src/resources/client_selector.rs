//! Which requests a limit is for, as Envoy Gateway writes it: part of BackendTrafficPolicy and QuotaPolicy.

use schemars::JsonSchema;
use serde::Deserialize;

use super::text::{HeaderName, Untyped};

/// Conditions on a request, all of which must hold.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("minProperties" = 1))]
pub(crate) struct ClientSelector {
    /// Conditions on headers, all of which must hold.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub(crate) headers: Vec<HeaderSelector>,
    /// Methods, of which one must be the request's.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub(crate) methods: Vec<MethodSelector>,
    /// What the path must be.
    pub(crate) path: Option<PathSelector>,
    /// Where the request must come from.
    #[serde(rename = "sourceCIDR")]
    pub(crate) source_cidr: Option<SourceSelector>,
    /// Conditions on the query; not served.
    #[serde(default)]
    pub(crate) query_params: Vec<Untyped>,
}

/// A condition on one header.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct HeaderSelector {
    /// How the value is compared.
    #[serde(default, rename = "type")]
    pub(crate) selector_type: HeaderSelectorType,
    /// Name of the header.
    pub(crate) name: HeaderName,
    /// The value; none for Distinct.
    #[schemars(length(max = 1024))]
    pub(crate) value: Option<String>,
    /// The condition holds where the value does not fit; also where the header is absent, so that nobody gets around a
    /// limit by leaving it out.
    #[serde(default)]
    pub(crate) invert: bool,
}

/// How a header's value is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
pub(crate) enum HeaderSelectorType {
    /// It is the value.
    #[default]
    Exact,
    /// It fits the value.
    RegularExpression,
    /// Any; each has a bucket of its own.
    Distinct,
}

/// A method.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct MethodSelector {
    /// The method.
    #[schemars(length(min = 1, max = 16), regex(pattern = "^[A-Z]+$"))]
    pub(crate) value: String,
    /// Any other method.
    #[serde(default)]
    pub(crate) invert: bool,
}

/// What a path must be.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PathSelector {
    /// How it is compared.
    #[serde(default, rename = "type")]
    pub(crate) selector_type: PathSelectorType,
    /// The path.
    #[serde(default = "root")]
    #[schemars(length(max = 1024))]
    pub(crate) value: String,
    /// Any other path.
    #[serde(default)]
    pub(crate) invert: bool,
}

/// How a path is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
pub(crate) enum PathSelectorType {
    /// It is the value.
    Exact,
    /// It begins with the value, in whole segments.
    #[default]
    PathPrefix,
    /// It fits the value.
    RegularExpression,
}

/// Where a request must come from.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SourceSelector {
    /// Whether all addresses share a bucket.
    #[serde(default, rename = "type")]
    pub(crate) selector_type: SourceSelectorType,
    /// The addresses, such as `192.168.0.0/24`.
    #[schemars(length(min = 1, max = 256))]
    pub(crate) value: String,
}

/// Whether addresses share a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
pub(crate) enum SourceSelectorType {
    /// They do.
    #[default]
    Exact,
    /// Each has its own.
    Distinct,
}

fn root() -> String {
    "/".to_owned()
}
