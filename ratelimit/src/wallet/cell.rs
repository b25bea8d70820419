//! One lease as its node spends it: a few atomics in a cache line of their own, no lock.
//!
//! ```text
//!   granted ─┬─ avail ──take──▶ held ──settle──▶ spent
//!            │    ▲──────────────┘ give back
//!            └─ withdrawn (deducted here before the ledger hears of it)
//! ```
//!
//! What is held is not stored. It is `granted - withdrawn - spent - avail`, so no two counters can disagree on it. `granted`
//! and `withdrawn` are written by one owner (the clerk); all else by any thread.

use super::sync::{AtomicBool, AtomicU64, Ordering};
use crate::fault::{self, Fault};
use crate::time::NodeTime;
use crate::unit::{Amount, MOST_AMOUNT};

/// One amount that can be taken from: a lease, or the allowance of a budget that need not wait for leases.
#[derive(Debug)]
pub struct Account {
    avail: AtomicU64,
    spent: AtomicU64,
    granted: AtomicU64,
    withdrawn: AtomicU64,
}

/// An account's parts at some moment. While other threads are at work they need not be of one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Granted in all.
    pub granted: Amount,
    /// Taken back out in all.
    pub withdrawn: Amount,
    /// Spent in all.
    pub spent: Amount,
    /// Free to be taken.
    pub avail: Amount,
}

impl Parts {
    /// Taken, and neither spent nor given back. None if more is accounted for than was granted.
    pub fn held(&self) -> Option<Amount> {
        self.granted.checked_sub(self.withdrawn)?.checked_sub(self.spent)?.checked_sub(self.avail)
    }
}

impl Account {
    /// An account with this much to take.
    pub fn new(granted: Amount) -> Self {
        Self {
            avail: AtomicU64::new(granted),
            spent: AtomicU64::new(0),
            granted: AtomicU64::new(granted),
            withdrawn: AtomicU64::new(0),
        }
    }

    /// Takes all of `amount` or nothing, and leaves `kept`. Says how much is left.
    fn take(&self, amount: Amount, kept: Amount) -> Option<Amount> {
        let mut avail = self.avail.load(Ordering::Acquire);
        loop {
            let left = avail.checked_sub(amount).filter(|left| *left >= kept)?;
            match self.avail.compare_exchange_weak(avail, left, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(left),
                Err(now) => avail = now,
            }
        }
    }

    /// Takes what there is of `amount` beyond `kept`.
    fn take_up_to(&self, amount: Amount, kept: Amount) -> Amount {
        let mut avail = self.avail.load(Ordering::Acquire);
        loop {
            let taken = avail.saturating_sub(kept).min(amount);
            if taken == 0 {
                return 0;
            }
            let left = avail - taken;
            match self.avail.compare_exchange_weak(avail, left, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return taken,
                Err(now) => avail = now,
            }
        }
    }

    fn give_back(&self, amount: Amount) {
        if amount > 0 {
            self.avail.fetch_add(amount, Ordering::AcqRel);
        }
    }

    fn pay(&self, amount: Amount) {
        if amount > 0 {
            self.spent.fetch_add(amount, Ordering::AcqRel);
        }
    }

    /// Free to be taken.
    pub fn avail(&self) -> Amount {
        self.avail.load(Ordering::Acquire)
    }

    /// Spent in all.
    pub fn spent(&self) -> Amount {
        self.spent.load(Ordering::Acquire)
    }

    /// Taken back out in all.
    pub fn withdrawn(&self) -> Amount {
        self.withdrawn.load(Ordering::Acquire)
    }

    /// All parts.
    pub fn parts(&self) -> Parts {
        Parts {
            granted: self.granted.load(Ordering::Acquire),
            withdrawn: self.withdrawn(),
            spent: self.spent(),
            avail: self.avail(),
        }
    }

    /// Owner only: raises what was granted in all to `total`. Says by how much; 0 for an answer that was seen before.
    pub fn grant(&self, total: Amount) -> Amount {
        let before = self.granted.load(Ordering::Acquire);
        let more = total.saturating_sub(before);
        if more > 0 {
            self.granted.store(total, Ordering::Release);
            self.avail.fetch_add(more, Ordering::AcqRel);
        }
        more
    }

    /// Owner only: takes up to `most` back out, for good. It can't be spent any more when this returns, so it may be
    /// reported as returned (I3). Says how much it was.
    pub fn withdraw(&self, most: Amount) -> Amount {
        let taken = self.take_up_to(most, 0);
        if taken > 0 {
            self.withdrawn.fetch_add(taken, Ordering::AcqRel);
        }
        if fault::planted(Fault::ReturnStillSpendable) {
            self.give_back(taken);
        }
        taken
    }

