//! A newcomer's side of joining.

use std::collections::BTreeSet;
use std::fmt;
use std::future::{Ready, ready};
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::version::TLS13;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tonic::client::Grpc;
use tonic::codegen::Service;
use tonic::codegen::http::Uri;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Endpoint;
use tonic::{Request, Status};

use super::call::CallError;
use super::codec::Raw;
use super::connect::{Answerer, DialError, connect};
use super::envelope::{pack, unpack};
use super::method::JOIN;
use super::reception::JoinRequest;
use super::refusal::Refusal;
use super::tls::{JOINERS, provider};
use super::verify::ClusterOfToken;
use crate::identity::token::JoinToken;
use crate::identity::{Admission, Admitted, Newcomer, reception};
use crate::raft::types::Member;

/// One node asked. Longer than it may take to answer.
const ATTEMPT: Duration = Duration::from_secs(35);
/// Who serves has shown who it is by then. Who is only starting takes connections, and says nothing.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Asks one node after the other to be let in, at all addresses that their names have now, until one does. What is certain
/// (the token is wrong) is not asked twice.
pub async fn join(
    addresses: &[String],
    token: &JoinToken,
    newcomer: Newcomer,
    member: Member,
) -> Result<Admitted, JoinError> {
    let message = JoinRequest {
        pass: token.pass.clone(),
        request: newcomer.request,
        public_key: newcomer.public_key().to_vec(),
        member,
    };
    let (mut tried, mut others) = (Vec::new(), 0);
    for address in &places(addresses, &message.member.address).await {
        let asked = timeout(ATTEMPT, ask(address, token, &message)).await;
        let error = match asked.unwrap_or(Err(Unasked::Again(CallError::TimedOut { within: ATTEMPT }))) {
            Ok(admission) => {
                return newcomer.admitted(token, admission).map_err(|why| JoinError::Misled { why });
            }
            Err(Unasked::Again(CallError::Refused(Refusal::Barred(why)))) => {
                return Err(JoinError::Barred { address: address.clone(), why: why.to_string() });
            }
            Err(Unasked::Another(why)) => {
                others += 1;
                CallError::Unreachable { why }
            }
            Err(Unasked::Again(error)) => error,
        };
        tracing::warn!(address, "was not let in: {error}");
        tried.push((address.clone(), error));
    }
    Err(match tried.pop() {
        Some((address, why)) if others == tried.len() + 1 => {
            JoinError::Another { address, why: why.to_string() }
        }
        last => JoinError::Nobody { tried: tried.into_iter().chain(last).collect() },
    })
}

/// Every address, of a name that has several, in their order. Not the newcomer's own: a name may stand for all nodes.
async fn places(names: &[String], own: &str) -> Vec<String> {
    let (mut places, mut seen) = (Vec::new(), BTreeSet::new());
    for name in names {
        let found = match lookup_host(name).await {
            Ok(found) => found.map(|address| address.to_string()).collect(),
            // Asked all the same: that says why not.
            Err(_) => vec![name.clone()],
        };
        places.extend(found.into_iter().filter(|place| place != own && seen.insert(place.clone())));
    }
    places
}

/// Why there was no admission.
enum Unasked {
    /// Later, or elsewhere, there may be one.
    Again(CallError),
    /// Who answers there is not of the token's cluster.
    Another(String),
}

impl From<CallError> for Unasked {
    fn from(error: CallError) -> Self {
        Self::Again(error)
    }
}

impl From<DialError> for Unasked {
    fn from(error: DialError) -> Self {
        match error.who {
            Answerer::Nobody => Self::Again(CallError::Unreachable { why: error.to_string() }),
            Answerer::Another => Self::Another(error.to_string()),
        }
    }
}

async fn ask(address: &str, token: &JoinToken, message: &JoinRequest) -> Result<Admission, Unasked> {
    let connected =
        timeout(HANDSHAKE, connect(address, reception(token.cluster), Arc::new(config(token)))).await;
    let stream = connected.map_err(|_| CallError::TimedOut { within: HANDSHAKE })??;
    let channel = Endpoint::from_static("http://join").connect_with_connector_lazy(Made(Some(stream)));
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.map_err(|error| CallError::of(&Status::from_error(error.into())))?;
    let answer = grpc.unary(Request::new(pack(message)), PathAndQuery::from_static(JOIN), Raw).await;
    let answer = answer.map_err(|status| CallError::of(&status))?.into_inner();
    Ok(unpack(&answer).map_err(|why| CallError::Broken { why: why.to_string() })?)
}

/// A connection that is made already: there is one for the first dial, and none for another.
struct Made(Option<TlsStream<TcpStream>>);

impl Service<Uri> for Made {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _uri: Uri) -> Self::Future {
        let stream = self.0.take().map(TokioIo::new);
        ready(stream.ok_or_else(|| io::Error::new(io::ErrorKind::ConnectionReset, "the connection broke")))
    }
}

fn config(token: &JoinToken) -> ClientConfig {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .expect("ring has suites for TLS 1.3")
        // "dangerous" because the verifier is ours: the token says whom to trust.
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(ClusterOfToken::new(token, provider())))
        .with_no_client_auth();
    config.alpn_protocols = vec![JOINERS.to_vec()];
    config.resumption = Resumption::disabled();
    config
}

/// Why a node did not get in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JoinError {
    /// The cluster does not take the token.
    Barred {
        /// Who said so.
        address: String,
        /// Why not.
        why: String,
    },
    /// Whoever answers is not of the token's cluster.
    Another {
        /// Which one.
        address: String,
        /// How that is known.
        why: String,
    },
    /// The cluster gave something else than what was asked for.
    Misled {
        /// What.
        why: String,
    },
    /// Nobody could be asked. It may be tried again.
    Nobody {
        /// Who, and what happened.
        tried: Vec<(String, CallError)>,
    },
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Barred { address, why } => write!(f, "{address} does not let this node join: {why}"),
            Self::Another { address, why } => {
                write!(f, "expected a node of the join token's cluster at {address}: {why}")
            }
            Self::Misled { why } => write!(f, "the answer to joining can't be taken: {why}"),
            Self::Nobody { tried } => {
                f.write_str("no node could be asked to join:")?;
                tried.iter().try_for_each(|(address, error)| write!(f, " {address}: {error};"))
            }
        }
    }
}

impl std::error::Error for JoinError {}

#[cfg(test)]
#[path = "join_test.rs"]
mod tests;
