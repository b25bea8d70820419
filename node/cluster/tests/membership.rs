//! The membership's controller with real Rafts under it, in one process: it makes voters, replaces one that is lost, and removes who was
//! forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use openraft::alias::{SnapshotOf, VoteOf};
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest, VoteRequest,
    VoteResponse,
};
use openraft::{Config, OptionalSend, Raft, RaftNetworkFactory, RaftNetworkV2};
use tempfile::TempDir;
use tollgate_cluster::engine::memory::MemoryDisk;
use tollgate_cluster::engine::writer::{self, WriterThread};
use tollgate_cluster::gossip::view::{About, News, NodeId, Peer, View};
use tollgate_cluster::members::history::{History, Patience, Sight};
use tollgate_cluster::members::plan::{Scene, plan};
use tollgate_cluster::members::{Change, Revision, Step};
use tollgate_cluster::raft::log_store::LogStore;
use tollgate_cluster::raft::membership::{Undone, carry_out, seen};
use tollgate_cluster::raft::state_machine::{Offload, Setup, StateMachine};
use tollgate_cluster::raft::types::{Member, Types};
use tollgate_cluster::snapshots::folder::Disk;
use tollgate_cluster::snapshots::{Shelf, SnapshotFile};

type Node = Raft<Types, StateMachine>;

/// A failure ends here.
const BOUND: Duration = Duration::from_secs(30);

/// All nodes that run; who is not in it cannot be reached.
#[derive(Clone, Default)]
struct Nodes(Arc<Mutex<BTreeMap<NodeId, Node>>>);

struct Way {
    nodes: Nodes,
    to: NodeId,
}

impl Nodes {
    fn find(&self, id: NodeId) -> Option<Node> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    fn ids(&self) -> Vec<NodeId> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    fn put(&self, id: NodeId, node: Node) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, node);
    }

    fn take(&self, id: NodeId) -> Option<Node> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id)
    }

    /// Who gossip would say is there.
    fn view(&self) -> View {
        let peer = |_| Peer {
            about: About::default(),
            news: News::default(),
            applied: 0,
            generation: 1,
            gossip: ([127, 0, 0, 1], 1).into(),
        };
        self.ids().into_iter().map(|id| (id, peer(id))).collect()
    }
}

impl RaftNetworkFactory<Types> for Nodes {
    type Network = Way;

    async fn new_client(&mut self, target: NodeId, _member: &Member) -> Way {
        Way { nodes: self.clone(), to: target }
    }
}

fn unreachable() -> Unreachable<Types> {
    Unreachable::from_string("it does not run")
}

impl Way {
    fn node(&self) -> Result<Node, RPCError<Types>> {
        self.nodes.find(self.to).ok_or_else(|| unreachable().into())
    }
}

impl RaftNetworkV2<Types> for Way {
    type SnapshotData = SnapshotFile;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        self.node()?.append_entries(rpc).await.map_err(|_error| unreachable().into())
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<Types>,
        _option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.node()?.vote(rpc).await.map_err(|_error| unreachable().into())
    }

    async fn full_snapshot(
        &mut self,
        _vote: VoteOf<Types>,
        _snapshot: SnapshotOf<Types, SnapshotFile>,
        _cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        Err(unreachable().into())
    }

    async fn transfer_leader(
        &mut self,
        rpc: TransferLeaderRequest<Types>,
        _option: RPCOption,
    ) -> Result<openraft::raft::TransferLeaderResponse<Types>, RPCError<Types>> {
        self.node()?.handle_transfer_leader(rpc).await.map_err(|_error| unreachable().into())
    }
}

/// What a node needs beside its Raft.
struct Kept {
    _writer: WriterThread,
    _folder: TempDir,
}

async fn start(id: NodeId, nodes: &Nodes) -> io::Result<Kept> {
    let (log, writer) = writer::start(MemoryDisk::default().open())?;
    let folder = tempfile::tempdir()?;
    let shelf = Shelf::open(Arc::new(Disk::open(folder.path().to_owned())?))?;
    let setup = Setup { seed: id, listener: Arc::new(|_event| {}), offload: Offload::Threads };
    let (machine, _damaged) = StateMachine::open(shelf, setup)?;
    let config = Config {
        heartbeat_interval: 50,
        election_timeout_min: 300,
        election_timeout_max: 600,
        enable_pre_vote: Some(true),
        ..Config::default()
    };
    let config = Arc::new(config.validate().expect("a valid configuration"));
    let raft = Raft::new(id, config, nodes.clone(), LogStore::open(log).await?, machine).await;
    nodes.put(id, raft.expect("it starts"));
    Ok(Kept { _writer: writer, _folder: folder })
}

fn member(region: &str) -> Member {
    Member { region: region.to_owned(), ..Member::default() }
}

/// The controller of every node; only a leader's one does something.
struct Controllers {
    nodes: Nodes,
    histories: BTreeMap<NodeId, History>,
    leaving: BTreeSet<NodeId>,
    since: Instant,
    done: Vec<Step>,
}

