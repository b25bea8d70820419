//! The part of the wallet that talks to the ledger. One owner, one batch in flight; no request with a lease comes here.

mod age;
mod entry;
mod hear;
mod lent;
mod say;
mod wait;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::outlet::Outlet;
use super::purse::{Purse, Terms};
use super::{Full, MOST_PURSES, Settings};
use crate::budget::BucketName;
use crate::ledger::command::{LeaseId, SessionId};
use crate::ledger::rows::{Row, RowKey};
use crate::time::NodeTime;
use entry::Entry;
use say::Flight;
use wait::Waiter;
pub use wait::{Asked, Ticket, Woken};

/// How many purses are looked at for one to drop whenever one is added to a wallet that fills up.
const SWEEP: usize = 64;
/// Before the first answer a round trip is taken to last this long.
const FIRST_ROUND_TRIP_MS: u64 = 50;

/// See the file's purpose.
#[derive(Debug)]
pub(super) struct Clerk {
    session: SessionId,
    settings: Settings,
    outlet: Arc<Outlet>,
    /// Places in `entries`, by name.
    names: BTreeMap<BucketName, u32>,
    entries: Vec<Option<Entry>>,
    unused: Vec<u32>,
    swept: usize,
    /// Purses that something waits for.
    urgent: VecDeque<u32>,
    /// Purses whose spending is told with the next report.
    reports: VecDeque<u32>,
    /// Whose idle leases the next report gives back.
    laid_down: BTreeSet<u32>,
    report_at: NodeTime,
    report_soon_at: NodeTime,
    heartbeat_at: NodeTime,
    /// Rows that the next report takes along.
    rows: BTreeMap<RowKey, Row>,
    sequence: u64,
    /// Batches that were begun, also those that had nothing to say.
    drafts: u64,
    flight: Option<Flight>,
    /// Leases that a change was told of since the batch in flight was made: at most one hint for each refusal.
    changed: BTreeSet<LeaseId>,
    most_items: usize,
    round_trip_ms: u64,
    is_lost: bool,
    waiters: BTreeMap<u64, Waiter>,
    deadlines: BTreeSet<(NodeTime, u64)>,
    next_ticket: u64,
    timers: BTreeSet<(NodeTime, u32)>,
    /// Places in `entries`, by lease.
    leases: BTreeMap<LeaseId, u32>,
    rejected: u64,
    unsure_rows: u64,
}

/// Figures for metrics and checkers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Buckets that are known.
    pub purses: usize,
    /// Leases, those among them that end.
    pub leases: usize,
    /// Free to be taken from all leases.
    pub avail: u64,
    /// Held of all leases.
    pub held: u64,
    /// Requests that wait.
    pub waiting: usize,
    /// A batch's way to the ledger and back, as an average.
    pub round_trip_ms: u64,
    /// Items that the ledger did not take, since the wallet began. More than a few are a fault of ours.
    pub rejected: u64,
    /// Rows that were left out because nobody knows whether a session that is gone had them.
    pub unsure_rows: u64,
}

impl Clerk {
    pub(super) fn new(session: SessionId, settings: Settings, outlet: Arc<Outlet>) -> Self {
        Self {
            session,
            settings,
            outlet,
            names: BTreeMap::new(),
            entries: Vec::new(),
            unused: Vec::new(),
            swept: 0,
            urgent: VecDeque::new(),
            reports: VecDeque::new(),
            laid_down: BTreeSet::new(),
            report_at: NodeTime(0),
            report_soon_at: NodeTime(0),
            heartbeat_at: NodeTime(0),
            rows: BTreeMap::new(),
            sequence: 0,
            drafts: 0,
            flight: None,
            changed: BTreeSet::new(),
            most_items: say::MOST_ITEMS,
            round_trip_ms: FIRST_ROUND_TRIP_MS,
            is_lost: false,
            waiters: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            next_ticket: 0,
            timers: BTreeSet::new(),
            leases: BTreeMap::new(),
            rejected: 0,
            unsure_rows: 0,
        }
    }

