//! Why a wallet says no. A normal answer, not a failure.

use std::fmt;

use crate::budget::BudgetId;
use crate::unit::Amount;

/// A normal no. Nothing is held after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Which of the parts that were asked for, counted from 0.
    pub part: usize,
    /// Why.
    pub why: Why,
}

/// Why there is no hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// No lease yet, or too little on it. Ask the clerk and wait.
    Dry,
    /// Others hold and use what is left; some of it comes back as their requests end. Also after a wait for it in vain.
    Held {
        /// Whose.
        budget: BudgetId,
    },
    /// Spent.
    Exhausted {
        /// Which one.
        budget: BudgetId,
        /// Nothing comes before this many milliseconds have passed.
        until_ms: u64,
    },
    /// More than the bucket ever has.
    TooLarge {
        /// What it has at most.
        limit: Amount,
    },
    /// The ledger has no such bucket: it does not know the budget, or its calendar has run out.
    NotKept {
        /// Which one.
        budget: BudgetId,
    },
    /// The ledger did not answer: not before the deadline of a request that waited, or not for so long that leases may not be
    /// spent. It says nothing of the budget.
    Unreachable,
    /// This node is leaving.
    Draining,
    /// As many requests wait for this bucket as may.
    Crowded {
        /// How many.
        most: usize,
    },
}

impl Why {
    /// Whether asking the ledger may help.
    pub const fn is_dry(self) -> bool {
        matches!(self, Self::Dry)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dry => write!(to, "no lease, or too little on it"),
            Self::Held { budget } => write!(to, "what is left of budget {} is held by others", budget.0),
            Self::Exhausted { budget, until_ms } => {
                write!(to, "budget {} is spent; more comes in {until_ms} ms at the earliest", budget.0)
            }
            Self::TooLarge { limit } => write!(to, "more than the {limit} that the bucket ever has"),
            Self::NotKept { budget } => write!(to, "the ledger does not keep budget {} now", budget.0),
            Self::Unreachable => write!(to, "the ledger did not answer in time"),
            Self::Draining => write!(to, "this node is leaving"),
            Self::Crowded { most } => write!(to, "{most} requests wait for this bucket already"),
        }
    }
}
