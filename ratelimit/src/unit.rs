//! What budgets count, and how much of it a finished request was.

use serde::{Deserialize, Serialize};

use crate::usage::Usage;

/// A count of some unit: tokens, requests, nano-dollars. Whole numbers only: money is never a float.
pub type Amount = u64;

/// The largest limit, and the most that may ever be booked to one bucket: two of them add up without overflow.
pub const MOST_AMOUNT: Amount = 1 << 61;

/// What a budget counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    /// Finished requests.
    Requests,
    /// All input tokens.
    InputTokens,
    /// All output tokens.
    OutputTokens,
    /// The provider's total.
    TotalTokens,
    /// Input tokens that were read from the provider's cache.
    CachedInputTokens,
    /// Output tokens that were reasoning.
    ReasoningTokens,
    /// Nano-dollars. $0.05 per million tokens is 50 of them a token; 2^61 are 2.3 billion dollars.
    Cost,
    /// An expression over usage, evaluated by whoever meters the request: this crate only counts its results.
    Expression(String),
}

/// What one finished request was, in everything that a unit may count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measured<'a> {
    /// Tokens by kind.
    pub usage: Usage,
    /// Nano-dollars.
    pub cost_nano_usd: Amount,
    /// Results of expressions, by their source.
    pub expressions: &'a [(String, Amount)],
}

impl Unit {
    /// How much of this unit the request was. None for an expression that nobody evaluated.
    pub fn of(&self, measured: &Measured<'_>) -> Option<Amount> {
        let usage = &measured.usage;
        Some(match self {
            Self::Requests => 1,
            Self::InputTokens => usage.input,
            Self::OutputTokens => usage.output,
            Self::TotalTokens => usage.total,
            Self::CachedInputTokens => usage.cached_input,
            Self::ReasoningTokens => usage.reasoning,
            Self::Cost => measured.cost_nano_usd,
            Self::Expression(source) => {
                return measured.expressions.iter().find(|(one, _)| one == source).map(|(_, amount)| *amount);
            }
        })
    }
}
