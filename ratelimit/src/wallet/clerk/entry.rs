//! What the clerk knows of one purse: its leases, who waits, how fast it is spent. Decides what to ask for, and never speaks
//! itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::lent::Lent;
use crate::ledger::command::LeaseId;
use crate::time::{NodeTime, Span};
use crate::unit::{Amount, MOST_AMOUNT};
use crate::wallet::demand::{Demand, Sizing, first_want};
use crate::wallet::outlet::Outlet;
use crate::wallet::purse::{Leased, Purse};

/// What a recalled holder keeps: what it will spend while the answer travels.
const KEPT_AFTER_RECALL_MS: u64 = 50;
/// For so long after a recall nothing is asked for stock, and what comes back from requests that end goes on to the ledger.
const CALM_MS: u64 = 500;
/// It is looked for so often.
const SCRAPS_MS: u64 = 50;
/// The last part of a window in which the next one's lease is asked for.
const PREFETCH_SHARE: u64 = 10;
/// Where the next one's lease was not to be had, it is asked for again after this part of what the window still lasts, so
/// that a long one is not asked for all the time and a short one soon enough,
const PREFETCH_AGAIN: u64 = 4;
/// and not sooner than this.
const PREFETCH_AGAIN_MS: u64 = 1_000;
/// What lies idle and can't go back is looked at again when it did so for half as long again, at least and at most after
/// this: there may be a million of them.
const IDLE_AGAIN_MS: (u64, u64) = (CALM_MS, 60_000);
/// A lease that nobody took from for so many horizons goes back: two minutes for what is seldom used. Until then whoever calls
/// again finds it, and before others go short of it the ledger recalls it.
const IDLE_HORIZONS: u64 = 12;
/// One that nobody took from for so many needs no successor in the next window.
const UNUSED_HORIZONS: u64 = 2;

/// What a lease is to its purse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Requests are paid from it.
    Current,
    /// They will be, in the window after this one.
    Next,
    /// Open holds settle into it; then it is closed.
    Ended,
}

/// The totals that the ledger has heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) settled: Amount,
    pub(super) overrun: Amount,
    pub(super) returned: Amount,
}

/// One lease.
#[derive(Debug)]
pub(super) struct Book {
    pub(super) leased: Arc<Leased>,
    pub(super) role: Role,
    pub(super) window: Option<Span>,
    pub(super) told: Totals,
    /// What the ledger has covered of the overrun, and how much of that the allowance got back.
    pub(super) covered: Amount,
    pub(super) restored: Amount,
    /// The ledger wants back what is not needed, and has not been answered.
    pub(super) recalled: bool,
}

impl Book {
    pub(super) fn new(leased: Arc<Leased>, role: Role) -> Self {
        Self { leased, role, window: None, told: Totals::default(), covered: 0, restored: 0, recalled: false }
    }

    pub(super) fn id(&self) -> Option<LeaseId> {
        self.leased.id.get().copied()
    }

    /// The totals as they are now. What was withdrawn is read first: it is out of reach already, so that settled and returned
    /// together never pass what was granted.
    pub(super) fn totals(&self) -> Totals {
        let cell = &self.leased.cell;
        let returned = cell.lease.withdrawn();
        let settled = cell.lease.spent();
        Totals { settled, overrun: cell.overrun(), returned }
    }

    /// Takes what the ledger says of it.
    pub(super) fn install(&mut self, granted: Amount, covered: Amount) -> Amount {
        let cell = &self.leased.cell;
        let more_covered = covered.saturating_sub(self.covered);
        self.covered = self.covered.max(covered);
        let restorable = cell.allowance.spent().saturating_sub(self.restored).min(more_covered);
        if restorable > 0 {
            self.restored += restorable;
            cell.allowance.refill(restorable);
        }
        cell.lease.grant(granted.min(MOST_AMOUNT))
    }

