//! What really happened, noted outside of the system: what providers were asked to do, by the window of the lease that paid
//! for it, and what became of each request. The promises compare the ledger with this.

use std::collections::{BTreeMap, BTreeSet};

use tollgate_ratelimit::budget::{BucketName, Budget, BudgetId};
use tollgate_ratelimit::ledger::command::{Batch, LeaseId, SessionId};
use tollgate_ratelimit::ledger::rows::Change;
use tollgate_ratelimit::time::{Span, Timestamp};
use tollgate_ratelimit::unit::Amount;
use tollgate_ratelimit::wallet::HeldPart;
use tollgate_ratelimit::{Row, RowKey};

/// One bucket: its name, and the start of its window.
pub type Bucket = (BucketName, Timestamp);

/// What was spent of a bucket for real.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Out of leases.
    pub leased: Amount,
    /// Out of what need not be leased.
    pub lent: Amount,
    /// By answers that cost more than was held, where nothing more could be held.
    pub beyond: Amount,
    /// What answers cost more than was held, in a process that died before its journal said so: nobody can tell the ledger,
    /// unless it heard of the lease's totals before.
    pub unproven: Amount,
    /// Held by requests that never ended, beyond what they did cost: the ledger counts it.
    pub unknown: Amount,
    /// Held by requests that ended, of which no end is noted: the ledger counts it, unless it heard of the lease's end before.
    pub unnoted: Amount,
}

impl Spent {
    /// What was spent for real, as far as it can be proven.
    pub const fn real(self) -> Amount {
        self.leased + self.lent + self.beyond
    }

    /// What the ledger may have counted, and need not.
    pub const fn unsure(self) -> Amount {
        self.unproven + self.unnoted
    }

    /// Adds more.
    pub fn add(&mut self, more: Self) {
        self.leased += more.leased;
        self.lent += more.lent;
        self.beyond += more.beyond;
        self.unproven += more.unproven;
        self.unknown += more.unknown;
        self.unnoted += more.unnoted;
    }
}

/// Where a lease belongs.
#[derive(Clone, Debug)]
pub struct Home {
    /// Its bucket.
    pub bucket: BucketName,
    /// Its window.
    pub window: Span,
    /// Its holder.
    pub session: SessionId,
}

/// What the ledger should say of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It is still running.
    Open,
    /// Its cost, in tokens.
    Cost(u64),
    /// That nothing is known of its end, and what it may have cost at most.
    Unknown(u64),
    /// Nothing.
    Nothing,
}

/// A request that went to a provider.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The session that sent it.
    pub session: SessionId,
    /// Its row, with no day.
    pub key: RowKey,
    /// What the ledger should say.
    pub known: Known,
    /// The most that it may cost by what it reserved first.
    pub bound: u64,
    /// How much more it was let have, and where its journal says so.
    pub more: Option<(usize, u64)>,
    /// Where in the journal it was reserved.
    pub reserved_at: usize,
    /// Whether what it did cost is spent in the wallet.
    pub is_spent: bool,
    /// And where the journal says so.
    pub ended_at: Option<usize>,
    /// What was held and is not spent: what the ledger may count too much.
    pub rest: Vec<(Where, Amount)>,
    /// What was spent beyond what was held: what it may count too little, until the journal says so.
    pub excess: Vec<(Where, Spent)>,
}

impl Sent {
    /// The most that it may cost by what a journal says of which so many bytes are kept.
    fn most(&self, kept: usize) -> u64 {
        let more = self.more.filter(|(at, _)| *at <= kept).map_or(0, |(_, tokens)| tokens);
        self.bound + more
    }
}

/// What an amount was taken from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Where {
    /// A lease.
    Lease(LeaseId),
    /// A bucket of which the session had no lease yet.
    Unplaced(SessionId, BucketName),
}

