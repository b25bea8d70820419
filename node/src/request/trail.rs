//! The trail of one request: what each step found out, kept until the request is over. Dropping it writes the
//! access-log line and the metrics, so that every request has exactly one of each, whether it was answered, refused,
//! or left by its client.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use hyper::body::Body as _;
use tollgate_api::endpoint::Dialect;
use tollgate_crds::Rule;
use tollgate_ratelimit::{Certainty, Usage};

use super::accept::{Accepted, Incoming};
use super::identify::Consumer;
use super::meter::Pace;
use super::refusal::Refusal;
use super::stream::ReplyBody;
use crate::telemetry::Telemetry;

/// On every answer, whatever the dialect.
const OUR_REQUEST_ID: HeaderName = HeaderName::from_static("x-tollgate-request-id");
/// Where the SDKs look for it.
const OPENAI_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const ANTHROPIC_REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The client left before it was over, or before it began.
    ClientGone,
    /// All of it went out.
    Whole,
    /// The upstream broke off.
    UpstreamCut,
    /// The upstream sent what makes no sense.
    UpstreamBroken,
    /// A time limit of the rule passed.
    TimedOut,
    /// What a budget pays for was used up; the client was told that the answer is as long as it may be.
    Landed,
    /// We, or the upstream, said no.
    Refused(&'static str),
}

impl End {
    /// For the log.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ClientGone => "client_gone",
            Self::Whole => "whole",
            Self::UpstreamCut => "upstream_cut",
            Self::UpstreamBroken => "upstream_broken",
            Self::TimedOut => "timed_out",
            Self::Landed => "landed",
            Self::Refused(name) => name,
        }
    }
}

/// See the module's text. Fields are written by the steps that know them.
pub(crate) struct Trail {
    telemetry: Option<Arc<Telemetry>>,
    dialect: Dialect,
    request_id: String,
    pub(crate) started: Instant,
    pub(crate) peer: SocketAddr,
    pub(crate) method: http::Method,
    pub(crate) path: String,
    pub(crate) operation: &'static str,
    pub(crate) consumer: Option<Consumer>,
    pub(crate) original_model: String,
    request_model: Option<String>,
    pub(crate) response_model: Option<String>,
    pub(crate) rule: Option<Arc<Rule>>,
    /// Index of the candidate that was tried last.
    pub(crate) candidate: usize,
    pub(crate) attempts: u32,
    /// How long its budgets took to hold what it may cost, if it was admitted.
    pub(crate) admission: Option<Duration>,
    pub(crate) upstream_request_id: Option<Box<str>>,
    /// How often the client's SDK tried before (`x-stainless-retry-count`).
    pub(crate) client_retry: Option<Box<str>>,
    pub(crate) streamed: bool,
    pub(crate) status: StatusCode,
    pub(crate) end: End,
    pub(crate) request_bytes: usize,
    pub(crate) reply_bytes: u64,
    pub(crate) usage: Option<(Usage, Certainty)>,
    pub(crate) pace: Pace,
    pub(crate) costs: Vec<(String, Result<u64, String>)>,
}

impl Trail {
    /// Begins when the request's head is here.
    pub(crate) fn begin(telemetry: &Arc<Telemetry>, incoming: &Incoming, dialect: Dialect) -> Self {
        let head = &incoming.request;
        let mut trail = Self::blank(dialect, incoming.peer);
        trail.telemetry = Some(Arc::clone(telemetry));
        trail.request_id = new_request_id();
        trail.method = head.method().clone();
        head.uri().path().clone_into(&mut trail.path);
        trail.client_retry = text(head.headers().get("x-stainless-retry-count"));
        trail
    }

    /// The trail moves to where the answer is finished; what stays behind writes nothing.
    pub(crate) fn take(&mut self) -> Self {
        let mut left = Self::blank(self.dialect, self.peer);
        left.request_id.clone_from(&self.request_id);
        std::mem::replace(self, left)
    }

    /// The id under which this request is found in logs.
    pub(crate) fn request_id(&self) -> &str {
        &self.request_id
    }

