//! What the replicated ledger is told. Each command is one decision of somebody: an operator, a node, or time.

use serde::{Deserialize, Serialize};

use super::rows::{Change, Row, RowKey};
use crate::budget::{BucketName, Budget};
use crate::time::Timestamp;
use crate::unit::Amount;

/// A node's number in the cluster, never used again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub u64);

/// One run of a node's process, as the ledger numbers it. Leases belong to a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId(pub u32);

/// Names a lease: its place, and how often that place was used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LeaseId {
    /// Its place in the ledger.
    pub slot: u32,
    /// Tells it from earlier leases in the same place.
    pub generation: u32,
}

/// One entry of the replicated log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Makes a budget, or changes the one of that name. Unit and window of a budget with spend can't change: make another.
    SetBudget(Box<Budget>),
    /// Takes a budget away. Its leases end as they come back; its history stays.
    DeleteBudget {
        /// The budget's name.
        name: String,
    },
    /// Adds boundaries to a calendar that is running out.
    ExtendCalendar {
        /// The budget's name.
        name: String,
        /// Later than those that are known, in order.
        boundaries: Vec<Timestamp>,
    },
    /// A node's process has started. Asked twice, the same session is named. All earlier runs of the node have ended: what
    /// still comes of them is settled, and they are granted nothing.
    OpenSession {
        /// Which node.
        node: NodeId,
        /// Which run of it: larger than all before.
        incarnation: u64,
    },
    /// The batches of any number of nodes, in one entry.
    Batches(Vec<Batch>),
    /// A session has nothing more to say: what its leases still hold is forfeited, counted as spent.
    CloseSession {
        /// The session.
        session: SessionId,
    },
    /// A node never comes back: what its leases hold is forfeited, counted as spent. Should it come back after all, its next
    /// run finds these sessions among the earlier ones, so that the rows in their journals are not lost.
    ForgetNode {
        /// The node.
        node: NodeId,
    },
    /// An operator's entry: credits to buckets, corrections to rows. It stands beside what was booked, never in its place.
    Adjust(Box<Adjustment>),
    /// Time has passed: windows close, silent sessions are fenced, old rows fold.
    Tick,
}

/// What one session has to say. Applied once: a sequence number that was seen already gets the same answer again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Whose.
    pub session: SessionId,
    /// One more than the session's last one; its first is 1.
    pub sequence: u64,
    /// About leases.
    pub items: Vec<Item>,
    /// What finished requests did cost, summed by row since the last batch.
    pub rows: Vec<(RowKey, Row)>,
}

/// What a node has to say about one lease. Amounts are totals since the lease began, so that saying them twice changes
/// nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Which one.
    pub target: Target,
    /// How much more than it was granted so far it would like.
    pub want: Amount,
    /// The least that helps the requests that wait for it; 0 if none waits.
    pub need: Amount,
    /// Spent from the lease.
    pub settled: Amount,
    /// Spent beyond it: shadow budgets, bounded ones, and answers that cost more than could be held.
    pub overrun: Amount,
    /// Given back unspent.
    pub returned: Amount,
    /// Of what it was granted, neither spent nor held by a request just now. Not a total, and only of use to tell a request
    /// that is larger than its bucket from one that has to wait.
    pub idle: Amount,
    /// Whether the node goes on with it.
    pub keep: Keep,
}

/// Which lease an item is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// A new lease of this bucket, in the window that is current. Said with [`Keep::Close`], it ends at once, and only what
    /// was spent without a lease is booked: leases that the session has already are not touched.
    Current(BucketName),
    /// The same for the window after the current one, so that its start costs nobody a round trip.
    Next(BucketName),
    /// A lease that is known.
    Lease(LeaseId),
}

/// Whether a node goes on with a lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Keep {
    /// It does.
    #[default]
    Open,
    /// Settled and returned are its last words: what is left over is given back, and nothing is granted.
    Close,
}

/// An operator's entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjustment {
    /// Chosen by the operator's tool; the same id is booked once.
    pub id: String,
    /// Who says so.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Changes to what buckets have.
    pub buckets: Vec<BucketAdjustment>,
    /// Changes to what rows say.
    pub rows: Vec<(RowKey, Change)>,
}

/// A change to what one bucket has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketAdjustment {
    /// Which one.
    pub bucket: BucketName,
    /// The start of its window; none for the current one.
    pub window: Option<Timestamp>,
    /// More to spend, or less.
    pub amount: i64,
}
