//! accept: what did the client ask for, and is it whole and well-formed?
//!
//! The body is read once, up to the limit, and only what routing and admission need is picked from it.

pub(crate) mod body_memory;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming as IncomingBody};
use tollgate_api::endpoint::{Dialect, Endpoint};
use tollgate_api::error::Malformed;
use tollgate_api::peek::{Named, Peek};
use tollgate_crds::Snapshot;

use super::refusal::Refusal;
use super::trail::Trail;
use crate::gateway::Limits;
use body_memory::{Held, NoRoom};

/// What rules match the model by: set from the body, over whatever the client sent under this name.
pub(crate) const MODEL_HEADER: HeaderName = HeaderName::from_static("x-ai-eg-model");

/// Names end up in logs, labels and the ledger, which keep them.
pub(crate) const LONGEST_MODEL: usize = 256;
/// A body that has not arrived whole by then is given up: a slow client must not hold memory for ever.
const BODY_TIMEOUT: Duration = Duration::from_mins(1);

/// Memory that is set aside on the word of a client, before the bytes are here.
const SET_ASIDE: usize = 1024 * 1024;

/// A request as it came off a listener.
pub(crate) struct Incoming {
    pub(crate) request: Request<IncomingBody>,
    pub(crate) peer: SocketAddr,
    /// The Gateway listener's port that it came in by; none for the door that serves all of them.
    pub(crate) port: Option<u16>,
}

/// What a path stands for.
pub(crate) enum Asked {
    /// A model request.
    Model(Called),
    /// The models list, or one model of it.
    Models {
        /// The path may name the dialect; without it the headers do.
        dialect: Option<Dialect>,
        one: Option<String>,
    },
}

/// What a path says of a model request.
pub(crate) struct Called {
    pub(crate) endpoint: Endpoint,
    /// The model, and whether events are wanted, where the path says so.
    pub(crate) named: Option<Named>,
}

impl From<Endpoint> for Called {
    fn from(endpoint: Endpoint) -> Self {
        Self { endpoint, named: None }
    }
}

/// A whole, well-formed model request.
pub(crate) struct Accepted {
    pub(crate) endpoint: Endpoint,
    /// As they came, but for what identify takes out and puts in.
    pub(crate) headers: HeaderMap,
    pub(crate) uri: Uri,
    pub(crate) host: String,
    pub(crate) source: IpAddr,
    pub(crate) port: Option<u16>,
    pub(crate) body: Bytes,
    pub(crate) peek: Peek,
    /// Given back with the body.
    _held: Held,
}

/// Reads method and path. Base URLs with and without `/v1` both work: clients append either form to what they are given.
/// Google's clients append `/v1beta`, or a project in front.
pub(crate) fn asked(method: &Method, path: &str) -> Result<Asked, Refusal> {
    let (anthropic, rest) = match path.strip_prefix("/anthropic") {
        Some(rest) if rest.starts_with('/') => (true, rest),
        Some(_) | None => (false, path),
    };
    if path == "/cohere/v2/rerank" {
        return only((method, path), Method::POST, Asked::Model(Endpoint::Rerank.into()));
    }
    let rest = strip_version(rest);
    let (google, rest) = match strip_google(rest) {
        Some(rest) => (true, rest),
        None => (false, strip_version(rest)),
    };
    let dialect = if anthropic { Some(Dialect::Anthropic) } else { google.then_some(Dialect::Gemini) };
    let posted = |endpoint: Endpoint| (Method::POST, Asked::Model(endpoint.into()));
    let (expected, asked) = match rest {
        "/chat/completions" if dialect.is_none() => posted(Endpoint::ChatCompletions),
        "/completions" if dialect.is_none() => posted(Endpoint::Completions),
        "/embeddings" if dialect.is_none() => posted(Endpoint::Embeddings),
        "/responses" if dialect.is_none() => posted(Endpoint::Responses),
        "/responses/input_tokens" if dialect.is_none() => posted(Endpoint::InputTokens),
        "/images/generations" if dialect.is_none() => posted(Endpoint::ImageGenerations),
        "/tokenize" if dialect.is_none() => posted(Endpoint::Tokenize),
        "/messages" if !google => posted(Endpoint::Messages),
        "/messages/count_tokens" if !google => posted(Endpoint::CountTokens),
        "/models" => (Method::GET, Asked::Models { dialect, one: None }),
        _ => match rest.strip_prefix("/models/").filter(|one| !one.is_empty()) {
            Some(one) => match generated(one).filter(|_| !anthropic) {
                Some(called) => (Method::POST, Asked::Model(called)),
                None => (Method::GET, Asked::Models { dialect, one: Some(percent_decode(one)) }),
            },
            None => {
                return Err(Refusal::UnknownPath { path: path.to_owned() });
            }
        },
    };
    only((method, path), expected, asked)
}

