//! Operators' entries: credits to buckets, corrections to rows. They stand beside what was booked; nothing is edited.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry::{Occupied, Vacant};

use super::command::{Adjustment, BucketAdjustment};
use super::index::Sought;
use super::limits::{MOST_ADJUSTED, MOST_ADJUSTMENTS, MOST_BUCKETS, MOST_NAME_BYTES, MOST_REASON_BYTES};
use super::outcome::{Nudge, Outcome, Rejected};
use super::rows::RowKey;
use super::{Booked, Ledger};
use crate::key::MOST_KEY_BYTES;
use crate::time::Timestamp;
use crate::unit::MOST_AMOUNT;

impl Ledger {
    /// Books an entry, whole or not at all. An id that was booked already changes nothing.
    pub(super) fn adjust(&mut self, entry: &Adjustment, nudges: &mut Vec<Nudge>) -> Outcome {
        if self.adjustments.iter().any(|booked| booked.entry.id == entry.id) {
            return Outcome::Done;
        }
        if let Err(rejected) = self.check_entry(entry) {
            return Outcome::Rejected(rejected);
        }
        for change in &entry.buckets {
            // Checked above: the bucket is there, or can be opened.
            let Ok(slot) = self.adjusted_bucket(change) else { continue };
            self.owe(slot, 0);
            self.buckets[slot].adjusted += change.amount;
            if change.amount < 0
                && let Some(held) = self.budgets.get_mut(&change.bucket.budget)
            {
                held.lowered = true;
            }
            self.limit_changed(slot, nudges);
        }
        for (key, change) in &entry.rows {
            self.rows.change(key, change);
        }
        self.adjustments.push_back(Booked { at: self.now, entry: entry.clone() });
        while self.adjustments.len() > MOST_ADJUSTMENTS {
            self.adjustments.pop_front();
        }
        Outcome::Done
    }

    fn check_entry(&self, entry: &Adjustment) -> Result<(), Rejected> {
        for (field, text, most) in [
            ("id", &entry.id, MOST_NAME_BYTES),
            ("by", &entry.by, MOST_NAME_BYTES),
            ("reason", &entry.reason, MOST_REASON_BYTES),
        ] {
            if text.is_empty() || text.len() > most {
                return Err(Rejected::invalid(field, format!("1 to {most} bytes")));
            }
        }
        let changes = entry.buckets.len() + entry.rows.len();
        if changes == 0 || changes > MOST_ADJUSTED {
            return Err(Rejected::invalid("buckets", format!("1 to {MOST_ADJUSTED} changes, rows included")));
        }
        let too_long = |(key, _): &&(RowKey, _)| {
            [&key.consumer, &key.model, &key.backend].iter().any(|name| name.len() > MOST_KEY_BYTES)
        };
        if entry.rows.iter().any(|row| too_long(&row)) {
            return Err(Rejected::invalid("rows", format!("names of at most {MOST_KEY_BYTES} bytes")));
        }
        self.check_buckets(&entry.buckets)
    }

    fn check_buckets(&self, changes: &[BucketAdjustment]) -> Result<(), Rejected> {
        let mut sums: BTreeMap<_, i128> = BTreeMap::new();
        let mut room = MOST_BUCKETS.saturating_sub(self.buckets.len());
        for change in changes {
            let (start, adjusted) = self.check_bucket(change)?;
            let sum = match sums.entry((&change.bucket, start)) {
                Vacant(first) => {
                    if adjusted.is_none() {
                        room = room.checked_sub(1).ok_or_else(|| Rejected::full("buckets", MOST_BUCKETS))?;
                    }
                    first.insert(i128::from(adjusted.unwrap_or(0)))
                }
                Occupied(again) => again.into_mut(),
            };
            *sum += i128::from(change.amount);
            if sum.unsigned_abs() > u128::from(MOST_AMOUNT) {
                return Err(Rejected::invalid("buckets.amount", format!("at most {MOST_AMOUNT} in all")));
            }
        }
        Ok(())
    }

    /// The start of its window, and what was adjusted so far; none where the bucket is to be opened.
    fn check_bucket(&self, change: &BucketAdjustment) -> Result<(Timestamp, Option<i64>), Rejected> {
        let budget = change.bucket.budget;
        if change.bucket.key.0.len() > MOST_KEY_BYTES {
            return Err(Rejected::invalid("buckets.bucket.key", format!("at most {MOST_KEY_BYTES} bytes")));
        }
        let current = self.current_window(&change.bucket)?.start;
        let start = change.window.unwrap_or(current);
        let sought = Sought { budget, key: &change.bucket.key, start };
        match self.index.find(sought, &self.buckets) {
            Some(slot) => Ok((start, Some(self.buckets[slot].adjusted))),
            None if start == current => Ok((start, None)),
            None => Err(Rejected::invalid("buckets.window", "the current window's start, or an open one's")),
        }
    }

    fn adjusted_bucket(&mut self, change: &BucketAdjustment) -> Result<u32, Rejected> {
        let current = self.current_window(&change.bucket)?.start;
        let start = change.window.unwrap_or(current);
        let sought = Sought { budget: change.bucket.budget, key: &change.bucket.key, start };
        match self.index.find(sought, &self.buckets) {
            Some(slot) => Ok(slot),
            None => self.current_bucket(&change.bucket),
        }
    }
}
