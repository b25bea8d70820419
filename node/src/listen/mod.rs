//! Listeners: where clients connect. One door serves every Gateway; the ports that Gateways name are opened beside it,
//! and closed again when the configuration no longer has them.
//!
//! A door speaks what the client speaks: HTTP/1.1 or HTTP/2 by prior knowledge in clear text, or TLS if the first byte
//! is a TLS record's and the configuration has a certificate.

mod activity;
mod connection;
mod linger;
mod patient;
mod tls;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::config::Active;
use crate::gateway::Gateway;
use crate::tasks::Spawner;
use crate::workers::Workers;

use tls::Certificates;

/// Open client connections; more wait to be accepted.
const MOST_CONNECTIONS: usize = 16_384;
/// Pending connections that the kernel keeps.
const BACKLOG: u32 = 4_096;
/// What the kernel keeps of an answer before it is sent: enough for a fast client never to wait for us.
#[cfg(target_os = "linux")]
const UNSENT_BYTES: u32 = 128 * 1024;
/// After an accept failed for lack of something (file descriptors), give it time to come back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often the ports are compared with the configuration.
const RECONCILE_EVERY: Duration = Duration::from_millis(200);

/// What every door needs.
#[derive(Clone)]
pub(crate) struct Lobby {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) certificates: Certificates,
    pub(crate) workers: Workers,
    pub(crate) spawner: Spawner,
    /// True from SIGTERM on.
    pub(crate) draining: watch::Receiver<bool>,
    seats: Arc<Semaphore>,
}

impl Lobby {
    pub(crate) fn new(
        gateway: Arc<Gateway>,
        workers: Workers,
        spawner: Spawner,
        draining: watch::Receiver<bool>,
    ) -> Self {
        let certificates = Certificates::default();
        certificates.load(&gateway.config.latest().snapshot);
        Self {
            gateway,
            certificates,
            workers,
            spawner,
            draining,
            seats: Arc::new(Semaphore::new(MOST_CONNECTIONS)),
        }
    }
}

/// Binds an address. `SO_REUSEADDR`, so that a restart need not wait for old connections to fade.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket =
        if address.is_ipv4() { tokio::net::TcpSocket::new_v4()? } else { tokio::net::TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves one listener until draining, or until `closed`. `port` is the Gateway listeners' port that it stands for.
pub(crate) async fn serve(
    listener: TcpListener,
    port: Option<u16>,
    lobby: Lobby,
    mut closed: watch::Receiver<bool>,
) {
    let mut draining = lobby.draining.clone();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &lobby.seats) => accepted,
            Ok(_) = draining.wait_for(|draining| *draining) => return,
            Ok(_) = closed.wait_for(|closed| *closed) => return,
        };
        let Ok((stream, peer, seat)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Ok(stream) = stream.into_std() else { continue };
        let lobby_of_connection = lobby.clone();
        let task = async move {
            connection::serve(stream, peer, port, lobby_of_connection).await;
            drop(seat);
        };
        lobby.spawner.spawn_on(lobby.workers.next(), "connection", task);
    }
}

async fn accept(
    listener: &TcpListener,
    seats: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let seat = Arc::clone(seats).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    // Without this, the last chunk of a stream waits for the client's delayed acknowledgement: 40 ms.
    stream.set_nodelay(true)?;
    hold_little_back(&stream)?;
    Ok((stream, peer, seat))
}

/// Otherwise the kernel takes megabytes at once and then nothing until a third of them is gone: a slow client that takes
/// all it can would pass for one that takes nothing.
#[cfg(target_os = "linux")]
fn hold_little_back(stream: &TcpStream) -> io::Result<()> {
    socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_BYTES)
}

#[cfg(not(target_os = "linux"))]
fn hold_little_back(_stream: &TcpStream) -> io::Result<()> {
    Ok(())
}

/// Whether the ports that Gateways name are opened beside the main door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ports {
    Open,
    /// The operator named the one address: certificates are followed, ports are not.
    Shut,
}

/// Follows the Gateways as the configuration changes: their certificates, and their ports on `main`'s address.
pub(crate) async fn follow_gateways(main: SocketAddr, ports: Ports, lobby: Lobby) {
    let address = main.ip();
    let mut open: BTreeMap<u16, watch::Sender<bool>> = BTreeMap::new();
    let mut draining = lobby.draining.clone();
    let mut seen_revision = 0;
    loop {
        let config = lobby.gateway.config.latest();
        if config.revision != seen_revision {
            seen_revision = config.revision;
            lobby.certificates.load(&config.snapshot);
            let wanted = match ports {
                Ports::Open => wanted_ports(&config, main.port()),
                Ports::Shut => Vec::new(),
            };
            open.retain(|port, close| {
                let keep = wanted.contains(port);
                if !keep {
                    let _its_door_may_be_gone = close.send(true);
                }
                keep
            });
            for port in wanted {
                if open.contains_key(&port) {
                    continue;
                }
                match bind(SocketAddr::new(address, port)) {
                    Ok(listener) => {
                        let (close, closed) = watch::channel(false);
                        open.insert(port, close);
                        tracing::info!(%address, port, "listening for a Gateway");
                        lobby
                            .spawner
                            .spawn("gateway port", serve(listener, Some(port), lobby.clone(), closed));
                    }
                    Err(error) => {
                        tracing::error!(%address, port, %error, "the Gateway's port can't be opened; it is served on the main address only");
                    }
                }
            }
        }
        drop(config);
        tokio::select! {
            () = tokio::time::sleep(RECONCILE_EVERY) => {}
            Ok(_) = draining.wait_for(|draining| *draining) => return,
        }
    }
}

fn wanted_ports(config: &Active, main_port: u16) -> Vec<u16> {
    let ports = config.snapshot.listeners.iter().map(|listener| listener.port);
    let mut ports: Vec<u16> = ports.filter(|port| *port != main_port).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}
