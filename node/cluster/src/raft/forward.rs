//! Proposals and reads from any node: what only the leader can do is asked of it.

use std::time::Duration;

use bytes::Bytes;
use openraft::async_runtime::WatchReceiver;
use openraft::error::{ClientWriteError, ForwardToLeader, LinearizableReadError, RaftError};
use openraft::impls::ProgressResponder;
use openraft::raft::ClientWriteResponse;
use openraft::raft::linearizable_read::{Linearizer, ReadLogId};
use openraft::{Raft, ReadPolicy};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, timeout};

use super::state_machine::StateMachine;
use super::types::{Member, Types};
use crate::state::{Applied, Proposal};
use crate::transport::envelope::{pack, unpack};
use crate::transport::refusal::Leader;
use crate::transport::{CallError, Handlers, Lane, Method, Peers, Refusal, Target};
use crate::wallet::clock::stamp;

/// Between two questions who the leader is. An election takes longer.
const PAUSE: Duration = Duration::from_millis(20);
/// Of the questions that find no leader, each so-manieth goes to another member: it knows the leader where this node's address
/// is new and nobody has heard of it.
const ELSEWHERE: usize = 8;
/// A leader that does not answer by then is asked again, or another one is: a cluster that works is quicker by far.
const TURN: Duration = Duration::from_secs(2);

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
    /// for a leader until the time is over; where that is not certain, the caller decides ([`CallError::is_certain`]).
    pub async fn write(&self, proposal: Proposal, within: Duration) -> Result<Written, CallError> {
        self.write_as(proposal, Repeat::IfNotDone, within).await
    }

    /// The same for a proposal that does no more when it is applied twice: it is also proposed again where it is not certain
    /// that nothing was done, so that the loss of a leader is not noticed.
    pub async fn write_again(&self, proposal: Proposal, within: Duration) -> Result<Written, CallError> {
        self.write_as(proposal, Repeat::Always, within).await
    }

    /// Proposes as the leader of `term` or not at all: if this node does not lead any more, or leads anew, nothing is done.
    /// What was proposed before a new leader began is done before it begins, or never.
    pub async fn write_as_leader(
        &self,
        proposal: Proposal,
        term: u64,
        within: Duration,
    ) -> Result<Written, CallError> {
        in_time(within, write_in(&self.raft, stamped(proposal), term)).await
    }

    async fn write_as(
        &self,
        proposal: Proposal,
        repeat: Repeat,
        within: Duration,
    ) -> Result<Written, CallError> {
        let message = pack(&proposal);
        let mut search = self.search(repeat, within).await;
        loop {
            let answer = match &search.leader {
                Place::Here => in_time(search.turn(), write(&self.raft, proposal.clone())).await,
                Place::There(leader) => self.ask(leader, Method::Write, message.clone(), search.turn()).await,
                Place::Unknown => Err(Refusal::NotLeader { leader: None }.into()),
            };
            match answer {
                Ok(written) => return Ok(written),
                Err(error) => self.go_on(&mut search, error).await?,
            }
        }
    }

    /// Returns once this node's state has everything that was written anywhere before the call.
    pub async fn catch_up(&self, within: Duration) -> Result<(), CallError> {
        let mut search = self.search(Repeat::Always, within).await;
        let position: ReadLogId<Types> = loop {
            let answer = match &search.leader {
                Place::Here => in_time(search.turn(), read_index(&self.raft)).await,
                Place::There(leader) => self.ask(leader, Method::ReadIndex, pack(&()), search.turn()).await,
                Place::Unknown => Err(Refusal::NotLeader { leader: None }.into()),
            };
            match answer {
                Ok(position) => break position,
                Err(error) => self.go_on(&mut search, error).await?,
            }
        };
        // That nothing is applied is only where the waiting begins.
        let linearizer = Linearizer::new(self.peers.here(), position, None);
        match linearizer.try_await_ready(&self.raft, Some(search.left())).await.map_err(Refusal::failed)? {
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

    async fn search(&self, repeat: Repeat, within: Duration) -> Search {
        Search { leader: self.leader().await, repeat, deadline: Instant::now() + within, failures: 0 }
    }

    /// Looks for the leader again after a failure that may pass.
    async fn go_on(&self, search: &mut Search, error: CallError) -> Result<(), CallError> {
        let again = match search.repeat {
            Repeat::IfNotDone => may_pass(&error),
            Repeat::Always => may_pass(&error) || !error.is_certain(),
        };
        if !again || search.left() <= PAUSE {
            return Err(error);
        }
        sleep(PAUSE).await;
        search.failures += 1;
        search.leader = match error {
            CallError::Refused(Refusal::NotLeader { leader: Some(Leader { node, member }) }) => {
                self.place(node, member)
            }
            CallError::Refused(_)
            | CallError::Unreachable { .. }
            | CallError::TooLarge { .. }
            | CallError::TimedOut { .. }
            | CallError::Broken { .. } => match self.leader().await {
                Place::Here => Place::Here,
                Place::There(_) | Place::Unknown if search.failures.is_multiple_of(ELSEWHERE) => {
                    self.somebody(search.failures / ELSEWHERE)
                }
                as_known @ (Place::There(_) | Place::Unknown) => as_known,
            },
        };
        Ok(())
    }

    /// Another member, each in its turn.
    fn somebody(&self, turn: usize) -> Place {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let members = metrics.membership_config.membership();
        let others: Vec<_> = members.nodes().filter(|(node, _)| **node != self.peers.here()).collect();
        let chosen = turn.checked_rem(others.len()).map(|at| others[at]);
        chosen.map_or(Place::Unknown, |(node, member)| self.place(*node, member.clone()))
    }

    /// The leader as this node knows it.
    async fn leader(&self) -> Place {
        let Some(node) = self.raft.current_leader().await else { return Place::Unknown };
        let metrics = self.raft.metrics();
        let member = metrics.borrow_watched().membership_config.membership().get_node(&node).cloned();
        member.map_or(Place::Unknown, |member| self.place(node, member))
    }

    fn place(&self, node: u64, member: Member) -> Place {
        if node == self.peers.here() {
            return Place::Here;
        }
        Place::There(Target { node, address: member.address, lane: Lane::Control })
    }
}

/// Where the leader is.
enum Place {
    Here,
    There(Target),
    Unknown,
}

/// What is done again.
#[derive(Clone, Copy)]
enum Repeat {
    IfNotDone,
    Always,
}

struct Search {
    leader: Place,
    repeat: Repeat,
    deadline: Instant,
    failures: usize,
}

impl Search {
    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// How long one leader is waited for.
    fn turn(&self) -> Duration {
        match self.repeat {
            Repeat::IfNotDone => self.left(),
            Repeat::Always => self.left().min(TURN),
        }
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

/// Raft here waits for a majority as long as it takes.
async fn in_time<T>(
    within: Duration,
    answer: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, CallError> {
    let answer = timeout(within, answer).await;
    answer.map_err(|_elapsed| CallError::TimedOut { within })?.map_err(CallError::from)
}

async fn write(raft: &Raft<Types, StateMachine>, proposal: Proposal) -> Result<Written, Refusal> {
    written(raft.client_write(stamped(proposal)).await)
}

async fn write_in(
    raft: &Raft<Types, StateMachine>,
    proposal: Proposal,
    term: u64,
) -> Result<Written, Refusal> {
    let (responder, answer) = ProgressResponder::complete_only();
    let sent = raft.write(proposal).with_leader(term).responder(responder).await;
    sent.map_err(|stopped| Refusal::OutcomeUnknown { why: stopped.to_string() })?;
    let lost = |_| Refusal::OutcomeUnknown { why: "Raft stopped".to_owned() };
    written(answer.await.map_err(lost)?.map_err(RaftError::APIError))
}

fn written(
    answer: Result<ClientWriteResponse<Types>, RaftError<Types, ClientWriteError<Types>>>,
) -> Result<Written, Refusal> {
    match answer {
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

/// The leader's clock counts, not that of who asks.
fn stamped(mut proposal: Proposal) -> Proposal {
    match &mut proposal {
        Proposal::Quota { at, .. } => *at = stamp(),
        Proposal::Forget(farewell) => farewell.at = stamp(),
        Proposal::Found(_)
        | Proposal::Change(_)
        | Proposal::Register(_)
        | Proposal::Arrive(_)
        | Proposal::Edit(_) => {}
    }
    proposal
}

async fn read_index(raft: &Raft<Types, StateMachine>) -> Result<ReadLogId<Types>, Refusal> {
    match raft.get_read_linearizer(ReadPolicy::ReadIndex).await {
        Ok(linearizer) => Ok(*linearizer.read_log_id()),
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
