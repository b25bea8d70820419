//! What a budget is: a promise about one number for the whole cluster. Whom it covers is told in `cover`.

use serde::{Deserialize, Serialize};

use crate::cover::{self, Cover, Dimension};
use crate::invalid::Invalid;
use crate::ledger::limits::{MOST_EXPRESSION_BYTES, MOST_NAME_BYTES};
use crate::unit::{Amount, MOST_AMOUNT, Unit};
use crate::window::Window;

/// A budget's number in the ledger, handed out once and never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BudgetId(pub u32);

/// A promise: at most `limit` of `unit` in each `window`, for each key that `per` makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// As its resource is named; what refusals, metrics and lists call it.
    pub name: String,
    /// Whom it covers.
    pub covers: Cover,
    /// What it is divided by: one bucket for each combination of values; none of them means one bucket for all.
    pub per: Vec<Dimension>,
    /// What is counted.
    pub unit: Unit,
    /// How much of it there is in a window. For rolling windows, how much becomes free in one period.
    pub limit: Amount,
    /// When it is whole again.
    pub window: Window,
    /// How exactly it is kept.
    pub enforcement: Enforcement,
    /// What becomes of a request that it can't cover.
    pub on_exhausted: OnExhausted,
}

/// How exactly a budget is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Enforcement {
    /// Never exceeded, under any fault.
    Strict,
    /// May be exceeded by at most this much a run of a node and bucket, so that a first request need not wait for a lease.
    ///
    /// It is an allowance of the process, which does not know what an earlier one has lent: with `n` nodes that restart `r`
    /// times in a window, the window's spend is at most `limit + (n + r) * per_node`. What passed the limit is a debt of the
    /// next window.
    Bounded {
        /// The most that one run of a node may have spent of a bucket and window without a lease, and without the budget
        /// having been able to pay for it since.
        per_node: Amount,
    },
    /// Counts, never refuses.
    Shadow,
}

/// What becomes of a request that an exhausted budget covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnExhausted {
    /// It is refused.
    Refuse,
    /// It goes to the next, cheaper plan, if there is one.
    NextPriority,
}

/// The values that a budget is divided by, for one bucket. Empty for a budget that is not divided.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key(pub Box<str>);

/// Names one bucket in whatever window is the current one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BucketName {
    /// The budget.
    pub budget: BudgetId,
    /// The values that it is divided by.
    pub key: Key,
}

impl Budget {
    /// Whether it can be kept. If not: the field, and what was expected of it.
    pub fn check(&self) -> Result<(), Invalid> {
        let wrong = |field, expected: String| Err(Invalid { field, expected });
        if self.name.is_empty() || self.name.len() > MOST_NAME_BYTES {
            return wrong("name", format!("1 to {MOST_NAME_BYTES} bytes"));
        }
        if self.limit > MOST_AMOUNT {
            return wrong("limit", format!("at most {MOST_AMOUNT}"));
        }
        match self.enforcement {
            Enforcement::Bounded { per_node } if per_node > MOST_AMOUNT => {
                return wrong("enforcement.perNode", format!("at most {MOST_AMOUNT}"));
            }
            Enforcement::Bounded { .. } | Enforcement::Strict | Enforcement::Shadow => {}
        }
        match &self.unit {
            Unit::Expression(source) if !(1..=MOST_EXPRESSION_BYTES).contains(&source.len()) => {
                return wrong("unit.expression", format!("1 to {MOST_EXPRESSION_BYTES} bytes"));
            }
            Unit::Expression(_)
            | Unit::Requests
            | Unit::InputTokens
            | Unit::OutputTokens
            | Unit::TotalTokens
            | Unit::CachedInputTokens
            | Unit::ReasoningTokens
            | Unit::Cost => {}
        }
        self.covers.check()?;
        cover::check_divisions(&self.per)?;
        self.window.check()
    }
}
