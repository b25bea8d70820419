//! What the ledger says. Grants are installed by their totals, so that an answer that is handled twice changes nothing.

use std::sync::Arc;

use super::Clerk;
use super::entry::{Book, Entry, NextLease, Role, Totals};
use super::say::{self, About, Asked, BEATS, Flight};
use super::wait::Woken;
use crate::fault::{self, Fault};
use crate::ledger::command::{Item, Keep, LeaseId, SessionId};
use crate::ledger::outcome::{Answer, BatchVerdict, ItemAnswer, LeaseState, Nudge, Rejected, Verdict, Why};
use crate::time::{NodeTime, Span, Timestamp};
use crate::unit::{Amount, MOST_AMOUNT};
use crate::wallet::denial::{Denied, Sought};
use crate::wallet::outlet::Outlet;
use crate::wallet::purse::HELD_MS;

/// While others are asked to give back, the ledger is asked again after two round trips, or this.
const ASK_AGAIN_MS: u64 = 20;

/// When an answer was made, on both clocks.
#[derive(Clone, Copy)]
struct Clocks {
    at: Timestamp,
    sent_at: NodeTime,
    now: NodeTime,
}

impl Clocks {
    /// Before this, cluster time has not reached `moment`: it can't be later than if the batch was applied when it was sent.
    fn not_before(self, moment: Timestamp) -> NodeTime {
        self.sent_at.plus(moment.since(self.at))
    }

    /// From here on cluster time has reached `moment`: it can't be earlier than if the batch was applied just now.
    fn surely_at(self, moment: Timestamp) -> NodeTime {
        self.now.plus(moment.since(self.at))
    }
}

impl Clerk {
    pub(in crate::wallet) fn handle(&mut self, answer: &Answer, now: NodeTime) -> Vec<Woken> {
        let mut woken = Vec::new();
        let is_ours = |flight: &Flight| flight.batch.sequence == answer.sequence;
        if answer.session != self.session || !self.flight.as_ref().is_some_and(is_ours) {
            return woken;
        }
        let Some(flight) = self.flight.take() else { return woken };
        match answer.verdict {
            BatchVerdict::Applied => self.applied(&flight, answer, now, &mut woken),
            BatchVerdict::TooLarge => self.take_back(flight, now),
            BatchVerdict::OutOfSequence { expected } if expected < flight.batch.sequence => {
                // The ledger has not seen what came before: the same under the number that it waits for.
                self.sequence = expected;
                let batch = crate::ledger::command::Batch { sequence: expected, ..flight.batch };
                self.flight = Some(Flight { batch, again_at: now, ..flight });
            }
            // Somebody else has spoken for this session, or nobody may any more.
            BatchVerdict::OutOfSequence { .. } | BatchVerdict::NoSession => {
                self.lose(flight, now, &mut woken);
            }
        }
        woken
    }

    fn applied(&mut self, flight: &Flight, answer: &Answer, now: NodeTime, woken: &mut Vec<Woken>) {
        if flight.copies == 1 {
            // However long a machine slept meanwhile, a lost answer is asked for again before leases end.
            let most_ms = (self.settings.validity_ms / BEATS / say::PATIENCE).max(1);
            let seen_ms = now.since(flight.sent_at).clamp(1, most_ms);
            self.round_trip_ms = (3 * self.round_trip_ms + seen_ms).div_ceil(4);
        }
        if fault::planted(Fault::RowsSentTwice) && flight.copies > 1 {
            self.rejoin_rows(flight.batch.rows.clone());
        }
        let valid_until = flight.sent_at.plus(self.settings.validity_ms);
        self.outlet.set_valid_until(valid_until.max(self.outlet.valid_until()).max(NodeTime(1)));
        self.heartbeat_at = flight.sent_at.plus(self.settings.validity_ms / BEATS);
        let clocks = Clocks { at: answer.at, sent_at: flight.sent_at, now };
        let heard = flight.batch.items.iter().zip(&flight.about).zip(&answer.items);
        for ((item, about), item_answer) in heard {
            self.hear(item, *about, item_answer, clocks);
        }
        for about in &flight.about {
            self.serve(about.place, now, woken);
        }
    }