    /// The purse of that name, under these terms from now on.
    pub(super) fn purse(&mut self, name: &BucketName, terms: &Terms) -> Result<Arc<Purse>, Full> {
        if let Some(place) = self.names.get(name).copied() {
            let entry = self.entry(place).expect("names point at entries");
            if entry.purse.terms() != *terms {
                change_terms(entry, terms);
            }
            return Ok(Arc::clone(&entry.purse));
        }
        if self.names.len() >= MOST_PURSES / 2 {
            self.sweep();
        }
        if self.names.len() >= MOST_PURSES {
            return Err(Full { most: MOST_PURSES });
        }
        let place = self.unused.pop().unwrap_or_else(|| {
            self.entries.push(None);
            u32::try_from(self.entries.len() - 1).expect("a wallet has fewer purses than that")
        });
        let purse = Purse::new(name.clone(), terms.clone(), place, &self.outlet);
        self.names.insert(name.clone(), place);
        self.entries[place as usize] = Some(Entry::new(Arc::clone(&purse)));
        Ok(purse)
    }

    fn entry(&mut self, place: u32) -> Option<&mut Entry> {
        self.entries.get_mut(place as usize)?.as_mut()
    }

    /// Drops purses that nobody keeps and that have no lease, some at a time.
    pub(super) fn sweep(&mut self) {
        for _ in 0..SWEEP.min(self.entries.len()) {
            self.swept = (self.swept + 1) % self.entries.len();
            let Some(entry) = &self.entries[self.swept] else { continue };
            // What is on its way may be about it, and would come to whoever has its place then.
            let in_flight = self.flight.is_some() && entry.spoke_in == self.drafts;
            if entry.is_forgettable() && !in_flight && Arc::strong_count(&entry.purse) == 1 {
                let place = entry.purse.place;
                self.names.remove(entry.purse.name());
                self.set_timer(place, None);
                self.entries[place as usize] = None;
                self.unused.push(place);
            }
        }
    }

    fn set_timer(&mut self, place: u32, at: Option<NodeTime>) {
        let Some(entry) = self.entries.get_mut(place as usize).and_then(Option::as_mut) else { return };
        if entry.timer == at {
            return;
        }
        if let Some(before) = entry.timer {
            self.timers.remove(&(before, place));
        }
        entry.timer = at;
        if let Some(at) = at {
            self.timers.insert((at, place));
        }
    }

    /// Says what is due next for this purse.
    fn reschedule(&mut self, place: u32, now: NodeTime) {
        let round_trip_ms = self.round_trip_ms;
        if let Some(entry) = self.entry(place) {
            let at = entry.due_at(now, round_trip_ms);
            self.set_timer(place, at);
        }
    }

    fn make_urgent(&mut self, place: u32) {
        let Some(entry) = self.entries.get_mut(place as usize).and_then(Option::as_mut) else { return };
        if !entry.in_urgent {
            entry.in_urgent = true;
            self.urgent.push_back(place);
        }
        self.outlet.hurry();
    }

    fn report_later(&mut self, place: u32) {
        let Some(entry) = self.entries.get_mut(place as usize).and_then(Option::as_mut) else { return };
        if !entry.in_reports {
            entry.in_reports = true;
            self.reports.push_back(place);
        }
    }

    pub(super) fn stats(&self) -> Stats {
        let mut stats = Stats {
            purses: self.names.len(),
            waiting: self.waiters.len(),
            round_trip_ms: self.round_trip_ms,
            rejected: self.rejected,
            unsure_rows: self.unsure_rows,
            ..Stats::default()
        };
        for book in self.entries.iter().flatten().flat_map(|entry| &entry.books) {
            let parts = book.leased.cell.lease.parts();
            stats.leases += usize::from(book.id().is_some());
            stats.avail = stats.avail.saturating_add(parts.avail);
            stats.held = stats.held.saturating_add(parts.held().unwrap_or_default());
        }
        stats
    }
}

/// An allowance that grew is there at once; one that shrank is taken away as far as it is not in use.
fn change_terms(entry: &mut Entry, terms: &Terms) {
    entry.purse.set_terms(terms);
    entry.purse.forget_denials();
    entry.adjust_allowances();
}

#[cfg(test)]
impl Clerk {
    /// What is held of each lease. Panics where a lease's parts do not add up (I2).
    pub(super) fn held(&self) -> BTreeMap<LeaseId, crate::unit::Amount> {
        let books = self.entries.iter().flatten().flat_map(|entry| &entry.books);
        let held = |book: &entry::Book| book.leased.cell.lease.parts().held().expect("I2");
        books.filter_map(|book| Some((book.id()?, held(book)))).collect()
    }
}
