//! PriceList: what models cost.

use schemars::JsonSchema;
use serde::Deserialize;

use super::ai_service_backend::SchemaName;
use super::text::{DateText, Pattern, PriceText};
use super::{OWN_GROUP, Resource};
use crate::schema::{Crd, Definition, definition_of_spec};

/// Prices, of which the most exact that is in force counts: by backend before by provider before either, an exact model
/// before a pattern, a longer pattern before a shorter one, and any of these before the built-in list.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PriceListSpec {
    /// The currency of all prices.
    #[serde(default)]
    pub(crate) currency: Currency,
    /// Whether the built-in prices go on for models that no PriceList names. One list that says Drop counts.
    #[serde(default)]
    pub(crate) built_in: BuiltIn,
    /// The prices.
    #[schemars(length(min = 1, max = 1024))]
    pub(crate) prices: Vec<PriceEntry>,
}

/// The currencies that are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
pub(crate) enum Currency {
    /// US dollars.
    #[default]
    #[serde(rename = "USD")]
    Usd,
}

/// What becomes of the built-in prices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
pub(crate) enum BuiltIn {
    /// They go on for models that no PriceList names.
    #[default]
    Keep,
    /// They are gone.
    Drop,
}

/// Prices of some models.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "!(has(self.backends) && has(self.provider))", "message": "prices are by backends or by provider"},
]))]
pub(crate) struct PriceEntry {
    /// The models, as the upstream is asked for them; `*` stands for any run of characters.
    #[schemars(length(min = 1, max = 64))]
    pub(crate) models: Vec<Pattern>,
    /// The AIServiceBackends, as `namespace/name`, or by name in the list's own namespace; all when absent.
    #[schemars(length(min = 1, max = 64))]
    pub(crate) backends: Option<Vec<Pattern>>,
    /// The wire format of the backends; all when absent.
    pub(crate) provider: Option<SchemaName>,
    /// The first day on which it holds (UTC).
    pub(crate) not_before: Option<DateText>,
    /// The last day on which it holds (UTC).
    pub(crate) not_after: Option<DateText>,
    /// What a million tokens cost.
    pub(crate) per_million_tokens: TokenPrices,
    /// What each request costs beside its tokens.
    pub(crate) per_request: Option<PriceText>,
    /// Other prices for all tokens of requests with long inputs, by rising length.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub(crate) tiers: Vec<PriceTier>,
}

/// Prices by kind of token. What is read from or written to a cache is a part of the input, reasoning is a part of the output.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TokenPrices {
    /// Input.
    pub(crate) input: PriceText,
    /// Output; nothing when absent, as for embeddings.
    pub(crate) output: Option<PriceText>,
    /// Input that was read from the provider's cache; as other input when absent.
    pub(crate) cached_input: Option<PriceText>,
    /// Input that was written to the provider's cache; as other input when absent.
    pub(crate) cache_creation_input: Option<PriceText>,
    /// Output that was reasoning; as other output when absent.
    pub(crate) reasoning: Option<PriceText>,
}

/// Prices for requests with long inputs.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PriceTier {
    /// For requests of more input tokens than this.
    #[schemars(range(min = 1))]
    pub(crate) over_input_tokens: u32,
    /// What a million tokens cost then.
    pub(crate) per_million_tokens: TokenPrices,
}

pub(super) fn definition() -> Definition {
    definition_of_spec::<PriceListSpec>("PriceList", OWN_GROUP, &["v1alpha1"], |spec| {
        Resource::PriceList(Box::new(spec))
    })
    .with_crd(Crd { plural: "pricelists", short_names: &[] })
}