    /// Owner only, and only where nobody is told of withdrawals: puts back what was withdrawn, then adds what was not.
    pub(super) fn refill(&self, more: Amount) {
        let withdrawn = self.withdrawn();
        let back = withdrawn.min(more);
        self.withdrawn.store(withdrawn - back, Ordering::Release);
        self.give_back(back);
        self.grant(self.granted.load(Ordering::Acquire).saturating_add(more - back));
    }

    /// Owner only: whether all that was granted is spent or withdrawn. Then nothing is held, nothing can be taken, and none
    /// of that ever changes without a grant: `spent` only grows, and can't grow past the rest.
    pub fn is_exhausted(&self) -> bool {
        let total = self.granted.load(Ordering::Acquire) - self.withdrawn();
        self.spent() == total
    }
}

/// What a hold took from one cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// From the lease.
    pub leased: Amount,
    /// From the allowance.
    pub lent: Amount,
}

impl Taken {
    /// Both.
    pub const fn total(self) -> Amount {
        self.leased + self.lent
    }
}

/// What a settled hold did cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paid {
    /// Of the lease.
    pub leased: Amount,
    /// Beyond it: of the allowance, or as debt.
    pub overrun: Amount,
}

/// Whether the lease part of a cell may be taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usable {
    /// It may, but for what is kept for the first request that waits.
    Lease,
    /// All of it.
    KeptToo,
    /// Only the allowance: the lease's window is not the current one, or the node was cut off for too long.
    AllowanceOnly,
}

/// How soon the ledger hears of what is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// With the next report.
    Usual,
    /// Little is left of the bucket: its totals lag less.
    Soon,
}

/// A lease and what goes with it.
#[derive(Debug)]
#[repr(align(128))]
pub struct Cell {
    /// What the ledger granted.
    pub lease: Account,
    /// What may be spent beyond it: nothing for strict budgets, a stated amount for bounded ones, anything for shadows.
    pub allowance: Account,
    /// What answers cost beyond their holds when neither lease nor allowance had it. Recorded, never forgiven.
    debt: AtomicU64,
    from: AtomicU64,
    until: AtomicU64,
    /// Below this much the clerk should hear of it.
    low: AtomicU64,
    typical: AtomicU64,
    /// What new requests leave for the first one that waits.
    kept: AtomicU64,
    low_told: AtomicBool,
    is_scarce: AtomicBool,
    touched: AtomicBool,
}

impl Cell {
    /// A cell without a lease.
    pub fn new(allowance: Amount) -> Self {
        Self {
            lease: Account::new(0),
            allowance: Account::new(allowance),
            debt: AtomicU64::new(0),
            from: AtomicU64::new(u64::MAX),
            until: AtomicU64::new(0),
            low: AtomicU64::new(0),
            typical: AtomicU64::new(0),
            kept: AtomicU64::new(0),
            low_told: AtomicBool::new(false),
            is_scarce: AtomicBool::new(false),
            touched: AtomicBool::new(false),
        }
    }

    /// Takes all of `amount` or nothing: from the lease, and the rest from the allowance.
    pub fn take(&self, amount: Amount, usable: Usable) -> Option<Taken> {
        self.typical.store(amount, Ordering::Relaxed);
        let kept = match usable {
            Usable::Lease => self.kept.load(Ordering::Relaxed),
            Usable::KeptToo => 0,
            Usable::AllowanceOnly => Amount::MAX,
        };
        if usable != Usable::AllowanceOnly && self.lease.take(amount, kept).is_some() {
            return Some(Taken { leased: amount, lent: 0 });
        }
        if self.allowance.avail() == 0 {
            return None;
        }
        let leased = self.lease.take_up_to(amount, kept);
        let lent = amount - leased;
        if self.allowance.take(lent, 0).is_some() {
            return Some(Taken { leased, lent });
        }
        self.lease.give_back(leased);
        None
    }

