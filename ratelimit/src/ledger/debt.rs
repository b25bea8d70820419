//! What was spent beyond leases. As far as a bucket can pay for it, it is spent like anything else; what it can't pay for is
//! a debt, which the next window pays. A debt is never forgiven, and nobody is fined for what was allowed when it was spent:
//! neither a limit that is lowered later makes one, nor what a shadow budget counted.

use super::Ledger;
use super::index::Sought;
use crate::budget::{BucketName, Enforcement};
use crate::fault::{self, Fault};
use crate::unit::{Amount, MOST_AMOUNT};

impl Ledger {
    /// Spent without having been leased: it is booked all the same, if need be as a debt.
    /// What no bucket can count is as much as it can: a provider's absurd figure does not keep the rest from being told.
    pub(super) fn overrun(&mut self, slot: u32, amount: Amount) {
        if fault::planted(Fault::OverrunForgotten) {
            return;
        }
        let lease = &mut self.leases[slot];
        let place = lease.bucket;
        let amount = amount.min(MOST_AMOUNT.saturating_sub(self.buckets[place].spent));
        lease.overrun += amount;
        let Some(entry) = self.budgets.get_mut(&self.buckets[place].budget) else { return };
        entry.overran = true;
        let is_counted_only = entry.budget.enforcement == Enforcement::Shadow;
        self.owe(place, if is_counted_only { 0 } else { amount });
        self.buckets[place].spent += amount;
    }

    /// Overrun that the bucket can pay for is no debt any more.
    pub(super) fn cover(&mut self, slot: u32) {
        let lease = &self.leases[slot];
        let open = lease.overrun - lease.covered;
        if open == 0 {
            return;
        }
        let bucket = &self.buckets[lease.bucket];
        let Some(entry) = self.budgets.get(&bucket.budget) else { return };
        let lacking = (-bucket.free(&entry.budget)).max(0);
        let still_open = Amount::try_from(lacking).unwrap_or(open).min(open);
        self.leases[slot].covered += open - still_open;
    }

    /// What a bucket owes. No more than it lacks: what it could pay for is paid.
    pub(super) fn debt(&self, slot: u32) -> Amount {
        let Some(owed) = self.overruns.get(&slot) else { return 0 };
        let bucket = &self.buckets[slot];
        let Some(entry) = self.budgets.get(&bucket.budget) else { return 0 };
        if entry.deleted || bucket.minted.is_some() {
            return 0; // A rolling bucket pays by itself, and is not closed before.
        }
        Amount::try_from(-bucket.free(&entry.budget)).map_or(0, |lacking| lacking.min(*owed))
    }

    /// The bucket owes so much more. To be said, if only of nothing, before anything else than a grant makes less of what is
    /// free: what the bucket could pay for until now does not become a debt by it.
    pub(super) fn owe(&mut self, slot: u32, more: Amount) {
        let owed = self.debt(slot).saturating_add(more);
        if owed > 0 {
            self.overruns.insert(slot, owed);
        } else {
            self.overruns.remove(&slot);
        }
    }

    /// Whether a bucket that is over has to wait, since there is no window that could pay what it owes: its calendar has run
    /// out, and may be extended.
    pub(super) fn waits_to_be_paid(&self, slot: u32) -> bool {
        let bucket = &self.buckets[slot];
        let budget = self.budgets.get(&bucket.budget);
        self.debt(slot) > 0 && budget.is_some_and(|entry| entry.budget.window.span_at(self.now).is_none())
    }

    /// A debt is paid by the window that is open when the one that made it is closed. What that can't pay either goes on to
    /// the next one.
    pub(super) fn carry(&mut self, name: &BucketName, debt: Amount) {
        let Ok(window) = self.current_window(name) else { return };
        let sought = Sought { budget: name.budget, key: &name.key, start: window.start };
        let open = self.index.find(sought, &self.buckets);
        // However many are open: one was just closed.
        let Some(slot) = open.or_else(|| self.open_bucket(name, window)) else { return };
        self.owe(slot, debt);
        let most = i64::try_from(MOST_AMOUNT).expect("it is 2^61");
        let bucket = &mut self.buckets[slot];
        let debt = i64::try_from(debt).unwrap_or(most);
        bucket.adjusted = bucket.adjusted.saturating_sub(debt).max(-most);
    }
}
