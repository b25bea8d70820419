//! What finished requests are charged: part of AIGatewayRoute and GatewayConfig.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::snapshot::EXPRESSION_BYTES;

/// One number that every finished request is charged.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.type != 'CEL' || has(self.cel)", "message": "cel is required when type is CEL"},
]))]
pub(crate) struct LlmRequestCost {
    /// The key under which limits find the number.
    #[schemars(length(min = 1))]
    pub(crate) metadata_key: String,
    /// How the number is found.
    #[serde(rename = "type")]
    pub(crate) cost_type: CostType,
    /// The expression for the type CEL. Variables: model, backend, route_name (text); input_tokens,
    /// cached_input_tokens, cache_creation_input_tokens, output_tokens, total_tokens, reasoning_tokens (uint).
    /// The result must be a whole number that is not negative. Whole-number literals need the suffix u.
    #[schemars(length(max = EXPRESSION_BYTES))]
    pub(crate) cel: Option<String>,
}

/// How a cost is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) enum CostType {
    /// All tokens read.
    InputToken,
    /// Tokens read from a cache.
    CachedInputToken,
    /// Tokens written to a cache.
    CacheCreationInputToken,
    /// All tokens produced.
    OutputToken,
    /// The provider's total.
    TotalToken,
    /// Tokens of reasoning.
    ReasoningToken,
    /// An expression over all of them.
    #[serde(rename = "CEL")]
    Cel,
}
