//! From a data folder to a node: the one that it was before, the founder of a cluster, or a newcomer to one.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use openraft::{Raft, RaftMetrics};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use super::events::Events;
use super::reception::reception;
use super::settings::{NotReachable, Settings};
use crate::engine::sled::{OpenError, Owner, SledEngine};
use crate::engine::writer::{self, WriterThread};
use crate::identity::folder::{Folder, FolderError};
use crate::identity::home::{Found, Home};
use crate::identity::{Admitted, Newcomer};
use crate::raft::forward::{self, Forward};
use crate::raft::log_store::LogStore;
use crate::raft::network::{self, Network};
use crate::raft::replica::Replica;
use crate::raft::settings::{Pace, config};
use crate::raft::state_machine::{Offload, Setup as MachineSetup, StateMachine};
use crate::raft::types::{Member, Types};
use crate::snapshots::Shelf;
use crate::snapshots::folder::Disk;
use crate::state::State;
use crate::state::cluster::{self, FORMAT, Founding, Secrets};
use crate::state::nodes::FIRST_NODE;
use crate::state::sealed::Sealed;
use crate::state::{Applied, Proposal};
use crate::transport::join::{JoinError, join};
use crate::transport::{Credentials, Handlers, Keys, Peers, Server, Setup};
use crate::wallet::Desk;

/// The founder's first entries: a disk's syncs, and no network.
const FOUND: Duration = Duration::from_secs(30);
/// Nodes that are started together find each other by then.
const JOIN: Duration = Duration::from_mins(2);
/// Between two rounds of asking.
const JOIN_PAUSE: Duration = Duration::from_millis(500);

const LOG: &str = "log";
const SNAPSHOTS: &str = "snapshots";

/// A node whose Raft runs.
pub(super) struct Started {
    pub(super) home: Arc<Mutex<Home>>,
    pub(super) member: Member,
    pub(super) keys: Keys,
    pub(super) peers: Peers,
    pub(super) raft: Raft<Types, StateMachine>,
    pub(super) forward: Forward,
    pub(super) replica: Replica,
    pub(super) events: Events,
    pub(super) desk: Desk,
    pub(super) log: crate::engine::log::Log,
    pub(super) log_thread: WriterThread,
    pub(super) server: Server,
}

