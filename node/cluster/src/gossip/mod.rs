//! Who is there, and how it fares: hints that spread by themselves. Nothing that must be exact travels here, and nothing is done for
//! what is said here alone: mutual TLS confirms who a peer is, and Raft what it may do.
//!
//! ```text
//!  say_* ──▶ run ──▶ chitchat ──▶ codec ──▶ seal ──▶ UDP
//!  peers ◀── run ◀── chitchat ◀── codec ◀── open ◀── UDP      junk, replays and strangers end at `open`, counted by reason
//! ```
//!
//! What chitchat 0.13 limits us to:
//! - Its wire format is private, hence the detour of [`codec`]. It is sealed outside; chitchat itself believes everyone.
//! - A message is one datagram of 65,507 bytes with a digest of all nodes (about 20 bytes a node, compressed) and as much of their state
//!   as fits: hence [`SAID_MOST`](view::SAID_MOST) bytes a node. Some thousand nodes are the end of it. Sealed, it would be 65 bytes too
//!   long if it were full; since it counts its last block as if that could not be compressed, it is not.
//! - It gossips with three nodes a round, so that news reach many nodes in some rounds only. What is urgent (a node's duty, a backend's
//!   health) is therefore shown to every live node at once.
//! - A node is seen after its third heartbeat, and the view changes at a round's end: about three rounds.
//! - It takes a node for dead after some multiple of the mean of its last intervals, which shrinks where many nodes pass heartbeats on;
//!   [`run`] chooses window and multiple so that it takes 1 to 2 seconds in any case.
//! - Two starts of a node live side by side until the older one is taken for dead; [`view`] tells the newer one. The generation is the
//!   wall clock at the start: if that ran backwards, the old start hides the new one for these seconds.
//! - A dead node is remembered for 15 minutes; its default of a day overflows the digest where nodes come and go.
//! - It ends for good when its socket fails; [`run`] starts it again.
//! - It resolves the names of seeds anew each minute.

mod codec;
pub mod health;
mod limit;
pub mod open;
pub(crate) mod run;
pub mod seal;
pub(crate) mod socket;
pub mod view;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chitchat::transport::Transport;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use health::Verdicts;
use open::Dropped;
use run::{Outlets, Runner};
use seal::Keyring;
use socket::{Sealed, Tally, unix_ms};
use view::{About, Duty, News, NodeId, TooMuch, View};

/// How gossip is set up on one node.
#[derive(Clone, Debug)]
pub struct Config {
    /// The cluster's id. What separates clusters is the key; this only names what is gossiped.
    pub cluster: String,
    /// This node's id in Raft.
    pub node: NodeId,
    /// The UDP address to bind.
    pub listen: SocketAddr,
    /// Where peers reach it, if not at `listen`.
    pub advertise: Option<SocketAddr>,
    /// Where to begin: `host:port` each. Names are resolved again and again.
    pub seeds: Vec<String>,
    /// The cluster's keys.
    pub keys: Keyring,
    /// What this node says of itself.
    pub about: About,
    /// How often it gossips: a round.
    pub interval: Duration,
}

impl Config {
    /// Four rounds a second: news in half a second, a death in about two.
    pub const INTERVAL: Duration = Duration::from_millis(250);
}

/// Why gossip did not start.
#[derive(Debug)]
pub enum StartError {
    /// The address could not be bound.
    Bind(SocketAddr, io::Error),
    /// Bound to all addresses, it must be said which of them peers reach.
    NoAddress(SocketAddr),
    /// What the node says of itself is too long.
    TooMuch(TooMuch),
}

/// Gossip of one node. It ends when this is dropped.
#[derive(Debug)]
pub struct Gossip {
    address: SocketAddr,
    outlets: Outlets,
    tally: Arc<Tally>,
    keys: watch::Sender<Keyring>,
    peers: watch::Receiver<View>,
    verdicts: watch::Receiver<Verdicts>,
    stop: watch::Sender<()>,
    task: JoinHandle<()>,
}

/// Binds the socket and begins to gossip.
pub async fn start(config: Config) -> Result<Gossip, StartError> {
    start_over(config, |sealed| Box::new(sealed)).await
}

