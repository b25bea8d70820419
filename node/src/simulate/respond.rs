//! One request, from its head to the beginning of its answer.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;

use super::answer::{Usage, Voice};
use super::deliver::{Outgoing, Whole};
use super::error::{ApiError, html};
use super::play::{Play, Staging};
use super::prepare::{Prepared, Scene, SceneWork, prepare};
use super::reply::{Asked, Form, Reply, Stamp};
use super::route::{Dialect, Endpoint};
use super::script::{Action, How, Manner};
use super::server::Server;
use super::stats::{Outcome, Recorded, Ticket};
use super::text::{fingerprint, mix};
use super::wire::Fate;
use super::{anthropic, bedrock, cohere, control, gemini, openai, route};

const MOST_BODY_BYTES: usize = 64 << 20;
/// Where requests are counted whose model could not be read.
const NO_MODEL: &str = "-";

/// An error closes the connection without an answer.
pub(crate) async fn respond(
    server: Arc<Server>,
    fate: Fate,
    request: Request<Incoming>,
) -> io::Result<Response<Outgoing>> {
    let (head, body) = request.into_parts();
    if let Some((status, body)) = control::answer(&server, &head.method, &head.uri) {
        return Ok(plain(status, "application/json", body));
    }
    let (body, too_long) = match Limited::new(body, MOST_BODY_BYTES).collect().await {
        Ok(body) => (body.to_bytes(), None),
        Err(error) if error.is::<LengthLimitError>() => {
            let error = ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is over 64 MiB");
            (Bytes::new(), Some(error))
        }
        Err(error) => return Err(io::Error::other(error)),
    };
    let request = Arc::new(Recorded {
        number: server.numbers.fetch_add(1, Relaxed),
        at_ms: u64::try_from(server.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        method: head.method,
        uri: head.uri,
        version: head.version,
        headers: head.headers,
        body,
    });
    server.stats.record(request.clone());
    let exchange = Exchange { server: &server, request: &request, fate };
    let prepared = too_long.map_or_else(|| prepare(&server, &request), Err);
    match prepared {
        Ok(Prepared::List(body)) => Ok(plain(StatusCode::OK, "application/json", body)),
        Ok(Prepared::Play(scene)) => exchange.play(*scene).await,
        Err(error) => {
            server.stats.open(NO_MODEL).end(Outcome::Failed);
            Ok(exchange.refusal(&error))
        }
    }
}

struct Exchange<'a> {
    server: &'a Server,
    request: &'a Recorded,
    fate: Fate,
}

