//! Between a peer's connection and the handlers: who calls, whom, what, and with which limits.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::time::timeout;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::metadata::MetadataMap;
use tonic::server::{Grpc, StreamingService, UnaryService};
use tonic::{Request, Response, Status, Streaming};

use super::codec::Raw;
use super::envelope::Call;
use super::handlers::{Belongs, Caller, Handler, Handlers, Messages, Once, Streamed};
use super::incoming::Visitor;
use super::method::{MOST_ANSWER_BYTES, Method};
use super::refusal::Refusal;
use super::tls::Keys;

/// The peers' service.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) keys: Keys,
    pub(super) handlers: Arc<Handlers>,
    pub(super) belongs: Belongs,
}

impl Service<http::Request<Body>> for Gate {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let gate = self.clone();
        Box::pin(async move { Ok(gate.answer(request).await) })
    }
}

impl Gate {
    async fn answer(&self, request: http::Request<Body>) -> http::Response<Body> {
        let (method, caller) = match self.pass(&request) {
            Ok(passed) => passed,
            Err(refusal) => {
                metrics::counter!("tollgate_cluster_calls_refused_total").increment(1);
                let address = request.extensions().get::<Visitor>().map(|visitor| visitor.address);
                tracing::warn!(?address, call = request.uri().path(), "refused a call: {refusal}");
                return refusal.status().into_http();
            }
        };
        let mut grpc = Grpc::new(Raw)
            .max_decoding_message_size(method.most_bytes())
            .max_encoding_message_size(MOST_ANSWER_BYTES);
        match self.handlers.of(method) {
            Some(Handler::Once(answer)) => {
                let once = Unary { answer: Arc::clone(answer), caller, deadline: method.deadline() };
                grpc.unary(once, request).await
            }
            Some(Handler::Streamed(answer)) => {
                let (answer, most_silence) = (Arc::clone(answer), method.most_silence());
                grpc.streaming(Bidirectional { answer, caller, most_silence }, request).await
            }
            None => no_such_call(request.uri().path()).status().into_http(),
        }
    }

    /// What is called, and by whom.
    fn pass(&self, request: &http::Request<Body>) -> Result<(Method, Caller), Refusal> {
        let name = request.extensions().get::<Visitor>().and_then(|visitor| visitor.name);
        let name = name.ok_or_else(|| Refusal::failed("expected a node's certificate, there is none"))?;
        let call = Call::read(&MetadataMap::from_headers(request.headers().clone()))?;
        let here = self.keys.current().name;
        if call.cluster != here.cluster {
            return Err(Refusal::OtherCluster { here: here.cluster, asked: call.cluster });
        }
        if call.from != name.node {
            return Err(Refusal::NotYourName { certificate: name.node, claimed: call.from });
        }
        if call.to != here.node {
            return Err(Refusal::OtherNode { here: here.node, asked: call.to });
        }
        if !(self.belongs)(call.from) {
            return Err(Refusal::Forgotten { node: call.from });
        }
        let path = request.uri().path();
        let method = Method::at(path).ok_or_else(|| no_such_call(path))?;
        Ok((method, Caller { node: call.from }))
    }
}

fn no_such_call(path: &str) -> Refusal {
    Refusal::NoSuchCall { path: path.to_owned() }
}

struct Unary {
    answer: Once,
    caller: Caller,
    deadline: Duration,
}

impl UnaryService<Bytes> for Unary {
    type Response = Bytes;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Bytes>, Status>> + Send>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let (answer, deadline) = ((self.answer)(self.caller, request.into_inner()), self.deadline);
        Box::pin(async move {
            match timeout(deadline, answer).await {
                Ok(Ok(answer)) => Ok(Response::new(answer)),
                Ok(Err(refusal)) => Err(refusal.status()),
                Err(_elapsed) => {
                    Err(Refusal::OutcomeUnknown { why: format!("no answer within {deadline:?}") }.status())
                }
            }
        })
    }
}

struct Bidirectional {
    answer: Streamed,
    caller: Caller,
    most_silence: Option<Duration>,
}

impl StreamingService<Bytes> for Bidirectional {
    type Response = Bytes;
    type ResponseStream = Pin<Box<dyn futures_util::Stream<Item = Result<Bytes, Status>> + Send>>;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Self::ResponseStream>, Status>> + Send>>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        let answer = (self.answer)(self.caller, heard(request.into_inner(), self.most_silence));
        Box::pin(async move {
            let answers = answer.await.map_err(|refusal| refusal.status())?;
            let answers = answers.map(|answer| answer.map_err(|refusal| refusal.status()));
            Ok(Response::new(Box::pin(answers) as Self::ResponseStream))
        })
    }
}

/// What the caller says; its last item is a refusal unless it ended as it should.
fn heard(messages: Streaming<Bytes>, most_silence: Option<Duration>) -> Messages {
    Box::pin(stream::unfold(Some(messages), move |messages| async move {
        let mut messages = messages?;
        let next = match most_silence {
            Some(most) => match timeout(most, messages.message()).await {
                Ok(next) => next,
                Err(_elapsed) => {
                    let why = format!("nothing came for {most:?}");
                    return Some((Err(Refusal::OutcomeUnknown { why }), None));
                }
            },
            None => messages.message().await,
        };
        match next.transpose()? {
            Ok(message) => Some((Ok(message), Some(messages))),
            Err(status) => Some((Err(Refusal::OutcomeUnknown { why: status.to_string() }), None)),
        }
    }))
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gate({:?}, {:?})", self.keys, self.handlers)
    }
}
