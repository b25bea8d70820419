//! Who should vote: what the leader knows of the nodes becomes one next step of the membership, or none.
//!
//! ```text
//!  gossip ───────┐
//!  membership ───┼─▶ History::observe ──▶ standings ──▶ plan ──▶ Change ──▶ raft::membership::carry_out
//!  replication ──┘     (time is here)                 (no time)  (one step, compare-and-set)
//! ```
//!
//! Pure: no clock, no socket, no randomness. It runs on the leader alone; one that is deposed proposes in vain, since a change names the
//! membership that it was made for.
//!
//! 1. Nobody becomes a voter that has not followed the log closely for a while.
//! 2. Every set of voters of a step, the old ones and the new one, has a majority that answers now. Without one nothing is changed.
//! 3. One step at a time: none before the last one is committed.
//! 4. The leader is in each set that it proposes. To go, it hands over first.
//! 5. Voters are 3 or 5, an odd number as long as there are nodes for it: a second or fourth voter makes a majority larger without letting
//!    one more fail. With two nodes, one votes. An even number comes only from a voter that goes while nobody can follow it.
//! 6. A majority survives the loss of any one region, and then of any one zone, where the nodes' places permit it.
//! 7. A voter that is gone is replaced when somebody can take its place, and stays otherwise: fewer voters would not be safer.
//! 8. Only who was told to leave, or was forgotten by an operator, is removed; it is a voter no more by then.

pub mod history;
mod placement;
pub mod plan;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

pub use crate::gossip::view::NodeId;

/// A membership's place in the log. Another membership has another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision {
    /// Of the leader that wrote it.
    pub term: u64,
    /// Its entry.
    pub index: u64,
}

/// Who belongs to the cluster, as the leader has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// Names it.
    pub at: Revision,
    /// Whether a majority has it.
    pub phase: Phase,
    /// The sets of voters: one, or two while one is exchanged for the other.
    pub voters: Vec<BTreeSet<NodeId>>,
    /// All nodes, voters or not, and where they stand.
    pub nodes: BTreeMap<NodeId, Place>,
}

/// Whether the last change of the membership is through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// It may still be undone.
    #[default]
    Proposed,
    /// It holds.
    Committed,
}

/// Where a node stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// What fails together.
    pub region: String,
    /// A part of it that fails alone.
    pub zone: String,
}

/// How far the others follow the leader.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replication {
    /// The leader itself.
    pub leader: NodeId,
    /// The last entry of its log.
    pub last: u64,
    /// The others.
    pub followers: BTreeMap<NodeId, Follower>,
}

/// How far one node follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Follower {
    /// The last entry that it is known to have.
    pub matched: u64,
    /// How long ago it answered; None while it did not, to this leader.
    pub answered: Option<Duration>,
}

/// What is held of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Where it stands.
    pub place: Place,
    /// How it is.
    pub health: Health,
    /// What it, or an operator, wants.
    pub course: Course,
}

/// How a node is, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// Answers, and has followed closely for a while.
    Ready,
    /// Answers, but is behind or has only just come.
    Behind,
    /// Does not answer, which may pass.
    Silent,
    /// Has not answered for so long, and is not seen by others either, that it is not waited for.
    Lost,
}

/// Where a node is going.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// It stays.
    Stays,
    /// It has been draining for a while: it is not to vote.
    Drains,
    /// It was started as one that is never to vote.
    Serves,
    /// It was told to leave for good, or forgotten.
    Leaves,
}

/// One step of the membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The membership that it was made for: it fails where that is not the last one.
    pub on: Revision,
    /// What to do.
    pub step: Step,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// These vote from now on. Who voted before stays as a learner.
    Vote(BTreeSet<NodeId>),
    /// This voter is to lead.
    Lead(NodeId),
    /// This learner is a member no more.
    Remove(NodeId),
}

impl Health {
    /// Whether it counts for a majority that can act now.
    pub fn answers(self) -> bool {
        match self {
            Self::Ready | Self::Behind => true,
            Self::Silent | Self::Lost => false,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vote(voters) => {
                let ids: Vec<_> = voters.iter().map(ToString::to_string).collect();
                write!(f, "nodes {} vote", ids.join(", "))
            }
            Self::Lead(node) => write!(f, "node {node} leads"),
            Self::Remove(node) => write!(f, "node {node} is removed"),
        }
    }
}
