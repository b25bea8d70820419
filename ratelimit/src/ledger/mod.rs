//! The replicated state machine: every member applies the same commands and holds the same state. Nothing here can fail half
//! way: a command is checked, then done.
//!
//! ```text
//!  Command ─▶ apply ─▶ batch ─▶ item: absorb totals, then grant ─▶ Answer
//!                 ├──▶ define · adjust · session
//!                 └──▶ age: windows close, the silent are fenced, rows fold
//! ```
//!
//! What counts for each bucket: `spent + outstanding + free = allowed`. A grant moves value from free to outstanding, a
//! settlement from outstanding to spent, a return back to free. Nothing else moves, and no clock moves anything.

mod adjust;
mod age;
mod batch;
mod bucket;
mod check;
pub mod command;
mod debt;
mod define;
mod grant;
mod index;
mod lease;
pub mod limits;
mod open;
pub mod outcome;
pub mod rows;
mod session;
mod slab;
mod snapshot;
mod view;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use self::bucket::Bucket;
use self::command::{Adjustment, Batch, Command, NodeId, SessionId};
use self::index::Index;
use self::lease::Lease;
use self::outcome::{Applied, Nudge, Outcome};
use self::rows::{Row, RowKey, Rows};
use self::session::Session;
use self::slab::Slab;
use crate::budget::{Budget, BudgetId};
use crate::fault::{self, Fault};
use crate::time::{Span, Timestamp};
use crate::unit::Amount;

pub use check::Violation;
pub use session::{FENCED_AFTER_MS, VALIDITY_MS};
pub use snapshot::{RestoreError, Restoring, SECTIONS};
pub use view::{BucketView, LeaseView};

/// The ledger. See the module's text.
#[derive(Clone, Default)]
pub struct Ledger {
    now: Timestamp,
    budgets: BTreeMap<BudgetId, Entry>,
    names: BTreeMap<String, BudgetId>,
    next_budget: u32,
    buckets: Slab<Bucket>,
    leases: Slab<Lease>,
    /// What closed sessions may have spent, by bucket: a part of `spent`.
    forfeited: BTreeMap<u32, Amount>,
    /// What was spent beyond leases, by bucket: a debt as far as the bucket can't pay for it. See `debt`.
    overruns: BTreeMap<u32, Amount>,
    sessions: BTreeMap<SessionId, Session>,
    next_session: u32,
    /// The newest run of each node.
    incarnations: BTreeMap<NodeId, u64>,
    rows: Rows,
    adjustments: VecDeque<Booked>,
    /// Which leases each session has. Derived from the leases.
    held: BTreeMap<SessionId, BTreeSet<u32>>,
    /// Which buckets to look at, and when. Derived from the buckets.
    due: BTreeMap<Timestamp, BTreeSet<u32>>,
    /// Where buckets are. Derived from them.
    index: Index,
}

/// A budget and what became of its windows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) budget: Budget,
    pub(crate) deleted: bool,
    pub(crate) open_buckets: u32,
    /// Whether the limit was ever lowered or a bucket overrun: only then may a bucket be in debt.
    pub(crate) lowered: bool,
    pub(crate) overran: bool,
    /// The newest closed windows, one by one.
    pub(crate) closed: BTreeMap<Timestamp, Closed>,
    /// All older ones together.
    pub(crate) earlier: Closed,
}

/// The sum of a window's buckets, after the last of them was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// The window, or from the first window's start to the last one's end.
    pub window: Span,
    /// How many buckets it had.
    pub buckets: u64,
    /// What was spent, forfeits included.
    pub spent: Amount,
    /// What sessions that were never heard of again may have spent.
    pub forfeited: Amount,
    /// What operators added or took.
    pub adjusted: i64,
}

/// An operator's entry and when it was booked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Booked {
    /// When.
    pub at: Timestamp,
    /// What.
    pub entry: Adjustment,
}

impl Ledger {
    /// An empty ledger. The seed spreads an index in memory and is not part of the state: each member may take its own.
    pub fn new(seed: u64) -> Self {
        Self { index: Index::new(seed), ..Self::default() }
    }

    /// Applies one command of the log, stamped by the leader that proposed it. A stamp that is older than the one before it
    /// is read as that one.
    pub fn apply(&mut self, command: &Command, stamp: Timestamp) -> Applied {
        let backwards = fault::planted(Fault::TimeRunsBack);
        self.now = if backwards { stamp } else { self.now.max(stamp) };
        let mut nudges = Vec::new();
        let outcome = match command {
            Command::Batches(batches) => self.batches(batches, &mut nudges),
            Command::SetBudget(budget) => self.set_budget(budget, &mut nudges),
            Command::DeleteBudget { name } => self.delete_budget(name, &mut nudges),
            Command::ExtendCalendar { name, boundaries } => self.extend_calendar(name, boundaries),
            Command::OpenSession { node, incarnation } => self.open_session(*node, *incarnation),
            Command::CloseSession { session } => self.close_session(*session),
            Command::ForgetNode { node } => self.forget_node(*node),
            Command::Adjust(entry) => self.adjust(entry, &mut nudges),
            Command::Tick => self.tick(&mut nudges),
        };
        debug_assert_eq!(self.check_if_small(), Ok(()), "after {command:?}");
        Applied { outcome, nudges }
    }

    fn batches(&mut self, batches: &[Batch], nudges: &mut Vec<Nudge>) -> Outcome {
        Outcome::Answers(batches.iter().map(|batch| self.batch(batch, nudges)).collect())
    }

    /// Adds to a row. An hour that has not come yet is a node's clock running ahead: it is this one.
    fn book(&mut self, key: &RowKey, row: &Row) {
        let now = self.now.hour();
        if key.hour > now {
            let key = RowKey { hour: now, ..key.clone() };
            self.rows.add(&key, row);
        } else {
            self.rows.add(key, row);
        }
    }
}

#[cfg(test)]
mod debts_test;
#[cfg(test)]
mod edges_test;
#[cfg(test)]
mod ledger_test;
#[cfg(test)]
mod sessions_test;
