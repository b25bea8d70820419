//! What a purse has lent in each window. A bounded budget's allowance is there once a window, in however many cells that
//! window is spent: a purse goes back to one that it had left when cluster time turns out to stand still.

use crate::time::{Span, Timestamp};
use crate::unit::Amount;

/// What cells that are not the current one any more have lent, by window. Two or three at most.
#[derive(Debug, Default)]
pub(super) struct Lent {
    windows: Vec<(Span, Amount)>,
}

impl Lent {
    /// A cell that belonged to `window` lends no more than it did.
    pub(super) fn add(&mut self, window: Span, amount: Amount) {
        if amount == 0 {
            return;
        }
        match self.windows.iter_mut().find(|(known, _)| *known == window) {
            Some((_, lent)) => *lent = lent.saturating_add(amount),
            None => self.windows.push((window, amount)),
        }
    }

    /// Lent in `window`; without one, in any that a lease could still be of.
    pub(super) fn within(&self, window: Option<Span>) -> Amount {
        let counts = |known: Span| window.is_none_or(|window| window == known);
        self.windows.iter().filter(|(known, _)| counts(*known)).map(|(_, lent)| *lent).max().unwrap_or(0)
    }

    /// Cluster time has come to `at`: no new lease is of a window that ended before. One that is `current` is still lent in.
    pub(super) fn forget_before(&mut self, at: Timestamp, current: Option<Span>) {
        self.windows.retain(|(window, _)| at < window.end || Some(*window) == current);
    }

    /// Whether there is nothing to remember.
    pub(super) fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }
}
