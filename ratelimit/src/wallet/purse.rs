//! One bucket's purse: the cell of its current lease, swapped when the window rolls over, and the last refusal. Whoever
//! serves a consumer keeps its purses, so that a request looks nothing up.

use std::sync::{Arc, Mutex, OnceLock, Weak};

use super::cell::{Cell, Paid, Taken, Usable};
use super::denial::{Denials, Denied, Sought};
use super::outlet::Outlet;
use super::refused::Why;
use super::sync::{AtomicBool, AtomicU64, Ordering, Swap, lock};
use crate::budget::{BucketName, Enforcement};
use crate::ledger::command::LeaseId;
use crate::time::NodeTime;
use crate::unit::{Amount, MOST_AMOUNT, Unit};

/// What a wallet must know of a budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What is counted.
    pub unit: Unit,
    /// How exactly it is kept.
    pub enforcement: Enforcement,
    /// How much there is in a window: a first lease is a share of it.
    pub limit: Amount,
}

impl Terms {
    /// What may be spent without a lease.
    pub(super) const fn allowance(&self) -> Amount {
        match self.enforcement {
            Enforcement::Strict => 0,
            Enforcement::Bounded { per_node } if per_node < MOST_AMOUNT => per_node,
            Enforcement::Bounded { .. } => MOST_AMOUNT - 1, // More is a shadow's alone.
            Enforcement::Shadow => MOST_AMOUNT,
        }
    }
}

/// What a request needs of one purse.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// The purse.
    pub purse: &'a Arc<Purse>,
    /// How much, in the unit of its budget. A hold is of at least 1: one of nothing could not keep its lease open.
    pub amount: Amount,
}

/// A lease in its purse. Holds keep it, also after the purse went on to another.
#[derive(Debug)]
pub(super) struct Leased {
    pub(super) cell: Cell,
    /// Known once the ledger has answered.
    pub(super) id: OnceLock<LeaseId>,
    /// Its purse's place in the clerk's list.
    pub(super) place: u32,
    pub(super) purse: Weak<Purse>,
    pub(super) outlet: Arc<Outlet>,
}

/// A refusal because others hold what is left is believed for this long: about a request's length.
pub(super) const HELD_MS: u64 = 250;

/// Who takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// A request that has not waited: it leaves what is kept for the first one that does.
    New,
    /// That first one, and requests that run and need more.
    First,
}

/// See the file's purpose.
#[derive(Debug)]
pub struct Purse {
    name: BucketName,
    pub(super) place: u32,
    pub(super) current: Swap<Leased>,
    terms: Mutex<Terms>,
    denials: Mutex<Denials>,
    is_denied: AtomicBool,
    /// Requests that found nothing to take since the wallet began.
    misses: AtomicU64,
}

impl Purse {
    pub(super) fn new(name: BucketName, terms: Terms, place: u32, outlet: &Arc<Outlet>) -> Arc<Self> {
        Arc::new_cyclic(|purse| {
            let cell = Cell::new(terms.allowance());
            let outlet = Arc::clone(outlet);
            let leased = Leased { cell, id: OnceLock::new(), place, purse: Weak::clone(purse), outlet };
            Self {
                name,
                place,
                current: Swap::new(Arc::new(leased)),
                terms: Mutex::new(terms),
                denials: Mutex::default(),
                is_denied: AtomicBool::new(false),
                misses: AtomicU64::new(0),
            }
        })
    }

    /// Which bucket it pays from.
    pub fn name(&self) -> &BucketName {
        &self.name
    }

    /// What is known of its budget.
    pub fn terms(&self) -> Terms {
        lock(&self.terms).clone()
    }

    /// What could be taken from it now without asking anybody.
    pub fn avail(&self, now: NodeTime) -> Amount {
        let current = self.current.load();
        let leased = if current.is_usable(now) { current.cell.lease.avail() } else { 0 };
        leased.saturating_add(current.cell.allowance.avail())
    }