    fn hear(&mut self, item: &Item, about: About, answer: &ItemAnswer, clocks: Clocks) {
        let (round_trip_ms, validity_ms) = (self.round_trip_ms, self.settings.validity_ms);
        let outlet = Arc::clone(&self.outlet);
        let is_doubtful = matches!(answer, ItemAnswer::Lease(state) if self.changed.contains(&state.lease));
        let Some(entry) = self.entry(about.place) else { return };
        let window = entry.current().window;
        entry.lent.forget_before(clocks.at, window);
        if let Asked::Lease(id) = about.target {
            entry.note_told(id, item);
        }
        if about.question.is_some_and(|question| question.need > 0) {
            entry.answered_at = clocks.now;
        }
        match answer {
            ItemAnswer::Lease(state) => {
                entry.install(about, state, clocks);
                let now = clocks.now;
                match state.verdict {
                    Verdict::Granted => {}
                    // A change was told since: this is how it was before.
                    Verdict::Held | Verdict::Exhausted { .. } | Verdict::TooLarge { .. } if is_doubtful => {}
                    Verdict::Wait => {
                        entry.ask_again_at = now.plus(ASK_AGAIN_MS.max(2 * round_trip_ms));
                    }
                    Verdict::Held => entry.deny(about, Denied::Held, now.plus(HELD_MS), now),
                    // The window has ended there already: ask for the current one.
                    Verdict::Exhausted { until } if until <= clocks.at => entry.end_window(state.lease, now),
                    Verdict::Exhausted { until } => {
                        let until = clocks.surely_at(until);
                        // Believed until a change would have been told twice, or once the heartbeat is due.
                        let forget_at = until.min(now.plus(validity_ms / BEATS));
                        entry.deny(about, Denied::Exhausted { until }, forget_at, now);
                    }
                    Verdict::TooLarge { limit } => {
                        let forget_at = now.plus(validity_ms / BEATS);
                        entry.deny(about, Denied::TooLarge { limit }, forget_at, now);
                    }
                    Verdict::NotKept => entry.not_kept(NodeTime(u64::MAX), now),
                }
                let has_more = item.keep == Keep::Open && entry.has_more_to_tell(about);
                if let Some(book) = entry.find(state.lease) {
                    entry.books[book].recalled |= state.recalled;
                    self.leases.insert(state.lease, about.place);
                }
                if state.recalled {
                    self.make_urgent(about.place);
                } else if has_more {
                    self.report_later(about.place);
                }
            }
            ItemAnswer::Closed => {
                entry.drop_lease(about.target, &outlet);
                self.forget_lease(about.target);
            }
            ItemAnswer::Rejected(rejected) => {
                entry.reject(about, rejected, clocks.now, &outlet);
                self.rejected += 1;
                self.forget_lease(about.target);
            }
        }
    }

    fn forget_lease(&mut self, target: Asked) {
        if let Asked::Lease(id) = target {
            self.leases.remove(&id);
        }
    }

    /// The batch was too large: everything it was about is said again, in smaller ones.
    fn take_back(&mut self, flight: Flight, now: NodeTime) {
        self.most_items = (self.most_items / 2).max(1);
        self.rejoin_rows(flight.batch.rows);
        for about in flight.about {
            if let Some(entry) = self.entry(about.place)
                && about.target == Asked::Next
            {
                entry.next = NextLease::Due;
            }
            self.make_urgent(about.place);
        }
        self.heartbeat_at = now;
    }

    fn rejoin_rows(&mut self, rows: Vec<(crate::ledger::rows::RowKey, crate::ledger::rows::Row)>) {
        for (key, row) in rows {
            self.rows.entry(key).or_default().merge(&row);
        }
    }

    /// The session is gone, and all leases with it: what they held was counted as spent when it was closed.
    fn lose(&mut self, flight: Flight, now: NodeTime, woken: &mut Vec<Woken>) {
        // A batch that was sent once and refused was not applied. Of one that was sent again nobody knows: its rows are not
        // told twice.
        if flight.copies == 1 {
            self.rejoin_rows(flight.batch.rows);
        } else {
            self.unsure_rows += flight.batch.rows.len() as u64;
        }
        self.is_lost = true;
        self.outlet.set_valid_until(NodeTime(1));
        let outlet = Arc::clone(&self.outlet);
        for entry in self.entries.iter_mut().flatten() {
            entry.lose_all(&outlet);
        }
        self.leases.clear();
        woken.extend(self.dismiss(now));
    }

