//! Nodes as `tollgate run` puts them together, on loopback, with their logs in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use openraft::{Config, Raft};
use tokio::net::TcpListener;
use tollgate_cluster::engine::memory::MemoryDisk;
use tollgate_cluster::engine::writer::{self, WriterThread};
use tollgate_cluster::identity::authority::Authority;
use tollgate_cluster::identity::folder::Folder;
use tollgate_cluster::identity::home::{Found, Home};
use tollgate_cluster::identity::token::{JoinToken, TokenHash};
use tollgate_cluster::identity::{ClusterId, Newcomer};
use tollgate_cluster::raft::forward::{self, Forward};
use tollgate_cluster::raft::log_store::LogStore;
use tollgate_cluster::raft::network::{self, Network};
use tollgate_cluster::raft::replica::Replica;
use tollgate_cluster::raft::state_machine::{Offload, Setup as MachineSetup, StateMachine};
use tollgate_cluster::raft::types::{Member, Types};
use tollgate_cluster::snapshots::Shelf;
use tollgate_cluster::snapshots::folder::Disk;
use tollgate_cluster::state::cluster::{self, FORMAT, Founding, Secrets};
use tollgate_cluster::state::nodes::{FIRST_NODE, Registration};
use tollgate_cluster::state::sealed::Sealed;
use tollgate_cluster::state::{Applied, Proposal};
use tollgate_cluster::transport::join::join;
use tollgate_cluster::transport::{
    Applicant, Credentials, Desk, Handlers, Keys, Peers, Reception, Refusal, Server, Setup,
};

pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A running node.
pub(crate) struct Node {
    pub(crate) id: u64,
    pub(crate) member: Member,
    pub(crate) raft: Raft<Types, StateMachine>,
    pub(crate) forward: Forward,
    pub(crate) replica: Replica,
    server: Option<Server>,
    _log: WriterThread,
    _data: tempfile::TempDir,
}

/// The first node of a new cluster, and the token that lets others in.
pub(crate) async fn found() -> (Node, JoinToken) {
    let (data, folder) = empty();
    let home = Home::found(folder, FIRST_NODE, SystemTime::now()).unwrap();
    let token = home.token().unwrap().unwrap();
    let authority = cluster::Authority {
        certificate: home.authority().to_vec(),
        key: Sealed(home.sealed_authority().unwrap().to_vec()),
    };
    let join_token = Some(token.hash().0);
    let secrets = Secrets { join_token, authority: Some(authority), gossip_keys: Vec::new() };
    let cluster = home.name().cluster.bytes();
    let node = start(home, data, listen().await).await;
    node.raft.initialize(BTreeMap::from([(node.id, node.member.clone())])).await.unwrap();
    let first = node.member.clone();
    let founding = Founding { cluster, format: FORMAT, first, voters: 3, secrets };
    let founded = node.forward.write(Proposal::Found(Box::new(founding)), SOON).await.unwrap();
    assert_eq!(founded.applied, Applied::Founded);
    (node, token)
}

/// A node that joins at `door`.
pub(crate) async fn join_at(door: &Node, token: &JoinToken) -> Node {
    let (data, folder) = empty();
    let listener = listen().await;
    let member = member(&listener);
    let newcomer = Newcomer::of(&folder).unwrap();
    let admitted = join(std::slice::from_ref(&door.member.address), token, newcomer, member).await.unwrap();
    let home = Home::joined(folder, admitted, SystemTime::now()).unwrap();
    start(home, data, listener).await
}

fn empty() -> (tempfile::TempDir, Folder) {
    let data = tempfile::tempdir().unwrap();
    let folder = Folder::open(data.path()).unwrap();
    match Home::open(folder).unwrap() {
        Found::Nobody(folder) => (data, folder),
        Found::Known(home) => panic!("an empty folder knows {home:?}"),
    }
}

async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