    /// Ends a hold of `taken` that did cost `actual`. What it cost beyond the hold comes from the lease, then from the
    /// allowance, and what still lacks is debt.
    ///
    /// Says what was paid: from the lease, and beyond it.
    pub fn settle(&self, taken: Taken, actual: Amount) -> Paid {
        let actual = actual.min(MOST_AMOUNT);
        let beyond = actual.saturating_sub(taken.total());
        let mut paid = Taken { leased: actual.min(taken.leased), lent: 0 };
        paid.lent = (actual - paid.leased).min(taken.lent);
        let more = Taken { leased: self.lease.take_up_to(beyond, 0), lent: 0 };
        let more = Taken { lent: self.allowance.take_up_to(beyond - more.leased, 0), ..more };
        // Debt and allowance before the lease: who sees the lease spent to its end has seen all that goes with it.
        self.owe(beyond - more.total());
        self.allowance.pay(paid.lent + more.lent);
        self.lease.pay(paid.leased + more.leased);
        self.allowance.give_back(taken.lent - paid.lent);
        self.lease.give_back(taken.leased - paid.leased);
        let leased = paid.leased + more.leased;
        Paid { leased, overrun: actual - leased }
    }

    /// Ends a hold that did cost nothing.
    pub fn release(&self, taken: Taken) {
        self.allowance.give_back(taken.lent);
        self.lease.give_back(taken.leased);
    }

    fn owe(&self, amount: Amount) {
        if amount == 0 {
            return;
        }
        let mut debt = self.debt.load(Ordering::Acquire);
        loop {
            let more = debt.saturating_add(amount).min(MOST_AMOUNT);
            match self.debt.compare_exchange_weak(debt, more, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return,
                Err(now) => debt = now,
            }
        }
    }

    /// Spent beyond the lease.
    pub fn overrun(&self) -> Amount {
        self.allowance.spent().saturating_add(self.debt.load(Ordering::Acquire)).min(MOST_AMOUNT)
    }

    /// Owner only: takes all back out. Holds that are open still settle into it.
    pub fn empty(&self) {
        self.lease.withdraw(Amount::MAX);
        self.allowance.withdraw(Amount::MAX);
    }

    /// Owner only: whether nothing is held and nothing can be taken any more, for good.
    pub fn is_over(&self) -> bool {
        self.allowance.is_exhausted() && self.lease.is_exhausted()
    }

    /// Owner only: when the lease may be spent on this node's clock, from the first to without the last.
    pub(super) fn open_between(&self, from: NodeTime, until: NodeTime) {
        self.from.store(from.0, Ordering::Release);
        self.until.store(until.0, Ordering::Release);
    }

    /// Whether the lease's window is the current one, as far as this node knows.
    pub(super) fn is_open_at(&self, now: NodeTime) -> bool {
        self.from.load(Ordering::Acquire) <= now.0 && now.0 < self.until.load(Ordering::Acquire)
    }

    /// From when on the lease may be spent.
    pub(super) fn from(&self) -> NodeTime {
        NodeTime(self.from.load(Ordering::Acquire))
    }

    /// Until when.
    pub(super) fn until(&self) -> NodeTime {
        NodeTime(self.until.load(Ordering::Acquire))
    }

    /// What was last asked of it: how large a request is.
    pub(super) fn typical(&self) -> Amount {
        self.typical.load(Ordering::Relaxed)
    }

    /// Owner only: below how much the clerk wants to hear of it, once.
    pub(super) fn watch(&self, low: Amount) {
        self.low.store(low, Ordering::Relaxed);
        self.low_told.store(false, Ordering::Release);
    }

    /// Whether the clerk should hear that little is left, and has not.
    pub(super) fn notice_low(&self, taken: Taken) -> bool {
        let low = taken.lent > 0 || self.lease.avail() < self.low.load(Ordering::Relaxed);
        low && !self.low_told.load(Ordering::Relaxed) && !self.low_told.swap(true, Ordering::AcqRel)
    }

    /// Owner only: what new requests leave from now on.
    pub(super) fn keep(&self, amount: Amount) {
        self.kept.store(amount, Ordering::Relaxed);
    }

    /// What they leave.
    pub(super) fn kept(&self) -> Amount {
        self.kept.load(Ordering::Relaxed)
    }

    /// Owner only: whether little is left of the bucket.
    pub(super) fn set_scarce(&self, is_scarce: bool) {
        self.is_scarce.store(is_scarce, Ordering::Relaxed);
    }

    /// How soon the ledger should hear of what is spent.
    pub(super) fn pace(&self) -> Pace {
        if self.is_scarce.load(Ordering::Relaxed) { Pace::Soon } else { Pace::Usual }
    }

    /// Whether the clerk should hear that something was spent, and has not since it last looked. A swap rather than a load
    /// before it: of two swaps one comes first, so that either this one is noticed or the clerk has seen what was spent.
    pub fn notice_spent(&self) -> bool {
        !self.touched.swap(true, Ordering::AcqRel)
    }

    /// Owner only, before it looks: what is spent from here on is noticed again.
    pub fn look(&self) {
        self.touched.swap(false, Ordering::AcqRel);
    }
}
