//! One client connection: find out what it speaks, then answer its requests until it or we go.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming as IncomingBody;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::Lobby;
use super::linger::Lingering;
use crate::request::{self, accept::Incoming};

/// A connection has to say what it wants within this time; an idle one is closed after it.
const HEAD_TIMEOUT: Duration = Duration::from_mins(1);
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The first byte of every TLS connection: a handshake record (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 22;
/// Requests that one HTTP/2 connection may have open.
const MOST_H2_STREAMS: u32 = 1_024;
/// All headers of one request together.
const MOST_HEADER_BYTES: u32 = 64 * 1024;

/// Serves a connection to its end.
pub(crate) async fn serve(stream: std::net::TcpStream, peer: SocketAddr, port: Option<u16>, lobby: Lobby) {
    // Registered with the worker that it lives on from now.
    let Ok(stream) = TcpStream::from_std(stream) else {
        return;
    };
    let ended = match lobby.certificates.server_config() {
        Some(config) if begins_tls(&stream).await => {
            let acceptor = tokio_rustls::TlsAcceptor::from(config);
            match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => converse(stream, peer, port, lobby).await,
                Ok(Err(error)) => Err(error.into()),
                Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
            }
        }
        Some(_) | None => converse(stream, peer, port, lobby).await,
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, error, "connection ended");
    }
}

async fn begins_tls(stream: &TcpStream) -> bool {
    let mut first = [0];
    let peeked = tokio::time::timeout(HANDSHAKE_TIMEOUT, stream.peek(&mut first)).await;
    matches!(peeked, Ok(Ok(1))) && first[0] == TLS_HANDSHAKE
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    peer: SocketAddr,
    port: Option<u16>,
    lobby: Lobby,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let gateway = lobby.gateway;
    let service = service_fn(move |request: Request<IncomingBody>| {
        let gateway = std::sync::Arc::clone(&gateway);
        async move {
            let incoming = Incoming { request, peer, port };
            Ok::<_, std::convert::Infallible>(request::answer(&gateway, incoming).await)
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MOST_H2_STREAMS)
        .max_header_list_size(MOST_HEADER_BYTES);

    let mut connection = pin!(builder.serve_connection(TokioIo::new(Lingering::new(stream)), service));
    let mut draining = lobby.draining;
    tokio::select! {
        ended = connection.as_mut() => return ended,
        _ = draining.wait_for(|draining| *draining) => {}
    }
    connection.as_mut().graceful_shutdown(); // What runs goes on; nothing new begins.
    connection.await
}
