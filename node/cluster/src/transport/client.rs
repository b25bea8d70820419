//! Calls to other nodes, over connections that are kept and made again when they broke.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tokio::time::timeout;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};

use super::Method;
use super::call::CallError;
use super::codec::Raw;
use super::connect::Dial;
use super::envelope::Call;
use super::lane::{Lane, Target};
use super::method::MOST_ANSWER_BYTES;
use super::server::{CONNECTION_WINDOW, PING_EVERY, PING_WAIT, STREAM_WINDOW};
use super::tls::Keys;

/// A connection that is not made by then is tried anew.
const CONNECT: Duration = Duration::from_secs(5);
/// Calls that may wait for one connection.
const MOST_WAITING: usize = 1024;

/// The other nodes. Clones share their connections.
#[derive(Clone)]
pub struct Peers {
    keys: Keys,
    channels: Arc<Mutex<Channels>>,
}

#[derive(Default)]
struct Channels {
    open: BTreeMap<(u64, Lane), (String, Channel)>,
    seen_at: BTreeMap<u64, String>,
}

impl Peers {
    /// With the credentials in force at each connect.
    pub fn new(keys: Keys) -> Self {
        Self { keys, channels: Arc::default() }
    }

    /// This node's own id.
    pub fn here(&self) -> u64 {
        self.keys.current().name.node
    }

    /// Closes the connections to a node that is no more.
    pub fn forget(&self, node: u64) {
        let mut channels = self.lock();
        channels.open.retain(|(of, _), _| *of != node);
        channels.seen_at.remove(&node);
    }

    /// Where nodes were seen just now. It goes before the address that the membership knows, which is older: who moved while
    /// there was no leader would not be found by it. Only a hint, since whoever answers there has to be the node.
    pub fn seen_at(&self, addresses: BTreeMap<u64, String>) {
        self.lock().seen_at = addresses;
    }

    fn lock(&self) -> MutexGuard<'_, Channels> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One message, one answer.
    pub(crate) async fn call(
        &self,
        target: &Target,
        method: Method,
        message: Bytes,
        within: Duration,
    ) -> Result<Bytes, CallError> {
        if message.len() > method.most_bytes() {
            return Err(CallError::TooLarge { bytes: message.len(), most: method.most_bytes() });
        }
        let mut request = self.addressed(target, message);
        request.set_timeout(within);
        let mut grpc = self.grpc(target, method);
        let answer = async {
            grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
            grpc.unary(request, PathAndQuery::from_static(method.path()), Raw).await
        };
        match timeout(within, answer).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(CallError::of(&status)),
            Err(_elapsed) => Err(CallError::TimedOut { within }),
        }
    }

    /// Many messages, many answers; `within` is for the beginning. The answers may take as long as they do: who waits for
    /// them knows how long that should be.
    pub(crate) async fn stream(
        &self,
        target: &Target,
        method: Method,
        messages: impl Stream<Item = Bytes> + Send + 'static,
        within: Duration,
    ) -> Result<Answers, CallError> {
        let request = self.addressed(target, messages);
        let mut grpc = self.grpc(target, method);
        let answers = async {
            grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
            grpc.streaming(request, PathAndQuery::from_static(method.path()), Raw).await
        };
        match timeout(within, answers).await {
            Ok(Ok(answers)) => Ok(read(answers.into_inner())),
            Ok(Err(status)) => Err(CallError::of(&status)),
            Err(_elapsed) => Err(CallError::TimedOut { within }),
        }
    }

    fn addressed<T>(&self, target: &Target, message: T) -> Request<T> {
        let here = self.keys.current().name;
        let mut request = Request::new(message);
        Call { cluster: here.cluster, from: here.node, to: target.node }.write(request.metadata_mut());
        request
    }

    fn grpc(&self, target: &Target, method: Method) -> Grpc<Channel> {
        Grpc::new(self.channel(target))
            .max_decoding_message_size(MOST_ANSWER_BYTES)
            .max_encoding_message_size(method.most_bytes())
    }

    fn channel(&self, target: &Target) -> Channel {
        let mut channels = self.lock();
        let address = channels.seen_at.get(&target.node).unwrap_or(&target.address).clone();
        match channels.open.get(&(target.node, target.lane)) {
            Some((known, channel)) if *known == address => channel.clone(),
            _ => {
                let channel = self.open(target.node, address.clone());
                channels.open.insert((target.node, target.lane), (address, channel.clone()));
                channel
            }
        }
    }

    /// Nothing is dialled before the first call.
    fn open(&self, node: u64, address: String) -> Channel {
        let dial = Dial { keys: self.keys.clone(), node, address, complaint: Arc::default() };
        // The name is the certificate's; where it leads to is the dial's business. "http" because tonic adds no TLS.
        Endpoint::from_static("http://node")
            .connect_timeout(CONNECT)
            .buffer_size(MOST_WAITING)
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_WAIT)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .connect_with_connector_lazy(dial)
    }
}

/// The answers of a stream. The first error is the last item.
pub(crate) type Answers = stream::BoxStream<'static, Result<Bytes, CallError>>;

fn read(answers: Streaming<Bytes>) -> Answers {
    let answers = stream::unfold(Some(answers), |answers| async move {
        let mut answers = answers?;
        match answers.message().await.transpose()? {
            Ok(answer) => Some((Ok(answer), Some(answers))),
            Err(status) => Some((Err(CallError::of(&status)), None)),
        }
    });
    answers.boxed()
}

impl fmt::Debug for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Peers(of {:?})", self.keys)
    }
}

#[cfg(test)]
#[path = "client_test.rs"]
mod tests;