    /// Taken in all, from lease and allowance.
    fn taken(&self) -> Amount {
        let [lease, allowance] = [&self.leased.cell.lease, &self.leased.cell.allowance].map(|account| {
            let parts = account.parts();
            parts.granted.saturating_sub(parts.withdrawn).saturating_sub(parts.avail)
        });
        lease.saturating_add(allowance)
    }

    /// What may be lent at once: all that was, less what the ledger made good.
    pub(super) fn lends(&self) -> Amount {
        let parts = self.leased.cell.allowance.parts();
        parts.granted.saturating_sub(parts.withdrawn).saturating_sub(self.restored)
    }

    fn has_uncovered_loan(&self) -> bool {
        self.leased.cell.allowance.spent() > self.restored
    }
}

/// What to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) want: Amount,
    pub(super) need: Amount,
    /// How large a request the need is for: refusals are remembered for this much and more.
    pub(super) amount: Amount,
}

/// Whether the lease for the next window was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextLease {
    /// It was not, and is not before.
    NotBefore(NodeTime),
    Due,
    /// There, on its way, or there is none.
    Settled,
}

/// See the file's purpose.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) purse: Arc<Purse>,
    pub(super) books: Vec<Book>,
    pub(super) lent: Lent,
    /// Tickets that lack something here, oldest first, and how much each needs of this purse.
    pub(super) waiting: BTreeMap<u64, Amount>,
    backlog: Amount,
    demand: Demand,
    last_grant: Amount,
    /// No more is asked for stock before: the last time there was none.
    pub(super) quiet_until: NodeTime,
    /// What is needed is not asked again before: others are being asked for it.
    pub(super) ask_again_at: NodeTime,
    /// What was lent without a lease is told again from then on: the ledger may have had no window for it.
    pub(super) owed_at: Option<NodeTime>,
    /// When the ledger last answered what was needed.
    pub(super) answered_at: NodeTime,
    /// Others are short of what this purse has.
    recalled_until: NodeTime,
    used_at: NodeTime,
    taken_before: Amount,
    pub(super) next: NextLease,
    pub(super) timer: Option<NodeTime>,
    pub(super) in_urgent: bool,
    pub(super) in_reports: bool,
    /// The last draft of a batch that it was in: it speaks once in each.
    pub(super) spoke_in: u64,
}

impl Entry {
    pub(super) fn new(purse: Arc<Purse>) -> Self {
        let current = Book::new(purse.current.load(), Role::Current);
        Self {
            purse,
            books: vec![current],
            lent: Lent::default(),
            waiting: BTreeMap::new(),
            backlog: 0,
            demand: Demand::default(),
            last_grant: 0,
            quiet_until: NodeTime(0),
            ask_again_at: NodeTime(0),
            owed_at: None,
            answered_at: NodeTime(0),
            recalled_until: NodeTime(0),
            used_at: NodeTime(0),
            taken_before: 0,
            next: NextLease::NotBefore(NodeTime(0)),
            timer: None,
            in_urgent: false,
            in_reports: false,
            spoke_in: 0,
        }
    }

    pub(super) fn current(&self) -> &Book {
        let current = self.books.iter().find(|book| book.role == Role::Current);
        current.expect("a purse has one current cell at any time")
    }

    pub(super) fn current_mut(&mut self) -> &mut Book {
        let current = self.books.iter_mut().find(|book| book.role == Role::Current);
        current.expect("a purse has one current cell at any time")
    }

    pub(super) fn find(&self, id: LeaseId) -> Option<usize> {
        self.books.iter().position(|book| book.id() == Some(id))
    }

    /// Puts `book` in the place of the one that was [retired](Self::retire_current).
    pub(super) fn make_current(&mut self, mut book: Book) {
        book.role = Role::Current;
        self.purse.current.store(Arc::clone(&book.leased));
        self.demand.restart(book.taken());
        self.taken_before = book.taken();
        book.leased.cell.watch(self.last_grant / 2);
        self.books.push(book);
        self.books.retain(|book| book.role != Role::Ended || book.id().is_some());
        self.next = NextLease::NotBefore(NodeTime(0));
        // Scarcity was the other lease's.
        (self.quiet_until, self.recalled_until) = (NodeTime(0), NodeTime(0));
        self.adjust_allowances();
    }

