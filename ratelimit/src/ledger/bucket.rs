//! One budget for one key in one window: how much was spent, how much is out on leases, how much is free.

use serde::{Deserialize, Serialize};

use super::lease::NONE;
use crate::budget::{Budget, BudgetId, Key};
use crate::time::{Span, Timestamp};
use crate::unit::{Amount, MOST_AMOUNT};
use crate::window::{Window, rolling};

/// A bucket. `spent + outstanding + free = allowed`, where `allowed` is the limit and what operators added to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bucket {
    pub(crate) budget: BudgetId,
    pub(crate) key: Key,
    pub(crate) window: Span,
    /// When it may be closed: its window's end, or when a rolling one will be full.
    pub(crate) due: Timestamp,
    pub(crate) spent: Amount,
    pub(crate) outstanding: Amount,
    /// What operators added, or took.
    pub(crate) adjusted: i64,
    /// Only for rolling windows.
    pub(crate) minted: Option<Box<Minted>>,
    pub(crate) first_lease: u32,
    pub(crate) leases: u32,
    /// How many of them were refused something.
    pub(crate) denied: u32,
}

/// What a rolling window has made free since the bucket began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Minted {
    pub(crate) total: Amount,
    pub(crate) state: rolling::Minted,
}

impl Bucket {
    pub(crate) fn new(budget: BudgetId, rule: &Budget, key: Key, window: Span, now: Timestamp) -> Self {
        let minted = match &rule.window {
            Window::Rolling(rolling) => Some(Box::new(Minted {
                total: rolling.burst,
                state: rolling::Minted { upto: now, remainder: 0 },
            })),
            Window::Fixed(_) | Window::Lifetime => None,
        };
        Self {
            budget,
            key,
            window,
            due: window.end,
            spent: 0,
            outstanding: 0,
            adjusted: 0,
            minted,
            first_lease: NONE,
            leases: 0,
            denied: 0,
        }
    }

    /// All that may be spent and leased.
    pub(crate) fn allowed(&self, rule: &Budget) -> i128 {
        let base = self.minted.as_ref().map_or(rule.limit, |minted| minted.total);
        i128::from(base) + i128::from(self.adjusted)
    }

    /// What may still be granted. Below zero after a limit was lowered, an overrun, or a debit by an operator.
    pub(crate) fn free(&self, rule: &Budget) -> i128 {
        self.allowed(rule) - i128::from(self.spent) - i128::from(self.outstanding)
    }

    /// What may be granted now.
    pub(crate) fn grantable(&self, rule: &Budget) -> Amount {
        // Past the largest amount nothing is granted: sums stay within what an `Amount` holds.
        let room = i128::from(MOST_AMOUNT) - i128::from(self.spent) - i128::from(self.outstanding);
        Amount::try_from(self.free(rule).min(room)).unwrap_or(0)
    }

    /// The most that it ever has to give. A rolling window makes good for what was taken from it.
    pub(crate) fn most(&self, rule: &Budget) -> Amount {
        let adjusted = if self.minted.is_some() { self.adjusted.max(0) } else { self.adjusted };
        Amount::try_from(i128::from(most_at_once(rule)) + i128::from(adjusted)).unwrap_or(0)
    }

    /// Takes away what a rolling window holds beyond a burst that was lowered by `less`.
    pub(crate) fn shrink(&mut self, rule: &Budget, less: Amount) {
        let held = self.free(rule) + i128::from(self.outstanding);
        let beyond = Amount::try_from(held - i128::from(most_at_once(rule))).unwrap_or(0);
        if let Some(minted) = &mut self.minted {
            minted.total = minted.total.saturating_sub(beyond.min(less));
        }
    }

    /// Makes free what a rolling window owes since it was last looked at.
    pub(crate) fn mint(&mut self, rule: &Budget, now: Timestamp) {
        let Window::Rolling(rolling) = &rule.window else { return };
        let free = self.free(rule);
        let Some(minted) = &mut self.minted else { return };
        let room = i128::from(rolling.burst) - free - i128::from(self.outstanding);
        let room = Amount::try_from(room).unwrap_or(0);
        let fresh = rolling.mint(rule.limit, &mut minted.state, now, room);
        minted.total = minted.total.saturating_add(fresh);
    }

    /// When it is whole again, if nothing more is spent.
    pub(crate) fn whole(&self, rule: &Budget, now: Timestamp) -> Timestamp {
        let missing = i128::from(most_at_once(rule)) - self.free(rule) - i128::from(self.outstanding);
        self.when(rule, now, Amount::try_from(missing).unwrap_or(0))
    }

    /// When a rolling window will have made `missing` free; the window's end for others.
    pub(crate) fn when(&self, rule: &Budget, now: Timestamp, missing: Amount) -> Timestamp {
        match (&rule.window, &self.minted) {
            (Window::Rolling(rolling), Some(minted)) => rolling.when(rule.limit, &minted.state, now, missing),
            _ => self.window.end,
        }
    }
}

/// The most that a bucket has without an operator's help.
pub(crate) fn most_at_once(rule: &Budget) -> Amount {
    match &rule.window {
        Window::Rolling(rolling) => rolling.burst,
        Window::Fixed(_) | Window::Lifetime => rule.limit,
    }
}
