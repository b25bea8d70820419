//! openraft with a clock that the simulator moves. All else is as in a node.

use openraft::impls::leader_id_std::LeaderId;
use openraft_rt_sim::SimRuntime;
use tollgate_cluster::raft::types::Member;
use tollgate_cluster::state::{Applied, Proposal};

use super::witness::Witnessed;

openraft::declare_raft_types!(
    /// As [`Types`](tollgate_cluster::raft::types::Types), on simulated time.
    pub SimTypes:
        D = Proposal,
        R = Applied,
        NodeId = u64,
        Node = Member,
        LeaderId = LeaderId<u64, u64>,
        AsyncRuntime = SimRuntime,
);

/// A node's Raft.
pub(super) type SimRaft = openraft::Raft<SimTypes, Witnessed>;
