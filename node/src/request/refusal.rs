//! Every way to say no, and the one table that turns it into HTTP.
//!
//! The message is for the client: it says what was expected, what came, and where. It names no key, no upstream address
//! and nothing of this machine.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use tollgate_api::endpoint::Dialect;
use tollgate_api::error::{ApiError, ErrorKind, Malformed, Untranslatable};

use super::stream::ReplyBody;
use super::trail::Trail;
use super::unpaid::{self, Unpaid};
use crate::clock;

/// Both SDKs obey it, above their own judgement of a status.
pub(crate) const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

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
    NoToken,
    BadToken {
        reason: &'static str,
    },
    /// Tokens can't be verified now.
    NoKeySet {
        issuer: String,
    },
    /// Budgets do not pay for it.
    Unpaid(Unpaid),
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

impl From<Unpaid> for Refusal {
    fn from(unpaid: Unpaid) -> Self {
        Self::Unpaid(unpaid)
    }
}

impl Refusal {
    /// The answer, in the client's dialect, with what makes its SDK back off rightly.
    pub(crate) fn into_response(self, dialect: Dialect, trail: &mut Trail) -> Response<ReplyBody> {
        trail.refused(&self);
        let retry = self.retry();
        let state = if let Self::Unpaid(unpaid) = &self { unpaid.state().cloned() } else { None };
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
                headers.insert(header::RETRY_AFTER, HeaderValue::from(unpaid::seconds(after)));
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
            Self::NoToken => "no_token",
            Self::BadToken { .. } => "bad_token",
            Self::NoKeySet { .. } => "no_key_set",
            Self::Unpaid(unpaid) => unpaid.name(),
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

    fn retry(&self) -> Retry {
        match self {
            Self::Busy { .. } | Self::NoRoom { .. } | Self::NoKeySet { .. } => {
                Retry::After(Duration::from_secs(1))
            }
            Self::Unpaid(unpaid) => unpaid.pause().map_or(Retry::Never, Retry::After),
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
            | Self::NoToken
            | Self::BadToken { .. }
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
            | Self::NoToken
            | Self::BadToken { .. }
            | Self::NoKeySet { .. }
            | Self::Unpaid(_)
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
            Self::MissingCredential { .. }
            | Self::NoKey
            | Self::UnknownKey
            | Self::ExpiredKey { .. }
            | Self::NoToken
            | Self::BadToken { .. } => (Code::UNAUTHORIZED, Kind::Authentication),
            Self::Busy { .. } | Self::NoRoom { .. } | Self::NoKeySet { .. } => {
                (Code::SERVICE_UNAVAILABLE, Kind::Overloaded)
            }
            Self::Unpaid(unpaid) => unpaid.outcome(),
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
            Self::NoToken => "a token is needed: in the header Authorization (Bearer …)".to_owned(),
            Self::BadToken { reason } => format!("the token that was sent is not valid here: {reason}"),
            Self::NoKeySet { issuer } => {
                format!("tokens of {issuer} can't be verified now, since its keys can't be had; try again")
            }
            Self::Unpaid(unpaid) => unpaid.to_string(),
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

/// What the client should be told about trying again.
enum Retry {
    AsTheStatusSays,
    After(Duration),
    Never,
}
