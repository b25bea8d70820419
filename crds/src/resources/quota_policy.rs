//! QuotaPolicy: what may be spent at a backend, by model and by caller.

use schemars::JsonSchema;
use serde::Deserialize;

use super::client_selector::ClientSelector;
use super::reference::TargetReference;
use super::{AI_GROUP, Resource};
use crate::schema::{Crd, Definition, definition_of_spec};
use crate::snapshot::EXPRESSION_BYTES;

/// Quotas of some backends.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QuotaPolicySpec {
    /// The AIServiceBackends that it is for; each has buckets of its own.
    #[serde(default)]
    #[schemars(length(max = 16), extend("x-kubernetes-validations" = [{
        "rule": "self.all(ref, ref.group == 'aigateway.envoyproxy.io' && ref.kind == 'AIServiceBackend')",
        "message": "targetRefs must reference AIServiceBackend resources",
    }]))]
    pub(crate) target_refs: Vec<TargetReference>,
    /// A quota of everything that the backend is asked.
    pub(crate) service_quota: Option<ServiceQuota>,
    /// Quotas of single models.
    #[serde(default)]
    #[schemars(length(max = 128))]
    pub(crate) per_model_quotas: Vec<PerModelQuota>,
}

/// A quota of everything that a backend is asked.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ServiceQuota {
    /// What a request counts, as in llmRequestCosts; total_tokens when absent.
    #[schemars(length(max = EXPRESSION_BYTES))]
    pub(crate) cost_expression: Option<String>,
    /// How much there is.
    pub(crate) quota: QuotaValue,
}

/// The quota of one model.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PerModelQuota {
    /// The model, as the backend is asked for it.
    #[schemars(length(min = 1, max = 256))]
    pub(crate) model_name: String,
    /// Its quota.
    pub(crate) quota: ModelQuota,
}

/// A model's quota: several buckets, of which one must have room.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ModelQuota {
    /// What a request counts, as in llmRequestCosts; total_tokens when absent.
    #[schemars(length(max = EXPRESSION_BYTES))]
    pub(crate) cost_expression: Option<String>,
    /// How buckets stand to each other.
    #[serde(default)]
    pub(crate) mode: QuotaMode,
    /// The bucket of every request.
    pub(crate) default_bucket: Option<QuotaValue>,
    /// Buckets of some requests.
    #[serde(default)]
    #[schemars(length(max = 128))]
    pub(crate) bucket_rules: Vec<BucketRule>,
}

/// How buckets stand to each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
pub(crate) enum QuotaMode {
    /// All that match are charged; a request passes while one of them has room.
    #[default]
    Shared,
}

/// A bucket of some requests.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct BucketRule {
    /// Which requests it is for; all when empty.
    #[serde(default)]
    #[schemars(length(max = 8))]
    pub(crate) client_selectors: Vec<ClientSelector>,
    /// How much there is.
    pub(crate) quota: QuotaValue,
    /// Counts, never refuses.
    #[serde(default)]
    pub(crate) shadow_mode: bool,
}

/// How much there is in which time.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct QuotaValue {
    /// How much.
    #[schemars(extend("minimum" = 0))]
    pub(crate) limit: u64,
    /// In which time.
    pub(crate) duration: QuotaDuration,
}

/// The times of quotas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) enum QuotaDuration {
    /// A second.
    #[serde(rename = "1s")]
    Second,
    /// A minute.
    #[serde(rename = "1m")]
    Minute,
    /// An hour.
    #[serde(rename = "1h")]
    Hour,
    /// A day.
    #[serde(rename = "1d")]
    Day,
}

pub(super) fn definition() -> Definition {
    definition_of_spec::<QuotaPolicySpec>("QuotaPolicy", AI_GROUP, &["v1alpha1"], |spec| {
        Resource::QuotaPolicy(Box::new(spec))
    })
    .with_crd(Crd { plural: "quotapolicies", short_names: &[] })
}
