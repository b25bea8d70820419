//! What the ledger answers. A refusal is an answer too; nothing here is a failure of the ledger.

use serde::{Deserialize, Serialize};

use super::command::{LeaseId, SessionId};
use crate::budget::BudgetId;
use crate::time::{Span, Timestamp};
use crate::unit::Amount;

/// What became of a command, and whom it concerns beside the one who sent it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// For who sent it.
    pub outcome: Outcome,
    /// For others. Hints: one that gets lost costs time, never correctness.
    pub nudges: Vec<Nudge>,
}

/// What became of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Done.
    #[default]
    Done,
    /// A budget was made or changed.
    BudgetSet {
        /// Its number.
        budget: BudgetId,
    },
    /// A session is open.
    SessionOpened {
        /// Its number.
        session: SessionId,
        /// Sessions of earlier runs of the same node that were never closed, whose journal should be replayed.
        earlier: Vec<Unfinished>,
    },
    /// One answer a batch, in their order.
    Answers(Vec<Answer>),
    /// Nothing was changed.
    Rejected(Rejected),
}

/// An earlier session that was not closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// The session.
    pub session: SessionId,
    /// The run that it was.
    pub incarnation: u64,
    /// The last batch that was applied; the next is one more.
    pub last_sequence: u64,
    /// Its leases and what the ledger knows of them.
    pub leases: Vec<LeaseRecord>,
}

/// What the ledger knows of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRecord {
    /// The lease.
    pub lease: LeaseId,
    /// Granted in all.
    pub granted: Amount,
    /// Spent in all, as far as reported.
    pub settled: Amount,
    /// Spent beyond it, as far as reported.
    pub overrun: Amount,
    /// Given back in all.
    pub returned: Amount,
}

/// The answer to one batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// To whom.
    pub session: SessionId,
    /// To which batch.
    pub sequence: u64,
    /// When it was applied: how nodes learn cluster time.
    pub at: Timestamp,
    /// What became of the batch as a whole.
    pub verdict: BatchVerdict,
    /// One an item, in their order; empty unless the batch was applied.
    pub items: Vec<ItemAnswer>,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BatchVerdict {
    /// Applied, now or before.
    Applied,
    /// The session is closed for good, because its node was forgotten, or was never open: start another.
    NoSession,
    /// Not the next one: something was left out, or it is older than the last one.
    OutOfSequence {
        /// The one that would be taken.
        expected: u64,
    },
    /// More items or rows than a batch may have: nothing of it was applied, and its number is used up.
    TooLarge,
}

/// The answer to one item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ItemAnswer {
    /// The lease as it is now.
    Lease(LeaseState),
    /// The lease has ended.
    Closed,
    /// Nothing of the item was taken.
    Rejected(Rejected),
}

/// A lease as its holder should see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseState {
    /// The lease.
    pub lease: LeaseId,
    /// The window that it belongs to.
    pub window: Span,
    /// Granted in all.
    pub granted: Amount,
    /// How much of the reported overrun the budget could cover after all: a bounded budget's allowance is whole again by it.
    pub covered: Amount,
    /// About what was asked.
    pub verdict: Verdict,
    /// Others wait: give back what is not needed now.
    pub recalled: bool,
    /// Less than a tenth of the bucket is unspent: what is spent should be told soon.
    pub scarce: bool,
}

/// About what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// At least the need was granted, or nothing was needed.
    Granted,
    /// Others hold what is left, and are being asked for it.
    Wait,
    /// Others hold and use what is left: some of it comes back as their requests end.
    Held,
    /// Spent. Nothing comes before `until`.
    Exhausted {
        /// The window's end, or when enough will have become free; sooner where a silent node holds enough of it, which may
        /// come back.
        until: Timestamp,
    },
    /// More than the bucket ever has.
    TooLarge {
        /// What it has at most.
        limit: Amount,
    },
    /// The budget was taken away: what is out still settles, and nobody need ask for more of it.
    NotKept,
}

/// Something that a session should know before it asks again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nudge {
    /// Whom to tell.
    pub session: SessionId,
    /// About which of its leases.
    pub lease: LeaseId,
    /// What.
    pub why: Why,
}

/// Why a session is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Why {
    /// Others wait: give back what is not needed now.
    Recalled,
    /// There is something to be had again: forget the refusal.
    Changed,
}

/// A command or an item that can't be taken: what was expected, and what came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rejected {
    /// No budget of that name or number.
    UnknownBudget,
    /// No such lease, or it has ended.
    UnknownLease,
    /// No such session, or it is closed.
    UnknownSession,
    /// No such node.
    UnknownNode,
    /// The lease belongs to another session.
    NotYours,
    /// Totals that run backwards, or are more than was granted.
    Impossible {
        /// Which of the item's totals.
        field: Field,
        /// The bound that it passes.
        bound: Amount,
        /// What came.
        got: Amount,
    },
    /// A definition that can't be kept.
    Invalid {
        /// Which field.
        field: String,
        /// What was expected.
        expected: String,
    },
    /// A collection is full.
    Full {
        /// Which one.
        what: String,
        /// How many it holds.
        most: u64,
    },
    /// The calendar's boundaries do not reach this far.
    NoWindow,
    /// An incarnation that is not newer than one that is known.
    OldIncarnation {
        /// The newest known one.
        newest: u64,
    },
}

/// A total of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Field {
    /// `settled`.
    Settled,
    /// `overrun`.
    Overrun,
    /// `returned`.
    Returned,
    /// `settled` and `returned` together.
    SettledAndReturned,
}

impl Rejected {
    pub(crate) fn full(what: &str, most: usize) -> Self {
        Self::Full { what: what.to_owned(), most: most as u64 }
    }

    pub(crate) fn invalid(field: &str, expected: impl Into<String>) -> Self {
        Self::Invalid { field: field.to_owned(), expected: expected.into() }
    }
}