    pub(in crate::wallet) const fn is_lost(&self) -> bool {
        self.is_lost
    }

    pub(in crate::wallet) fn resume(&mut self, session: SessionId, now: NodeTime) {
        if !self.is_lost {
            return;
        }
        self.is_lost = false;
        self.session = session;
        self.sequence = 0;
        self.heartbeat_at = now;
        self.outlet.set_valid_until(NodeTime(0));
        self.outlet.hurry();
    }

    pub(in crate::wallet) fn nudge(&mut self, nudge: &Nudge, now: NodeTime) {
        if nudge.session != self.session {
            return;
        }
        match nudge.why {
            Why::Changed if self.flight.is_some() => drop(self.changed.insert(nudge.lease)),
            Why::Changed | Why::Recalled => {}
        }
        let Some(place) = self.leases.get(&nudge.lease).copied() else { return };
        let Some(entry) = self.entry(place) else { return };
        let Some(book) = entry.find(nudge.lease) else { return };
        match nudge.why {
            Why::Recalled => entry.books[book].recalled = true,
            Why::Changed => {
                entry.purse.forget_denials();
                entry.ask_again_at = now;
                entry.quiet_until = now;
            }
        }
        self.make_urgent(place);
    }
}

impl Entry {
    fn note_told(&mut self, id: LeaseId, item: &Item) {
        if let Some(book) = self.find(id) {
            let Item { settled, overrun, returned, .. } = *item;
            self.books[book].told = Totals { settled, overrun, returned };
        }
    }

    /// Whether there is more to tell than what will be noted as spent: what was lent before the lease came, or a lease that
    /// ended while the batch was away. One that requests still hold is heard of when they end.
    fn has_more_to_tell(&self, about: About) -> bool {
        let current = self.current();
        let is_left = |book: &Book| book.leased.cell.lease.avail() > 0 || book.leased.cell.is_over();
        about.target == Asked::Current && current.totals() != current.told
            || self.books.iter().any(|book| book.role == Role::Ended && is_left(book))
    }

    fn install(&mut self, about: About, state: &LeaseState, clocks: Clocks) {
        let LeaseState { lease, window, granted, covered, scarce, .. } = *state;
        let place = match (self.find(lease), about.target) {
            (Some(known), _) => known,
            (None, Asked::Current) => self.begin(lease, window),
            (None, Asked::Next) => self.prepare(lease, window),
            (None, Asked::Lease(_)) => return, // Dropped in the meantime.
        };
        let book = &mut self.books[place];
        book.window = Some(window);
        let more = book.install(granted, covered);
        let cell = &book.leased.cell;
        // Nobody waits for what a shadow has left.
        cell.set_scarce(scarce && self.purse.terms().allowance() != MOST_AMOUNT);
        let mut until =
            if window.end == Timestamp::NEVER { NodeTime(u64::MAX) } else { clocks.not_before(window.end) };
        match (about.target, book.role) {
            (Asked::Next, Role::Next) => cell.open_between(clocks.surely_at(window.start), until),
            (Asked::Current, Role::Current) => {
                // It is the current one, the ledger says, whatever this node thought.
                if until <= clocks.now && window.end != Timestamp::NEVER {
                    until = clocks.surely_at(window.end);
                }
                cell.open_between(NodeTime(0), until.max(clocks.now.plus(1)));
            }
            (Asked::Lease(_) | Asked::Next, Role::Current) => cell.open_between(NodeTime(0), until),
            (Asked::Lease(_) | Asked::Current, Role::Next) | (_, Role::Ended) => return,
        }
        self.adjust_allowances();
        if about.target != Asked::Next {
            self.counted(about, more, clocks.now);
        }
    }

