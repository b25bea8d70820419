//! What a journal says, one thing a record. New kinds go to the end: their order is their number in the bytes.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::budget::BucketName;
use crate::ledger::command::{LeaseId, NodeId, SessionId};
use crate::ledger::rows::{Row, RowKey};
use crate::unit::Amount;
use crate::usage::Usage;

/// Which start of the machine: another one means that what was not flushed is gone. Where a machine has no such id, one
/// that was never used before says the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootId(pub [u8; 16]);

/// One record. What is large is borrowed when written and owned when read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record<'a> {
    /// The session began: the first file's first record.
    Opened(Opened),
    /// A request may spend this.
    Reserved {
        /// The request's hold: a number that the session uses once.
        hold: u64,
        /// From where, and how much.
        parts: Cow<'a, [Part]>,
        /// What the ledger is told if nothing is ever heard of it again.
        intent: Cow<'a, Intent>,
    },
    /// It may spend more.
    Extended {
        /// Which one.
        hold: u64,
        /// How much more.
        parts: Cow<'a, [Part]>,
        /// How much more usage that stands for.
        usage: Usage,
        /// And how much more money.
        cost_nano_usd: Amount,
    },
    /// It ended and did cost this: all of it, not the rest.
    Settled {
        /// Which one.
        hold: u64,
        /// From where, and how much.
        parts: Cow<'a, [Part]>,
        /// Where it is booked, if not where it was meant to be: another backend answered, or in another hour.
        key: Option<Cow<'a, RowKey>>,
        /// What the ledger is told.
        row: Row,
    },
    /// It ended and did cost nothing.
    Released {
        /// Which one.
        hold: u64,
    },
    /// A bucket of which nothing was leased yet has a lease now: what was spent in the bucket's name is the lease's.
    Leased {
        /// The bucket.
        bucket: Cow<'a, BucketName>,
        /// Its lease.
        lease: LeaseId,
    },
    /// The ledger answered that a lease is closed: its totals need not be carried on. Else a journal would only ever grow.
    Ended {
        /// The lease.
        lease: LeaseId,
    },
    /// A batch is about to be sent. The one before it was applied, or refused if it had the same number.
    Sent {
        /// Its number.
        sequence: u64,
        /// All of its rows: a part of what was settled and was in no batch yet.
        rows: Cow<'a, [(RowKey, Row)]>,
    },
    /// A batch was answered, and so applied.
    Reported {
        /// Its number.
        sequence: u64,
    },
    /// What the files before said, in as many pieces as it takes: the first records of every file but the first.
    Checkpoint {
        /// How many pieces follow.
        pieces_left: u32,
        /// A part of it.
        entries: Vec<Entry>,
    },
    /// The session ended in order: nothing follows.
    Clean,
}

/// Whose journal it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// The session, as the ledger numbers it.
    pub session: SessionId,
    /// The run of the node.
    pub incarnation: u64,
    /// The node.
    pub node: NodeId,
    /// The machine's start that it was written in.
    pub boot: BootId,
}

/// What an amount was taken from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Place {
    /// A lease.
    Lease(LeaseId),
    /// A bucket of which the session had no lease yet: bounded and shadow budgets don't wait for one. Once
    /// `Leased` was written, records name the lease.
    Bucket(BucketName),
}

/// What one place gives, or gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Which one.
    pub place: Place,
    /// How much.
    pub spent: Spent,
}

/// An amount, by what pays for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Out of what was leased.
    pub leased: Amount,
    /// Beyond it.
    pub overrun: Amount,
}

/// What a request is about and the most that it may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Where it would be booked.
    pub key: Arc<RowKey>,
    /// The most tokens.
    pub usage: Usage,
    /// The most money.
    pub cost_nano_usd: Amount,
    /// The version of the price list that says so.
    pub prices: u32,
}

/// A hold of which no end is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenHold {
    /// What it holds: one part a place.
    pub parts: Vec<Part>,
    /// What it is about.
    pub intent: Intent,
}

/// One thing that a checkpoint carries over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// Whose journal it is.
    Opened(Opened),
    /// The last batch that was sent, and the last that was answered.
    Batches {
        /// Sent.
        sent: u64,
        /// Answered.
        reported: u64,
    },
    /// What finished requests spent from a place.
    Spent(Part),
    /// A hold without an end.
    Hold {
        /// Its number.
        hold: u64,
        /// What it is.
        open: OpenHold,
    },
    /// A row that was in no batch yet.
    Row {
        /// Which row.
        key: RowKey,
        /// What was added to it.
        row: Row,
    },
    /// A row of the last batch that was sent, if that was not answered.
    InFlight {
        /// Which row.
        key: RowKey,
        /// What was added to it.
        row: Row,
    },
}

impl Spent {
    /// Both, added without overflow.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            leased: self.leased.saturating_add(other.leased),
            overrun: self.overrun.saturating_add(other.overrun),
        }
    }
}

impl Intent {
    /// What the ledger is told of a request that was never heard of again.
    pub const fn as_unknown(&self) -> Row {
        Row {
            requests: 1,
            estimated_requests: 0,
            usage: self.usage,
            estimated_usage: Usage {
                input: 0,
                cached_input: 0,
                cache_creation_input: 0,
                output: 0,
                reasoning: 0,
                total: 0,
            },
            unknown_requests: 1,
            unknown_usage: self.usage,
            cost_nano_usd: self.cost_nano_usd,
            prices: self.prices,
        }
    }
}
