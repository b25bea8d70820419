//! What openraft is generic over, chosen once.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::state::{Applied, Proposal};

openraft::declare_raft_types!(
    /// Our Raft. One leader a term, as in the paper: what checkers and people expect.
    pub Types:
        D = Proposal,
        R = Applied,
        NodeId = u64,
        Node = Member,
        LeaderId = openraft::impls::leader_id_std::LeaderId<u64, u64>,
);

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
