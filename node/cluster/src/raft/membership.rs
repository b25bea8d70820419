//! The membership's controller and openraft: what a leader's metrics say, and one of its steps carried out.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use openraft::alias::CommittedLeaderIdOf;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ClientWriteError, Fatal, RaftError};
use openraft::raft::Precondition;
use openraft::storage::RaftStateMachine;
use openraft::{ChangeMembers, Instant, Raft};
use tokio::time::timeout;

use super::types::{LogPosition, Member, Types};
use crate::members::{Change, Follower, Membership, Phase, Place, Replication, Revision, Step};

/// A change waits for a majority of old and new voters. The controller does not wait with it: they may have failed meanwhile.
pub const COMMIT_MOST: Duration = Duration::from_secs(10);

/// Why a step was not done. The next look at the metrics tells what is to be done now.
#[derive(Debug)]
pub enum Undone {
    /// Another one leads, or the membership is another one by now, or the last change is not through.
    Superseded(ClientWriteError<Types>),
    /// It did not commit within [`COMMIT_MOST`]; it may yet.
    NotInTime,
    /// This node's Raft has ended.
    Ended(Fatal<Types>),
}

/// What a leader knows; None on any other node.
pub fn seen<M>(raft: &Raft<Types, M>) -> Option<(Membership, Replication)>
where
    M: RaftStateMachine<Types>,
{
    // Copied at once: while they are borrowed, Raft's core waits (openraft#1238).
    let metrics = raft.metrics().borrow_watched().clone();
    let (matched, answered) = (metrics.replication.as_ref()?, metrics.heartbeat.as_ref()?);
    let last = &metrics.membership_config;
    let committed = last.log_id() == metrics.committed_membership_config.log_id();
    let place = |member: &Member| Place { region: member.region.clone(), zone: member.zone.clone() };
    let membership = Membership {
        at: last.log_id().map(revision).unwrap_or_default(),
        phase: if committed { Phase::Committed } else { Phase::Proposed },
        voters: last.get_joint_config().clone(),
        nodes: last.nodes().map(|(node, member)| (*node, place(member))).collect(),
    };
    let followers: BTreeMap<u64, Follower> = matched
        .iter()
        .map(|(node, matched)| {
            let answered = answered.get(node).and_then(Option::as_ref).map(|at| at.elapsed());
            (*node, Follower { matched: matched.as_ref().map_or(0, |position| position.index), answered })
        })
        .collect();
    let last = metrics.last_log_index.unwrap_or(0);
    Some((membership, Replication { leader: metrics.id, last, followers }))
}

/// Does what the controller asks for, if the membership is still the one that it looked at.
pub async fn carry_out<M>(raft: &Raft<Types, M>, change: &Change) -> Result<(), Undone>
where
    M: RaftStateMachine<Types>,
{
    let members = match &change.step {
        Step::Vote(voters) => ChangeMembers::ReplaceAllVoters(voters.clone()),
        Step::Remove(node) => ChangeMembers::RemoveNodes([*node].into()),
        // It is no change of the membership: the node that is asked may refuse, and nothing is lost by asking again.
        Step::Lead(node) => return raft.trigger().transfer_leader(*node).await.map_err(Undone::Ended),
    };
    let unchanged = Precondition::LastMembershipLogId { last_membership_log_id: Some(position(change.on)) };
    // Who votes no more stays as a learner.
    match timeout(COMMIT_MOST, raft.change_membership_if(members, true, [unchanged])).await {
        Ok(Ok(_done)) => Ok(()),
        Ok(Err(RaftError::APIError(why))) => Err(Undone::Superseded(why)),
        Ok(Err(RaftError::Fatal(why))) => Err(Undone::Ended(why)),
        Err(_elapsed) => Err(Undone::NotInTime),
    }
}

fn revision(position: LogPosition) -> Revision {
    Revision { term: position.leader_id.term, index: position.index }
}

fn position(revision: Revision) -> LogPosition {
    LogPosition::new(CommittedLeaderIdOf::<Types> { term: revision.term }, revision.index)
}

impl fmt::Display for Undone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Superseded(why) => write!(f, "the membership was not changed: {why}"),
            Self::NotInTime => {
                write!(f, "the change of the membership did not commit within {COMMIT_MOST:?}")
            }
            Self::Ended(why) => write!(f, "Raft has ended: {why}"),
        }
    }
}

impl std::error::Error for Undone {}
