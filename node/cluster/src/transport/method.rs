//! Every call that a node takes, with its limits. A call that is not here does not exist.

use std::time::Duration;

use tollgate_ratelimit::wire::MOST_COMMAND_BYTES;

/// A call between nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// Entries of the log, as a stream: many on the way at once, answered in order.
    Append,
    /// Entries of the log, once: a heartbeat.
    AppendOnce,
    /// A candidate asks for a vote.
    Vote,
    /// A node asks whether it would be voted for.
    PreVote,
    /// A snapshot in parts.
    Snapshot,
    /// The leader asks another node to take over.
    TransferLeader,
    /// A proposal for the leader.
    Write,
    /// How far the leader is: what a follower has to have applied before it may answer.
    ReadIndex,
    /// Batches up, answers and nudges down.
    Wallet,
}

/// The call of those who have no certificate yet.
pub(crate) const JOIN: &str = "/tollgate.Join/Join";
/// No newcomer has more to say.
pub(crate) const MOST_JOIN_BYTES: usize = 8 << 10;
/// The largest message of all: an answer to the largest command, and a little around it.
pub(crate) const MOST_ANSWER_BYTES: usize = tollgate_ratelimit::wire::MOST_ANSWER_BYTES + SLACK;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// What stands around the largest of what is carried.
const SLACK: usize = 64 * KIB;

impl Method {
    pub(crate) const ALL: [Self; 9] = [
        Self::Append,
        Self::AppendOnce,
        Self::Vote,
        Self::PreVote,
        Self::Snapshot,
        Self::TransferLeader,
        Self::Write,
        Self::ReadIndex,
        Self::Wallet,
    ];

    /// What is behind this path.
    pub(crate) fn at(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.path() == path)
    }

    /// gRPC's path, and the name in logs and metrics.
    pub fn path(self) -> &'static str {
        match self {
            Self::Append => "/tollgate.Raft/Append",
            Self::AppendOnce => "/tollgate.Raft/AppendOnce",
            Self::Vote => "/tollgate.Raft/Vote",
            Self::PreVote => "/tollgate.Raft/PreVote",
            Self::Snapshot => "/tollgate.Raft/Snapshot",
            Self::TransferLeader => "/tollgate.Raft/TransferLeader",
            Self::Write => "/tollgate.Forward/Write",
            Self::ReadIndex => "/tollgate.Forward/ReadIndex",
            Self::Wallet => "/tollgate.Wallet/Batches",
        }
    }

    /// The largest message that goes up.
    pub(crate) fn most_bytes(self) -> usize {
        match self {
            // At least one entry always fits: none is larger than a command.
            Self::Append | Self::AppendOnce => 32 * MIB,
            Self::Vote | Self::PreVote | Self::TransferLeader | Self::ReadIndex => 4 * KIB,
            Self::Snapshot => 2 * MIB,
            Self::Write | Self::Wallet => MOST_COMMAND_BYTES + SLACK,
        }
    }

    /// How long the answer to one message may take. The caller's own deadline is often shorter.
    pub(crate) fn deadline(self) -> Duration {
        match self {
            Self::Vote | Self::PreVote | Self::TransferLeader | Self::AppendOnce | Self::ReadIndex => {
                Duration::from_secs(10)
            }
            Self::Append | Self::Snapshot | Self::Write | Self::Wallet => Duration::from_secs(30),
        }
    }

    /// How long a stream may be silent in the middle. None where silence means that there is nothing to say; pings of the
    /// connection tell it from a partition.
    pub(crate) fn most_silence(self) -> Option<Duration> {
        match self {
            Self::Snapshot => Some(Duration::from_secs(30)),
            Self::Append
            | Self::AppendOnce
            | Self::Vote
            | Self::PreVote
            | Self::TransferLeader
            | Self::Write
            | Self::ReadIndex
            | Self::Wallet => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_leads_to_its_method() {
        for method in Method::ALL {
            assert_eq!(Method::at(method.path()), Some(method));
        }
        assert_eq!(Method::at(JOIN), None, "who has a certificate has joined");
        assert!(Method::Append.most_bytes() > MOST_COMMAND_BYTES + SLACK);
    }
}
