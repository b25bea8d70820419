//! Budget: a promise about what may be spent.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::text::{AmountText, GatewayDuration, HeaderName, Pattern, Untyped};
use super::{OWN_GROUP, Resource};
use crate::schema::{Crd, Definition, definition_of_spec};

/// At most so much, of this unit, in each window, for each of those that it is divided by.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BudgetSpec {
    /// Whom it covers: all conditions must hold. Everybody when absent.
    #[serde(default, rename = "match")]
    pub(crate) covers: BudgetMatch,
    /// What it is divided by: organization, team, user, consumer, apiKey, model, route, backend, header:NAME or
    /// label:NAME. One bucket for all when empty.
    #[serde(default)]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "set"))]
    pub(crate) per: Vec<DivisionText>,
    /// What is counted: requests, inputTokens, outputTokens, totalTokens, cachedInputTokens, reasoningTokens, cost, or
    /// {cel: expression} over the variables that an AIGatewayRoute's llmRequestCosts have.
    pub(crate) unit: Untyped,
    /// How much: a whole number, with k, M or G behind it where that helps, or for cost a sum such as `250.00 USD`.
    pub(crate) limit: AmountText,
    /// When it is whole again.
    pub(crate) window: BudgetWindow,
    /// How exactly it is kept: strict, shadow, or {bounded: {perNode: amount}}.
    #[serde(default)]
    pub(crate) enforcement: Option<Untyped>,
    /// What becomes of a request that it can't cover.
    #[serde(default)]
    pub(crate) on_exhausted: OnExhaustedText,
}

/// Conditions on a request. In every text `*` stands for any run of characters.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct BudgetMatch {
    /// The consumer's organisation.
    pub(crate) organization: Option<Pattern>,
    /// The consumer's team.
    pub(crate) team: Option<Pattern>,
    /// The consumer's user.
    pub(crate) user: Option<Pattern>,
    /// The Consumer, as `namespace/name`, or its name in the Budget's own namespace.
    pub(crate) consumer: Option<Pattern>,
    /// The consumer's labels.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 8))]
    pub(crate) labels: BTreeMap<String, Pattern>,
    /// The model that the client asks for: one of these.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub(crate) models: Vec<Pattern>,
    /// The AIGatewayRoute that is taken, as `namespace/name`, or its name in the Budget's own namespace: one of these.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub(crate) routes: Vec<Pattern>,
    /// The AIServiceBackend that is asked, named as routes are: one of these.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub(crate) backends: Vec<Pattern>,
    /// The request's headers.
    #[serde(default)]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub(crate) headers: Vec<HeaderPattern>,
}

/// A condition on one header.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct HeaderPattern {
    /// Its name.
    pub(crate) name: HeaderName,
    /// Its value.
    pub(crate) value: Pattern,
}

/// When a budget is whole again: with a calendar, steadily, or never.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "[has(self.every), has(self.rolling), has(self.lifetime)].filter(present, present).size() == 1",
        "message": "exactly one of every, rolling and lifetime",
    },
    {"rule": "!has(self.timeZone) || has(self.every)", "message": "timeZone comes with every"},
    {"rule": "!has(self.burst) || has(self.rolling)", "message": "burst comes with rolling"},
]))]
pub(crate) struct BudgetWindow {
    /// At the start of each second, minute, hour, day, week (Monday), month or year.
    pub(crate) every: Option<PeriodText>,
    /// The time zone whose calendar counts, as IANA names it; UTC when absent.
    #[schemars(length(min = 1, max = 64))]
    pub(crate) time_zone: Option<String>,
    /// Steadily: the limit becomes free over this time.
    pub(crate) rolling: Option<GatewayDuration>,
    /// The most that may be spent at once; the limit when absent.
    pub(crate) burst: Option<AmountText>,
    /// Never.
    #[schemars(extend("x-kubernetes-validations" = [{"rule": "self", "message": "lifetime is true or absent"}]))]
    #[expect(dead_code, reason = "without the other two it is what is left")]
    pub(crate) lifetime: Option<bool>,
}

/// How often a calendar's windows begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum PeriodText {
    /// Each second.
    Second,
    /// Each minute.
    Minute,
    /// Each hour.
    Hour,
    /// Each day.
    Day,
    /// Each Monday.
    Week,
    /// Each first of a month.
    Month,
    /// Each first of January.
    Year,
}

/// What becomes of a request that an exhausted budget covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
pub(crate) enum OnExhaustedText {
    /// It is refused.
    #[default]
    Refuse,
    /// It goes to the backends of the next priority.
    NextPriority,
}

/// What a budget can be divided by.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct DivisionText(
    #[schemars(
        length(max = 264),
        regex(
            pattern = r"^(organization|team|user|consumer|apiKey|model|route|backend|header:[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+|label:[!-~]+)$"
        )
    )]
    pub(crate) String,
);

pub(super) fn definition() -> Definition {
    definition_of_spec::<BudgetSpec>("Budget", OWN_GROUP, &["v1alpha1"], |spec| {
        Resource::Budget(Box::new(spec))
    })
    .with_crd(Crd { plural: "budgets", short_names: &[] })
}
