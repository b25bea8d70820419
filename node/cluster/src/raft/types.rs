//! What openraft is generic over, chosen once.

use std::fmt;

use openraft::alias::{EntryOf, LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf};
use openraft::impls::leader_id_std::LeaderId;
use openraft::{EntryPayload, RaftTypeConfig};
use serde::{Deserialize, Serialize};

use crate::snapshots::SnapshotFile;
use crate::state::{Applied, Proposal};

openraft::declare_raft_types!(
    /// Our Raft. One leader a term, as in the paper: what checkers and people expect.
    pub Types:
        D = Proposal,
        R = Applied,
        NodeId = u64,
        Node = Member,
        LeaderId = LeaderId<u64, u64>,
);

/// What our Raft has in common with the one that is simulated, which has another runtime and nothing else of its own.
pub trait Kind:
    RaftTypeConfig<
        D = Proposal,
        R = Applied,
        NodeId = u64,
        Node = Member,
        Term = u64,
        LeaderId = LeaderId<u64, u64>,
        Payload = EntryPayload<Proposal, u64, Member>,
        Entry = LogEntry,
    >
{
}

impl<C> Kind for C where
    C: RaftTypeConfig<
            D = Proposal,
            R = Applied,
            NodeId = u64,
            Node = Member,
            Term = u64,
            LeaderId = LeaderId<u64, u64>,
            Payload = EntryPayload<Proposal, u64, Member>,
            Entry = LogEntry,
        >
{
}

/// An entry of the log.
pub type LogEntry = EntryOf<Types>;
/// A place in the log: index and term.
pub type LogPosition = LogIdOf<Types>;
/// Who is a member, and which entry said so.
pub type Memberships = StoredMembershipOf<Types>;
/// What a snapshot says of itself.
pub type SnapshotHead = SnapshotMetaOf<Types>;
/// A snapshot and what it says of itself.
pub type SnapshotOfState = SnapshotOf<Types, SnapshotFile>;

/// A node as the membership knows it. Its id is handed out by the cluster and never used again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// A label for people.
    pub name: String,
    /// Where its peers reach it: `host:port`, mutual TLS.
    pub address: String,
    /// Where it stands: leases hide the way to the leader, and voters are spread.
    pub region: String,
    /// A part of the region that fails alone.
    pub zone: String,
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.name, self.address)
    }
}
