//! What the log's entries say, and what became of them. Variants are numbered by their place: new ones come last, and are
//! proposed only in a cluster whose format has them.

use std::fmt;

use serde::{Deserialize, Serialize};
use tollgate_ratelimit::ledger::command::Command;
use tollgate_ratelimit::ledger::outcome::Outcome;
use tollgate_ratelimit::time::Timestamp;

use super::cluster::{Change, Founding};
use super::nodes::{Arrival, Farewell, Registration};
use super::refused::Refused;
use super::resources::Edit;

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Proposal {
    /// For the quota core: all that reached the leader in one tick, at the leader's time.
    Quota {
        /// The leader's clock. It is raised to the one before where it ran backwards.
        at: Timestamp,
        /// Applied in order.
        commands: Vec<Command>,
    },
    /// Makes the cluster one: the very first.
    Found(Box<Founding>),
    /// Changes what the cluster is.
    Change(Box<Change>),
    /// Gives a node its id.
    Register(Box<Registration>),
    /// A node's process has started.
    Arrive(Box<Arrival>),
    /// A node never comes back.
    Forget(Farewell),
    /// Changes resources, all of these or none.
    Edit(Vec<Edit>),
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quota { at, commands } => write!(f, "{} quota commands at {}", commands.len(), at.0),
            Self::Found(founding) => write!(f, "a cluster founded by {}", founding.first),
            Self::Change(change) => write!(f, "a change to revision {} of the cluster", change.expects),
            Self::Register(asked) => write!(f, "{} registered", asked.member),
            Self::Arrive(arrival) => write!(f, "run {} of node {}", arrival.incarnation, arrival.node),
            Self::Forget(farewell) => write!(f, "node {} forgotten", farewell.node),
            Self::Edit(edits) => write!(f, "{} resources edited", edits.len()),
        }
    }
}

/// What became of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Applied {
    /// An entry of Raft's own.
    Nothing,
    /// One outcome a command.
    Quota(Vec<Outcome>),
    /// Nothing was changed.
    Refused(Refused),
    /// It is a cluster now, or was this one already.
    Founded,
    /// The cluster was changed.
    ClusterChanged {
        /// Its revision now.
        revision: u64,
    },
    /// A node has an id, or had it already.
    Registered {
        /// The id.
        node: u64,
    },
    /// A node's run is known.
    Arrived,
    /// A node is forgotten.
    Forgotten,
    /// Resources are as they were wanted.
    ResourcesEdited {
        /// The revision of all resources now.
        revision: u64,
    },
}