    /// The first lease of this window: in the cell that waits for one, or in a new one beside the ended window's.
    fn begin(&mut self, lease: LeaseId, window: Span) -> usize {
        for book in
            self.books.iter_mut().filter(|book| book.role == Role::Next && book.window == Some(window))
        {
            book.role = Role::Ended; // What was fetched for later, and later is now.
        }
        if self.current().id().is_some() {
            let outlet = Arc::clone(&self.current().leased.outlet);
            self.retire_current();
            self.make_current(Book::new(self.purse.fresh(0, &outlet), Role::Current));
            self.purse.forget_denials();
        }
        self.current().leased.id.set(lease).expect("the current cell had no lease");
        self.find(lease).expect("it was just named")
    }

    fn prepare(&mut self, lease: LeaseId, window: Span) -> usize {
        let outlet = Arc::clone(&self.current().leased.outlet);
        let fresh = self.purse.fresh(0, &outlet);
        fresh.id.set(lease).expect("a fresh cell has no lease");
        // A purse that gave its lease back while this was asked does not need it either, nor one that is in that window.
        let current = self.current();
        let is_wanted = current.id().is_some() && current.window != Some(window);
        self.books.push(Book::new(fresh, if is_wanted { Role::Next } else { Role::Ended }));
        self.books.len() - 1
    }

    fn counted(&mut self, about: About, more: Amount, now: NodeTime) {
        self.granted(more);
        let Some(question) = about.question else { return };
        if more > 0 {
            self.purse.granted(question.need, now);
        } else if question.want > 0 {
            // There is no stock to be had just now.
            self.quiet_until = now.plus(HELD_MS);
        }
    }

    fn end_window(&mut self, lease: LeaseId, now: NodeTime) {
        if let Some(book) = self.find(lease) {
            self.books[book].leased.cell.open_between(NodeTime(0), now);
        }
    }

    /// A refusal is about one window: nothing is denied by it once that has ended.
    fn deny(&mut self, about: About, what: Denied, forget_at: NodeTime, now: NodeTime) {
        let ends = self.current().window.map(|_| self.current().leased.cell.until());
        let forget_at = ends.map_or(forget_at, |ends| forget_at.min(ends));
        if let Some(question) = about.question.filter(|question| question.need > 0) {
            let sought = Sought { amount: question.amount, need: question.need };
            self.purse.deny(sought, what, forget_at, now);
        }
    }

    fn drop_lease(&mut self, target: Asked, outlet: &Arc<Outlet>) {
        let Asked::Lease(id) = target else { return };
        let Some(book) = self.find(id) else { return };
        if self.books[book].role == Role::Current {
            self.books[book].leased.cell.lease.withdraw(Amount::MAX);
            self.lay_down(outlet); // What was not lent of its allowance goes on.
        } else {
            self.books[book].leased.cell.empty();
        }
        self.books.retain(|book| book.id() != Some(id));
    }

    fn reject(&mut self, about: About, rejected: &Rejected, now: NodeTime, outlet: &Arc<Outlet>) {
        match (about.target, rejected) {
            (Asked::Next, Rejected::UnknownBudget) => self.next = NextLease::Settled,
            (Asked::Next, _) => self.next = self.next_later(now),
            (Asked::Lease(_), _) => self.drop_lease(about.target, outlet),
            // A budget that was deleted: nobody is left to be told what was spent without a lease.
            (Asked::Current, Rejected::UnknownBudget) => {
                self.not_kept(now.plus(HELD_MS), now);
                if self.current().id().is_none() {
                    self.lay_down(outlet);
                }
            }
            (Asked::Current, _) => self.not_kept(now.plus(HELD_MS), now),
        }
    }

    fn not_kept(&self, forget_at: NodeTime, now: NodeTime) {
        self.purse.deny(Sought { amount: 0, need: 0 }, Denied::NotKept, forget_at, now);
    }

    /// Nothing is leased any more. Open holds settle into the old cells, unheard.
    pub(super) fn lose_all(&mut self, outlet: &Arc<Outlet>) {
        if self.current().id().is_some() {
            self.lay_down(outlet);
        }
        for book in &self.books {
            if book.role != Role::Current {
                book.leased.cell.empty();
            }
        }
        self.books.retain(|book| book.role == Role::Current);
        self.next = NextLease::NotBefore(NodeTime(0));
    }
}
