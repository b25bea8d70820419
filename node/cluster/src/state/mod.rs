//! What every node holds: one state machine with a module a part, and the proposals that change it.

use std::fmt;

use serde::{Deserialize, Serialize};
use tollgate_ratelimit::ledger::command::Command;
use tollgate_ratelimit::ledger::outcome::Outcome;
use tollgate_ratelimit::time::Timestamp;

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
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quota { at, commands } => write!(f, "{} quota commands at {}", commands.len(), at.0),
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
}
