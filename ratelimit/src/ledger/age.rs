//! What time does: windows close, silent sessions are fenced, debts move on, old rows fold. Nothing here makes anything
//! free that somebody may have spent.

use super::Ledger;
use super::lease::NONE;
use super::limits::MOST_CLOSED_A_TICK;
use super::outcome::{Nudge, Outcome};
use super::rows::Retention;
use crate::time::{DAY_MS, Timestamp};

/// What a fenced session holds of a window that is over is forfeited after this long: its node may come back with the
/// truth, and a window's books should close some day.
const LATE_AFTER_MS: u64 = 7 * DAY_MS;

impl Ledger {
    pub(super) fn tick(&mut self, nudges: &mut Vec<Nudge>) -> Outcome {
        self.fence_silent();
        for slot in self.take_due() {
            self.close_or_wait(slot, nudges);
        }
        self.rows.fold(self.now.day(), Retention::default());
        Outcome::Done
    }

    /// Buckets to look at now. They are due no more: who looks at one says when to look again.
    fn take_due(&mut self) -> Vec<u32> {
        let mut due = Vec::new();
        while due.len() < MOST_CLOSED_A_TICK {
            let Some(mut first) = self.due.first_entry().filter(|first| *first.key() <= self.now) else {
                break;
            };
            match first.get_mut().pop_first() {
                Some(slot) => due.push(slot),
                None => drop(first.remove()),
            }
        }
        for slot in &due {
            self.buckets[*slot].due = Timestamp::NEVER;
        }
        for slot in &due {
            // Until somebody wants another look: a member that starts from a snapshot must not look where others do not.
            self.buckets[*slot].due = Timestamp::NEVER;
        }
        due
    }

    fn close_or_wait(&mut self, slot: u32, nudges: &mut Vec<Nudge>) {
        let now = self.now;
        let Some(bucket) = self.buckets.get(slot) else { return };
        if bucket.first_lease == NONE {
            self.close_if_over(slot);
            return;
        }
        if bucket.window.end > now {
            // A rolling bucket that somebody took a lease of since.
            self.tell_denied(slot, nudges);
            return;
        }
        // Its holders have still to settle. Those that are gone are not waited for beyond all patience.
        let late = now.since(bucket.window.end) >= LATE_AFTER_MS;
        if late {
            let gone: Vec<u32> = self
                .chain(bucket)
                .filter(|(_, lease)| !self.speaks(lease.session))
                .map(|(lease, _)| lease)
                .collect();
            for lease in gone {
                self.forfeit(lease);
            }
        }
        if self.buckets.get(slot).is_some_and(|bucket| bucket.window.end <= now) {
            let again =
                if late { now.plus(DAY_MS) } else { self.buckets[slot].window.end.plus(LATE_AFTER_MS) };
            self.look_again(slot, again);
        }
    }
}
