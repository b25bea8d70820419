//! A node of the cluster, put together: from a data folder and a port to something that votes, replicates, gossips and lets
//! others in.
//!
//! ```text
//!  settings ─▶ start: data folder, identity, log, Raft ─▶ Node ─▶ stop: hand over leadership, then end
//!                                                          ├─ keep    the membership as it should be, addresses, certificate
//!                                                          └─ events  what changed in the store, for the rest of the program
//! ```

mod events;
mod keep;
mod reception;
mod settings;
mod start;

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openraft::Raft;
use openraft::async_runtime::WatchReceiver;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

pub use self::events::{Changes, Events};
pub use self::settings::{Door, NotReachable, Settings};
pub use self::start::{Metrics, StartError};

use self::keep::Controller;
use self::start::Started;
use crate::engine::log::Log;
use crate::engine::writer::WriterThread;
use crate::gossip::seal::{Key, Keyring};
use crate::gossip::view::{About, Duty};
use crate::gossip::{self, Gossip};
use crate::identity::home::Home;
use crate::identity::secret::Purpose;
use crate::identity::token::TokenHash;
use crate::identity::{ClusterId, NodeName};
use crate::raft::forward::Forward;
use crate::raft::replica::Replica;
use crate::raft::state_machine::StateMachine;
use crate::raft::types::{Member, Types};
use crate::state::Proposal;
use crate::state::cluster::{Change, Setting};
use crate::state::nodes::Arrival;
use crate::transport::{Peers, Server};
use crate::wallet::Desk;

/// One try to tell the cluster that this node has started.
const ARRIVAL: Duration = Duration::from_secs(10);
/// Between two such tries.
const ARRIVAL_PAUSE: Duration = Duration::from_secs(1);
/// A planned stop waits this long for another leader.
const HAND_OVER: Duration = Duration::from_secs(3);
/// Between two looks whether another one leads.
const LOOK: Duration = Duration::from_millis(20);

/// A running node.
pub struct Node {
    home: Arc<Mutex<Home>>,
    member: Member,
    peers: Peers,
    raft: Raft<Types, StateMachine>,
    forward: Forward,
    replica: Replica,
    events: Events,
    desk: Desk,
    gossip: Arc<Gossip>,
    log: Log,
    server: Mutex<Option<Server>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    /// Ends last: Raft writes until it has stopped.
    _log_thread: WriterThread,
}

impl Node {
    /// Starts the node of a data folder, or a new one in an empty folder. It runs on the current runtime.
    pub async fn start(mut settings: Settings) -> Result<Self, StartError> {
        let listener = settings.door.listener.try_clone().and_then(TcpListener::from_std);
        let listener = listener.map_err(|error| StartError::Failed(error.to_string()))?;
        let started = start::start(&mut settings, listener).await?;
        let gossip = Arc::new(gossip(&settings, &started).await?);
        let Started {
            home,
            member,
            keys,
            peers,
            raft,
            forward,
            replica,
            events,
            desk,
            log,
            log_thread,
            server,
        } = started;
        let controller = Controller { raft: raft.clone(), replica: replica.clone(), view: gossip.peers() };
        let mut tasks = vec![
            tokio::spawn(controller.run()),
            tokio::spawn(keep::follow_addresses(
                gossip.peers(),
                (replica.clone(), events.changes()),
                peers.clone(),
            )),
            tokio::spawn(keep::renew(Arc::clone(&home), replica.clone(), keys)),
            tokio::spawn(say_applied(raft.clone(), Arc::clone(&gossip))),
            tokio::spawn(rotate(replica.clone(), Arc::clone(&home), events.clone(), Arc::clone(&gossip))),
        ];
        let incarnation = home.lock().unwrap_or_else(PoisonError::into_inner).incarnation();
        let arrival = Arrival { node: peers.here(), incarnation, member: member.clone() };
        tasks.push(tokio::spawn(arrive(forward.clone(), arrival)));
        if let Some(voters) = settings.voters {
            tasks.push(tokio::spawn(want_voters(forward.clone(), replica.clone(), voters)));
        }
        Ok(Self {
            home,
            member,
            peers,
            raft,
            forward,
            replica,
            events,
            desk,
            gossip,
            log,
            server: Mutex::new(Some(server)),
            tasks: Mutex::new(tasks),
            _log_thread: log_thread,
        })
    }

