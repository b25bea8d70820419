//! Connections as they come: bounded in number and in the time that a handshake may take, led to the peers' server or to
//! the reception by what their hello says.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::tls::{JOINERS, Keys};
use super::verify::explained;
use crate::identity::{NodeName, cluster_asked_for};

/// Open connections of nodes, with handshakes: 1,000 nodes have at most four each.
const MOST_PEERS: usize = 4096;
/// Open connections of newcomers.
const MOST_JOINERS: usize = 16;
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long to wait after an accept that failed, most likely for want of file descriptors.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// An established connection.
pub(super) struct Link {
    stream: TlsStream<TcpStream>,
    visitor: Visitor,
    /// Ends with the server: whatever is still spoken then is cut.
    stopped: Pin<Box<dyn Future<Output = ()> + Send>>,
    _place: OwnedSemaphorePermit,
}

/// Who is on the other side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visitor {
    pub(super) address: SocketAddr,
    /// A node's proven name; a newcomer has none.
    pub(super) name: Option<NodeName>,
}

/// Where connections are led.
pub(super) struct Doors {
    pub(super) peers: mpsc::Sender<Link>,
    pub(super) joiners: mpsc::Sender<Link>,
}

/// Accepts until `stop` says so.
pub(super) async fn accept(listener: TcpListener, keys: Keys, doors: Doors, stop: watch::Receiver<bool>) {
    let porter = Arc::new(Porter {
        keys,
        doors,
        stop: stop.clone(),
        peers: Arc::new(Semaphore::new(MOST_PEERS)),
        joiners: Arc::new(Semaphore::new(MOST_JOINERS)),
    });
    let mut handshakes = JoinSet::new();
    let mut stopped = Box::pin(ended(stop));
    loop {
        tokio::select! {
            () = &mut stopped => return,
            Some(_done) = handshakes.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => {
                    let Ok(place) = Arc::clone(&porter.peers).try_acquire_owned() else {
                        tracing::warn!(%address, "connection refused: there are {MOST_PEERS} already");
                        continue;
                    };
                    let porter = Arc::clone(&porter);
                    handshakes.spawn(async move { porter.receive(stream, address, place).await });
                }
                Err(error) => {
                    tracing::warn!(%error, "can't accept a connection of a node");
                    sleep(AFTER_FAILURE).await;
                }
            }
        }
    }
}

async fn ended(mut stop: watch::Receiver<bool>) {
    // An error means that the server is gone, too.
    let _stopped = stop.wait_for(|stop| *stop).await;
}

struct Porter {
    keys: Keys,
    doors: Doors,
    stop: watch::Receiver<bool>,
    peers: Arc<Semaphore>,
    joiners: Arc<Semaphore>,
}

impl Porter {
    async fn receive(&self, stream: TcpStream, address: SocketAddr, place: OwnedSemaphorePermit) {
        metrics::counter!("tollgate_cluster_connections_total").increment(1);
        let outcome = timeout(HANDSHAKE, self.greet(stream, address, place)).await;
        let problem = match outcome {
            Ok(Ok(())) => return,
            Ok(Err(error)) => explained(&error),
            Err(_elapsed) => format!("no handshake within {HANDSHAKE:?}"),
        };
        metrics::counter!("tollgate_cluster_handshakes_failed_total").increment(1);
        tracing::warn!(%address, problem, "a connection to the cluster's port was not taken");
    }

    async fn greet(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        place: OwnedSemaphorePermit,
    ) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await?;
        let hello = start.client_hello();
        let tls = self.keys.current();
        let asked = hello.server_name().and_then(cluster_asked_for);
        if let Some(asked) = asked.filter(|asked| *asked != tls.name.cluster) {
            let here = tls.name;
            tracing::warn!(%address, "somebody looks for cluster {asked} here; this is {here}");
        }
        let joins = hello.alpn().is_some_and(|mut protocols| protocols.any(|protocol| protocol == JOINERS));
        if !joins {
            let config = Arc::clone(&tls.peers);
            let link = self.link(start.into_stream(config).await?, address, place)?;
            return led(&self.doors.peers, link).await;
        }
        let seat = Arc::clone(&self.joiners).try_acquire_owned();
        let seat =
            seat.map_err(|_| io::Error::other(format!("{MOST_JOINERS} newcomers are here already")))?;
        let config: Arc<ServerConfig> = Arc::clone(&tls.joiners);
        let link = self.link(start.into_stream(config).await?, address, seat)?;
        led(&self.doors.joiners, link).await
    }

    fn link(
        &self,
        stream: TlsStream<TcpStream>,
        address: SocketAddr,
        place: OwnedSemaphorePermit,
    ) -> io::Result<Link> {
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let name = certificate.map(NodeName::of).transpose().map_err(io::Error::other)?;
        let stopped = Box::pin(ended(self.stop.clone()));
        Ok(Link { stream, visitor: Visitor { address, name }, stopped, _place: place })
    }
}

async fn led(door: &mpsc::Sender<Link>, link: Link) -> io::Result<()> {
    door.send(link).await.map_err(|_| io::Error::other("the server stops"))
}

impl Connected for Link {
    type ConnectInfo = Visitor;

    fn connect_info(&self) -> Visitor {
        self.visitor
    }
}

impl Link {
    fn poll_stopped(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.stopped.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the server stops")),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Whoever serves a connection always reads from it, so this is where its end is noticed.
        if let Err(stopped) = self.poll_stopped(cx) {
            return Poll::Ready(Err(stopped));
        }
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Link {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