    /// Holds still settle into the cell that was current. Nothing more is lent of it: what its successor may lend is known only
    /// then. What is left of its lease is taken out before it is next spoken of.
    pub(super) fn retire_current(&mut self) {
        let old = self.current_mut();
        old.role = Role::Ended;
        old.leased.cell.allowance.withdraw(Amount::MAX);
        if let (Some(window), lent) = (old.window, old.lends()) {
            self.lent.add(window, lent);
        }
    }

    /// What may be lent in a window in all that cells before did not lend. One without a lease may turn out to be of any window.
    fn may_lend(&self, window: Option<Span>) -> Amount {
        self.purse.terms().allowance().saturating_sub(self.lent.within(window))
    }

    /// The cells that are or will be spent from lend what they may, no less and, as far as it is not in use, no more.
    pub(super) fn adjust_allowances(&self) {
        for book in self.books.iter().filter(|book| book.role != Role::Ended) {
            let (may, lends) = (self.may_lend(book.window), book.lends());
            let allowance = &book.leased.cell.allowance;
            if may > lends {
                allowance.refill(may - lends);
            } else {
                allowance.withdraw(lends - may);
            }
        }
    }

    /// Goes over to the next window's lease once that window has begun. Whether it did.
    pub(super) fn roll(&mut self, now: NodeTime) -> bool {
        let current_is_over = now >= self.current().leased.cell.until();
        let next =
            self.books.iter().position(|book| book.role == Role::Next && book.leased.cell.from() <= now);
        match next {
            Some(next) if current_is_over => {
                let book = self.books.remove(next);
                self.last_grant = book.leased.cell.lease.avail();
                self.purse.forget_denials();
                self.retire_current();
                self.make_current(book);
                true
            }
            Some(_) | None => false,
        }
    }

    /// Puts a cell without a lease in the place of the current one.
    pub(super) fn lay_down(&mut self, outlet: &Arc<Outlet>) {
        self.retire_current();
        for book in self.books.iter_mut().filter(|book| book.role == Role::Next) {
            book.role = Role::Ended; // A purse without a lease keeps none for later: what it owes would have no place.
        }
        let fresh = self.purse.fresh(0, outlet);
        self.make_current(Book::new(fresh, Role::Current));
        self.purse.forget_denials(); // Of a change of it, only a lease is told.
    }

    pub(super) fn join_queue(&mut self, ticket: u64, amount: Amount) {
        if self.waiting.insert(ticket, amount).is_none() {
            self.backlog = self.backlog.saturating_add(amount);
        }
    }

    /// Of what came, new requests leave this much to the first one that waits: else they could take it, time and again,
    /// before it gets there.
    fn keep_for_first(&self, more: Amount) {
        let first = self.waiting.first_key_value().map_or(0, |(_, amount)| *amount);
        let cell = &self.current().leased.cell;
        cell.keep(cell.kept().saturating_add(more).min(first));
    }

    pub(super) fn is_first(&self, ticket: u64) -> bool {
        self.waiting.first_key_value().is_some_and(|(first, _)| *first == ticket)
    }

    pub(super) fn leave_queue(&mut self, ticket: u64) {
        if let Some(amount) = self.waiting.remove(&ticket) {
            self.backlog = if self.waiting.is_empty() { 0 } else { self.backlog.saturating_sub(amount) };
            self.keep_for_first(0);
        }
    }

    /// Notes what was taken since the last look.
    pub(super) fn look(&mut self, now: NodeTime) {
        for book in &self.books {
            book.leased.cell.look();
        }
        let taken = self.current().taken();
        if taken != self.taken_before || !self.waiting.is_empty() {
            self.taken_before = taken;
            self.used_at = now;
        }
        self.demand.sample(taken, now);
    }

