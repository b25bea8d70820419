//! How an address is reached: TCP, a Unix socket, or a CONNECT proxy; and TLS on top where the backend asks for it.

mod race;

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tollgate_crds::{Backend, Endpoint, Roots, UpstreamTls};
use tower_service::Service;

use super::tls;
use race::tcp;

/// A connection, its handshake and a proxy's consent must stand within this time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A proxy's answer to CONNECT is a status line and a few headers.
const PROXY_ANSWER_LIMIT: usize = 8 * 1024;

/// What tells two transports apart; backends that agree in it share connections.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Reach {
    unix: Option<PathBuf>,
    proxy: Option<String>,
    tls: Option<UpstreamTls>,
    pub(crate) h2: bool,
}

impl Reach {
    pub(crate) fn of(backend: &Backend, endpoint: &Endpoint) -> Self {
        let unix = match endpoint {
            Endpoint::Unix { path } => Some(PathBuf::from(path)),
            Endpoint::Host { .. } => None,
        };
        Self { unix, proxy: backend.forward_proxy.clone(), tls: backend.tls.clone(), h2: backend.h2 }
    }

    /// What is no backend: reached straight, and trusted by the machine's own authorities.
    pub(crate) fn direct(tls: bool) -> Self {
        let (roots, alt_names) = (Roots::System, Vec::new());
        let tls = tls.then_some(UpstreamTls { server_name: None, roots, alt_names, skip_verify: false });
        Self { unix: None, proxy: None, tls, h2: false }
    }
}

/// Opens connections for one [`Reach`].
#[derive(Clone)]
pub(crate) struct Connector {
    shared: Arc<Shared>,
}

struct Shared {
    unix: Option<PathBuf>,
    proxy: Option<String>,
    tls: Option<(TlsConnector, Option<ServerName<'static>>)>,
    h2: bool,
}

impl Connector {
    pub(crate) fn new(reach: &Reach) -> Result<Self, String> {
        let tls = match &reach.tls {
            None => None,
            Some(settings) => {
                let config = tls::client_config(settings, reach.h2)?;
                let name = settings.server_name.as_deref().map(tls::server_name).transpose()?;
                Some((TlsConnector::from(Arc::new(config)), name))
            }
        };
        let shared = Shared { unix: reach.unix.clone(), proxy: reach.proxy.clone(), tls, h2: reach.h2 };
        Ok(Self { shared: Arc::new(shared) })
    }
}

impl Service<Uri> for Connector {
    type Response = Link;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Link>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let opened = tokio::time::timeout(CONNECT_TIMEOUT, shared.open(&uri)).await;
            opened.map_err(|_| {
                io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("no connection within {} s", CONNECT_TIMEOUT.as_secs()),
                )
            })?
        })
    }
}

impl Shared {
    async fn open(&self, uri: &Uri) -> io::Result<Link> {
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().unwrap_or(if self.tls.is_some() { 443 } else { 80 });
        let stream: Box<dyn Stream> = match (&self.unix, &self.proxy) {
            (Some(path), _) => Box::new(UnixStream::connect(path).await?),
            (None, Some(proxy)) => Box::new(through_proxy(proxy, host, port).await?),
            (None, None) => Box::new(tcp((host, port)).await?),
        };
        let stream = match &self.tls {
            None => stream,
            Some((connector, name)) => {
                let name = match name {
                    Some(name) => name.clone(),
                    None => tls::server_name(host).map_err(io::Error::other)?,
                };
                Box::new(connector.connect(name, stream).await?)
            }
        };
        Ok(Link { stream: TokioIo::new(stream), h2: self.h2 })
    }
}

/// Asks a proxy for a tunnel (RFC 9110, section 9.3.6).
async fn through_proxy(proxy: &str, host: &str, port: u16) -> io::Result<TcpStream> {
    let target = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let mut stream = tcp(proxy).await?;
    stream.write_all(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::with_capacity(256);
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() >= PROXY_ANSWER_LIMIT {
            return Err(io::Error::other("the proxy's answer to CONNECT has no end"));
        }
        answer.push(stream.read_u8().await?); // Byte by byte: what follows belongs to the tunnel.
    }
    let status = answer.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    if status.starts_with(b"2") {
        Ok(stream)
    } else {
        let status = String::from_utf8_lossy(status);
        Err(io::Error::other(format!("the proxy refused CONNECT {target} with status {status}")))
    }
}

/// What HTTP is spoken over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// An open connection.
pub(crate) struct Link {
    stream: TokioIo<Box<dyn Stream>>,
    h2: bool,
}

impl Connection for Link {
    fn connected(&self) -> Connected {
        let connected = Connected::new();
        if self.h2 { connected.negotiated_h2() } else { connected }
    }
}

impl hyper::rt::Read for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl hyper::rt::Write for Link {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }
}
