//! The ledger's promises to itself. Tests and the simulator check all of them after every command; debug builds check, after
//! each command, the ones that cost nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::Ledger;
use super::bucket::Bucket;
use super::index::Sought;
use crate::budget::Enforcement;
use crate::unit::Amount;

/// A promise that does not hold: our fault, never an operator's or a node's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation(pub String);

impl Ledger {
    /// Checks every bucket, lease and sum.
    pub fn check(&self) -> Result<(), Violation> {
        let mut open: BTreeMap<_, u32> = BTreeMap::new();
        let mut leases = 0;
        for (slot, bucket) in self.buckets.iter() {
            *open.entry(bucket.budget).or_default() += 1;
            leases += self.check_bucket_at(slot, bucket)?;
        }
        expect_equal("leases in buckets", leases, self.leases.len())?;
        self.check_held()?;
        for (id, entry) in &self.budgets {
            let counted = open.get(id).copied().unwrap_or_default();
            expect_equal("open buckets of a budget", counted as usize, entry.open_buckets as usize)?;
        }
        if let Some(slot) = self.overruns.keys().find(|slot| self.buckets.get(**slot).is_none()) {
            return Err(Violation(format!("a debt of bucket {slot}, which is not there")));
        }
        for (slot, forfeited) in &self.forfeited {
            let spent = self.buckets.get(*slot).map_or(0, |bucket| bucket.spent);
            if *forfeited > spent {
                return Err(Violation(format!("bucket {slot}: {forfeited} forfeited of {spent} spent")));
            }
        }
        Ok(())
    }

    /// Each lease is among its session's, and that is open.
    fn check_held(&self) -> Result<(), Violation> {
        for (slot, lease) in self.leases.iter() {
            let held = self.held.get(&lease.session);
            if !self.sessions.contains_key(&lease.session) || held.is_none_or(|held| !held.contains(&slot)) {
                return Err(Violation(format!("lease {slot} is in no list of its session: {lease:?}")));
            }
        }
        expect_equal("leases of sessions", self.held.values().map(BTreeSet::len).sum(), self.leases.len())
    }

    /// How many leases it has.
    fn check_bucket_at(&self, slot: u32, bucket: &Bucket) -> Result<usize, Violation> {
        let sought = Sought { budget: bucket.budget, key: &bucket.key, start: bucket.window.start };
        if self.index.find(sought, &self.buckets) != Some(slot) {
            return Err(Violation(format!("bucket {slot} is not found by its name")));
        }
        let (mut outstanding, mut count, mut denied) = (0, 0_usize, 0);
        for (place, lease) in self.chain(bucket) {
            let ended = lease.settled.checked_add(lease.returned);
            if ended.is_none_or(|ended| ended > lease.granted) || lease.covered > lease.overrun {
                return Err(Violation(format!("lease {place} ended more than it was granted: {lease:?}")));
            }
            if lease.bucket != slot {
                return Err(Violation(format!("lease {place} is in the list of bucket {slot}: {lease:?}")));
            }
            outstanding = lease.outstanding().saturating_add(outstanding);
            denied += usize::from(lease.denied_need > 0);
            count += 1;
            if count > self.leases.len() {
                return Err(Violation(format!("the leases of bucket {slot} go round in a circle")));
            }
        }
        expect_equal("leases of a bucket", count, bucket.leases as usize)?;
        expect_equal("refused leases of a bucket", denied, bucket.denied as usize)?;
        if outstanding != bucket.outstanding {
            let told = bucket.outstanding;
            return Err(Violation(format!(
                "bucket {slot}: {told} outstanding, its leases have {outstanding}"
            )));
        }
        self.check_debt(slot, bucket)?;
        Ok(count)
    }

    /// Free is below zero only for a reason that is known.
    fn check_debt(&self, slot: u32, bucket: &Bucket) -> Result<(), Violation> {
        let Some(entry) = self.budgets.get(&bucket.budget) else {
            return Err(Violation(format!("bucket {slot} has no budget")));
        };
        let excused = entry.lowered || entry.overran || entry.budget.enforcement == Enforcement::Shadow;
        let free = bucket.free(&entry.budget);
        if free < 0 && !excused {
            return Err(Violation(format!("bucket {slot} is {free} below its limit: {bucket:?}")));
        }
        Ok(())
    }

    /// What debug builds check after each command: all of it, while it is little.
    pub(super) fn check_if_small(&self) -> Result<(), Violation> {
        const FEW: usize = 64;
        if self.buckets.len().max(self.leases.len()) <= FEW { self.check() } else { Ok(()) }
    }

    /// Spent in all buckets and windows of a budget, forfeits included.
    pub fn spent_ever(&self, budget: crate::budget::BudgetId) -> Amount {
        let open = self.buckets.iter().filter(|(_, bucket)| bucket.budget == budget);
        let open = open.map(|(_, bucket)| bucket.spent);
        let entry = self.budgets.get(&budget);
        let closed = entry.into_iter().flat_map(|entry| entry.closed.values().chain([&entry.earlier]));
        open.chain(closed.map(|closed| closed.spent)).fold(0, Amount::saturating_add)
    }
}

fn expect_equal(what: &str, counted: usize, told: usize) -> Result<(), Violation> {
    if counted == told { Ok(()) } else { Err(Violation(format!("{what}: counted {counted}, told {told}"))) }
}
