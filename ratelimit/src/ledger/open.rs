//! Buckets and leases come and go: opened by the first who asks, ended as their holders let go, closed into their budget's
//! history.

use super::bucket::{Bucket, most_at_once};
use super::command::SessionId;
use super::index::Sought;
use super::lease::{Lease, NONE};
use super::limits::{MOST_BUCKETS, MOST_CLOSED_WINDOWS, MOST_LEASES};
use super::outcome::Rejected;
use super::{Closed, Entry, Ledger};
use crate::budget::BucketName;
use crate::fault::{self, Fault};
use crate::key::MOST_KEY_BYTES;
use crate::time::{Span, Timestamp};
use crate::unit::Amount;

/// The next window's leases can be had in this last part of a window.
const PREFETCH_PART: u64 = 10;

impl Ledger {
    /// The bucket of that name in the current window.
    pub(super) fn current_bucket(&mut self, name: &BucketName) -> Result<u32, Rejected> {
        let window = self.current_window(name)?;
        self.bucket_in(name, window)
    }

    /// The bucket that is charged with what is told but once, so that it does not wait at its holder for a window: where a
    /// calendar has run out, the one that will be the next window's, of which nothing can be had before.
    pub(super) fn bucket_to_charge(&mut self, name: &BucketName) -> Result<u32, Rejected> {
        let window = match self.current_window(name) {
            Err(Rejected::NoWindow) => self.budgets[&name.budget].budget.window.span_to_pay(self.now),
            known => Some(known?),
        };
        self.bucket_in(name, window.ok_or(Rejected::NoWindow)?)
    }

    /// Its calendar may say by now when a bucket's window ends.
    pub(super) fn find_end(&mut self, slot: u32) {
        let bucket = &self.buckets[slot];
        let Some(entry) = self.budgets.get(&bucket.budget) else { return };
        if let Some(window) = entry.budget.window.span_at(bucket.window.start)
            && bucket.window.end == Timestamp::NEVER
        {
            self.buckets[slot].window = window;
            self.look_again(slot, window.end);
        }
    }

    /// The bucket of that name in the window after the current one, shortly before it begins.
    pub(super) fn next_bucket(&mut self, name: &BucketName) -> Result<u32, Rejected> {
        let current = self.current_window(name)?;
        let length = current.end.since(current.start);
        let next = self.budgets[&name.budget].budget.window.span_after(current).ok_or(Rejected::NoWindow)?;
        if current.end.since(self.now) > length / PREFETCH_PART {
            return Err(Rejected::NoWindow);
        }
        self.bucket_in(name, next)
    }

    pub(super) fn current_window(&self, name: &BucketName) -> Result<Span, Rejected> {
        let entry = self.budgets.get(&name.budget).filter(|entry| !entry.deleted);
        let entry = entry.ok_or(Rejected::UnknownBudget)?;
        let late = if fault::planted(Fault::WindowOffByOne) { 50 } else { 0 };
        let at = Timestamp(self.now.0.saturating_sub(late));
        entry.budget.window.span_at(at).ok_or(Rejected::NoWindow)
    }

    fn bucket_in(&mut self, name: &BucketName, window: Span) -> Result<u32, Rejected> {
        let sought = Sought { budget: name.budget, key: &name.key, start: window.start };
        if let Some(slot) = self.index.find(sought, &self.buckets) {
            return Ok(slot);
        }
        if name.key.0.len() > MOST_KEY_BYTES {
            return Err(Rejected::invalid("key", format!("at most {MOST_KEY_BYTES} bytes")));
        }
        if self.buckets.len() >= MOST_BUCKETS {
            return Err(Rejected::full("buckets", MOST_BUCKETS));
        }
        self.open_bucket(name, window).ok_or_else(|| Rejected::full("buckets", MOST_BUCKETS))
    }

    /// None where there is no such budget, or all numbers are taken.
    pub(super) fn open_bucket(&mut self, name: &BucketName, window: Span) -> Option<u32> {
        let entry = self.budgets.get_mut(&name.budget)?;
        let bucket = Bucket::new(name.budget, &entry.budget, name.key.clone(), window, self.now);
        let slot = self.buckets.insert(bucket)?;
        entry.open_buckets += 1;
        self.index.insert(slot, &self.buckets);
        self.look_again(slot, window.end);
        Some(slot)
    }

    /// Looks at a bucket when `at` has come.
    pub(super) fn look_again(&mut self, slot: u32, at: Timestamp) {
        self.forget_due(slot);
        self.buckets[slot].due = at;
        if at < Timestamp::NEVER {
            self.due.entry(at).or_default().insert(slot);
        }
    }

    /// A bucket stands in the list at most once, and as it says itself: the list is made anew from what they say.
    fn forget_due(&mut self, slot: u32) {
        let at = std::mem::replace(&mut self.buckets[slot].due, Timestamp::NEVER);
        if let Some(slots) = self.due.get_mut(&at) {
            slots.remove(&slot);
            if slots.is_empty() {
                self.due.remove(&at);
            }
        }
    }

