//! Every way to say no, and the one table that turns it into HTTP.
//!
//! The message is for the client: it says what was expected, what came, and where. It names no key, no upstream address
//! and nothing of this machine.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use tollgate_api::endpoint::Dialect;
use tollgate_api::error::{ApiError, ErrorKind, Malformed, Untranslatable};

pub(crate) use super::budget_state::BudgetState;
use super::stream::ReplyBody;
use super::trail::Trail;
use crate::clock;

/// Both SDKs obey it, above their own judgement of a status.
pub(crate) const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// Clients of some SDKs sleep for whatever they are told: nobody is told to wait for longer than this. They are told not to
/// try again instead, and when more comes.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// A normal no.
#[derive(Debug)]
pub(crate) enum Refusal {
    UnknownPath {
        path: String,
    },
    WrongMethod {
        got: String,
        path: String,
        expected: Method,
    },
    EncodedBody {
        encoding: String,
    },
    TooLarge {
        limit: usize,
    },
    BodyTimeout {
        timeout: Duration,
    },
    BrokenBody {
        reason: String,
    },
    Malformed(Malformed),
    UnknownModel {
        model: String,
    },
    NoBackend {
        route: String,
    },
    Untranslatable(Untranslatable),
    MissingCredential {
        header: HeaderName,
    },
    /// Nobody proved to be anybody.
    NoKey,
    UnknownKey,
    ExpiredKey {
        key: String,
    },
    /// A budget is spent.
    Exhausted(Box<BudgetState>),
    /// Requests that run hold what is left of a budget.
    HeldByOthers(Box<BudgetState>),
    /// The request alone is more than a budget ever has.
    OverBudget(Box<BudgetState>),
    /// Nobody can say now what is left.
    NoQuorum {
        budget: Option<String>,
        reason: &'static str,
    },
    NoPrice {
        budget: String,
        model: String,
        backend: String,
    },
    /// A budget's expression fails for this request.
    Uncountable {
        budget: String,
    },
    KeyTooLong {
        budget: String,
    },
    Busy {
        limit: u64,
    },
    NoRoom {
        limit: usize,
    },
    Unreachable {
        backend: String,
        reason: &'static str,
    },
    UpstreamTimeout {
        backend: String,
        timeout: Duration,
    },
    BrokenAnswer {
        backend: String,
        reason: String,
    },
    /// The upstream's own no, already in the client's dialect.
    Upstream {
        status: StatusCode,
        headers: Box<HeaderMap>,
        body: Bytes,
    },
    BadQuery(ApiError),
    /// The upstream began a stream, and the first that it said was an error.
    FailedAtOnce(ApiError),
}

impl Refusal {
    /// The answer, in the client's dialect, with what makes its SDK back off rightly.
    pub(crate) fn into_response(self, dialect: Dialect, trail: &mut Trail) -> Response<ReplyBody> {
        trail.refused(&self);
        let (retry, state) = (self.retry(), self.state().cloned());
        let (status, headers, body) = if let Self::Upstream { status, headers, body } = self {
            (status, *headers, body)
        } else {
            let error = self.into_error();
            let body = error.render(dialect, trail.request_id());
            (error.status, HeaderMap::new(), body)
        };
        let mut response = Response::new(ReplyBody::whole(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        if let Some(state) = state {
            state.write(dialect, clock::unix_ms(), response.headers_mut());
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match retry {
            Retry::AsTheStatusSays => {}
            Retry::After(after) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds(after)));
            }
            Retry::Never => {
                headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
            }
        }
        response
    }