    /// Requests that found nothing to take since the wallet began.
    pub fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }

    pub(super) fn set_terms(&self, terms: &Terms) {
        *lock(&self.terms) = terms.clone();
    }

    /// A cell without a lease, for this purse.
    pub(super) fn fresh(self: &Arc<Self>, allowance: Amount, outlet: &Arc<Outlet>) -> Arc<Leased> {
        Arc::new(Leased {
            cell: Cell::new(allowance),
            id: OnceLock::new(),
            place: self.place,
            purse: Arc::downgrade(self),
            outlet: Arc::clone(outlet),
        })
    }

    /// Takes all of `amount` or says why not.
    pub(super) fn take(
        &self,
        amount: Amount,
        claim: Claim,
        now: NodeTime,
    ) -> Result<(Arc<Leased>, Taken), Why> {
        let leased = self.current.load();
        match leased.take(amount, claim, now) {
            Some(taken) => Ok((leased, taken)),
            None => Err(self.refuse(&leased, amount, now)),
        }
    }

    fn refuse(&self, leased: &Leased, amount: Amount, now: NodeTime) -> Why {
        self.misses.fetch_add(1, Ordering::Relaxed);
        let budget = self.name.budget;
        let valid_until = leased.outlet.valid_until();
        if valid_until != NodeTime(0) && now >= valid_until {
            return Why::Unreachable;
        }
        let has = if leased.is_usable(now) { leased.cell.lease.avail() } else { 0 };
        match self.denied(Sought { amount, need: amount.saturating_sub(has) }, now) {
            None => Why::Dry,
            Some(Denied::Held) => Why::Held { budget },
            Some(Denied::Exhausted { until }) => Why::Exhausted { budget, until_ms: until.since(now) },
            Some(Denied::TooLarge { limit }) => Why::TooLarge { limit },
            Some(Denied::NotKept) => Why::NotKept { budget },
        }
    }

    /// Whether this is known not to be had.
    fn denied(&self, sought: Sought, now: NodeTime) -> Option<Denied> {
        if !self.is_denied.load(Ordering::Acquire) {
            return None;
        }
        let limit = lock(&self.terms).limit;
        lock(&self.denials).of(sought, limit, now)
    }

    /// Whether there is known to be less than was needed.
    pub(super) fn is_scant(&self, now: NodeTime) -> bool {
        self.is_denied.load(Ordering::Acquire) && lock(&self.denials).has_any(now)
    }

    pub(super) fn deny(&self, sought: Sought, what: Denied, forget_at: NodeTime, now: NodeTime) {
        lock(&self.denials).add(sought, what, forget_at, now);
        self.is_denied.store(true, Ordering::Release);
    }

    /// So much of a need was granted.
    pub(super) fn granted(&self, need: Amount, now: NodeTime) {
        let mut denials = lock(&self.denials);
        denials.granted(need, now);
        self.is_denied.store(!denials.is_empty(), Ordering::Release);
    }

    pub(super) fn forget_denials(&self) {
        self.is_denied.store(false, Ordering::Release);
        *lock(&self.denials) = Denials::default();
    }
}

impl Leased {
    fn is_usable(&self, now: NodeTime) -> bool {
        now < self.outlet.valid_until() && self.cell.is_open_at(now)
    }

    /// Takes all of `amount` or nothing.
    pub(super) fn take(&self, amount: Amount, claim: Claim, now: NodeTime) -> Option<Taken> {
        let usable = match claim {
            Claim::New | Claim::First if !self.is_usable(now) => Usable::AllowanceOnly,
            Claim::New => Usable::Lease,
            Claim::First => Usable::KeptToo,
        };
        let taken = self.cell.take(amount, usable)?;
        if self.cell.notice_low(taken) {
            self.outlet.note_low(self.place);
        }
        Some(taken)
    }

    pub(super) fn settle(&self, taken: Taken, actual: Amount) -> Paid {
        let paid = self.cell.settle(taken, actual);
        self.note_spent();
        paid
    }

    pub(super) fn release(&self, taken: Taken) {
        self.cell.release(taken);
        self.note_spent();
    }

    /// The clerk should look: something was spent, or a lease that ends has one hold less.
    fn note_spent(&self) {
        if self.cell.notice_spent() {
            self.outlet.note_spent(self.place, self.cell.pace());
        }
    }
}
