//! A token bucket: `limit` becomes free in each `period_ms`, steadily, and at most `burst` is ever spendable at once.

use serde::{Deserialize, Serialize};

use crate::unit::Amount;

/// A rolling window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rolling {
    /// In this time the budget's limit becomes free.
    pub period_ms: u64,
    /// The most that may be spendable at once, leased parts included.
    pub burst: Amount,
}