impl Controllers {
    fn new(nodes: &Nodes) -> Self {
        let since = Instant::now();
        Self {
            nodes: nodes.clone(),
            histories: BTreeMap::new(),
            leaving: BTreeSet::new(),
            since,
            done: vec![],
        }
    }

    /// One look of all of them.
    async fn look(&mut self) {
        let patience = Patience {
            ready: Duration::from_millis(100),
            lost: Duration::from_millis(500),
            answer: Duration::from_millis(400),
            ..Patience::default()
        };
        for id in self.nodes.ids() {
            let Some(raft) = self.nodes.find(id) else { continue };
            let Some((membership, replication)) = seen(&raft) else {
                self.histories.remove(&id);
                continue;
            };
            let view = self.nodes.view();
            let sight = Sight {
                view: &view,
                membership: &membership,
                replication: &replication,
                leaving: &self.leaving,
            };
            let history = self.histories.entry(id).or_insert_with(|| History::new(patience));
            let standings = history.observe(sight, self.since.elapsed());
            let (membership, standings) = (&membership, &standings);
            let scene = Scene { leader: id, membership, standings, wanted: 3, preferred: &[] };
            let Some(change) = plan(scene) else { continue };
            if carry_out(&raft, &change).await.is_ok() {
                self.done.push(change.step);
            }
        }
    }

    /// Looks on until a leader has this membership.
    async fn until(&mut self, voters: &[NodeId], all: &[NodeId]) {
        let end = Instant::now() + BOUND;
        while !self.has(voters, all) {
            assert!(Instant::now() < end, "{voters:?} of {all:?} were expected after {:?}", self.done);
            self.look().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn has(&self, voters: &[NodeId], all: &[NodeId]) -> bool {
        self.nodes.ids().into_iter().filter_map(|id| self.nodes.find(id)).any(|raft| {
            seen(&raft).is_some_and(|(membership, _)| {
                membership.voters == [voters.iter().copied().collect()] && membership.nodes.keys().eq(all)
            })
        })
    }

    fn leader(&self) -> NodeId {
        let leads = |id: &NodeId| self.nodes.find(*id).is_some_and(|raft| seen(&raft).is_some());
        self.nodes.ids().into_iter().find(leads).expect("one leads")
    }
}

#[tokio::test]
async fn voters_come_are_replaced_and_go() {
    let nodes = Nodes::default();
    let mut kept = vec![];
    for id in 1..=4 {
        kept.push(start(id, &nodes).await.unwrap());
    }
    let first = nodes.find(1).unwrap();
    first.initialize(BTreeMap::from([(1, member("eu"))])).await.unwrap();
    first.wait(Some(BOUND)).current_leader(1, "alone, it leads").await.unwrap();
    for (id, region) in [(2, "eu"), (3, "us"), (4, "ap")] {
        // A leader that did not hear of itself for a moment refuses, and takes it a moment later.
        while first.add_learner(id, member(region), false).await.is_err() {
            tokio::task::yield_now().await;
        }
    }

    let mut controllers = Controllers::new(&nodes);
    controllers.until(&[1, 3, 4], &[1, 2, 3, 4]).await;
    let odd = |step: &Step| matches!(step, Step::Vote(voters) if voters.len() == 3);
    assert!(controllers.done.iter().all(odd), "a region each, and never two voters: {:?}", controllers.done);

    // A change for a membership that is not the last one.
    let stale = Change { on: Revision { term: 1, index: 1 }, step: Step::Remove(2) };
    assert!(matches!(carry_out(&first, &stale).await, Err(Undone::Superseded(_))));
    assert!(controllers.has(&[1, 3, 4], &[1, 2, 3, 4]), "it changed nothing");

    // A voter is lost, and then forgotten.
    nodes.take(4).unwrap().shutdown().await.unwrap();
    controllers.until(&[1, 2, 3], &[1, 2, 3, 4]).await;
    controllers.leaving.insert(4);
    controllers.until(&[1, 2, 3], &[1, 2, 3]).await;

    // The leader is told to leave: it hands over, and the next one lets it go.
    controllers.leaving.insert(1);
    controllers.until(&[2, 3], &[2, 3]).await;
    assert_ne!(controllers.leader(), 1);
    let handed_over = controllers.done.iter().any(|step| matches!(step, Step::Lead(_)));
    assert!(handed_over, "{:?}", controllers.done);
}

#[tokio::test]
async fn who_does_not_lead_sees_nothing() {
    let nodes = Nodes::default();
    let _kept = start(1, &nodes).await.unwrap();
    let raft = nodes.find(1).unwrap();
    assert!(seen(&raft).is_none());
    let change = Change { on: Revision::default(), step: Step::Vote([1].into()) };
    assert!(matches!(carry_out(&raft, &change).await, Err(Undone::Superseded(_))));
    raft.shutdown().await.unwrap();
    assert!(matches!(carry_out(&raft, &change).await, Err(Undone::Ended(_))));
}