    /// A word for logs and metrics, without anything that a client can choose.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::UnknownPath { .. } => "unknown_path",
            Self::WrongMethod { .. } => "wrong_method",
            Self::EncodedBody { .. } => "encoded_body",
            Self::TooLarge { .. } => "too_large",
            Self::BodyTimeout { .. } => "body_timeout",
            Self::BrokenBody { .. } => "broken_body",
            Self::Malformed(_) => "malformed",
            Self::UnknownModel { .. } => "unknown_model",
            Self::NoBackend { .. } => "no_backend",
            Self::Untranslatable(_) => "untranslatable",
            Self::MissingCredential { .. } => "missing_credential",
            Self::NoKey => "no_key",
            Self::UnknownKey => "unknown_key",
            Self::ExpiredKey { .. } => "expired_key",
            Self::Exhausted(_) => "budget_exhausted",
            Self::HeldByOthers(_) => "budget_held",
            Self::OverBudget(_) => "over_budget",
            Self::NoQuorum { .. } => "no_quorum",
            Self::NoPrice { .. } => "no_price",
            Self::Uncountable { .. } => "uncountable",
            Self::KeyTooLong { .. } => "key_too_long",
            Self::Busy { .. } => "busy",
            Self::NoRoom { .. } => "no_room",
            Self::Unreachable { .. } => "unreachable",
            Self::UpstreamTimeout { .. } => "upstream_timeout",
            Self::BrokenAnswer { .. } => "broken_answer",
            Self::Upstream { .. } => "upstream_error",
            Self::BadQuery(_) => "bad_query",
            Self::FailedAtOnce(_) => "failed_at_once",
        }
    }

    /// The budget that said no.
    fn state(&self) -> Option<&BudgetState> {
        if let Self::Exhausted(state) | Self::HeldByOthers(state) | Self::OverBudget(state) = self {
            Some(state)
        } else {
            None
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Busy { .. } | Self::NoRoom { .. } | Self::HeldByOthers(_) | Self::NoQuorum { .. } => {
                Retry::After(Duration::from_secs(1))
            }
            Self::Exhausted(state) => match state.until {
                Some(until) if until <= LONGEST_WAIT => Retry::After(until),
                Some(_) | None => Retry::Never,
            },
            Self::UnknownPath { .. }
            | Self::WrongMethod { .. }
            | Self::EncodedBody { .. }
            | Self::TooLarge { .. }
            | Self::Malformed(_)
            | Self::UnknownModel { .. }
            | Self::NoBackend { .. }
            | Self::Untranslatable(_)
            | Self::MissingCredential { .. }
            | Self::NoKey
            | Self::UnknownKey
            | Self::ExpiredKey { .. }
            | Self::OverBudget(_)
            | Self::NoPrice { .. }
            | Self::Uncountable { .. }
            | Self::KeyTooLong { .. }
            | Self::BadQuery(_) => Retry::Never,
            Self::BodyTimeout { .. }
            | Self::BrokenBody { .. }
            | Self::Unreachable { .. }
            | Self::UpstreamTimeout { .. }
            | Self::BrokenAnswer { .. }
            | Self::FailedAtOnce(_)
            | Self::Upstream { .. } => Retry::AsTheStatusSays,
        }
    }

    /// The refusal as an error object, not yet in a dialect.
    pub(crate) fn into_error(self) -> ApiError {
        let (status, kind) = self.outcome();
        let error = ApiError { status, kind, message: self.message(), code: None, param: None };
        match self {
            Self::Malformed(Malformed { param, .. }) | Self::Untranslatable(Untranslatable { param, .. }) => {
                ApiError { param, ..error }
            }
            Self::UnknownModel { .. } => ApiError {
                code: Some("model_not_found".to_owned()),
                param: Some("model".to_owned()),
                ..error
            },
            Self::BadQuery(error) | Self::FailedAtOnce(error) => error,
            Self::UnknownPath { .. }
            | Self::WrongMethod { .. }
            | Self::EncodedBody { .. }
            | Self::TooLarge { .. }
            | Self::BodyTimeout { .. }
            | Self::BrokenBody { .. }
            | Self::NoBackend { .. }
            | Self::MissingCredential { .. }
            | Self::NoKey
            | Self::UnknownKey
            | Self::ExpiredKey { .. }
            | Self::Exhausted(_)
            | Self::HeldByOthers(_)
            | Self::OverBudget(_)
            | Self::NoQuorum { .. }
            | Self::NoPrice { .. }
            | Self::Uncountable { .. }
            | Self::KeyTooLong { .. }
            | Self::Busy { .. }
            | Self::NoRoom { .. }
            | Self::Unreachable { .. }
            | Self::UpstreamTimeout { .. }
            | Self::BrokenAnswer { .. }
            | Self::Upstream { .. } => error,
        }
    }

    /// The one table to HTTP.
    fn outcome(&self) -> (StatusCode, ErrorKind) {
        use ErrorKind as Kind;
        use StatusCode as Code;
        match self {
            Self::UnknownPath { .. } | Self::UnknownModel { .. } => (Code::NOT_FOUND, Kind::NotFound),
            Self::WrongMethod { .. } => (Code::METHOD_NOT_ALLOWED, Kind::InvalidRequest),
            Self::EncodedBody { .. } => (Code::UNSUPPORTED_MEDIA_TYPE, Kind::InvalidRequest),
            Self::TooLarge { .. } => (Code::PAYLOAD_TOO_LARGE, Kind::TooLarge),
            Self::BodyTimeout { .. } => (Code::REQUEST_TIMEOUT, Kind::Timeout),
            Self::BrokenBody { .. } | Self::Malformed(_) => (Code::BAD_REQUEST, Kind::InvalidRequest),
            Self::NoBackend { .. } => (Code::INTERNAL_SERVER_ERROR, Kind::Internal),
            Self::Untranslatable(_) => (Code::UNPROCESSABLE_ENTITY, Kind::InvalidRequest),
            Self::MissingCredential { .. } | Self::NoKey | Self::UnknownKey | Self::ExpiredKey { .. } => {
                (Code::UNAUTHORIZED, Kind::Authentication)
            }
            Self::Exhausted(state) if state.until.is_some_and(|until| until <= LONGEST_WAIT) => {
                (Code::TOO_MANY_REQUESTS, Kind::RateLimited)
            }
            Self::Exhausted(_) | Self::OverBudget(_) => (Code::TOO_MANY_REQUESTS, Kind::QuotaExhausted),
            Self::HeldByOthers(_) => (Code::TOO_MANY_REQUESTS, Kind::RateLimited),
            Self::NoPrice { .. } => (Code::FORBIDDEN, Kind::Permission),
            Self::Uncountable { .. } => (Code::INTERNAL_SERVER_ERROR, Kind::Internal),
            Self::KeyTooLong { .. } => (Code::BAD_REQUEST, Kind::InvalidRequest),
            Self::Busy { .. } | Self::NoRoom { .. } | Self::NoQuorum { .. } => {
                (Code::SERVICE_UNAVAILABLE, Kind::Overloaded)
            }
            Self::Unreachable { .. } | Self::BrokenAnswer { .. } => (Code::BAD_GATEWAY, Kind::Upstream),
            Self::UpstreamTimeout { .. } => (Code::GATEWAY_TIMEOUT, Kind::Timeout),
            Self::Upstream { status, .. } => (*status, Kind::Upstream),
            Self::BadQuery(error) | Self::FailedAtOnce(error) => (error.status, error.kind),
        }
    }

    /// What was expected, what came, and where.
    fn message(&self) -> String {
        match self {
            Self::UnknownPath { path } => format!(
                "no endpoint at {path}; there are /v1/chat/completions, /v1/completions, /v1/embeddings, \
                 /v1/responses, /v1/messages and /v1/models"
            ),
            Self::WrongMethod { got, path, expected } => format!("{path} takes {expected}, got {got}"),
            Self::EncodedBody { encoding } => {
                format!("the request body must be sent without content-encoding, got {encoding}")
            }
            Self::TooLarge { limit } => format!("the request body is larger than the limit of {limit} bytes"),
            Self::BodyTimeout { timeout } => {
                format!("the request body did not arrive whole within {} s", timeout.as_secs())
            }
            Self::BrokenBody { reason } => format!("the request body broke off: {reason}"),
            Self::Malformed(malformed) => malformed.message.clone(),
            Self::UnknownModel { model } => format!(
                "no route serves the model `{model}`; GET /v1/models lists those that are served here"
            ),
            Self::NoBackend { route } => {
                format!("route {route} has no usable backend; its status says why")
            }
            Self::Untranslatable(untranslatable) => untranslatable.message.clone(),
            Self::MissingCredential { header } => format!(
                "this model takes the provider's key from the request header {header}, which is missing"
            ),
            Self::NoKey => {
                "an API key is needed: in the header Authorization (Bearer …), x-api-key or api-key"
                    .to_owned()
            }
            Self::UnknownKey => "the API key that was sent is not valid here".to_owned(),
            Self::ExpiredKey { key } => format!("the API key {key} has expired"),
            Self::Exhausted(state) => match state.until {
                Some(until) => format!("{state} is used up; more comes in {} s", seconds(until)),
                None => format!("{state} is used up"),
            },
            Self::HeldByOthers(state) => {
                format!("requests that run now hold what is left of {state}; try again")
            }
            Self::OverBudget(state) => {
                format!("this request may take {}, which is more than {state} ever has", state.amount())
            }
            Self::NoQuorum { budget: Some(budget), reason } => {
                format!("nobody can say now what is left of {budget}: {reason}; try again")
            }
            Self::NoQuorum { budget: None, reason } => {
                format!("budgets can't be asked now: {reason}; try again")
            }
            Self::NoPrice { budget, model, backend } => format!(
                "{budget} counts money, and no price is known for the model `{model}` at backend {backend}"
            ),
            Self::Uncountable { budget } => {
                format!("{budget} can't be charged for this request; its status says why")
            }
            Self::KeyTooLong { budget } => {
                format!("the values by which {budget} is divided are too long in this request")
            }
            Self::Busy { limit } => {
                format!("this node is at its limit of {limit} running requests; try again")
            }
            Self::NoRoom { limit } => {
                format!("this node is at its limit of {limit} bytes of request bodies; try again")
            }
            Self::Unreachable { backend, reason } => {
                format!("backend {backend} could not be reached: {reason}")
            }
            Self::UpstreamTimeout { backend, timeout } => {
                format!("backend {backend} did not answer within {} ms", timeout.as_millis())
            }
            Self::BrokenAnswer { backend, reason } => {
                format!("backend {backend} gave a broken answer: {reason}")
            }
            Self::Upstream { status, .. } => format!("the backend refused with status {status}"),
            Self::BadQuery(error) | Self::FailedAtOnce(error) => error.message.clone(),
        }
    }
}

/// Whole seconds, at least one, after which it is over.
fn seconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX).max(1)
}

/// What the client should be told about trying again.
enum Retry {
    AsTheStatusSays,
    After(Duration),
    Never,
}