    /// Its id in the cluster.
    pub fn id(&self) -> u64 {
        self.peers.here()
    }

    /// Its id and the cluster's.
    pub fn name(&self) -> NodeName {
        self.home().name()
    }

    /// What it says of itself.
    pub const fn member(&self) -> &Member {
        &self.member
    }

    /// Its place in the cluster, as its folder remembers it.
    pub fn home(&self) -> std::sync::MutexGuard<'_, Home> {
        self.home.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, shared.
    pub fn shared_home(&self) -> Arc<Mutex<Home>> {
        Arc::clone(&self.home)
    }

    /// Connections to the others.
    pub const fn peers(&self) -> &Peers {
        &self.peers
    }

    /// Consensus.
    pub const fn raft(&self) -> &Raft<Types, StateMachine> {
        &self.raft
    }

    /// Proposals and current reads, wherever the leader is.
    pub const fn forward(&self) -> &Forward {
        &self.forward
    }

    /// The store as this node has it.
    pub const fn replica(&self) -> &Replica {
        &self.replica
    }

    /// What changes in the store.
    pub const fn events(&self) -> &Events {
        &self.events
    }

    /// What wallets speak to while this node leads.
    pub const fn desk(&self) -> &Desk {
        &self.desk
    }

    /// Hints of the others and to them.
    pub const fn gossip(&self) -> &Arc<Gossip> {
        &self.gossip
    }

    /// Consensus, as it says of itself.
    pub fn metrics(&self) -> Metrics {
        self.raft.metrics().borrow_watched().clone()
    }

    /// Why the log takes no more entries, if so.
    pub fn failure(&self) -> Option<String> {
        self.log.failure().map(|error| error.to_string())
    }

    /// Whether this node leads.
    pub fn leads(&self) -> bool {
        self.metrics().current_leader == Some(self.id())
    }

    /// The term in which this node leads, if it does.
    pub fn leads_in(&self) -> Option<u64> {
        self.raft.as_leader().ok().map(|leader| leader.term())
    }

    /// Ends in peace: another one leads first, if there is one that can.
    pub async fn stop(&self) {
        self.gossip.say_duty(Duty::Draining);
        self.hand_over().await;
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.iter().for_each(JoinHandle::abort);
        for task in tasks {
            let _it_was_aborted = task.await;
        }
        if let Err(error) = self.raft.shutdown().await {
            tracing::error!("Raft did not stop: {error}");
        }
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(server) = server {
            server.stop().await;
        }
    }

    /// Hands leadership to the voter that has most of the log.
    pub async fn hand_over(&self) {
        let metrics = self.metrics();
        if metrics.current_leader != Some(self.id()) {
            return;
        }
        let Some(followers) = metrics.replication.as_ref() else { return };
        let voters: Vec<u64> = metrics.membership_config.membership().voter_ids().collect();
        let others = followers.iter().filter(|(node, _)| **node != self.id() && voters.contains(node));
        let Some((successor, _)) = others.max_by_key(|(_, matched)| matched.as_ref().map(|at| at.index))
        else {
            return;
        };
        if let Err(error) = self.raft.trigger().transfer_leader(*successor).await {
            tracing::warn!("leadership could not be handed over: {error}");
            return;
        }
        let deadline = Instant::now() + HAND_OVER;
        while self.leads() && Instant::now() < deadline {
            sleep(LOOK).await;
        }
    }
}

async fn gossip(settings: &Settings, started: &Started) -> Result<Gossip, StartError> {
    let name = started.home.lock().unwrap_or_else(PoisonError::into_inner).name();
    // Where the others were when this node was last here, too.
    let mut seeds = settings.join.clone();
    let known = started.replica.position().1;
    seeds.extend(known.membership().nodes().map(|(_, member)| member.address.clone()));
    seeds.retain(|seed| *seed != started.member.address);
    let advertise = settings.door.advertise.as_deref().map(resolve).transpose()?;
    let config = gossip::Config {
        cluster: name.cluster.to_string(),
        node: name.node,
        listen: settings.door.listen,
        advertise,
        seeds,
        keys: keyring(&started.replica, &started.home),
        about: About {
            member: started.member.clone(),
            admin: settings.admin.clone(),
            version: settings.version.clone(),
            stays_learner: settings.stays_learner,
        },
        interval: gossip::Config::INTERVAL,
    };
    gossip::start(config).await.map_err(StartError::Gossip)
}

