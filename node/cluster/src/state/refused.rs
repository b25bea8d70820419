//! Why a proposal changed nothing. An answer like any other: the same on every node.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A proposal that can't be taken: what was expected, and what came. Nothing of it was applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refused {
    /// The first entry founds the cluster; nothing else is taken before.
    NotFounded,
    /// It is a cluster already, and another one.
    AlreadyFounded {
        /// Which one.
        cluster: [u8; 16],
    },
    /// Something was changed since the proposer looked.
    Conflict {
        /// What.
        what: String,
        /// The revision that the proposer saw; 0 for none.
        expected: u64,
        /// The one that there is; 0 for none.
        got: u64,
    },
    /// No node was ever given this id, or it was forgotten long ago.
    UnknownNode {
        /// The id.
        node: u64,
    },
    /// The node was forgotten: it must come back as a new one.
    ForgottenNode {
        /// Its id.
        node: u64,
        /// What it was called.
        name: String,
    },
    /// A later run of the node is known, or this one with another address: two processes have the same identity.
    OldIncarnation {
        /// The node.
        node: u64,
        /// The newest run that is known.
        newest: u64,
        /// The one that came.
        got: u64,
    },
    /// Something is longer than it may be.
    TooLong {
        /// What.
        what: String,
        /// How long it is.
        bytes: u64,
        /// How long it may be.
        most: u64,
    },
    /// There are as many as there may be.
    Full {
        /// Of what.
        what: String,
        /// How many.
        most: u64,
    },
    /// A value that can't be taken.
    Invalid {
        /// Where.
        field: String,
        /// What was expected.
        expected: String,
        /// What came.
        got: String,
    },
}

impl Refused {
    pub(super) fn invalid(field: &str, expected: &str, got: impl fmt::Display) -> Self {
        Self::Invalid { field: field.to_owned(), expected: expected.to_owned(), got: got.to_string() }
    }

    pub(super) fn full(what: &str, most: usize) -> Self {
        Self::Full { what: what.to_owned(), most: most as u64 }
    }
}

/// Refuses what is longer than `most`.
pub(super) fn fits(what: &str, bytes: usize, most: usize) -> Result<(), Refused> {
    if bytes <= most {
        return Ok(());
    }
    Err(Refused::TooLong { what: what.to_owned(), bytes: bytes as u64, most: most as u64 })
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFounded => f.write_str("expected the entry that founds the cluster to come first"),
            Self::AlreadyFounded { cluster } => {
                write!(f, "this is the cluster {:032x} already", u128::from_be_bytes(*cluster))
            }
            Self::Conflict { what, expected, got } => {
                write!(f, "{what} was changed meanwhile: expected revision {expected}, it is {got}")
            }
            Self::UnknownNode { node } => write!(f, "no node has the id {node}"),
            Self::ForgottenNode { node, name } => {
                write!(f, "node {node} ({name}) was forgotten: it has to join again, as a new node")
            }
            Self::OldIncarnation { node, newest, got } => {
                write!(
                    f,
                    "run {got} of node {node} came, run {newest} is known: do two processes use its data?"
                )
            }
            Self::TooLong { what, bytes, most } => {
                write!(f, "{what}: {bytes} bytes, at most {most} are taken")
            }
            Self::Full { what, most } => write!(f, "there may be {most} {what}, and there are"),
            Self::Invalid { field, expected, got } => write!(f, "{field}: expected {expected}, {got} came"),
        }
    }
}

impl std::error::Error for Refused {}