    /// Notes how much came.
    pub(super) fn granted(&mut self, more: Amount) {
        self.keep_for_first(more);
        // Where nothing came, the next report asks again: being told of every request that there is little does not help.
        if more > 0 {
            self.last_grant = more;
            self.current().leased.cell.watch(more / 2);
            self.recalled_until = NodeTime(0); // It was granted after the recall, for somebody who waits.
        }
    }

    fn sizing(&self, round_trip_ms: u64) -> Sizing {
        let cell = &self.current().leased.cell;
        Sizing { round_trip_ms, typical: cell.typical(), backlog: self.backlog, avail: cell.lease.avail() }
    }

    /// What to ask the ledger for in the current window. None when there is enough, or nothing to be had.
    pub(super) fn question(&self, now: NodeTime, round_trip_ms: u64) -> Option<Question> {
        let terms = self.purse.terms();
        if terms.allowance() == MOST_AMOUNT {
            return None; // A shadow only counts.
        }
        let book = self.current();
        let sizing = self.sizing(round_trip_ms);
        let first = book.id().is_none();
        // What lies on a lease whose window has ended helps nobody.
        let avail = if now < book.leased.cell.until() { sizing.avail } else { 0 };
        let head = self.waiting.first_key_value().map_or(0, |(_, amount)| *amount);
        let need = head.saturating_sub(avail);
        let want = self.demand.want(Sizing { avail, ..sizing });
        if need > 0 && now >= self.ask_again_at {
            let want = if first { first_want(self.backlog, terms.limit) } else { want };
            let want = if book.recalled { need } else { want.max(need) };
            return Some(Question { want, need, amount: head });
        }
        let amount = sizing.typical.max(1);
        if book.recalled || now < self.quiet_until || self.purse.is_scant(now) {
            return None;
        }
        if first {
            let lends = book.leased.cell.allowance.spent() > 0 || book.taken() > 0;
            return lends.then(|| Question { want: first_want(want, terms.limit), need: 0, amount });
        }
        let is_low = avail < self.last_grant.div_ceil(2);
        (is_low && want > 0 && self.is_used(now, round_trip_ms)).then_some(Question { want, need: 0, amount })
    }

    /// What to ask for in the next window.
    pub(super) fn want_next(&self, round_trip_ms: u64) -> Amount {
        let sizing = Sizing { avail: 0, backlog: 0, ..self.sizing(round_trip_ms) };
        self.demand.want(sizing).max(sizing.typical)
    }

    /// Whether the ledger must hear of this purse although it has no lease: something was spent without one.
    pub(super) fn owes_without_lease(&self) -> bool {
        let book = self.current();
        book.id().is_none() && (book.leased.cell.overrun() > 0 || book.taken() > 0)
    }

    /// Takes out what recalled leases do not need now, and stocks nothing up for a while.
    pub(super) fn give_back_recalled(&mut self, now: NodeTime) {
        if self.current().recalled {
            (self.quiet_until, self.recalled_until) = (now.plus(CALM_MS), now.plus(CALM_MS));
        }
        if self.has_scraps(now) {
            let lease = &self.current().leased.cell.lease;
            lease.withdraw(lease.avail().saturating_sub(self.keeps()));
        }
        let of_next = |book: &&mut Book| book.recalled && book.role == Role::Next;
        self.books.iter_mut().filter(of_next).for_each(|book| book.role = Role::Ended);
    }

    /// Whether something is there that others are short of.
    pub(super) fn has_scraps(&self, now: NodeTime) -> bool {
        now < self.recalled_until && self.current().leased.cell.lease.avail() > self.keeps()
    }

    /// What serves somebody here soon. A scrap that is too small for the next request serves nobody before more comes to it,
    /// and may do so elsewhere.
    fn keeps(&self) -> Amount {
        let cell = &self.current().leased.cell;
        let next = self.waiting.first_key_value().map_or(cell.typical(), |(_, amount)| *amount);
        if cell.lease.avail() < next { 0 } else { self.demand.in_ms(KEPT_AFTER_RECALL_MS).max(self.backlog) }
    }