    /// A lease of a bucket. Always a new one: a session that asks by the bucket's name has no lease that it goes on with, though
    /// requests may still settle into one that it has laid down.
    pub(super) fn lease_in(&mut self, bucket: u32, session: SessionId) -> Result<u32, Rejected> {
        let held = &self.buckets[bucket];
        let lease = Lease::new(bucket, session, held.first_lease);
        let slot = self.leases.insert(lease).ok_or_else(|| Rejected::full("leases", MOST_LEASES))?;
        let held = &mut self.buckets[bucket];
        held.first_lease = slot;
        held.leases += 1;
        self.held.entry(session).or_default().insert(slot);
        Ok(slot)
    }

    /// Ends a lease in good order: what is left of it goes back.
    pub(super) fn end_lease(&mut self, slot: u32) {
        let left = self.leases[slot].outstanding();
        self.give_back(slot, left);
        self.unlink(slot);
    }

    /// Ends a lease whose holder will never say what it spent: it counts as spent in full.
    pub(super) fn forfeit(&mut self, slot: u32) {
        let lease = &self.leases[slot];
        let (bucket, left) = (lease.bucket, lease.outstanding());
        self.mint(bucket);
        if fault::planted(Fault::ForfeitFreed) {
            self.give_back(slot, left);
        } else if left > 0 {
            self.spend(slot, left);
            *self.forfeited.entry(bucket).or_default() += left;
        }
        self.unlink(slot);
    }

    fn unlink(&mut self, slot: u32) {
        let Some(lease) = self.leases.remove(slot) else { return };
        if let Some(held) = self.held.get_mut(&lease.session) {
            held.remove(&slot);
        }
        let bucket = &mut self.buckets[lease.bucket];
        bucket.leases -= 1;
        bucket.denied -= u32::from(lease.denied_need > 0);
        if bucket.first_lease == slot {
            bucket.first_lease = lease.next;
        } else {
            let mut at = bucket.first_lease;
            while let Some(other) = self.leases.get_mut(at) {
                if other.next == slot {
                    other.next = lease.next;
                    break;
                }
                at = other.next;
            }
        }
        self.close_if_over(lease.bucket);
    }

    /// Closes a bucket that nobody holds a part of and whose time is over, or that is like one that was never opened; has
    /// another look later at one that will be.
    pub(super) fn close_if_over(&mut self, slot: u32) {
        let now = self.now;
        let Some(bucket) = self.buckets.get_mut(slot).filter(|bucket| bucket.first_lease == NONE) else {
            return;
        };
        let Some(entry) = self.budgets.get(&bucket.budget) else { return };
        let is_untouched = bucket.spent == 0 && bucket.adjusted == 0;
        if entry.deleted || bucket.window.end <= now || is_untouched {
            if !self.waits_to_be_paid(slot) {
                self.close(slot);
            }
            return;
        }
        if bucket.minted.is_none() {
            return;
        }
        // A rolling bucket that is full again is like one that was never opened.
        bucket.mint(&entry.budget, now);
        let missing = i128::from(most_at_once(&entry.budget)) - bucket.free(&entry.budget);
        match Amount::try_from(missing) {
            Ok(0) => self.close(slot),
            Ok(missing) => {
                let full_at = bucket.when(&entry.budget, now, missing);
                self.look_again(slot, full_at);
            }
            Err(_) => {} // An operator's credit is left: a new bucket would not have it.
        }
    }

    fn close(&mut self, slot: u32) {
        let debt = self.debt(slot);
        self.forget_due(slot);
        self.index.remove(slot, &self.buckets);
        self.overruns.remove(&slot);
        let Some(bucket) = self.buckets.remove(slot) else { return };
        let forfeited = self.forfeited.remove(&slot).unwrap_or_default();
        let Some(entry) = self.budgets.get_mut(&bucket.budget) else { return };
        entry.open_buckets -= 1;
        if bucket.spent == 0 && bucket.adjusted == 0 {
            return; // Nothing ever happened in it.
        }
        entry.remember(&Closed {
            window: bucket.window,
            buckets: 1,
            spent: bucket.spent,
            forfeited,
            adjusted: bucket.adjusted,
        });
        if debt > 0 {
            self.carry(&BucketName { budget: bucket.budget, key: bucket.key }, debt);
        }
    }
}

impl Entry {
    /// Adds a closed bucket to its window's sum; the oldest windows fold into one.
    fn remember(&mut self, one: &Closed) {
        match self.closed.get_mut(&one.window.start) {
            Some(sum) => sum.add(one),
            None => {
                self.closed.insert(one.window.start, *one);
            }
        }
        while self.closed.len() > MOST_CLOSED_WINDOWS {
            let Some((_, oldest)) = self.closed.pop_first() else { return };
            self.earlier.add(&oldest);
        }
    }
}

impl Closed {
    pub(super) const NOTHING: Self = Self {
        window: Span { start: Timestamp(0), end: Timestamp(0) },
        buckets: 0,
        spent: 0,
        forfeited: 0,
        adjusted: 0,
    };

    fn add(&mut self, other: &Self) {
        if self.buckets == 0 {
            self.window = other.window;
        }
        self.window.start = self.window.start.min(other.window.start);
        self.window.end = self.window.end.max(other.window.end);
        self.buckets += other.buckets;
        self.spent = self.spent.saturating_add(other.spent);
        self.forfeited = self.forfeited.saturating_add(other.forfeited);
        self.adjusted = self.adjusted.saturating_add(other.adjusted);
    }
}