fn only((method, path): (&Method, &str), expected: Method, asked: Asked) -> Result<Asked, Refusal> {
    if *method == expected || (expected == Method::GET && *method == Method::HEAD) {
        Ok(asked)
    } else {
        Err(Refusal::WrongMethod { got: method.to_string(), path: path.to_owned(), expected })
    }
}

/// `{model}:generateContent`, or the same streamed.
fn generated(below_models: &str) -> Option<Called> {
    let (model, verb) = below_models.rsplit_once(':')?;
    let stream = match verb {
        "generateContent" => false,
        "streamGenerateContent" => true,
        _ => return None,
    };
    let named = Some(Named { model: percent_decode(model), stream });
    Some(Called { endpoint: Endpoint::GenerateContent, named })
}

/// What follows a path prefix of Google's: `/v1beta` of the Gemini API, or Vertex AI's version, project and publisher.
fn strip_google(path: &str) -> Option<&str> {
    const PUBLISHER: &str = "/publishers/google";
    if let Some(at) = path.find(PUBLISHER) {
        return Some(&path[at + PUBLISHER.len()..]);
    }
    ["/v1beta1", "/v1beta"].iter().find_map(|version| path.strip_prefix(version))
}

/// Reads the body, up to the limit, and peeks into it.
pub(crate) async fn read(
    incoming: Incoming,
    called: Called,
    (limits, snapshot): (&Limits, &Snapshot),
    trail: &mut Trail,
) -> Result<Accepted, Refusal> {
    let (mut head, body) = incoming.request.into_parts();
    refuse_encoded(&head.headers)?;
    let host = host(&head);
    let most = limits.body_bytes(snapshot.body_bytes(&host, incoming.port));
    let mut arriving = Arriving { body, held: limits.body_memory.hold() };
    let collected = tokio::time::timeout(BODY_TIMEOUT, arriving.collect(most)).await;
    let body = collected.map_err(|_| Refusal::BodyTimeout { timeout: BODY_TIMEOUT })??;
    trail.request_bytes = body.len();

    let peek = match &called.named {
        Some(named) if named.stream && !asks_events(&head.uri) => {
            let message = "streams are sent as events only: ask for them with `alt=sse` in the query";
            return Err(Refusal::Malformed(Malformed::at("alt", message)));
        }
        Some(named) => tollgate_api::peek::peek_named(named, &body),
        None => tollgate_api::peek::peek(called.endpoint, &body),
    };
    let peek = peek.map_err(Refusal::Malformed)?;
    if peek.model.len() > LONGEST_MODEL {
        let message = format!("`model` has {} bytes, at most {LONGEST_MODEL} are taken", peek.model.len());
        return Err(Refusal::Malformed(Malformed::at("model", message)));
    }
    trail.original_model.clone_from(&peek.model);
    trail.streamed = peek.stream;
    set_model(&mut head.headers, &peek.model)?;
    Ok(Accepted {
        endpoint: called.endpoint,
        headers: head.headers,
        uri: head.uri,
        host,
        source: incoming.peer.ip(),
        port: incoming.port,
        body,
        peek,
        _held: arriving.held,
    })
}