fn resolve(advertise: &str) -> Result<SocketAddr, StartError> {
    let failed = |why: String| StartError::Failed(format!("--advertise {advertise}: {why}"));
    let mut found = advertise.to_socket_addrs().map_err(|error| failed(error.to_string()))?;
    found.next().ok_or_else(|| failed("no such address".to_owned()))
}

/// The keys in force: those of the store, whose last one sends, or the one that every cluster begins with.
fn keyring(replica: &Replica, home: &Mutex<Home>) -> Keyring {
    let (name, secret) = {
        let home = home.lock().unwrap_or_else(PoisonError::into_inner);
        (home.name(), home.secret().clone())
    };
    let sealed = replica
        .look(|state| state.cluster().map(|cluster| cluster.secrets.gossip_keys.clone()).unwrap_or_default());
    let mut keys: Vec<Key> = Vec::new();
    for one in &sealed {
        match secret.open(name.cluster, Purpose::GossipKeys, &one.0) {
            Ok(bytes) => keys.extend(derived(&bytes, name.cluster)),
            Err(why) => tracing::error!("a key of gossip in the store can't be used: {why}"),
        }
    }
    let first = secret.key(name.cluster, Purpose::GossipKeys);
    let send = keys.pop().or_else(|| derived(&first, name.cluster)).expect("32 bytes are enough for a key");
    Keyring { send, also: keys.pop() }
}

fn derived(secret: &[u8], cluster: ClusterId) -> Option<Key> {
    Key::derive(secret, &cluster.to_string())
        .inspect_err(|short| tracing::error!("a key of gossip has {} bytes only", short.len))
        .ok()
}

async fn rotate(replica: Replica, home: Arc<Mutex<Home>>, events: Events, gossip: Arc<Gossip>) {
    let mut changes = events.changes();
    let mut seen = changes.borrow_and_update().cluster;
    while changes.changed().await.is_ok() {
        let now = changes.borrow_and_update().cluster;
        if now != seen {
            seen = now;
            gossip.rotate(keyring(&replica, &home));
            let token = replica.look(|state| state.cluster().and_then(|cluster| cluster.secrets.join_token));
            let home = home.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(why) = home.drop_old_token(token.map(TokenHash)) {
                tracing::warn!(%why, "the join token in the data folder lets nobody in any more, and stays there");
            }
        }
    }
}

async fn say_applied(raft: Raft<Types, StateMachine>, gossip: Arc<Gossip>) {
    let mut beat = tokio::time::interval(gossip::Config::INTERVAL);
    loop {
        beat.tick().await;
        let applied = raft.metrics().borrow_watched().last_applied.as_ref().map_or(0, |at| at.index);
        gossip.say_applied(applied);
    }
}

/// Tells the cluster that this node has started, and where it is now. It takes as long as it takes to find a leader.
async fn arrive(forward: Forward, arrival: Arrival) {
    loop {
        match forward.write_again(Proposal::Arrive(Box::new(arrival.clone())), ARRIVAL).await {
            Ok(written) => return tracing::debug!("told the cluster of this start: {:?}", written.applied),
            Err(error) => tracing::info!("the cluster was not told of this start yet: {error}"),
        }
        sleep(ARRIVAL_PAUSE).await;
    }
}

/// Changes how many nodes should vote, if it is not so already.
async fn want_voters(forward: Forward, replica: Replica, voters: u8) {
    loop {
        let known = replica.look(|state| state.cluster().map(|cluster| (cluster.revision, cluster.voters)));
        if let Some((expects, now)) = known {
            if now == voters {
                return;
            }
            let change = Change { expects, setting: Setting::Voters(voters) };
            if let Err(error) = forward.write(Proposal::Change(Box::new(change)), ARRIVAL).await {
                tracing::info!("the wanted number of voters was not changed yet: {error}");
            }
        }
        sleep(ARRIVAL_PAUSE).await;
    }
}