/// Why a node did not start.
#[derive(Debug)]
pub enum StartError {
    /// The data folder.
    Folder(FolderError),
    /// The log in it.
    Log(OpenError),
    /// Something else that is kept there, and what.
    Disk(&'static str, io::Error),
    /// Nobody let it in.
    Join(JoinError),
    /// It is to join, and has no token.
    NoToken,
    /// Where it listens is no address for others.
    NotReachable(NotReachable),
    /// Its gossip.
    Gossip(crate::gossip::StartError),
    /// What can't be, and what was seen.
    Failed(String),
}

pub(super) async fn start(settings: &mut Settings, listener: TcpListener) -> Result<Started, StartError> {
    let member = Member {
        name: settings.name.clone(),
        address: settings.door.address().map_err(StartError::NotReachable)?,
        region: settings.region.clone(),
        zone: settings.zone.clone(),
    };
    let folder = Folder::open(&settings.data).map_err(StartError::Folder)?;
    let data = settings.data.as_path();
    match Home::open(folder).map_err(StartError::Folder)? {
        Found::Known(home) => {
            let founder = home.sealed_authority().is_some();
            let started = run(*home, member, data, listener).await?;
            // Perhaps it ended before the first entry was written.
            if founder && started.replica.look(|state| state.cluster().is_none()) {
                found(&started, settings.voters).await?;
            }
            Ok(started)
        }
        Found::Nobody(folder) if settings.join.is_empty() => {
            let home = Home::found(folder, FIRST_NODE, SystemTime::now()).map_err(StartError::Folder)?;
            let started = run(home, member, data, listener).await?;
            found(&started, settings.voters).await?;
            Ok(started)
        }
        Found::Nobody(folder) => {
            let admitted = ask_in(settings, &folder, &member).await?;
            let home = Home::joined(folder, admitted, SystemTime::now()).map_err(StartError::Folder)?;
            run(home, member, data, listener).await
        }
    }
}

/// Asks until somebody lets it in: the others may be starting, too.
async fn ask_in(settings: &Settings, folder: &Folder, member: &Member) -> Result<Admitted, StartError> {
    let token = settings.token.as_ref().ok_or(StartError::NoToken)?;
    let deadline = Instant::now() + JOIN;
    let mut last = String::new();
    loop {
        let newcomer = Newcomer::of(folder).map_err(StartError::Folder)?;
        match join(&settings.join, token, newcomer, member.clone()).await {
            Ok(admitted) => return Ok(admitted),
            Err(error @ JoinError::Nobody { .. }) if Instant::now() + JOIN_PAUSE < deadline => {
                let why = error.to_string();
                if why != last {
                    tracing::info!("not let in yet: {why}");
                    last = why;
                }
                sleep(JOIN_PAUSE).await;
            }
            Err(error) => return Err(StartError::Join(error)),
        }
    }
}

async fn run(home: Home, member: Member, data: &Path, listener: TcpListener) -> Result<Started, StartError> {
    let name = home.name();
    let failed = |error: &dyn fmt::Display| StartError::Failed(error.to_string());
    let keys = Keys::new(&Credentials::of(&home)).map_err(|error| failed(&error))?;
    let peers = Peers::new(keys.clone());

    // The log is made first: without snapshots beside it, no log means that the node never ran.
    let owner = Owner { cluster: u128::from_be_bytes(name.cluster.bytes()), node: name.node };
    let engine = if data.join(SNAPSHOTS).exists() || data.join(LOG).exists() {
        SledEngine::open(&data.join(LOG), owner)
    } else {
        SledEngine::create(&data.join(LOG), owner)
    };
    let (log, log_thread) = writer::start(engine.map_err(StartError::Log)?)
        .map_err(|error| StartError::Disk("the log", error))?;
    let kept = Disk::open(data.join(SNAPSHOTS)).map_err(|error| StartError::Disk("snapshots", error))?;
    let shelf = Shelf::open(Arc::new(kept)).map_err(|error| StartError::Disk("snapshots", error))?;

    let events = Events::new();
    let told = events.clone();
    let setup = MachineSetup {
        seed: rand::random(),
        listener: Arc::new(move |event| told.tell(event)),
        offload: Offload::Threads,
    };
    let (machine, damaged) =
        StateMachine::open(shelf.clone(), setup).map_err(|error| StartError::Disk("snapshots", error))?;
    for one in damaged {
        tracing::error!("a snapshot was damaged and set aside ({:?}); an older one is used", one);
    }
    let replica = machine.replica();
    let store = LogStore::open(log.clone()).await.map_err(|error| StartError::Disk("the log", error))?;
    let config = Arc::new(config(Pace::NEAR).map_err(|error| failed(&error))?);
    let raft = Raft::new(name.node, config, Network::new(peers.clone()), store, machine)
        .await
        .map_err(|error| failed(&error))?;
    let forward = Forward::new(raft.clone(), peers.clone());

    let home = Arc::new(Mutex::new(home));
    let mut handlers = Handlers::default();
    network::serve(&mut handlers, &raft, &shelf);
    forward::serve(&mut handlers, &raft);
    let here = name.node;
    let desk = Desk::start(raft.clone(), replica.clone(), forward.clone(), here, events.nudges());
    desk.serve(&mut handlers);
    let known = replica.clone();
    // Not "known": a newcomer knows nobody before the leader has spoken to it.
    let belongs = Arc::new(move |node| known.look(|state| !is_forgotten(state, node)));
    let reception = Some(reception(replica.clone(), forward.clone(), Arc::clone(&home)));
    let server = Server::start(listener, Setup { keys: keys.clone(), handlers, belongs, reception })
        .map_err(|error| failed(&error))?;
    Ok(Started { home, member, keys, peers, raft, forward, replica, events, desk, log, log_thread, server })
}

fn is_forgotten(state: &State, node: u64) -> bool {
    state.nodes().forgotten().any(|(gone, _)| gone == node)
}

/// Makes this node a cluster of one.
async fn found(started: &Started, voters: Option<u8>) -> Result<(), StartError> {
    let Started { home, member, raft, forward, .. } = started;
    let failed = |error: &dyn fmt::Display| StartError::Failed(error.to_string());
    let founding = {
        let home = home.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let token = home.token().map_err(StartError::Folder)?;
        let key = home.sealed_authority().ok_or_else(|| failed(&"its folder has no authority"))?;
        let authority =
            cluster::Authority { certificate: home.authority().to_vec(), key: Sealed(key.to_vec()) };
        let join_token = token.map(|token| token.hash().0);
        Founding {
            cluster: home.name().cluster.bytes(),
            format: FORMAT,
            first: member.clone(),
            voters: voters.unwrap_or(WANTED_VOTERS),
            secrets: Secrets { join_token, authority: Some(authority), gossip_keys: Vec::new() },
        }
    };
    let members = BTreeMap::from([(FIRST_NODE, member.clone())]);
    if !raft.is_initialized().await.map_err(|error| failed(&error))? {
        raft.initialize(members).await.map_err(|error| failed(&error))?;
    }
    let founded = forward.write_again(Proposal::Found(Box::new(founding)), FOUND).await;
    let applied = founded.map_err(|error| failed(&error))?.applied;
    if applied == Applied::Founded {
        return Ok(());
    }
    Err(failed(&format!("expected a new cluster, {applied:?} came")))
}

/// A cluster survives the loss of one node with three voters.
const WANTED_VOTERS: u8 = 3;

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(error) => error.fmt(f),
            Self::Log(error) => error.fmt(f),
            Self::Disk(what, error) => write!(f, "{what} in the data folder: {error}"),
            Self::Join(error) => error.fmt(f),
            Self::NoToken => f.write_str(
                "--join needs the cluster's join token: set TOLLGATE_JOIN_TOKEN or give --join-token-file (the \
                 cluster's first node wrote it to join-token in its data folder)",
            ),
            Self::NotReachable(error) => error.fmt(f),
            Self::Gossip(error) => error.fmt(f),
            Self::Failed(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for StartError {}

/// What a node's Raft says of itself.
pub type Metrics = RaftMetrics<Types>;
