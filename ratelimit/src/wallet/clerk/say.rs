//! What the ledger is told: only purses with something to say, one batch in flight, the same batch again while its answer is
//! missing.

use std::mem;

use super::Clerk;
use super::entry::{Book, Entry, NextLease, Question, Role};
use crate::ledger::command::{Batch, Item, Keep, LeaseId, Target};
use crate::ledger::limits;
use crate::time::NodeTime;
use crate::unit::Amount;

/// Items after which a batch is full; the last purse may add a few more. Half of what the ledger takes.
pub(super) const MOST_ITEMS: usize = limits::MOST_ITEMS / 2;
/// Rows of one batch.
const MOST_ROWS: usize = limits::MOST_BATCH_ROWS;
/// What was lent without a lease is told again after this long, if no lease came of it.
const OWED_AGAIN_MS: u64 = 1_000;
/// A heartbeat is sent so often in the time that leases are valid: two may get lost.
pub(super) const BEATS: u64 = 3;

/// A batch is sent again after so many usual round trips.
pub(super) const PATIENCE: u64 = 4;

/// A batch on its way.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) batch: Batch,
    pub(super) about: Vec<About>,
    /// When it was sent first. The ledger applied it after that, whichever copy it was.
    pub(super) sent_at: NodeTime,
    pub(super) again_at: NodeTime,
    pub(super) copies: u32,
}

/// What an item was about.
#[derive(Clone, Copy, Debug)]
pub(super) struct About {
    pub(super) place: u32,
    pub(super) target: Asked,
    pub(super) question: Option<Question>,
}

/// Which lease it named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Lease(LeaseId),
    Current,
    Next,
}

/// What a batch is made of.
#[derive(Default)]
struct Draft {
    items: Vec<Item>,
    about: Vec<About>,
}

impl Clerk {
    pub(in crate::wallet) fn poll(&mut self, now: NodeTime) -> Option<Batch> {
        if self.is_lost {
            return None;
        }
        if let Some(flight) = &mut self.flight {
            if now < flight.again_at {
                return None;
            }
            flight.again_at = now.plus(self.settings.resend_ms.max(PATIENCE * self.round_trip_ms));
            flight.copies = flight.copies.saturating_add(1);
            return Some(flight.batch.clone());
        }
        self.outlet.calm();
        self.notice(now);
        let draft = self.draft(now);
        let rows = self.take_rows();
        if draft.items.is_empty() && rows.is_empty() && now < self.heartbeat_at {
            return None;
        }
        self.sequence += 1;
        self.changed.clear();
        let batch = Batch { session: self.session, sequence: self.sequence, items: draft.items, rows };
        self.flight = Some(Flight {
            batch: batch.clone(),
            about: draft.about,
            sent_at: now,
            again_at: now.plus(self.settings.resend_ms.max(PATIENCE * self.round_trip_ms)),
            copies: 1,
        });
        Some(batch)
    }

    /// Takes what the hot path noted: who runs low now, and who spent something when a report is due.
    fn notice(&mut self, now: NodeTime) {
        for place in self.outlet.take_low() {
            self.make_urgent(place);
        }
        let closing = self.outlet.is_closed();
        if now >= self.report_soon_at || closing {
            self.report_soon_at = now.plus(self.settings.report_soon_ms);
            for place in self.outlet.take_spent_soon() {
                self.report_later(place);
            }
        }
        if now < self.report_at && !closing {
            return;
        }
        self.report_at = now.plus(self.settings.report_ms);
        for place in self.outlet.take_spent().into_iter().chain(mem::take(&mut self.laid_down)) {
            self.report_later(place);
        }
        self.outlet.collect(&mut self.rows);
    }

    fn take_rows(&mut self) -> Vec<(crate::ledger::rows::RowKey, crate::ledger::rows::Row)> {
        let mut rows = Vec::with_capacity(self.rows.len().min(MOST_ROWS));
        while rows.len() < MOST_ROWS {
            let Some(row) = self.rows.pop_first() else { break };
            rows.push(row);
        }
        rows
    }