/// See the file's purpose.
#[derive(Debug, Default)]
pub struct Truth {
    /// When the run began.
    pub start: Timestamp,
    /// All leases ever.
    pub leases: BTreeMap<LeaseId, Home>,
    /// What was spent of each bucket.
    pub spent: BTreeMap<Bucket, Spent>,
    /// What was spent without a lease and waits for one to belong to.
    pub unplaced: BTreeMap<(SessionId, BucketName), Spent>,
    /// Budgets of which something was spent that never got a lease: which of its windows paid is the ledger's to say.
    pub homeless: BTreeMap<BudgetId, Spent>,
    /// Which first leases journals named, and where.
    pub named: Vec<(SessionId, LeaseId, usize)>,
    /// All budgets ever, as they were made.
    pub budgets: BTreeMap<BudgetId, Budget>,
    /// Limits, and bursts of rolling windows, and since when.
    pub limits: BTreeMap<BudgetId, Vec<(Timestamp, Amount, Amount)>>,
    /// Budgets that were deleted: what is spent of them without a lease is nobody's any more.
    pub deleted: BTreeSet<BudgetId>,
    /// What operators gave.
    pub credits: BTreeMap<Bucket, Amount>,
    /// What they gave and took.
    pub adjusted: BTreeMap<Bucket, i64>,
    /// Budgets of which more was spent than leased: debts are carried on.
    pub overran: BTreeSet<BudgetId>,
    /// Operators' entries that were booked, by their ids.
    pub entries: BTreeSet<String>,
    /// What they said of rows, with no day.
    pub corrections: BTreeMap<RowKey, Change>,
    /// Sessions that spent from a bucket.
    pub spenders: BTreeMap<Bucket, BTreeSet<SessionId>>,
    /// Sessions whose journal, or whose right to speak, was lost.
    pub lost: BTreeSet<SessionId>,
    /// Those among them that an operator gave up: what they had to say is not heard.
    pub silenced: BTreeSet<SessionId>,
    /// All requests.
    pub requests: Vec<Sent>,
    /// The last batch that was applied of each session.
    pub applied: BTreeMap<SessionId, u64>,
    /// Rows that a process left out because it could not know whether the ledger had them. It had not.
    pub untold: Vec<(RowKey, Row)>,
    /// What was last spent: the promises look at it.
    pub touched: Vec<Bucket>,
}

impl Truth {
    /// Something was spent.
    pub fn spend(&mut self, place: &Where, spent: Spent) {
        match place {
            Where::Lease(lease) => {
                let Some(home) = self.leases.get(lease) else { return };
                if spent != (Spent { leased: spent.leased, ..Spent::default() }) {
                    self.overran.insert(home.bucket.budget);
                }
                let bucket = (home.bucket.clone(), home.window.start);
                self.spenders.entry(bucket.clone()).or_default().insert(home.session);
                self.spent.entry(bucket.clone()).or_default().add(spent);
                self.touched.push(bucket);
            }
            Where::Unplaced(session, bucket) => {
                self.overran.insert(bucket.budget);
                self.unplaced.entry((*session, bucket.clone())).or_default().add(spent);
            }
        }
    }

    /// A session's first lease of a bucket takes what was spent before it: its journal says so there.
    pub fn place(&mut self, lease: LeaseId, named_at: usize) {
        let Some(home) = self.leases.get(&lease) else { return };
        self.named.push((home.session, lease, named_at));
        let key = (home.session, home.bucket.clone());
        if let Some(spent) = self.unplaced.remove(&key) {
            self.spend(&Where::Lease(lease), spent);
        }
        let (session, bucket) = key;
        for request in self.requests.iter_mut().rev().filter(|request| request.session == session) {
            let places = request.rest.iter_mut().map(|(place, _)| place);
            let places = places.chain(request.excess.iter_mut().map(|(place, _)| place));
            for place in places.filter(|place| **place == Where::Unplaced(session, bucket.clone())) {
                *place = Where::Lease(lease);
            }
        }
    }

    /// A session is over: what it spent without a lease stays without one.
    pub fn leave_unplaced(&mut self, session: SessionId) {
        let left: Vec<_> = self.unplaced.extract_if(.., |(whose, _), _| *whose == session).collect();
        for ((_, bucket), spent) in left {
            self.homeless.entry(bucket.budget).or_default().add(spent);
        }
    }

    /// A session's last batch is not told again, though its rows may not have been heard.
    pub fn leave_untold(&mut self, batch: Batch) {
        if self.applied.get(&batch.session).is_none_or(|last| *last < batch.sequence) {
            self.untold.extend(batch.rows);
        }
    }

    /// A process goes on as another session, and its new journal begins with all that the old one had left.
    pub fn go_on_as(&mut self, old: SessionId, new: SessionId) {
        let moved = |place: &mut Where| {
            if let Where::Unplaced(session, _) = place
                && *session == old
            {
                *session = new;
            }
        };
        for request in self.requests.iter_mut().filter(|request| request.session == old) {
            (request.session, request.reserved_at) = (new, 0);
            request.ended_at = request.ended_at.map(|_| 0);
            request.more = request.more.map(|(_, tokens)| (0, tokens));
            request.rest.iter_mut().for_each(|(place, _)| moved(place));
            request.excess.iter_mut().for_each(|(place, _)| moved(place));
        }
        let unplaced: Vec<_> = self.unplaced.extract_if(.., |(whose, _), _| *whose == old).collect();
        self.unplaced.extend(unplaced.into_iter().map(|((_, bucket), spent)| ((new, bucket), spent)));
    }

