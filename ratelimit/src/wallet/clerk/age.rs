//! What time does to a wallet: deadlines pass, windows end, leases lie idle, and the node leaves.

use std::sync::Arc;

use super::Clerk;
use super::entry::NextLease;
use super::wait::Woken;
use crate::time::NodeTime;

impl Clerk {
    pub(in crate::wallet) fn tick(&mut self, now: NodeTime) -> Vec<Woken> {
        let mut woken = Vec::new();
        while let Some((at, place)) = self.timers.first().copied() {
            if at > now {
                break;
            }
            self.set_timer(place, None);
            self.age(place, now);
            self.serve(place, now, &mut woken);
        }
        self.expire(now, &mut woken);
        woken
    }

    fn age(&mut self, place: u32, now: NodeTime) {
        let (round_trip_ms, outlet) = (self.round_trip_ms, Arc::clone(&self.outlet));
        let Some(entry) = self.entry(place) else { return };
        let rolled = entry.roll(now);
        entry.look(now);
        let is_used = entry.is_used(now, round_trip_ms);
        let is_idle = entry.is_idle(now, round_trip_ms);
        let is_owed = entry.owes_without_lease() && entry.owed_at.is_some_and(|at| at <= now);
        let mut has_news = rolled || entry.has_scraps(now);
        let mut has_time = false;
        if is_owed {
            entry.owed_at = None; // Until it is told again.
            has_news = true;
        }
        if entry.prefetch_at().is_some_and(|at| at <= now) {
            // A lease that nobody uses now needs no successor.
            entry.next = if is_used { NextLease::Due } else { entry.next_later(now) };
            has_news |= is_used;
        }
        if is_idle && entry.may_lay_down() {
            entry.lay_down(&outlet);
            has_time = true; // Nobody waits for it: then it would have been recalled.
        }
        if has_news {
            self.make_urgent(place);
        } else if has_time {
            self.laid_down.insert(place);
        }
        self.reschedule(place, now);
    }

    /// No more holds, and everything back as they end.
    pub(in crate::wallet) fn drain(&mut self, now: NodeTime) -> Vec<Woken> {
        self.outlet.close();
        let woken = self.dismiss(now);
        let places: Vec<u32> = self.entries.iter().flatten().map(|entry| entry.purse.place).collect();
        for place in places {
            self.make_urgent(place);
        }
        woken
    }

    pub(in crate::wallet) fn drained(&self) -> bool {
        self.outlet.is_closed()
            && self.flight.is_none()
            && self.rows.is_empty()
            && !self.outlet.expects_rows()
            && self.entries.iter().flatten().all(super::entry::Entry::is_blank)
    }
}
