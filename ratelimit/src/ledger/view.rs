//! What others may see of the ledger: lists of budgets, buckets and leases as they are now.

use super::bucket::Bucket;
use super::command::{LeaseId, NodeId, SessionId};
use super::index::Sought;
use super::outcome::LeaseRecord;
use super::rows::Rows;
use super::session::Standing;
use super::{Booked, Closed, Ledger};
use crate::budget::{BucketName, Budget, BudgetId};
use crate::time::{Span, Timestamp};
use crate::unit::Amount;

/// A bucket as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketView {
    /// Its name.
    pub name: BucketName,
    /// Its window.
    pub window: Span,
    /// The limit and what operators added: for rolling windows, what was made free so far.
    pub allowed: i128,
    /// Spent, forfeits included.
    pub spent: Amount,
    /// The part of it that sessions which were never heard of again may have spent.
    pub forfeited: Amount,
    /// Out on leases.
    pub outstanding: Amount,
    /// Left to be granted; below zero in debt.
    pub free: i128,
    /// What operators added or took, and debts of earlier windows.
    pub adjusted: i64,
    /// When it is whole again, if nothing more is spent: its window's end, or when a rolling one is full.
    pub whole: Timestamp,
}

/// A lease as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseView {
    /// Its holder.
    pub session: SessionId,
    /// Its amounts.
    pub record: LeaseRecord,
    /// Whether its holder has been silent for too long.
    pub fenced: bool,
}

impl Ledger {
    /// Cluster time as of the last command.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// All budgets in force.
    pub fn budgets(&self) -> impl Iterator<Item = (BudgetId, &Budget)> {
        self.budgets.iter().filter(|(_, entry)| !entry.deleted).map(|(id, entry)| (*id, &entry.budget))
    }

    /// The budget of that name.
    pub fn budget(&self, name: &str) -> Option<(BudgetId, &Budget)> {
        let id = *self.names.get(name)?;
        Some((id, &self.budgets.get(&id)?.budget))
    }

    /// Calendars whose known windows end before `by`: time to propose more boundaries.
    pub fn running_out(&self, by: Timestamp) -> impl Iterator<Item = &Budget> {
        self.budgets().map(|(_, budget)| budget).filter(move |budget| budget.window.runs_out_before(by))
    }

    /// The bucket of that name in the window that starts at `start`, while it is open.
    pub fn bucket(&self, name: &BucketName, start: Timestamp) -> Option<BucketView> {
        let sought = Sought { budget: name.budget, key: &name.key, start };
        self.index.find(sought, &self.buckets).map(|slot| self.view(slot))
    }

    /// All open buckets.
    pub fn buckets(&self) -> impl Iterator<Item = BucketView> {
        self.buckets.iter().map(|(slot, _)| self.view(slot))
    }

    /// The same as they are `at` a later moment, if nothing happens until then: rolling windows go on to fill.
    pub fn bucket_at(&self, name: &BucketName, start: Timestamp, at: Timestamp) -> Option<BucketView> {
        let sought = Sought { budget: name.budget, key: &name.key, start };
        let slot = self.index.find(sought, &self.buckets)?;
        Some(self.view_at(slot, at))
    }

    /// All open buckets as they are `at` a later moment.
    pub fn buckets_at(&self, at: Timestamp) -> impl Iterator<Item = BucketView> {
        self.buckets.iter().map(move |(slot, _)| self.view_at(slot, at))
    }

    fn view_at(&self, slot: u32, at: Timestamp) -> BucketView {
        let mut bucket = self.buckets[slot].clone();
        bucket.mint(&self.budgets[&bucket.budget].budget, at);
        self.seen(slot, &bucket, at)
    }

    fn view(&self, slot: u32) -> BucketView {
        self.seen(slot, &self.buckets[slot], self.now)
    }

    fn seen(&self, slot: u32, bucket: &Bucket, now: Timestamp) -> BucketView {
        let rule = &self.budgets[&bucket.budget].budget;
        BucketView {
            name: BucketName { budget: bucket.budget, key: bucket.key.clone() },
            window: bucket.window,
            allowed: bucket.allowed(rule),
            spent: bucket.spent,
            forfeited: self.forfeited.get(&slot).copied().unwrap_or_default(),
            outstanding: bucket.outstanding,
            free: bucket.free(rule),
            adjusted: bucket.adjusted,
            whole: bucket.whole(rule, now),
        }
    }

    /// The leases of a bucket.
    pub fn leases(&self, name: &BucketName, start: Timestamp) -> Vec<LeaseView> {
        let sought = Sought { budget: name.budget, key: &name.key, start };
        let Some(bucket) = self.index.find(sought, &self.buckets) else { return Vec::new() };
        self.chain(&self.buckets[bucket]).map(|(slot, _)| self.lease_view(slot)).collect()
    }

    fn lease_view(&self, slot: u32) -> LeaseView {
        let lease = &self.leases[slot];
        LeaseView {
            session: lease.session,
            record: LeaseRecord {
                lease: LeaseId { slot, generation: self.leases.generation(slot) },
                granted: lease.granted,
                settled: lease.settled,
                overrun: lease.overrun,
                returned: lease.returned,
            },
            fenced: !self.speaks(lease.session),
        }
    }

    /// The windows of a budget that are closed, the oldest as one sum.
    pub fn closed(&self, budget: BudgetId) -> (Closed, Vec<Closed>) {
        self.budgets.get(&budget).map_or((Closed::NOTHING, Vec::new()), |entry| {
            (entry.earlier, entry.closed.values().copied().collect())
        })
    }

    /// Who spent what.
    pub const fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Operators' entries, the oldest first.
    pub fn adjustments(&self) -> impl Iterator<Item = &Booked> {
        self.adjustments.iter()
    }

    /// Open sessions: which node, which run of it, the last batch, and whether nobody waits for it any more.
    pub fn sessions(&self) -> impl Iterator<Item = (SessionId, NodeId, u64, u64, bool)> {
        let open = self.sessions.iter().filter(|(_, one)| one.standing != Standing::Forgotten);
        open.map(|(id, one)| {
            (*id, one.node, one.incarnation, one.last_sequence, one.standing != Standing::Speaks)
        })
    }

    /// Sessions of nodes that were forgotten and did not come back: which node, which run of it, and the last batch. What
    /// their requests did cost and was not told yet is missing in the rows, while buckets count all that they held.
    pub fn forgotten(&self) -> impl Iterator<Item = (SessionId, NodeId, u64, u64)> {
        let forgotten = self.sessions.iter().filter(|(_, one)| one.standing == Standing::Forgotten);
        forgotten.map(|(id, one)| (*id, one.node, one.incarnation, one.last_sequence))
    }
}
