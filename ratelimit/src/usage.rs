//! Tokens by kind: the unit in which providers bill, and in which the ledger is kept.

use serde::{Deserialize, Serialize};

/// What one answer cost in tokens. `input` includes what was read from or written to the provider's cache, `output`
/// includes reasoning: the shares are named apart because they are priced apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// All input tokens.
    pub input: u64,
    /// The part of `input` that the provider read from its prompt cache.
    pub cached_input: u64,
    /// The part of `input` that the provider wrote to its prompt cache.
    pub cache_creation_input: u64,
    /// All output tokens.
    pub output: u64,
    /// The part of `output` that was reasoning.
    pub reasoning: u64,
    /// The provider's own total, or input + output.
    pub total: u64,
}

/// Whose figures a usage is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Certainty {
    /// The provider's own.
    #[default]
    Reported,
    /// A count of what passed, because the answer ended before the provider said.
    Estimated,
    /// What was reserved, because nothing is known of how the request ended.
    Unknown,
}

impl Usage {
    /// Adds without overflow: a ledger that is full stays full rather than starting again at nothing.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            cached_input: self.cached_input.saturating_add(other.cached_input),
            cache_creation_input: self.cache_creation_input.saturating_add(other.cache_creation_input),
            output: self.output.saturating_add(other.output),
            reasoning: self.reasoning.saturating_add(other.reasoning),
            total: self.total.saturating_add(other.total),
        }
    }

    /// What is left without `other`, which went into this sum; None where it can't have.
    pub(crate) fn minus(self, other: Self) -> Option<Self> {
        Some(Self {
            input: without(self.input, other.input)?,
            cached_input: without(self.cached_input, other.cached_input)?,
            cache_creation_input: without(self.cache_creation_input, other.cache_creation_input)?,
            output: without(self.output, other.output)?,
            reasoning: without(self.reasoning, other.reasoning)?,
            total: without(self.total, other.total)?,
        })
    }
}

/// A part of a sum taken out again. A sum that is full stays full: nobody knows how much went into it.
pub(crate) const fn without(sum: u64, part: u64) -> Option<u64> {
    if sum == u64::MAX { Some(sum) } else { sum.checked_sub(part) }
}
