//! The ways to say no between nodes: one list, told by the server and read by the client.

use std::fmt;

use serde::{Deserialize, Serialize};
use tonic::{Code, Status};

use super::envelope;
use crate::identity::ClusterId;
use crate::identity::token::Barred;
use crate::raft::types::Member;

/// Why a node did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The caller is of another cluster, or takes this for one.
    OtherCluster {
        /// The one that this node belongs to.
        here: ClusterId,
        /// The one that the call names.
        asked: ClusterId,
    },
    /// Another node was meant: the address is somebody else's now.
    OtherNode {
        /// Who this is.
        here: u64,
        /// Who was meant.
        asked: u64,
    },
    /// The caller's certificate is another node's than the call claims.
    NotYourName {
        /// Whose certificate it is.
        certificate: u64,
        /// Whom the call claims to be from.
        claimed: u64,
    },
    /// The caller was forgotten: it must come back as a new node.
    Forgotten {
        /// Its id.
        node: u64,
    },
    /// The pass lets nobody in.
    Barred(Barred),
    /// A version of the protocol that this program does not know.
    Version {
        /// The one that it knows.
        known: u8,
        /// The one that came.
        got: u8,
    },
    /// No such call.
    NoSuchCall {
        /// What was called.
        path: String,
    },
    /// What came can't be read.
    Malformed {
        /// What was expected and what came.
        why: String,
    },
    /// Only the leader can do that.
    NotLeader {
        /// The leader, if this node knows one.
        leader: Option<Leader>,
    },
    /// No majority of the voters answers.
    NoQuorum {
        /// Who was missing.
        why: String,
    },
    /// Too much to do already; it was not begun.
    Busy {
        /// With what.
        what: String,
    },
    /// It took too long, or ended in the middle. Whether it was done is not known.
    OutcomeUnknown {
        /// What happened.
        why: String,
    },
    /// It was not done.
    Failed {
        /// Why.
        why: String,
    },
}

/// A leader and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leader {
    /// Its id.
    pub node: u64,
    /// What the membership says of it.
    pub member: Member,
}

impl Refusal {
    pub(crate) fn malformed(why: impl fmt::Display) -> Self {
        Self::Malformed { why: why.to_string() }
    }

    pub(crate) fn failed(why: impl fmt::Display) -> Self {
        Self::Failed { why: why.to_string() }
    }

    /// As gRPC says it, with the refusal itself in the details.
    pub(crate) fn status(&self) -> Status {
        Status::with_details(self.code(), self.to_string(), envelope::pack(self))
    }

    /// The refusal that a status brings, if it was one of ours that made it.
    pub(crate) fn from_status(status: &Status) -> Option<Self> {
        envelope::unpack(status.details()).ok()
    }

    fn code(&self) -> Code {
        match self {
            Self::OtherCluster { .. }
            | Self::NotYourName { .. }
            | Self::Forgotten { .. }
            | Self::Barred(_) => Code::PermissionDenied,
            Self::OtherNode { .. } | Self::NotLeader { .. } => Code::FailedPrecondition,
            Self::Version { .. } | Self::NoSuchCall { .. } => Code::Unimplemented,
            Self::Malformed { .. } => Code::InvalidArgument,
            Self::NoQuorum { .. } => Code::Unavailable,
            Self::Busy { .. } => Code::ResourceExhausted,
            Self::OutcomeUnknown { .. } => Code::Aborted,
            Self::Failed { .. } => Code::Internal,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherCluster { here, asked } => {
                write!(f, "this is a node of cluster {here}, the call is for cluster {asked}")
            }
            Self::OtherNode { here, asked } => write!(f, "this is node {here}, the call is for node {asked}"),
            Self::NotYourName { certificate, claimed } => {
                write!(
                    f,
                    "the call claims to be from node {claimed}, the certificate is node {certificate}'s"
                )
            }
            Self::Forgotten { node } => {
                write!(
                    f,
                    "node {node} was forgotten: it has to join again, as a new node with an empty data folder"
                )
            }
            Self::Barred(why) => why.fmt(f),
            Self::Version { known, got } => {
                write!(f, "version {got} of the protocol between nodes is not known here; version {known} is")
            }
            Self::NoSuchCall { path } => write!(f, "there is no call `{path}`"),
            Self::Malformed { why } => write!(f, "can't be read: {why}"),
            Self::NotLeader { leader: Some(Leader { node, member }) } => {
                write!(f, "not the leader; that is node {node}, {member}")
            }
            Self::NotLeader { leader: None } => f.write_str("not the leader, and none is known"),
            Self::NoQuorum { why } => write!(f, "no quorum: {why}"),
            Self::Busy { what } => write!(f, "busy: {what}"),
            Self::OutcomeUnknown { why } => write!(f, "the outcome is not known: {why}"),
            Self::Failed { why } => f.write_str(why),
        }
    }
}

impl std::error::Error for Refusal {}
