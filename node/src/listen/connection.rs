//! One client connection: find out what it speaks, then answer its requests until it or we go.
//!
//! A connection that brings no request, and a client that vanished or takes nothing of its answer, end by themselves.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::Incoming as IncomingBody;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::Lobby;
use super::activity::Activity;
use super::linger::Lingering;
use super::patient::Patient;
use crate::request::{self, accept::Incoming};

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The first byte of every TLS connection: a handshake record (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 22;
/// Requests that one HTTP/2 connection may have open.
const MOST_H2_STREAMS: u32 = 1_024;
/// All headers of one request together.
const MOST_HEADER_BYTES: u32 = 64 * 1024;
/// A connection that is to end, and without a request, gets this long to say goodbye in its protocol.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serves a connection to its end.
pub(crate) async fn serve(stream: std::net::TcpStream, peer: SocketAddr, port: Option<u16>, lobby: Lobby) {
    // Registered with the worker that it lives on from now.
    let Ok(stream) = TcpStream::from_std(stream) else {
        return;
    };
    let caller = Caller { peer, port, lobby, activity: Arc::default() };
    if let Err(error) = caller.welcome(stream).await {
        tracing::debug!(%peer, error, "connection ended");
    }
}

type Ended = Result<(), Box<dyn Error + Send + Sync>>;

struct Caller {
    peer: SocketAddr,
    port: Option<u16>,
    lobby: Lobby,
    activity: Arc<Activity>,
}

impl Caller {
    async fn welcome(self, stream: TcpStream) -> Ended {
        let tls = match self.lobby.certificates.server_config() {
            Some(config) => self.unless_draining(begins_tls(&stream)).await?.then_some(config),
            None => None,
        };
        let stream = Patient::new(stream, self.patience(), Arc::clone(&self.activity));
        let Some(config) = tls else {
            return self.converse(stream).await;
        };
        let accepted = TlsAcceptor::from(config).accept(stream);
        let handshake = async { tokio::time::timeout(HANDSHAKE_TIMEOUT, accepted).await? };
        let stream = self.unless_draining(handshake).await?;
        self.converse(stream).await
    }

    async fn converse(self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Ended {
        let gateway = Arc::clone(&self.lobby.gateway);
        let (peer, port, activity) = (self.peer, self.port, Arc::clone(&self.activity));
        let service = service_fn(move |request: Request<IncomingBody>| {
            let gateway = Arc::clone(&gateway);
            let running = activity.begin();
            async move {
                let incoming = Incoming { request, peer, port };
                let response = request::answer(&gateway, incoming).await;
                Ok::<_, Infallible>(response.map(|body| {
                    body.map_err(move |error| {
                        let _as_long_as_the_body = &running;
                        error
                    })
                }))
            }
        });
        let builder = builder(self.patience());
        let mut connection = pin!(builder.serve_connection(TokioIo::new(Lingering::new(stream)), service));
        tokio::select! {
            ended = connection.as_mut() => return ended,
            () = self.draining() => {}
            () = self.nothing_asked() => {}
        }
        connection.as_mut().graceful_shutdown(); // What runs goes on; nothing new begins.
        loop {
            match tokio::time::timeout(FAREWELL, connection.as_mut()).await {
                Ok(ended) => return ended,
                Err(_) if self.activity.rests() => return Ok(()),
                Err(_) => {}
            }
        }
    }

    fn patience(&self) -> Duration {
        self.lobby.gateway.limits.client_timeout
    }

    /// A connection has to bring its first request in time; for the next ones, the protocol's own limits see to it.
    async fn nothing_asked(&self) {
        tokio::time::sleep(self.patience()).await;
        if self.activity.was_asked() {
            std::future::pending::<()>().await;
        }
    }

    async fn draining(&self) {
        let mut draining = self.lobby.draining.clone();
        let _nobody_left_is_draining_too = draining.wait_for(|draining| *draining).await;
    }

    async fn unless_draining<T>(&self, future: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        tokio::select! {
            done = future => done,
            () = self.draining() => Err(io::Error::other("it had not begun when this node was told to stop")),
        }
    }
}

async fn begins_tls(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    let peeked = tokio::time::timeout(HANDSHAKE_TIMEOUT, stream.peek(&mut first)).await;
    Ok(matches!(peeked, Ok(Ok(1))) && first[0] == TLS_HANDSHAKE)
}

fn builder(patience: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(patience);
    builder
        .http2()
        .timer(TokioTimer::new())
        // A client that vanished is noticed, also while its answer is silent. One that pauses answers no ping until it
        // reads again: it has all of that time, as by HTTP/1.1.
        .keep_alive_interval(patience / 2)
        .keep_alive_timeout(patience)
        .max_concurrent_streams(MOST_H2_STREAMS)
        .max_header_list_size(MOST_HEADER_BYTES);
    builder
}