    /// A process is gone, and its journal kept this many bytes. What it had open may have been spent in full, and what was
    /// ended in the part that is lost is not known to have ended.
    pub fn cut(&mut self, session: SessionId, kept: usize) {
        let (mut rests, mut excesses) = (Vec::new(), Vec::new());
        for request in self.requests.iter_mut().filter(|request| request.session == session) {
            let reserved = request.reserved_at <= kept;
            let is_cut = match (request.ended_at, request.known) {
                (Some(at), _) => at > kept,
                (None, Known::Open) => true,
                (None, Known::Unknown(_)) => !reserved,
                (None, Known::Cost(_) | Known::Nothing) => false,
            };
            if let (false, Known::Unknown(_)) = (is_cut, request.known) {
                request.known = Known::Unknown(request.most(kept)); // What it asked for on its way may be lost.
            }
            if is_cut {
                request.known = if reserved { Known::Unknown(request.most(kept)) } else { Known::Nothing };
                request.ended_at = None;
                let is_spent = request.is_spent;
                rests.extend(request.rest.drain(..).map(|(place, rest)| (place, rest, is_spent)));
                excesses.append(&mut request.excess);
            }
        }
        for (_, lease, _) in self.named.extract_if(.., |(whose, _, at)| *whose == session && *at > kept) {
            // What was spent before that lease is told in the bucket's name, in whatever window that is then.
            if let Some(home) = self.leases.get(&lease) {
                self.homeless.entry(home.bucket.budget).or_default();
            }
        }
        for (place, excess) in excesses {
            self.unprove(&place, excess);
        }
        for (place, rest, is_spent) in rests {
            let (unnoted, unknown) = if is_spent { (rest, 0) } else { (0, rest) };
            self.spend(&place, Spent { unknown, unnoted, ..Spent::default() });
        }
    }

    /// Notes by how much a request's cost differs from what it held in a place.
    pub fn note_difference(
        &mut self,
        sent: usize,
        place: Where,
        held: HeldPart,
        leased: Amount,
        overrun: Amount,
    ) {
        let sent = &mut self.requests[sent];
        let rest = (held.leased + held.lent).saturating_sub(leased + overrun);
        if rest > 0 {
            sent.rest.push((place, rest));
            return;
        }
        let excess = Spent {
            leased: leased.saturating_sub(held.leased),
            beyond: overrun.saturating_sub(held.lent),
            ..Spent::default()
        };
        if excess != Spent::default() {
            sent.excess.push((place, excess));
        }
    }

    /// What was spent is not to be proven any more.
    fn unprove(&mut self, place: &Where, excess: Spent) {
        let spent = match place {
            Where::Lease(lease) => {
                let Some(home) = self.leases.get(lease) else { return };
                self.spent.entry((home.bucket.clone(), home.window.start)).or_default()
            }
            Where::Unplaced(session, bucket) => self.unplaced.entry((*session, bucket.clone())).or_default(),
        };
        spent.leased -= excess.leased;
        spent.beyond -= excess.beyond;
        spent.unproven += excess.leased + excess.beyond;
    }

    /// What of a bucket may be spent in all by strict rules, as the limit was at any time of its window, until now.
    pub fn allowed(&self, bucket: &Bucket, now: Timestamp) -> Option<i128> {
        use tollgate_ratelimit::window::Window;
        let (name, start) = bucket;
        let budget = self.budgets.get(&name.budget)?;
        let limits = self.limits.get(&name.budget)?;
        // A lease of a window can be had a little earlier: the limit before it counts as well.
        let before = limits.iter().rposition(|(at, ..)| *at <= *start).unwrap_or_default().saturating_sub(1);
        let limit = limits[before..].iter().map(|(_, limit, _)| *limit).max()?;
        let burst = limits[before..].iter().map(|(.., burst)| *burst).max()?;
        let base = match &budget.window {
            Window::Rolling(rolling) => {
                let passed = now.since(self.start) + 10_000;
                i128::from(burst) + i128::from(limit) * i128::from(passed) / i128::from(rolling.period_ms)
            }
            Window::Fixed(_) | Window::Lifetime => i128::from(limit),
        };
        Some(base + i128::from(self.credits.get(bucket).copied().unwrap_or_default()))
    }
}
