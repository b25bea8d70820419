//! openraft's network over our transport: which message goes on which connection, and what a failure means to it.
//!
//! ```text
//!  replication ── Append, a stream ──▶  Log         entries of many requests on the way at once
//!  heartbeats ─── AppendOnce ────────▶  Heartbeat ◀── Vote, PreVote, TransferLeader
//!  snapshots ──── Snapshot, parts ───▶  Snapshot
//! ```

mod append;
mod parts;
mod serve;
mod snapshot;

use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use openraft::alias::{SnapshotOf, VoteOf};
use openraft::base::{BoxFuture, BoxStream};
use openraft::error::{NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable};
use openraft::network::{Backoff, RPCOption, stream_append_sequential};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult, VoteRequest,
    VoteResponse,
};
use openraft::raft::{TransferLeaderRequest, TransferLeaderResponse};
use openraft::{OptionalSend, RPCTypes, RaftNetworkFactory, RaftNetworkV2};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::serve::serve;
use super::types::{Member, Types};
use crate::snapshots::SnapshotFile;
use crate::transport::envelope::{pack, unpack};
use crate::transport::{CallError, Lane, Method, Peers, Target};

/// After a node was out of reach, the time before the next try; the last one stays. A node that comes back should not wait
/// long for its entries, and one that is gone should not cost much.
const BACKOFF_MS: [u64; 4] = [20, 50, 100, 200];

/// Makes openraft's connections.
#[derive(Clone, Debug)]
pub struct Network {
    peers: Peers,
}

/// openraft's way to one node.
#[derive(Clone, Debug)]
pub struct Way {
    peers: Peers,
    target: Target,
}

impl Network {
    /// Over the connections of `peers`.
    pub fn new(peers: Peers) -> Self {
        Self { peers }
    }

    fn way(&self, node: u64, member: &Member, lane: Lane) -> Way {
        Way { peers: self.peers.clone(), target: Target { node, address: member.address.clone(), lane } }
    }
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Way;

    async fn new_client(&mut self, target: u64, node: &Member) -> Way {
        self.way(target, node, Lane::Log)
    }

    async fn new_heartbeat_client(&mut self, target: u64, node: &Member) -> Way {
        self.way(target, node, Lane::Heartbeat)
    }

    async fn new_snapshot_client(&mut self, target: u64, node: &Member) -> Way {
        self.way(target, node, Lane::Snapshot)
    }
}

type Answered<T> = Result<T, RPCError<Types>>;

impl Way {
    /// A small message that must not wait behind a large one.
    async fn urgent<Q: Serialize, A: DeserializeOwned>(
        &self,
        ask: Ask,
        message: &Q,
        option: RPCOption,
    ) -> Answered<A> {
        let target = Target { lane: Lane::Heartbeat, ..self.target.clone() };
        self.call(&target, ask, pack(message), option.soft_ttl()).await
    }

    async fn call<A: DeserializeOwned>(
        &self,
        target: &Target,
        ask: Ask,
        message: Bytes,
        within: Duration,
    ) -> Answered<A> {
        let answer = self.peers.call(target, ask.method, message, within).await;
        let answer = answer.map_err(|error| self.failed(ask.kind, error))?;
        unpack(&answer).map_err(|why| NetworkError::from_string(why).into())
    }

    /// What a failed call means to openraft: only what may be over in a moment is tried again at once.
    fn failed(&self, action: RPCTypes, error: CallError) -> RPCError<Types> {
        match error {
            CallError::TimedOut { within } => {
                let (id, target) = (self.peers.here(), self.target.node);
                Timeout { action, id, target, timeout: within }.into()
            }
            CallError::Broken { why } => NetworkError::from_string(why).into(),
            CallError::Unreachable { .. } | CallError::TooLarge { .. } | CallError::Refused(_) => {
                Unreachable::from_string(error).into()
            }
        }
    }
}

/// A call by our name and by openraft's.
#[derive(Clone, Copy)]
struct Ask {
    method: Method,
    kind: RPCTypes,
}

impl RaftNetworkV2<Types> for Way {
    type SnapshotData = SnapshotFile;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Answered<AppendEntriesResponse<Types>> {
        let ask = Ask { method: Method::AppendOnce, kind: RPCTypes::AppendEntries };
        self.call(&self.target, ask, pack(&rpc), option.soft_ttl()).await
    }

    fn stream_append<S>(
        &mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<'_, Answered<BoxStream<'_, Answered<StreamAppendResult<Types>>>>>
    where
        S: Stream<Item = AppendEntriesRequest<Types>> + OptionalSend + Unpin + 'static,
    {
        match self.target.lane {
            // A stream of one message: a call says the same with less.
            Lane::Heartbeat => stream_append_sequential(self, input, option),
            Lane::Log | Lane::Snapshot | Lane::Control => {
                let answers = append::stream(self, input, option.hard_ttl());
                Box::pin(std::future::ready(Ok(answers)))
            }
        }
    }

    async fn vote(&mut self, rpc: VoteRequest<Types>, option: RPCOption) -> Answered<VoteResponse<Types>> {
        self.urgent(Ask { method: Method::Vote, kind: RPCTypes::Vote }, &rpc, option).await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Answered<VoteResponse<Types>> {
        self.urgent(Ask { method: Method::PreVote, kind: RPCTypes::Vote }, &rpc, option).await
    }

    async fn full_snapshot(
        &mut self,
        vote: VoteOf<Types>,
        snapshot: SnapshotOf<Types, SnapshotFile>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        tokio::select! {
            sent = snapshot::send(self, vote, snapshot, option) => sent,
            closed = cancel => Err(closed.into()),
        }
    }

    async fn transfer_leader(
        &mut self,
        rpc: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Answered<TransferLeaderResponse<Types>> {
        let ask = Ask { method: Method::TransferLeader, kind: RPCTypes::TransferLeader };
        self.urgent(ask, &rpc, option).await
    }

    fn backoff(&self) -> Option<Backoff> {
        let last = BACKOFF_MS[BACKOFF_MS.len() - 1];
        Some(Backoff::new(BACKOFF_MS.into_iter().chain(std::iter::repeat(last)).map(Duration::from_millis)))
    }
}
