//! The cluster's port: one listener, two services, one owner.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, Stream};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tonic::transport::server::Server as Grpc;

use super::gate::Gate;
use super::handlers::{Belongs, Handlers};
use super::incoming::{Doors, Link, accept};
use super::reception::{Door, Reception};
use super::tls::Keys;

/// Calls that may be open on one connection: a node has a handful of streams, and proposals that wait.
const MOST_STREAMS: u32 = 1024;
const MOST_JOIN_STREAMS: u32 = 2;
const MOST_HEADER_BYTES: u32 = 8 << 10;
/// A connection whose other side is silent for both is closed.
pub(super) const PING_EVERY: Duration = Duration::from_secs(2);
pub(super) const PING_WAIT: Duration = Duration::from_secs(3);
/// A newcomer's connection lasts no longer.
const MOST_JOIN: Duration = Duration::from_secs(40);
/// What may be on the way before it is read: a part of a snapshot, or many entries.
pub(super) const STREAM_WINDOW: u32 = 2 << 20;
pub(super) const CONNECTION_WINDOW: u32 = 4 << 20;

/// What a server needs.
#[derive(Clone)]
pub struct Setup {
    /// Who it is, and whom it trusts.
    pub keys: Keys,
    /// What it does.
    pub handlers: Handlers,
    /// Whether a node is (still) one of the cluster.
    pub belongs: Belongs,
    /// Lets newcomers in; None where nobody can be.
    pub reception: Option<Reception>,
}

/// A running server. Dropped, it stops, and its connections are cut.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Server {
    /// Starts to serve, on the current runtime.
    pub fn start(listener: TcpListener, setup: Setup) -> io::Result<Self> {
        let Setup { keys, handlers, belongs, reception } = setup;
        let address = listener.local_addr()?;
        let stop = watch::Sender::new(false);
        let (to_peers, peers) = mpsc::channel(16);
        let (to_joiners, joiners) = mpsc::channel(1);
        let doors = Doors { peers: to_peers, joiners: to_joiners };
        let gate = Gate { keys: keys.clone(), handlers: Arc::new(handlers), belongs };
        let door = Door { keys: keys.clone(), reception };

        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, keys, doors, stop.subscribe()));
        tasks.spawn(async move {
            let served = limits(MOST_STREAMS).serve_with_incoming(gate, arriving(peers)).await;
            ended("peers", &served);
        });
        tasks.spawn(async move {
            let limits = limits(MOST_JOIN_STREAMS)
                .max_connection_age(MOST_JOIN)
                .max_connection_age_grace(Duration::ZERO);
            let served = limits.serve_with_incoming(door, arriving(joiners)).await;
            ended("newcomers", &served);
        });
        Ok(Self { address, stop, tasks })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops at once. What is under way is cut, as by a crash: who stops in peace hands over leadership first.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

fn limits(streams: u32) -> Grpc {
    Grpc::builder()
        .max_concurrent_streams(streams)
        .http2_max_header_list_size(MOST_HEADER_BYTES)
        .http2_keepalive_interval(Some(PING_EVERY))
        .http2_keepalive_timeout(Some(PING_WAIT))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
}

fn arriving(links: mpsc::Receiver<Link>) -> impl Stream<Item = io::Result<Link>> {
    stream::unfold(links, |mut links| async { Some((Ok(links.recv().await?), links)) })
}

fn ended(whose: &'static str, served: &Result<(), tonic::transport::Error>) {
    match served {
        Ok(()) => tracing::debug!(whose, "stopped to serve"),
        Err(error) => tracing::error!(whose, %error, "stopped to serve"),
    }
}
