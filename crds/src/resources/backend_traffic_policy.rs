//! BackendTrafficPolicy of Envoy Gateway, as far as it limits: its global rate limits.

use schemars::JsonSchema;
use serde::Deserialize;

use super::client_selector::ClientSelector;
use super::reference::PolicyTarget;
use super::text::Untyped;
use super::{ENVOY_GROUP, Resource};
use crate::schema::{Definition, definition_of_spec};

/// How requests to some routes are limited. Every other field is told to be not honoured.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct BackendTrafficPolicySpec {
    /// What it is for; in older manifests.
    pub(crate) target_ref: Option<PolicyTarget>,
    /// What it is for.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub(crate) target_refs: Vec<PolicyTarget>,
    /// The limits.
    pub(crate) rate_limit: Option<RateLimit>,
}

/// The fields that are read.
pub(crate) const READ_FIELDS: [&str; 3] = ["targetRef", "targetRefs", "rateLimit"];

/// Limits.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RateLimit {
    /// Which of the two is meant; both when absent.
    #[serde(rename = "type")]
    pub(crate) limit_type: Option<RateLimitType>,
    /// Limits over all nodes.
    pub(crate) global: Option<GlobalRateLimit>,
    /// Limits of each node by itself; not served.
    pub(crate) local: Option<Untyped>,
}

/// Kinds of limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) enum RateLimitType {
    /// Over all nodes.
    Global,
    /// Of each node by itself.
    Local,
}

/// Limits over all nodes.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct GlobalRateLimit {
    /// The limits; each that matches a request must have room for it.
    #[schemars(length(max = 128))]
    pub(crate) rules: Vec<RateLimitRule>,
}

/// One limit.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RateLimitRule {
    /// Which requests it is for; all of the targets' when empty.
    #[serde(default)]
    #[schemars(length(max = 8))]
    pub(crate) client_selectors: Vec<ClientSelector>,
    /// How much there is.
    pub(crate) limit: RateLimitValue,
    /// What a request counts; 1 when absent.
    pub(crate) cost: Option<RateLimitCost>,
    /// All targets share one counter; otherwise each route has its own.
    #[serde(default)]
    pub(crate) shared: bool,
    /// Counts, never refuses.
    #[serde(default)]
    pub(crate) shadow_mode: bool,
}

/// How much there is in which time.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RateLimitValue {
    /// How much.
    #[schemars(extend("minimum" = 0))]
    pub(crate) requests: u64,
    /// In which time.
    pub(crate) unit: RateLimitUnit,
    /// A limit that another filter writes; there are none here.
    pub(crate) from_metadata: Option<Untyped>,
}

/// The times of limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) enum RateLimitUnit {
    /// Each second.
    Second,
    /// Each minute.
    Minute,
    /// Each hour.
    Hour,
    /// Each day.
    Day,
    /// Each month.
    Month,
    /// Each year.
    Year,
}

/// What a request counts.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RateLimitCost {
    /// When it comes; 1 when absent.
    pub(crate) request: Option<CostSpecifier>,
    /// When its answer is whole.
    pub(crate) response: Option<CostSpecifier>,
}

/// Where a count comes from.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.from == 'Number' ? has(self.number) && !has(self.metadata) : has(self.metadata) && !has(self.number)", "message": "Number comes with number, Metadata with metadata"},
]))]
pub(crate) struct CostSpecifier {
    /// Which of the two it is.
    pub(crate) from: CostFrom,
    /// The count itself.
    #[schemars(extend("minimum" = 0))]
    pub(crate) number: Option<u64>,
    /// A count of the request's usage.
    pub(crate) metadata: Option<CostMetadata>,
}

/// Where a count comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) enum CostFrom {
    /// It is written here.
    Number,
    /// It is one of the route's llmRequestCosts.
    Metadata,
}

/// One of the route's llmRequestCosts.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CostMetadata {
    /// `io.envoy.ai_gateway`.
    pub(crate) namespace: String,
    /// Its metadataKey.
    pub(crate) key: String,
}

pub(super) fn definition() -> Definition {
    definition_of_spec::<BackendTrafficPolicySpec>(
        "BackendTrafficPolicy",
        ENVOY_GROUP,
        &["v1alpha1"],
        |spec| Resource::BackendTrafficPolicy(Box::new(spec)),
    )
}