    /// What the client speaks.
    pub(crate) const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The model that the upstream was asked for.
    pub(crate) fn request_model(&self) -> &str {
        self.request_model.as_deref().unwrap_or(&self.original_model)
    }

    /// A rule was found.
    pub(crate) fn routed(&mut self, rule: &Arc<Rule>) {
        self.rule = Some(Arc::clone(rule));
    }

    /// An attempt begins.
    pub(crate) fn attempt(&mut self, rule: &Rule, candidate: usize, accepted: &Accepted) {
        self.candidate = candidate;
        self.attempts += 1;
        let model = rule.candidates[candidate].model_override.as_ref();
        self.request_model = model.filter(|model| **model != accepted.peek.model).cloned();
    }

    /// An upstream's head is here.
    pub(crate) fn upstream_answered<B>(&mut self, response: &Response<B>) {
        let headers: &HeaderMap = response.headers();
        let id = headers.get(OPENAI_REQUEST_ID).or_else(|| headers.get(ANTHROPIC_REQUEST_ID));
        self.upstream_request_id = text(id);
    }

    /// The answer was a no.
    pub(crate) fn refused(&mut self, refusal: &Refusal) {
        self.end = End::Refused(refusal.name());
    }

    /// The cost is known.
    pub(crate) fn metered(&mut self, usage: Usage, certainty: Certainty, pace: Pace) {
        self.usage = Some((usage, certainty));
        self.pace = pace;
    }

    /// Puts the request's id on the answer, under our name and under the dialect's.
    pub(crate) fn label(mut self, mut response: Response<ReplyBody>) -> Response<ReplyBody> {
        self.status = response.status();
        self.reply_bytes = response.body().size_hint().exact().unwrap_or(0);
        if self.end == End::ClientGone {
            self.end = End::Whole; // An answer made here is on its way.
        }
        let id = HeaderValue::from_str(&self.request_id).expect("hexadecimal digits fit a header");
        let headers = response.headers_mut();
        headers.insert(OUR_REQUEST_ID, id.clone());
        let of_dialect = match self.dialect {
            Dialect::OpenAi => Some(OPENAI_REQUEST_ID),
            Dialect::Anthropic => Some(ANTHROPIC_REQUEST_ID),
            // Google's and Cohere's clients look for none.
            Dialect::Gemini | Dialect::Cohere => None,
        };
        if let Some(name) = of_dialect {
            headers.insert(name, id);
        }
        response
    }

    fn blank(dialect: Dialect, peer: SocketAddr) -> Self {
        Self {
            telemetry: None,
            dialect,
            request_id: String::new(),
            started: Instant::now(),
            peer,
            method: http::Method::POST,
            path: String::new(),
            operation: "",
            consumer: None,
            original_model: String::new(),
            request_model: None,
            response_model: None,
            rule: None,
            candidate: 0,
            attempts: 0,
            admission: None,
            upstream_request_id: None,
            client_retry: None,
            streamed: false,
            status: CLIENT_GONE,
            end: End::ClientGone,
            request_bytes: 0,
            reply_bytes: 0,
            usage: None,
            pace: Pace::default(),
            costs: Vec::new(),
        }
    }
}

/// What logs show for a request whose client left before its answer (nginx's number; HTTP has none).
const CLIENT_GONE: StatusCode = match StatusCode::from_u16(499) {
    Ok(status) => status,
    Err(_) => StatusCode::BAD_REQUEST,
};

impl Drop for Trail {
    fn drop(&mut self) {
        if let Some(telemetry) = self.telemetry.take() {
            telemetry.record(self);
        }
    }
}

/// A copy: a header's own value would keep the whole buffer that it was read into.
fn text(value: Option<&HeaderValue>) -> Option<Box<str>> {
    value?.to_str().ok().map(Box::from)
}

fn new_request_id() -> String {
    let mut id = String::with_capacity(36);
    write!(id, "req_{:032x}", rand::random::<u128>()).expect("writing to a string cannot fail");
    id
}
