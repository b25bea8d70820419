//! A node as small as it can be and still keep the wallet's rules: grants are installed by their maximum, what goes back is
//! deducted before it is said, one batch is under way at a time and is never changed. It keeps no clock: it spends a
//! lease for as long as it likes, since no promise about spend may rest on when it stops.

use serde::Serialize;
use tollgate_ratelimit::budget::{BucketName, BudgetId, Key};
use tollgate_ratelimit::fault::Fault;
use tollgate_ratelimit::ledger::command::{Batch, Item, Keep, LeaseId, SessionId, Target};
use tollgate_ratelimit::ledger::outcome::{
    Answer, BatchVerdict, ItemAnswer, LeaseState, Rejected, Unfinished,
};
use tollgate_ratelimit::unit::Amount;
use tollgate_ratelimit::{Row, RowKey, Usage};

use super::world::{WINDOW_MS, Wrong};

/// A node: at most one run of its process, and what an earlier one left in its journal.
#[derive(Clone, Default, Serialize)]
pub(super) struct Node {
    pub(super) incarnation: u64,
    pub(super) run: Option<Run>,
    pub(super) journal: Option<Journal>,
}

/// One run of a node's process.
#[derive(Clone, Serialize)]
pub(super) struct Run {
    pub(super) session: SessionId,
    pub(super) sequence: u64,
    /// Sent and not yet answered.
    pub(super) flight: Option<Batch>,
    /// Answers to it that the network has.
    pub(super) replies: Vec<Answer>,
    pub(super) leases: Vec<Held>,
    /// Finished and in no batch yet.
    pub(super) rows: Tally,
}

/// A run that has ended, as its journal knows it.
#[derive(Clone, Serialize)]
pub(super) struct Journal {
    pub(super) run: Run,
    /// The last batch that the ledger had applied when the next run began.
    pub(super) applied: Option<u64>,
    /// Whether the batch that was under way is out of doubt.
    pub(super) resent: bool,
}

/// Requests and what they cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Tally {
    pub(super) requests: u64,
    pub(super) cost: Amount,
}

/// A lease as its holder sees it.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Held {
    pub(super) id: LeaseId,
    /// The number of its window.
    pub(super) window: usize,
    pub(super) granted: Amount,
    pub(super) totals: Totals,
    /// Reserved for a request that runs.
    pub(super) reserved: Amount,
    /// What the ledger has confirmed.
    pub(super) told: Totals,
}

/// What is reported of a lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Totals {
    pub(super) settled: Amount,
    pub(super) overrun: Amount,
    pub(super) returned: Amount,
}

/// What a batch is for. Every batch tells all totals that are news, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Say {
    /// Totals alone.
    Report,
    /// More, of the window that is current.
    Ask,
    /// More, of the newest lease.
    TopUp,
    /// Some of the window after the current one.
    Prefetch,
    /// All that is not reserved goes back.
    Return,
    /// Leases with nothing reserved are ended.
    Close,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// The wish.
    pub want: Amount,
    /// The least that helps.
    pub need: Amount,
}

/// The one bucket that everybody spends from.
pub(super) fn bucket() -> BucketName {
    BucketName { budget: BudgetId(1), key: Key::default() }
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.cost += other.cost;
    }

    fn rows(self) -> Vec<(RowKey, Row)> {
        if self.requests == 0 {
            return Vec::new();
        }
        let name = || "x".to_owned();
        let key = RowKey { consumer: name(), model: name(), backend: name(), hour: 0 };
        let usage = Usage { total: self.cost, ..Usage::default() };
        vec![(key, Row { requests: self.requests, usage, ..Row::default() })]
    }
}

impl Held {
    fn new(state: &LeaseState) -> Self {
        Self {
            id: state.lease,
            window: usize::try_from(state.window.start.0 / WINDOW_MS).unwrap_or(usize::MAX),
            granted: 0,
            totals: Totals::default(),
            reserved: 0,
            told: Totals::default(),
        }
    }

    /// What may be reserved. Nothing rather than less than nothing: a planted fault may have spent what was returned.
    pub(super) fn avail(&self) -> Amount {
        self.granted.saturating_sub(self.totals.returned + self.totals.settled + self.reserved)
    }

    pub(super) fn start(&mut self, hold: Amount) {
        self.reserved += hold.min(self.avail());
    }

    /// Pays from what was reserved, then from what is left, then with a debt. Gives the debt.
    pub(super) fn finish(&mut self, cost: Amount) -> Amount {
        let paid = cost.min(self.reserved + self.avail());
        self.reserved = 0;
        self.totals.settled += paid;
        self.totals.overrun += cost - paid;
        cost - paid
    }

    fn item(&self, keep: Keep) -> Item {
        let Totals { settled, overrun, returned } = self.totals;
        Item { target: Target::Lease(self.id), want: 0, need: 0, settled, overrun, returned, idle: 0, keep }
    }
}

impl Run {
    pub(super) const fn new(session: SessionId) -> Self {
        Self {
            session,
            sequence: 0,
            flight: None,
            replies: Vec::new(),
            leases: Vec::new(),
            rows: Tally { requests: 0, cost: 0 },
        }
    }

    /// Nothing is under way and everything was told.
    pub(super) fn quiet(&self) -> bool {
        let told = |lease: &Held| lease.reserved == 0 && lease.told == lease.totals;
        self.flight.is_none() && self.rows.requests == 0 && self.leases.iter().all(told)
    }