impl Exchange<'_> {
    async fn play(&self, scene: Scene) -> io::Result<Response<Outgoing>> {
        let mut ticket = self.server.stats.open(&scene.model);
        let manner = scene.schedule.manner().clone();
        let broken = match scene.schedule.next(scene.seed) {
            Action::Answer => None,
            Action::Break(broken) => Some(*broken),
            Action::Drop => {
                ticket.end(Outcome::Failed);
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            // The ticket is held until the client leaves.
            Action::Hang => std::future::pending().await,
            Action::Refuse(refusal) => {
                self.pause(&manner, Duration::ZERO).await;
                ticket.end(Outcome::Failed);
                return Ok(self.refusal(&ApiError::scripted(refusal)));
            }
            Action::Html(status) => {
                self.pause(&manner, Duration::ZERO).await;
                ticket.end(Outcome::Failed);
                return Ok(plain(*status, "text/html", html(*status)));
            }
        };
        let reply = match self.reply(&scene, &manner) {
            Ok(reply) => reply,
            Err(error) => {
                ticket.end(Outcome::Failed);
                return Ok(self.refusal(&error));
            }
        };
        ticket.read(&reply.usage);
        let staging =
            Staging { ticket, fate: self.fate.clone(), pace: self.server.behaviour.pace, manner, broken };
        Ok(self.answer(reply, staging).await)
    }

    fn reply(&self, scene: &Scene, manner: &Manner) -> Result<Reply, ApiError> {
        let (endpoint, body) = match &scene.work {
            SceneWork::Prebuilt(reply) => return Ok(reply.clone()),
            SceneWork::Read { endpoint, body } => (endpoint, body),
        };
        let voice = Voice {
            tokens: manner.tokens.unwrap_or(self.server.behaviour.voice.tokens),
            ..self.server.behaviour.voice
        };
        let asked = Asked {
            body,
            model: &scene.model,
            fingerprint: fingerprint(&self.request.body),
            voice: &voice,
            stamp: Stamp {
                number: self.request.number,
                created_s: self.server.started_unix_s + self.request.at_ms / 1000,
            },
            cache: &self.server.cache,
        };
        match endpoint {
            Endpoint::Chat => openai::chat::reply(&asked),
            Endpoint::Completions => openai::completions::reply(&asked),
            Endpoint::Embeddings => openai::embeddings::reply(&asked),
            Endpoint::Responses => openai::responses::reply(&asked),
            Endpoint::Rerank => cohere::reply(&asked),
            Endpoint::Images => openai::images::reply(&asked),
            Endpoint::InputTokens => openai::counts::input_tokens(&asked),
            Endpoint::Tokenize => openai::counts::tokenize(&asked),
            Endpoint::Messages => anthropic::reply(&asked),
            Endpoint::CountTokens => anthropic::count_tokens(&asked),
            Endpoint::Generate { stream } => gemini::reply(&asked, *stream),
            Endpoint::Converse { stream } => bedrock::reply(&asked, *stream),
            Endpoint::Invoke { stream } => bedrock::invoke(&asked, *stream),
            // Answered before; a list that is asked for again says nothing wrong.
            Endpoint::Models | Endpoint::Model(_) => {
                Err(ApiError::new(StatusCode::NOT_FOUND, "no such path"))
            }
        }
    }

    async fn answer(&self, reply: Reply, staging: Staging) -> Response<Outgoing> {
        let how = staging.broken.map(|broken| broken.how);
        let bytes = match reply.form {
            Form::Events(events) => {
                self.pause(&staging.manner, Duration::ZERO).await;
                let content_type = events.content_type;
                let body = Outgoing::Play(Box::new(Play::events(events, staging)));
                return self.ok(content_type, body);
            }
            Form::Whole(bytes) => bytes,
        };
        let output = u32::try_from(reply.usage.output).unwrap_or(u32::MAX);
        self.pause(&staging.manner, staging.pace.saturating_mul(output)).await;
        let mut ticket = staging.ticket;
        match how {
            Some(How::Error) => {
                ticket.end(Outcome::Failed);
                let error = ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "simulated failure");
                self.refusal(&error)
            }
            Some(How::Garbage) => {
                ticket.produced_whole(&reply.usage);
                ticket.end(Outcome::Failed);
                let half = bytes.slice(..bytes.len() / 2);
                self.ok("application/json", Outgoing::Plain(Full::new(half)))
            }
            Some(How::Reset | How::Cut | How::Stall) => {
                let staging = Staging { ticket, ..staging };
                self.in_halves(&bytes, how, reply.usage, staging)
            }
            None if staging.manner.piece_bytes.is_some() => {
                let staging = Staging { ticket, ..staging };
                self.in_halves(&bytes, None, reply.usage, staging)
            }
            None => self.whole(bytes, reply.usage, ticket),
        }
    }

    fn whole(&self, bytes: Bytes, usage: Usage, ticket: Ticket) -> Response<Outgoing> {
        self.ok("application/json", Outgoing::Whole(Whole { bytes, usage, ticket }))
    }

    fn in_halves(
        &self,
        bytes: &Bytes,
        how: Option<How>,
        usage: Usage,
        staging: Staging,
    ) -> Response<Outgoing> {
        let play = Play::halves(bytes, how, &usage, staging);
        let mut response = self.ok("application/json", Outgoing::Play(Box::new(play)));
        response.headers_mut().insert(CONTENT_LENGTH, bytes.len().into());
        response
    }

    /// The time to the first byte.
    async fn pause(&self, manner: &Manner, and: Duration) {
        let pause = manner.latency.unwrap_or(self.server.behaviour.latency) + and;
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }

    fn ok(&self, content_type: &'static str, body: Outgoing) -> Response<Outgoing> {
        let mut response = Response::new(body);
        let content_type = HeaderValue::from_static(content_type);
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        self.sign(&mut response);
        response
    }

    fn refusal(&self, error: &ApiError) -> Response<Outgoing> {
        let body = error.body(self.dialect(), &self.request_id());
        let mut response = plain(error.status, "application/json", body);
        response.headers_mut().extend(error.headers.iter().cloned());
        if self.dialect() == Dialect::Amazon {
            let kind = HeaderValue::from_static(super::error::amazon_type(error.status.as_u16()));
            response.headers_mut().insert(HeaderName::from_static("x-amzn-errortype"), kind);
        }
        self.sign(&mut response);
        response
    }

    fn sign(&self, response: &mut Response<Outgoing>) {
        let name = match self.dialect() {
            Dialect::OpenAi => HeaderName::from_static("x-request-id"),
            Dialect::Anthropic => HeaderName::from_static("request-id"),
            Dialect::Gemini => HeaderName::from_static("x-goog-request-id"),
            Dialect::Cohere => HeaderName::from_static("x-debug-trace-id"),
            Dialect::Amazon => HeaderName::from_static("x-amzn-requestid"),
        };
        let id = self.request_id().parse().expect("hexadecimal digits are fit for a header");
        response.headers_mut().insert(name, id);
    }

    fn dialect(&self) -> Dialect {
        let request = self.request;
        route::guess(self.server.behaviour.dialects, request.uri.path(), &request.headers)
    }

    fn request_id(&self) -> String {
        format!("req_{:016x}", mix(self.server.behaviour.voice.seed, self.request.number))
    }
}

fn plain(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Outgoing> {
    let mut response = Response::new(Outgoing::Plain(Full::new(body)));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
