//! Proposals and reads from any node: what only the leader can do is asked of it.

use std::time::Duration;

use bytes::Bytes;
use openraft::error::{ClientWriteError, ForwardToLeader, LinearizableReadError, RaftError};
use openraft::raft::linearizable_read::{Linearizer, ReadLogId};
use openraft::{Raft, ReadPolicy};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::state_machine::StateMachine;
use super::types::Types;
use crate::state::{Applied, Proposal};
use crate::transport::envelope::{pack, unpack};
use crate::transport::refusal::Leader;
use crate::transport::{CallError, Handlers, Lane, Method, Peers, Refusal, Target};

/// Between two questions who the leader is. An election takes longer.
const PAUSE: Duration = Duration::from_millis(20);

/// Does what only the leader can do, wherever it is.
#[derive(Clone)]
pub struct Forward {
    raft: Raft<Types, StateMachine>,
    peers: Peers,
}

/// What became of a proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Its place in the log.
    pub index: u64,
    /// What the state machine said.
    pub applied: Applied,
}

/// Answers what other nodes forward.
pub fn serve(handlers: &mut Handlers, raft: &Raft<Types, StateMachine>) {
    let write_here = raft.clone();
    handlers.once(Method::Write, move |_caller, message| {
        let raft = write_here.clone();
        async move { Ok(pack(&write(&raft, unpack(&message)?).await?)) }
    });
    let read_here = raft.clone();
    handlers.once(Method::ReadIndex, move |_caller, message| {
        let raft = read_here.clone();
        async move {
            let () = unpack(&message)?;
            Ok(pack(&read_index(&raft).await?))
        }
    });
}

impl Forward {
    /// From this node, over these connections.
    pub fn new(raft: Raft<Types, StateMachine>, peers: Peers) -> Self {
        Self { raft, peers }
    }

    /// Proposes, and waits until it is applied on the leader. While it is certain that nothing was done, it goes on looking
    /// for a leader until the time is over; where that is not certain, the caller decides ([`CallError::is_certain`]):
    /// proposals that may be applied twice must be able to bear it.
    pub async fn write(&self, proposal: Proposal, within: Duration) -> Result<Written, CallError> {
        let message = pack(&proposal);
        self.of_leader(within, async |leader: Option<Target>, left| match leader {
            None => Ok(write(&self.raft, proposal.clone()).await?),
            Some(leader) => self.ask(&leader, Method::Write, message.clone(), left).await,
        })
        .await
    }

    /// Returns once this node's state has everything that was written anywhere before the call.
    pub async fn catch_up(&self, within: Duration) -> Result<(), CallError> {
        let deadline = Instant::now() + within;
        let here = self.peers.here();
        let position: ReadLogId<Types> = self
            .of_leader(within, async |leader: Option<Target>, left| match leader {
                None => Ok(read_index(&self.raft).await?),
                Some(leader) => self.ask(&leader, Method::ReadIndex, pack(&()), left).await,
            })
            .await?;
        // That nothing is applied is only where the waiting begins.
        let left = deadline.saturating_duration_since(Instant::now());
        let caught_up = Linearizer::new(here, position, None).try_await_ready(&self.raft, Some(left)).await;
        match caught_up.map_err(Refusal::failed)? {
            Ok(_state) => Ok(()),
            Err(_behind) => Err(CallError::TimedOut { within }),
        }
    }

    async fn ask<A: for<'a> Deserialize<'a>>(
        &self,
        leader: &Target,
        method: Method,
        message: Bytes,
        within: Duration,
    ) -> Result<A, CallError> {
        let answer = self.peers.call(leader, method, message, within).await?;
        unpack(&answer).map_err(|why| CallError::Broken { why: why.to_string() })
    }

    /// Asks whoever is the leader; None is this node.
    async fn of_leader<T>(
        &self,
        within: Duration,
        attempt: impl AsyncFn(Option<Target>, Duration) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let deadline = Instant::now() + within;
        let mut leader = self.leader().await;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let error = match leader.take() {
                Some(leader) if leader.node == self.peers.here() => match attempt(None, left).await {
                    Ok(answer) => return Ok(answer),
                    Err(error) => error,
                },
                Some(leader) => match attempt(Some(leader), left).await {
                    Ok(answer) => return Ok(answer),
                    Err(error) => error,
                },
                None => CallError::Refused(Refusal::NotLeader { leader: None }),
            };
            if !(may_pass(&error) && Instant::now() + PAUSE < deadline) {
                return Err(error);
            }
            sleep(PAUSE).await;
            leader = match error {
                CallError::Refused(Refusal::NotLeader { leader: Some(Leader { node, member }) }) => {
                    Some(Target { node, address: member.address, lane: Lane::Control })
                }
                _ => self.leader().await,
            };
        }
    }

    /// The leader as this node knows it.
    async fn leader(&self) -> Option<Target> {
        let node = self.raft.current_leader().await?;
        let metrics = self.raft.metrics();
        let member = openraft::async_runtime::WatchReceiver::borrow_watched(&metrics)
            .membership_config
            .membership()
            .get_node(&node)
            .cloned()?;
        Some(Target { node, address: member.address, lane: Lane::Control })
    }
}

/// Whether it is certain that nothing was done, and another leader may be found soon.
fn may_pass(error: &CallError) -> bool {
    match error {
        CallError::Unreachable { .. } => true,
        CallError::Refused(refusal) => {
            matches!(refusal, Refusal::NotLeader { .. } | Refusal::NoQuorum { .. } | Refusal::Busy { .. })
        }
        CallError::TooLarge { .. } | CallError::TimedOut { .. } | CallError::Broken { .. } => false,
    }
}

async fn write(raft: &Raft<Types, StateMachine>, proposal: Proposal) -> Result<Written, Refusal> {
    match raft.client_write(proposal).await {
        Ok(written) => Ok(Written { index: written.log_id.index, applied: written.data }),
        Err(RaftError::APIError(ClientWriteError::ForwardToLeader(to))) => Err(not_leader(to)),
        Err(RaftError::APIError(error @ ClientWriteError::LogEntryDiscarded(_))) => {
            Err(Refusal::OutcomeUnknown { why: error.to_string() })
        }
        Err(RaftError::APIError(
            error @ (ClientWriteError::ChangeMembershipError(_) | ClientWriteError::PreconditionFailed(_)),
        )) => Err(Refusal::failed(error)),
        // It may have been written before Raft stopped.
        Err(RaftError::Fatal(error)) => Err(Refusal::OutcomeUnknown { why: error.to_string() }),
    }
}

async fn read_index(raft: &Raft<Types, StateMachine>) -> Result<ReadLogId<Types>, Refusal> {
    match raft.get_read_linearizer(ReadPolicy::ReadIndex).await {
        Ok(linearizer) => Ok(linearizer.read_log_id().clone()),
        Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(to))) => Err(not_leader(to)),
        Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(error))) => {
            Err(Refusal::NoQuorum { why: error.to_string() })
        }
        Err(RaftError::Fatal(error)) => Err(Refusal::failed(error)),
    }
}

fn not_leader(to: ForwardToLeader<Types>) -> Refusal {
    let ForwardToLeader { leader_id, leader_node, reason: _ } = to;
    let leader = leader_id.zip(leader_node).map(|(node, member)| Leader { node, member });
    Refusal::NotLeader { leader }
}
