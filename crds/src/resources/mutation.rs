//! Changes to requests on their way to an upstream: headers, and top-level fields of the body.

use schemars::JsonSchema;
use serde::Deserialize;

use super::text::HeaderName;

/// Changes to the request's headers. What a route says wins over what a backend says.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct HeaderMutation {
    /// Headers to write over what is there.
    #[serde(default)]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub(crate) set: Vec<HttpHeader>,
    /// Names of headers to take away.
    #[serde(default)]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "set"))]
    pub(crate) remove: Vec<HeaderName>,
}

/// A header and its value.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct HttpHeader {
    /// Name of the header.
    pub(crate) name: HeaderName,
    /// Value of the header.
    #[schemars(length(min = 1, max = 4096))]
    pub(crate) value: String,
}

/// Changes to the request's JSON body. What a route says wins over what a backend says.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct BodyMutation {
    /// Top-level fields to write over what is there.
    #[serde(default)]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["path"]))]
    pub(crate) set: Vec<BodyField>,
    /// Names of top-level fields to take away.
    #[serde(default)]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "set"))]
    pub(crate) remove: Vec<String>,
}

/// A top-level field of the body and its value.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct BodyField {
    /// Name of the top-level field.
    #[schemars(length(min = 1))]
    pub(crate) path: String,
    /// The value as a JSON literal: `"\"text\""`, `"42"`, `"{\"a\": 1}"`.
    #[schemars(length(min = 1))]
    pub(crate) value: String,
}
