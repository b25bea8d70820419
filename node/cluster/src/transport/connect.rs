//! One connection to a node: its host looked up, TCP, TLS with the name that it must have.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::codegen::{Service, http::Uri};

use super::tls::Keys;
use super::verify::explained;
use crate::identity::NodeName;

/// Dials one node, again whenever its channel asks: with the addresses and the credentials of then.
#[derive(Clone)]
pub(super) struct Dial {
    pub(super) keys: Keys,
    pub(super) node: u64,
    pub(super) address: String,
    /// What was complained about last: a node that is away is logged once, not ten times a second.
    pub(super) complaint: Arc<Mutex<Option<String>>>,
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DialError {
    pub(super) who: Answerer,
    whom: String,
    why: String,
}

impl Service<Uri> for Dial {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = DialError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, DialError>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _uri: Uri) -> Self::Future {
        let dial = self.clone();
        Box::pin(async move {
            let tls = dial.keys.current();
            let name = NodeName { node: dial.node, cluster: tls.name.cluster };
            let connected = connect(&dial.address, name.server_name(), Arc::clone(&tls.client)).await;
            dial.complain(connected.as_ref().err());
            connected.map(TokioIo::new)
        })
    }
}

/// Who answered where a node was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answerer {
    /// Nobody, or the connection broke.
    Nobody,
    /// Somebody who is not that node, or takes this one for somebody else.
    Another,
}

impl Dial {
    fn complain(&self, error: Option<&DialError>) {
        let complaint = error.map(|error| error.why.clone());
        let before = {
            let mut last = self.complaint.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *last, complaint.clone())
        };
        let node = self.node;
        match (before, complaint) {
            (Some(_), None) => tracing::info!(node, address = self.address, "connected again"),
            (before, Some(why)) if before.as_ref() != Some(&why) => {
                tracing::warn!(node, address = self.address, "no connection: {why}");
            }
            (_, _) => {}
        }
    }
}

/// Connects, by whichever of the host's addresses answers first in their order.
pub(super) async fn connect(
    address: &str,
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
) -> Result<TlsStream<TcpStream>, DialError> {
    let asked = name.to_str().into_owned();
    let failed = |who, why| DialError { whom: format!("{asked} at {address}"), who, why };
    let unreachable = |error: io::Error| failed(Answerer::Nobody, format!("can't connect: {error}"));
    let stream = reach(address).await.map_err(unreachable)?;
    stream.set_nodelay(true).map_err(unreachable)?;
    let secured = TlsConnector::from(config).connect(name, stream).await;
    secured.map_err(|error| {
        let disproved = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some();
        let who = if disproved { Answerer::Another } else { Answerer::Nobody };
        failed(who, explained(&error))
    })
}

async fn reach(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no addresses");
    for address in lookup_host(address).await? {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.whom, self.why)
    }
}

impl std::error::Error for DialError {}