/// The same on what `carrier` makes of the sealed socket.
async fn start_over(
    config: Config,
    carrier: impl FnOnce(Sealed) -> Box<dyn Transport>,
) -> Result<Gossip, StartError> {
    config.about.check().map_err(StartError::TooMuch)?;
    let failed = |error| StartError::Bind(config.listen, error);
    let outside = Arc::new(UdpSocket::bind(config.listen).await.map_err(failed)?);
    let bound = outside.local_addr().map_err(failed)?;
    let address = config.advertise.unwrap_or(bound);
    if address.ip().is_unspecified() {
        return Err(StartError::NoAddress(address));
    }

    let (keys, _) = watch::channel(config.keys.clone());
    let (news, _) = watch::channel(News::default());
    let (peers_tx, peers) = watch::channel(View::new());
    let (verdicts_tx, verdicts) = watch::channel(Verdicts::new());
    let (stop, stopped) = watch::channel(());
    let outlets = Outlets { news, applied: Arc::new(AtomicU64::new(0)) };
    let tally = Arc::new(Tally::default());
    let sealed = Sealed { outside, keys: keys.subscribe(), node: config.node, tally: Arc::clone(&tally) };
    let runner = Runner {
        transport: carrier(sealed),
        config,
        address,
        news: outlets.news.subscribe(),
        applied: Arc::clone(&outlets.applied),
        peers: peers_tx,
        verdicts: verdicts_tx,
        heard: health::Heard::default(),
        stopped,
    };
    let task = tokio::spawn(runner.run());
    Ok(Gossip { address, outlets, tally, keys, peers, verdicts, stop, task })
}

impl Gossip {
    /// Where peers reach this node.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Live nodes, this one among them.
    pub fn peers(&self) -> watch::Receiver<View> {
        self.peers.clone()
    }

    /// Backends that others found unhealthy. An entry goes when its time is over.
    pub fn unhealthy(&self) -> watch::Receiver<Verdicts> {
        self.verdicts.clone()
    }

    /// Tells the others at once that a backend is not to be tried before `until`. A later call for it replaces the former.
    pub fn say_unhealthy(&self, backend: &str, until: SystemTime) {
        let until = until.duration_since(UNIX_EPOCH).unwrap_or_default();
        let until_ms = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
        let now_ms = unix_ms();
        self.outlets.news.send_if_modified(|news| {
            news.unhealthy.retain(|_, until_ms| *until_ms > now_ms);
            news.unhealthy.insert(backend.to_owned(), until_ms) != Some(until_ms)
        });
    }

    /// Takes it back before its time.
    pub fn say_healthy(&self, backend: &str) {
        self.outlets.news.send_if_modified(|news| news.unhealthy.remove(backend).is_some());
    }

    /// Tells the others at once whether this node takes requests.
    pub fn say_duty(&self, duty: Duty) {
        self.outlets.news.send_if_modified(|news| std::mem::replace(&mut news.duty, duty) != duty);
    }

    /// The last entry that this node applied. Cheap: it is said once a round.
    pub fn say_applied(&self, index: u64) {
        self.outlets.applied.store(index, Ordering::Relaxed);
    }

    /// Seals and opens with other keys from now on. [`Keyring`] tells the order in which no datagram is lost.
    pub fn rotate(&self, keys: Keyring) {
        self.keys.send_replace(keys);
    }

    /// Datagrams that were dropped since the start, by reason.
    pub fn dropped(&self) -> Vec<(Dropped, u64)> {
        self.tally.dropped()
    }

    /// Ends it, and waits until the socket is closed.
    pub async fn stop(mut self) {
        self.stop.send_replace(());
        // It only fails where the task panicked, which is logged where it happened.
        let _ended = (&mut self.task).await;
    }
}

impl Drop for Gossip {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind(address, error) => write!(f, "gossip cannot bind {address}/UDP: {error}"),
            Self::NoAddress(address) => {
                write!(
                    f,
                    "gossip listens on {address}: an address that peers can reach must be given beside it"
                )
            }
            Self::TooMuch(too_much) => too_much.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}