    /// Whether there is a reason for such a batch.
    pub(super) fn wants(&self, say: Say, window: usize) -> bool {
        let dry = self.leases.iter().all(|lease| lease.avail() == 0);
        let newest = self.leases.iter().map(|lease| lease.window).max();
        self.flight.is_none()
            && match say {
                Say::Report => {
                    self.rows.requests > 0 || self.leases.iter().any(|lease| lease.told != lease.totals)
                }
                Say::Ask => dry || newest.is_some_and(|newest| newest < window),
                Say::TopUp => dry && newest.is_some(),
                Say::Prefetch => newest.is_some_and(|newest| newest <= window),
                Say::Return => !dry,
                Say::Close => self.leases.iter().any(|lease| lease.reserved == 0),
            }
    }

    /// The next batch, which is under way from now on.
    pub(super) fn send(&mut self, say: Say, ask: Ask, fault: Option<Fault>) -> Batch {
        let mut items = Vec::new();
        let newest = self.leases.len().saturating_sub(1);
        for (index, lease) in self.leases.iter_mut().enumerate() {
            let ends = say == Say::Close && lease.reserved == 0;
            let back = if ends || say == Say::Return { lease.avail() } else { 0 };
            let before = lease.totals.returned;
            lease.totals.returned += back;
            let mut item = lease.item(if ends { Keep::Close } else { Keep::Open });
            if fault == Some(Fault::ReturnStillSpendable) {
                lease.totals.returned = before;
            }
            if say == Say::TopUp && index == newest {
                (item.want, item.need) = (ask.want, ask.need);
            }
            if ends || item.want > 0 || lease.told != lease.totals || back > 0 {
                items.push(item);
            }
        }
        let (want, need) = (ask.want, ask.need);
        let fresh = |target| Item {
            target,
            want,
            need,
            settled: 0,
            overrun: 0,
            returned: 0,
            idle: 0,
            keep: Keep::Open,
        };
        match say {
            Say::Ask => items.push(fresh(Target::Current(bucket()))),
            Say::Prefetch => items.push(fresh(Target::Next(bucket()))),
            Say::Report | Say::TopUp | Say::Return | Say::Close => {}
        }
        self.sequence += 1;
        let rows = std::mem::take(&mut self.rows).rows();
        let batch = Batch { session: self.session, sequence: self.sequence, items, rows };
        self.flight = Some(batch.clone());
        batch
    }

    /// Takes an answer in. Says whether the session goes on.
    pub(super) fn hear(&mut self, answer: &Answer) -> Result<bool, Wrong> {
        let Some(batch) = self.flight.take() else { return Ok(true) };
        self.replies.clear();
        match answer.verdict {
            BatchVerdict::Applied => {}
            BatchVerdict::NoSession => return Ok(false),
            BatchVerdict::OutOfSequence { .. } | BatchVerdict::TooLarge => return Err(Wrong::Disbelieved),
        }
        for (item, said) in batch.items.iter().zip(&answer.items) {
            match said {
                ItemAnswer::Lease(state) => self.install(item, state, answer)?,
                ItemAnswer::Closed => self.leases.retain(|lease| Target::Lease(lease.id) != item.target),
                ItemAnswer::Rejected(Rejected::NoWindow) => {}
                ItemAnswer::Rejected(_) => return Err(Wrong::Disbelieved),
            }
        }
        Ok(true)
    }

    fn install(&mut self, item: &Item, state: &LeaseState, answer: &Answer) -> Result<(), Wrong> {
        if matches!(item.target, Target::Current(_)) && !state.window.holds(answer.at) {
            return Err(Wrong::Window);
        }
        let place = self.leases.iter().position(|lease| lease.id == state.lease).unwrap_or_else(|| {
            self.leases.push(Held::new(state));
            self.leases.len() - 1
        });
        let lease = &mut self.leases[place];
        lease.granted = lease.granted.max(state.granted);
        if matches!(item.target, Target::Lease(_)) {
            lease.told = Totals { settled: item.settled, overrun: item.overrun, returned: item.returned };
        }
        Ok(())
    }

    /// What requests that run may have cost when the process is gone: all that was reserved.
    pub(super) fn unknown(&self) -> impl Iterator<Item = (usize, Amount)> {
        self.leases.iter().filter(|lease| lease.reserved > 0).map(|lease| (lease.window, lease.reserved))
    }
}

impl Journal {
    /// The rows of the batch that was under way, under its own number: whichever of the two arrives first, they are
    /// booked once.
    pub(super) fn resend(&self) -> Option<Batch> {
        let due = self.applied? + 1;
        let flight = self.run.flight.as_ref().filter(|flight| flight.sequence == due)?;
        Some(Batch { items: Vec::new(), ..flight.clone() })
    }

    /// The last words of the run: what was reserved counts as spent, everything else goes back.
    pub(super) fn last_words(&self, left: &Unfinished, fault: Option<Fault>) -> Batch {
        let forgotten = fault == Some(Fault::JournalForgotten);
        let mut tally = self.run.rows;
        let mut items = Vec::new();
        for record in &left.leases {
            let known = self.run.leases.iter().find(|lease| lease.id == record.lease);
            let held = known.map_or(0, |lease| if forgotten { 0 } else { lease.reserved });
            let totals = known.map(|lease| lease.totals).unwrap_or_default();
            let settled = totals.settled + held;
            if held > 0 {
                tally.add(Tally { requests: 1, cost: held });
            }
            let (overrun, returned) = (totals.overrun, record.granted.saturating_sub(settled));
            let target = Target::Lease(record.lease);
            items.push(Item {
                target,
                want: 0,
                need: 0,
                settled,
                overrun,
                returned,
                idle: 0,
                keep: Keep::Close,
            });
        }
        let mut rows = tally.rows();
        if fault == Some(Fault::RowsSentTwice) {
            rows.extend(self.run.flight.iter().flat_map(|flight| flight.rows.clone()));
        }
        Batch { session: left.session, sequence: left.last_sequence + 1, items, rows }
    }
}
