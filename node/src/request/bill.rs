//! What a request comes to in each unit that budgets count: at most, before it is sent, and in fact, when it has ended.

use tollgate_api::bound::Bound;
use tollgate_crds::{Candidate, Cost, CostFacts, KeptBudget, Price, Rule};
use tollgate_ratelimit::budget::Enforcement;
use tollgate_ratelimit::unit::{Amount, Measured, Unit};
use tollgate_ratelimit::{Certainty, Row, Usage};

use super::meter;
use super::route::Plan;

/// What a request is counted by.
#[derive(Clone, Copy)]
pub(crate) struct Bill<'a> {
    /// The model that the client asked for.
    pub(crate) model: &'a str,
    pub(crate) rule: &'a Rule,
    pub(crate) candidate: &'a Candidate,
    /// In force when the request was admitted; none where nobody knows one.
    pub(crate) price: Option<&'a Price>,
}

/// Why an amount can't be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoAmount {
    /// A budget of cost, and a model without a price.
    NoPrice,
    /// A budget's expression fails.
    Fails(String),
}

/// A request that takes this much input, and up to `output` tokens.
pub(crate) fn at_most(bound: Bound, output: u64) -> Usage {
    let input = bound.input;
    Usage { input, output, total: input.saturating_add(output), ..Usage::default() }
}

impl<'a> Bill<'a> {
    /// By the prices that are in force in an hour.
    pub(crate) fn new(plan: &'a Plan, model: &'a str, (candidate, hour): (usize, u32)) -> Self {
        let candidate = &plan.rule.candidates[candidate];
        let asked = candidate.model_override.as_deref().unwrap_or(model);
        let price = plan.config.snapshot.quota.prices.find(&candidate.backend, asked, hour / 24);
        Self { model, rule: &plan.rule, candidate, price }
    }

    /// The most that a budget may be charged for a request of at most `most`.
    pub(crate) fn bound(&self, budget: &KeptBudget, most: &Usage) -> Result<Amount, NoAmount> {
        let amount = match &budget.budget.unit {
            Unit::Requests => 1,
            Unit::InputTokens | Unit::CachedInputTokens => most.input,
            Unit::OutputTokens | Unit::ReasoningTokens => most.output,
            Unit::TotalTokens => most.total,
            Unit::Cost => match self.price {
                Some(price) => price.prices.bound(most.input, most.output),
                None if is_enforced(budget) => return Err(NoAmount::NoPrice),
                None => 0,
            },
            Unit::Expression(_) => {
                // An expression may weigh kinds of tokens apart, and which of them it will be is not known.
                let cached = Usage { cached_input: most.input, reasoning: most.output, ..*most };
                let created = Usage { cache_creation_input: most.input, ..*most };
                let values = [most, &cached, &created].map(|usage| self.evaluate(budget, usage));
                values.into_iter().try_fold(0, |highest: Amount, value| Ok(highest.max(value?)))?
            }
        };
        Ok(amount)
    }

    /// What a budget is charged. None: nobody can tell, and what was held counts.
    pub(crate) fn actual(&self, budget: &KeptBudget, usage: &Usage) -> Option<Amount> {
        match &budget.budget.unit {
            Unit::Expression(_) => self.evaluate(budget, usage).ok(),
            unit @ (Unit::Requests
            | Unit::InputTokens
            | Unit::OutputTokens
            | Unit::TotalTokens
            | Unit::CachedInputTokens
            | Unit::ReasoningTokens
            | Unit::Cost) => {
                unit.of(&Measured { usage: *usage, cost_nano_usd: self.cost(usage), expressions: &[] })
            }
        }
    }

    /// Nano-dollars; nothing where no price is known.
    pub(crate) fn cost(&self, usage: &Usage) -> Amount {
        self.price.map_or(0, |price| price.prices.cost(usage))
    }

    /// The request as a row of the ledger.
    pub(crate) fn row(&self, usage: Usage, certainty: Certainty) -> Row {
        let row = Row {
            requests: 1,
            usage,
            cost_nano_usd: self.cost(&usage),
            prices: self.prices(),
            ..Row::default()
        };
        match certainty {
            Certainty::Reported => row,
            Certainty::Estimated => Row { estimated_requests: 1, estimated_usage: usage, ..row },
            Certainty::Unknown => Row { unknown_requests: 1, unknown_usage: usage, ..row },
        }
    }

    /// Names the text that the price was read from; 0 for none.
    pub(crate) fn prices(&self) -> u32 {
        // FNV-1a: the ledger keeps a number, and the same text has the same one on every node.
        let hash = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        self.price.map_or(0, |price| price.version.bytes().fold(0x811c_9dc5, hash) | 1)
    }

    fn evaluate(&self, budget: &KeptBudget, usage: &Usage) -> Result<Amount, NoAmount> {
        let expression: &Cost =
            budget.expression.as_ref().ok_or_else(|| NoAmount::Fails("it is not there".to_owned()))?;
        let backend = &self.candidate.backend.name;
        let facts = CostFacts {
            model: self.model,
            backend: &format!("{}.{}", backend.name, backend.namespace),
            route_name: &self.rule.route.name,
            usage: meter::reported(*usage),
        };
        expression.evaluate(&facts).map_err(NoAmount::Fails)
    }
}

/// Whether the budget ever says no.
pub(crate) fn is_enforced(budget: &KeptBudget) -> bool {
    match budget.budget.enforcement {
        Enforcement::Strict | Enforcement::Bounded { .. } => true,
        Enforcement::Shadow => false,
    }
}

/// Whether a longer answer is charged more.
pub(crate) fn counts_output(budget: &KeptBudget) -> bool {
    match budget.budget.unit {
        Unit::OutputTokens | Unit::TotalTokens | Unit::ReasoningTokens | Unit::Cost | Unit::Expression(_) => {
            true
        }
        Unit::Requests | Unit::InputTokens | Unit::CachedInputTokens => false,
    }
}
