//! What is really spent and held of each bucket, noted outside of wallets and ledger.

use std::collections::BTreeMap;

use super::figures::Left;

/// One bucket.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pot {
    limit: u64,
    spent: u64,
    held: u64,
    left: Left,
}

/// How a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Others hold what is left, or nobody knew in time.
    ForNow,
    /// Nothing comes before the window ends.
    Final,
}

impl Pot {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Neither spent nor held.
    pub(super) const fn free(&self) -> u64 {
        self.limit - self.spent - self.held
    }

    pub(super) const fn limit(&self) -> u64 {
        self.limit
    }

    pub(super) fn hold(&mut self, amount: u64) {
        self.held += amount;
        assert!(self.spent + self.held <= self.limit, "a strict budget is never overspent");
    }

    pub(super) const fn settle(&mut self, held: u64, actual: u64) {
        self.held -= held;
        self.spent += actual;
    }

    pub(super) fn refuse(&mut self, need: u64, refusal: Refusal) {
        let left = if self.free() < need { 0 } else { self.share(self.free()) };
        self.left.at_first_refusal.get_or_insert(left);
        if refusal == Refusal::Final {
            self.left.at_first_final_refusal.get_or_insert(left);
        }
        self.left.wrongly_refused += u64::from(self.free() >= need);
    }

    /// Whether anything was refused for want of it.
    pub(super) const fn was_refused(&self) -> bool {
        self.left.at_first_refusal.is_some()
    }

    /// To be asked when nothing is held any more.
    pub(super) fn left(&self) -> Left {
        Left { in_the_end: self.share(self.free()), ..self.left }
    }

    const fn share(&self, amount: u64) -> u64 {
        amount * 1_000_000 / self.limit
    }
}

/// Which bucket: a window's number, and whose; None is the organisation's.
pub(super) type PotName = (u64, Option<u32>);

/// All buckets that were ever taken from.
pub(super) type Pots = BTreeMap<PotName, Pot>;
