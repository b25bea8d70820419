//! The network: every message takes its time, may get lost, and does not pass where the wire is cut. Neither a request nor an
//! answer passes to or from a run that has ended.

use std::error::Error;
use std::fmt::Display;
use std::future::{Future, pending};
use std::io::{Read, Write};
use std::time::Duration;

use openraft::alias::VoteOf;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::storage::Snapshot;
use openraft::{OptionalSend, RaftNetworkFactory, RaftNetworkV2};
use tollgate_cluster::raft::types::{Member, SnapshotOfState};
use tollgate_cluster::snapshots::SnapshotFile;

use super::types::SimTypes;
use super::world::{Running, World, pause, within};

type Failed = RPCError<SimTypes>;

/// A run's end of all its wires.
#[derive(Clone)]
pub(super) struct Wire {
    pub(super) world: World,
    pub(super) node: u64,
    pub(super) run: u64,
}

/// A wire to one other node.
pub(super) struct Link {
    wire: Wire,
    to: u64,
}

impl RaftNetworkFactory<SimTypes> for Wire {
    type Network = Link;

    async fn new_client(&mut self, target: u64, _node: &Member) -> Link {
        Link { wire: self.clone(), to: target }
    }
}

impl Link {
    /// Asks the other node, and hears its answer within so long, or nothing.
    async fn call<T: Send, E: Error, F>(
        &self,
        patience: Duration,
        ask: impl FnOnce(Running) -> F + Send,
    ) -> Result<T, Failed>
    where
        F: Future<Output = Result<T, E>> + Send,
    {
        let patience_ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        let answered = within(patience_ms, async {
            self.pass(self.wire.node, self.to).await;
            let Some(running) = self.wire.world.running(self.to) else {
                return Err(unreachable("nobody listens there"));
            };
            let run = running.run;
            let answer = ask(running).await.map_err(|error| network(&error))?;
            if !self.wire.world.is_running(self.to, run) {
                return Err(unreachable("it has crashed"));
            }
            self.pass(self.to, self.wire.node).await;
            Ok(answer)
        });
        answered.await.unwrap_or_else(|| Err(network(&"no answer came")))
    }

    /// Waits for a message to arrive: for ever if it does not, or if who sends or gets it has ended.
    async fn pass(&self, from: u64, to: u64) {
        let arrives = self.wire.world.travel(from, to).await;
        if !arrives || !self.wire.world.is_running(self.wire.node, self.wire.run) {
            pending::<()>().await;
        }
    }
}

fn network(why: &(impl Display + ?Sized)) -> Failed {
    RPCError::Network(NetworkError::from_string(why))
}

fn unreachable(why: &str) -> Failed {
    RPCError::Unreachable(Unreachable::from_string(why))
}

impl RaftNetworkV2<SimTypes> for Link {
    type SnapshotData = SnapshotFile;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<SimTypes>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<SimTypes>, Failed> {
        self.call(option.soft_ttl(), |to| async move { to.raft.append_entries(rpc).await }).await
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<SimTypes>,
        option: RPCOption,
    ) -> Result<VoteResponse<SimTypes>, Failed> {
        self.call(option.soft_ttl(), |to| async move { to.raft.vote(rpc).await }).await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<SimTypes>,
        option: RPCOption,
    ) -> Result<VoteResponse<SimTypes>, Failed> {
        self.call(option.soft_ttl(), |to| async move { to.raft.pre_vote(rpc).await }).await
    }

    async fn full_snapshot(
        &mut self,
        vote: VoteOf<SimTypes>,
        snapshot: SnapshotOfState,
        _cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<SimTypes>, StreamingError<SimTypes>> {
        let Snapshot { meta, snapshot: mut file } = snapshot;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| network(&error))?;
        let ask = |to: Running| async move {
            pause(bytes.len() as u64 / 10_000).await; // On its way at ten megabytes a second.
            let received = to.shelf.begin().and_then(|mut part| {
                part.write_all(&bytes)?;
                part.finish()
            });
            let snapshot = received.map_err(|error| network(&error))?;
            to.raft
                .install_full_snapshot(vote, Snapshot { meta, snapshot })
                .await
                .map_err(|error| network(&error))
        };
        Ok(self.call(option.soft_ttl(), ask).await?)
    }

    async fn transfer_leader(
        &mut self,
        rpc: TransferLeaderRequest<SimTypes>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<SimTypes>, Failed> {
        self.call(option.soft_ttl(), |to| async move { to.raft.handle_transfer_leader(rpc).await }).await
    }
}