    fn draft(&mut self, now: NodeTime) -> Draft {
        let mut draft = Draft::default();
        self.drafts += 1;
        while draft.items.len() < self.most_items {
            let next = self.urgent.pop_front();
            let Some(place) = next.or_else(|| self.reports.pop_front()) else { break };
            let (round_trip_ms, closing) = (self.round_trip_ms, self.outlet.is_closed());
            let drafts = self.drafts;
            let Some(entry) = self.entry(place) else { continue };
            if next.is_some() {
                entry.in_urgent = false;
            } else {
                entry.in_reports = false;
            }
            if entry.spoke_in == drafts {
                continue;
            }
            entry.spoke_in = drafts;
            if closing {
                entry.retire();
            }
            entry.speak(&mut draft, now, round_trip_ms);
            self.reschedule(place, now);
        }
        if !self.urgent.is_empty() {
            self.outlet.hurry();
        }
        draft
    }
}

impl Entry {
    /// All leases end: the node is leaving.
    fn retire(&mut self) {
        for book in &mut self.books {
            book.leased.cell.empty();
            if book.id().is_some() && book.role == Role::Next {
                book.role = Role::Ended;
            }
        }
    }

    fn speak(&mut self, draft: &mut Draft, now: NodeTime, round_trip_ms: u64) {
        let place = self.purse.place;
        self.look(now);
        self.give_back_recalled(now);
        let leaving = self.current().leased.outlet.is_closed();
        let question = if leaving { None } else { self.question(now, round_trip_ms) };
        let current_is_open = now < self.current().leased.cell.until();
        for book in &self.books {
            let asks = question.filter(|_| book.role == Role::Current && current_is_open);
            let closes = book.role == Role::Ended || leaving;
            if let Some(item) = tell(book, asks, closes) {
                let Target::Lease(id) = item.target else { continue };
                draft.push(item, About { place, target: Asked::Lease(id), question: asks });
            }
        }
        let unknown = self.current().id().is_none();
        if question.is_some() && (unknown || !current_is_open) || unknown && self.owes_without_lease() {
            let item = ask(Target::Current(self.purse.name().clone()), question);
            self.owed_at = Some(now.plus(OWED_AGAIN_MS));
            draft.push(item, About { place, target: Asked::Current, question });
        }
        if self.next == NextLease::Due && !leaving {
            self.next = NextLease::Settled;
            let want = self.want_next(round_trip_ms);
            let question = Question { want, need: 0, amount: 1 };
            let item = ask(Target::Next(self.purse.name().clone()), Some(question));
            draft.push(item, About { place, target: Asked::Next, question: Some(question) });
        }
        self.books.iter_mut().for_each(|book| book.recalled = false);
    }
}

/// What is new of a lease; None if the ledger knows all of it.
fn tell(book: &Book, asks: Option<Question>, closes: bool) -> Option<Item> {
    let id = book.id()?;
    if closes {
        book.leased.cell.empty();
    }
    // Before the totals are read: what is over does not change any more.
    let is_over = closes && book.leased.cell.is_over();
    let totals = book.totals();
    if totals == book.told && asks.is_none() && !is_over && !book.recalled {
        return None;
    }
    let (want, need) = asks.map_or((0, 0), |question| (question.want, question.need));
    Some(Item {
        target: Target::Lease(id),
        want,
        need,
        settled: totals.settled,
        overrun: totals.overrun,
        returned: totals.returned,
        idle: book.leased.cell.lease.avail(),
        keep: if is_over { Keep::Close } else { Keep::Open },
    })
}

/// Asks by name, where no lease is known: nothing can have been spent of it.
fn ask(target: Target, question: Option<Question>) -> Item {
    let none: Amount = 0;
    let (want, need) = question.map_or((none, none), |question| (question.want, question.need));
    Item { target, want, need, settled: 0, overrun: 0, returned: 0, idle: 0, keep: Keep::Open }
}

impl Draft {
    fn push(&mut self, item: Item, about: About) {
        self.items.push(item);
        self.about.push(about);
    }
}