fn member(listener: &TcpListener) -> Member {
    let address = listener.local_addr().unwrap().to_string();
    Member { name: format!("on {address}"), address, ..Member::default() }
}

async fn start(home: Home, data: tempfile::TempDir, listener: TcpListener) -> Node {
    let (id, member) = (home.name().node, member(&listener));
    let keys = Keys::new(&Credentials::of(&home)).unwrap();
    let peers = Peers::new(keys.clone());
    let shelf = Shelf::open(Arc::new(Disk::open(data.path().join("snapshots")).unwrap())).unwrap();
    let setup = MachineSetup { seed: id, listener: Arc::new(|_event| {}), offload: Offload::Threads };
    let (machine, _damaged) = StateMachine::open(shelf.clone(), setup).unwrap();
    let replica = machine.replica();
    let (log, thread) = writer::start(MemoryDisk::default().open()).unwrap();
    let log = LogStore::open(log).await.unwrap();
    let config = Config {
        heartbeat_interval: 100,
        election_timeout_min: 300,
        election_timeout_max: 600,
        install_snapshot_timeout: 60_000,
        enable_pre_vote: Some(true),
        enable_leader_restore: Some(false),
        max_in_snapshot_log_to_keep: 0,
        ..Config::default()
    };
    let config = Arc::new(config.validate().unwrap());
    let raft = Raft::new(id, config, Network::new(peers.clone()), log, machine).await.unwrap();
    let forward = Forward::new(raft.clone(), peers);
    let home = Arc::new(Mutex::new(home));

    let mut handlers = Handlers::default();
    network::serve(&mut handlers, &raft, &shelf);
    forward::serve(&mut handlers, &raft);
    let reception = Some(reception(replica.clone(), forward.clone(), Arc::clone(&home)));
    let known = replica.clone();
    // Not "known": a newcomer knows nobody before the leader has spoken to it.
    let belongs =
        Arc::new(move |node| known.look(|state| state.nodes().forgotten().all(|(gone, _)| gone != node)));
    let server = Server::start(listener, Setup { keys, handlers, belongs, reception }).unwrap();
    Node { id, member, raft, forward, replica, server: Some(server), _log: thread, _data: data }
}

fn reception(replica: Replica, forward: Forward, home: Arc<Mutex<Home>>) -> Reception {
    let desk = move || {
        let not_yet = || Refusal::Busy { what: "this node has not heard of its cluster yet".to_owned() };
        let (id, secrets) = replica
            .look(|state| state.cluster().map(|cluster| (cluster.id, cluster.secrets.clone())))
            .ok_or_else(not_yet)?;
        let secret = home.lock().unwrap().secret().clone();
        let cluster = ClusterId::from_bytes(id).ok_or_else(not_yet)?;
        let authority = secrets.authority.ok_or_else(not_yet)?;
        let authority = Authority::open(cluster, &authority.certificate, &authority.key.0, &secret).unwrap();
        Ok(Desk {
            token: TokenHash(secrets.join_token.ok_or_else(not_yet)?),
            authority: Arc::new(authority),
            secret,
        })
    };
    let register = move |Applicant { request, member }| {
        let forward = forward.clone();
        let proposal = Proposal::Register(Box::new(Registration { request, member }));
        Box::pin(async move {
            let failed = |why: &dyn std::fmt::Display| Refusal::Failed { why: why.to_string() };
            let written = forward.write_again(proposal, SOON).await.map_err(|error| failed(&error))?;
            let Applied::Registered { node } = written.applied else {
                return Err(failed(&format!("{:?}", written.applied)));
            };
            Ok(node)
        }) as _
    };
    Reception { desk: Arc::new(desk), register: Arc::new(register) }
}

impl Node {
    /// Ends as by a crash.
    pub(crate) async fn kill(&mut self) {
        self.raft.shutdown().await.unwrap();
        self.server.take().expect("it runs").stop().await;
    }

    pub(crate) fn names(&self) -> usize {
        self.replica.look(|state| state.nodes().all().count())
    }
}