    fn horizons_ms(&self, count: u64, round_trip_ms: u64) -> u64 {
        count.saturating_mul(self.demand.horizon_ms(self.sizing(round_trip_ms)))
    }

    /// Whether somebody took from it lately.
    pub(super) fn is_used(&self, now: NodeTime, round_trip_ms: u64) -> bool {
        now.since(self.used_at) < self.horizons_ms(UNUSED_HORIZONS, round_trip_ms) || !self.waiting.is_empty()
    }

    /// Whether nobody took from it for so long that it goes back.
    pub(super) fn is_idle(&self, now: NodeTime, round_trip_ms: u64) -> bool {
        now.since(self.used_at) >= self.horizons_ms(IDLE_HORIZONS, round_trip_ms) && self.waiting.is_empty()
    }

    /// Whether its lease may go back whole: nobody waits or holds, and nothing is lent that later income should make whole.
    pub(super) fn may_lay_down(&self) -> bool {
        let book = self.current();
        let cell = &book.leased.cell;
        let is_free = [&cell.lease, &cell.allowance].iter().all(|account| account.parts().held() == Some(0));
        book.id().is_some() && self.waiting.is_empty() && is_free && !book.has_uncovered_loan()
    }

    /// Whether nothing is left that the ledger should hear.
    pub(super) fn is_blank(&self) -> bool {
        self.waiting.is_empty()
            && self.books.len() == 1
            && self.current().id().is_none()
            && !self.owes_without_lease()
    }

    /// Whether a new purse would be no other.
    pub(super) fn is_forgettable(&self) -> bool {
        self.is_blank() && self.lent.is_empty()
    }

    /// When to ask for the next window's lease. None if there is nothing to ask.
    pub(super) fn prefetch_at(&self) -> Option<NodeTime> {
        let NextLease::NotBefore(not_before) = self.next else { return None };
        let window = self.current().window?;
        let until = self.current().leased.cell.until();
        let early_ms = window.end.since(window.start) / PREFETCH_SHARE;
        let at = NodeTime(until.0.saturating_sub(early_ms)).max(not_before);
        (window.end != crate::time::Timestamp::NEVER && at < until).then_some(at)
    }

    /// The next window's lease is not to be had, or not needed, now: it is looked for again.
    pub(super) fn next_later(&self, now: NodeTime) -> NextLease {
        let left_ms = self.current().leased.cell.until().since(now);
        NextLease::NotBefore(now.plus((left_ms / PREFETCH_AGAIN).max(PREFETCH_AGAIN_MS)))
    }

    /// When something about it will be due, if nothing happens before.
    pub(super) fn due_at(&self, now: NodeTime, round_trip_ms: u64) -> Option<NodeTime> {
        let book = self.current();
        let next = self.books.iter().find(|book| book.role == Role::Next).map(|book| book.leased.cell.from());
        let over = next.map(|from| from.max(book.leased.cell.until()));
        let again_ms = (now.since(self.used_at) / 2).clamp(IDLE_AGAIN_MS.0, IDLE_AGAIN_MS.1);
        let idle = book.id().map(|_| {
            self.used_at.plus(self.horizons_ms(IDLE_HORIZONS, round_trip_ms)).max(now.plus(again_ms))
        });
        let again = (!self.waiting.is_empty()).then_some(self.ask_again_at.max(now.plus(1)));
        let prefetch = self.prefetch_at();
        let owed = self.owed_at.filter(|_| self.owes_without_lease());
        let ends = book.window.map(|_| book.leased.cell.until()).filter(|until| *until > now);
        let scraps = (now < self.recalled_until).then(|| now.plus(SCRAPS_MS));
        [over, idle, again, prefetch, owed, ends, scraps].into_iter().flatten().min()
    }
}

#[cfg(test)]
#[path = "entry_test.rs"]
mod tests;