/// The host that the client addressed, without its port, in lower case.
pub(crate) fn host(head: &http::request::Parts) -> String {
    let named = head.uri.authority().map(http::uri::Authority::as_str);
    let named = named.or_else(|| head.headers.get(header::HOST)?.to_str().ok()).unwrap_or_default();
    let without_port = match named.rfind(':') {
        Some(colon) if !named[colon..].contains(']') => &named[..colon],
        Some(_) | None => named,
    };
    without_port.to_ascii_lowercase()
}

/// The dialect to answer in, also when nothing could be made of the path.
pub(crate) fn dialect(asked: &Result<Asked, Refusal>, headers: &HeaderMap) -> Dialect {
    match asked {
        Ok(Asked::Model(called)) => called.endpoint.dialect(),
        Ok(Asked::Models { dialect: Some(dialect), .. }) => *dialect,
        // The dialects list models under one path; only Anthropic's and Google's clients send these headers.
        Ok(Asked::Models { dialect: None, .. }) | Err(_) => {
            if headers.contains_key("anthropic-version") {
                Dialect::Anthropic
            } else if headers.contains_key("x-goog-api-key") || headers.contains_key("x-goog-api-client") {
                Dialect::Gemini
            } else {
                Dialect::OpenAi
            }
        }
    }
}

/// Without it Google's API sends a stream as one long list.
fn asks_events(uri: &Uri) -> bool {
    uri.query().unwrap_or_default().split('&').any(|pair| pair == "alt=sse")
}

fn strip_version(path: &str) -> &str {
    match path.strip_prefix("/v1") {
        Some(rest) if rest.starts_with('/') => rest,
        Some(_) | None => path,
    }
}

fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok()))
            .flatten();
        decoded.push(escaped.unwrap_or(bytes[at]));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// A model name that no header can hold can match no rule either.
fn set_model(headers: &mut HeaderMap, model: &str) -> Result<(), Refusal> {
    let value = HeaderValue::from_str(model)
        .map_err(|_| Refusal::UnknownModel { model: model.escape_default().to_string() })?;
    headers.insert(MODEL_HEADER, value);
    Ok(())
}

fn refuse_encoded(headers: &HeaderMap) -> Result<(), Refusal> {
    match headers.get(header::CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => {
            Err(Refusal::EncodedBody { encoding: String::from_utf8_lossy(encoding.as_bytes()).into_owned() })
        }
        Some(_) | None => Ok(()),
    }
}

/// A body on its way in.
struct Arriving {
    body: IncomingBody,
    held: Held,
}

impl Arriving {
    /// Collects the body; the usual one, which came in a single piece, is not copied.
    async fn collect(&mut self, limit: usize) -> Result<Bytes, Refusal> {
        let announced = usize::try_from(self.body.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > limit {
            return Err(Refusal::TooLarge { limit });
        }
        let Some(first) = self.next().await? else {
            return Ok(Bytes::new());
        };
        let Some(second) = self.next().await? else {
            return if first.len() > limit { Err(Refusal::TooLarge { limit }) } else { Ok(first) };
        };

        let mut whole = BytesMut::with_capacity(announced.min(SET_ASIDE).max(first.len() + second.len()));
        whole.extend_from_slice(&first);
        let mut next = Some(second);
        while let Some(piece) = next {
            if whole.len() + piece.len() > limit {
                return Err(Refusal::TooLarge { limit });
            }
            whole.extend_from_slice(&piece);
            next = self.next().await?;
        }
        Ok(whole.freeze())
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        if self.body.is_end_stream() {
            return Ok(None);
        }
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|error| Refusal::BrokenBody { reason: error.to_string() })?;
            if let Ok(data) = frame.into_data() {
                self.held.grow(data.len()).map_err(|NoRoom { limit }| Refusal::NoRoom { limit })?;
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}
