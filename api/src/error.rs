//! The ways in which bytes from outside can be wrong, and answers that say no, in each dialect's own shape.
//!
//! A fault is described once, without a dialect; the tables below are the only place where a kind becomes words on
//! the wire. Their matches have no wildcard arm, so that a new kind has to choose its words.

use std::fmt;

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;

use crate::endpoint::Dialect;

/// A peer's fault in what it sent: what was expected, what came, and where. Display is fit for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// One sentence: what was expected, what came, and where.
    pub message: String,
    /// The field at fault, as a path (`stream_options.include_usage`), if one is.
    pub param: Option<String>,
}

impl Malformed {
    /// A fault that no single field is to blame for.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), param: None }
    }

    /// A fault of the field at `path`.
    pub fn at(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { message: message.into(), param: Some(path.into()) }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Malformed {}

/// The target cannot carry this request: 422 with the field's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untranslatable {
    /// One sentence: what the target cannot carry, and why.
    pub message: String,
    /// The field that has no place in the target, as a path, if one is to blame.
    pub param: Option<String>,
}

impl Untranslatable {
    /// A request that the target cannot carry as a whole.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), param: None }
    }

    /// The field at `path` has no place in the target.
    pub fn at(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { message: message.into(), param: Some(path.into()) }
    }
}

impl fmt::Display for Untranslatable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Untranslatable {}

/// Why an answer says no, as far as clients act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is wrong and will stay wrong.
    InvalidRequest,
    /// Who calls could not be established.
    Authentication,
    /// Who calls is known and may not.
    Permission,
    /// No such model or path.
    NotFound,
    /// The body is over a size limit.
    TooLarge,
    /// Too much now; later is fine.
    RateLimited,
    /// The budget is used up; waiting a moment does not help.
    QuotaExhausted,
    /// No capacity at the moment, here or at the provider.
    Overloaded,
    /// Someone took too long.
    Timeout,
    /// The provider failed or made no sense.
    Upstream,
    /// The gateway failed.
    Internal,
}

impl ErrorKind {
    /// The status that an error of this kind has when none was sent: inside a stream that began with 200.
    pub fn status(self) -> StatusCode {
        match self {
            Self::InvalidRequest => StatusCode::BAD_REQUEST,
            Self::Authentication => StatusCode::UNAUTHORIZED,
            Self::Permission => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RateLimited | Self::QuotaExhausted => StatusCode::TOO_MANY_REQUESTS,
            // Anthropic's own number; the standard has none for it.
            Self::Overloaded => StatusCode::from_u16(529).unwrap_or(StatusCode::SERVICE_UNAVAILABLE),
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Upstream => StatusCode::BAD_GATEWAY,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The kind that a provider's word stands for: Anthropic's `type`, OpenAI's `code` or `type`, or a status in digits.
    fn of_word(word: &str) -> Option<Self> {
        Some(match word {
            "invalid_request_error" | "context_length_exceeded" | "invalid_prompt" => Self::InvalidRequest,
            "authentication_error" | "invalid_api_key" => Self::Authentication,
            "permission_error" => Self::Permission,
            "not_found_error" | "model_not_found" => Self::NotFound,
            "request_too_large" => Self::TooLarge,
            "rate_limit_error" | "rate_limit_exceeded" => Self::RateLimited,
            "insufficient_quota" | "billing_error" => Self::QuotaExhausted,
            "overloaded_error" | "overloaded" | "server_is_overloaded" => Self::Overloaded,
            "timeout_error" => Self::Timeout,
            _ => {
                return word
                    .parse()
                    .ok()
                    .and_then(|status| StatusCode::from_u16(status).ok())
                    .map(Self::of_status);
            }
        })
    }

    /// The kind that an upstream's status code stands for, where its body does not say it better.
    pub fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            401 => Self::Authentication,
            402 => Self::QuotaExhausted,
            403 => Self::Permission,
            404 => Self::NotFound,
            408 | 504 => Self::Timeout,
            413 => Self::TooLarge,
            // Amazon's word for a model that failed.
            424 => Self::Upstream,
            429 => Self::RateLimited,
            503 | 529 => Self::Overloaded,
            400..=499 => Self::InvalidRequest,
            _ => Self::Upstream,
        }
    }
}

/// An answer that says no, before it is put in a dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status that goes with it.
    pub status: StatusCode,
    /// Why, as far as clients act on it.
    pub kind: ErrorKind,
    /// One sentence for the client.
    pub message: String,
    /// A machine-readable code in place of the kind's usual one.
    pub code: Option<String>,
    /// The request field at fault, as a path.
    pub param: Option<String>,
}

impl ApiError {
    /// What an error event inside a stream says, in whatever of the usual shapes: `error`, `response.error`, or the
    /// event itself holds type, code and message.
    pub(crate) fn of_event(data: &[u8]) -> Self {
        let event: Value = serde_json::from_slice(data).unwrap_or_default();
        let error = [&event["error"], &event["response"]["error"]].into_iter().find(|error| !error.is_null());
        let error = error.unwrap_or(&event);
        let message = error["message"].as_str().or(error.as_str()).unwrap_or("the upstream failed");
        let word = |field: &str| match &error[field] {
            Value::String(word) => ErrorKind::of_word(word),
            Value::Number(number) => ErrorKind::of_word(&number.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        let kind = word("code").or_else(|| word("type")).unwrap_or(ErrorKind::Upstream);
        let code = error["code"].as_str().map(str::to_owned);
        Self { code, ..Self::of_kind(kind, message.to_owned()) }
    }

    /// An error of which no more is known.
    pub(crate) fn of_kind(kind: ErrorKind, message: String) -> Self {
        Self { status: kind.status(), kind, message, code: None, param: None }
    }

    /// The body of this answer as `dialect` writes it. Anthropic's shape carries `request_id` too.
    #[expect(clippy::missing_panics_doc, reason = "it can't: structs of strings always serialise")]
    pub fn render(&self, dialect: Dialect, request_id: &str) -> Bytes {
        let json = match dialect {
            Dialect::OpenAi => serde_json::to_vec(&OpenAiBody { error: OpenAiError::of(self) }),
            Dialect::Anthropic => serde_json::to_vec(&AnthropicBody {
                r#type: "error",
                error: AnthropicError { r#type: anthropic_type(self.kind), message: &self.message },
                request_id,
            }),
            Dialect::Cohere => serde_json::to_vec(&CohereBody { id: request_id, message: &self.message }),
            Dialect::Gemini => serde_json::to_vec(&GoogleBody {
                error: GoogleError {
                    code: self.status.as_u16(),
                    message: &self.message,
                    status: google_status(self.kind),
                },
            }),
        };
        Bytes::from(json.expect("structs of strings always serialise"))
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.message)
    }
}

impl std::error::Error for ApiError {}

#[derive(Serialize)]
struct CohereBody<'a> {
    id: &'a str,
    message: &'a str,
}

#[derive(Serialize)]
struct OpenAiBody<'a> {
    error: OpenAiError<'a>,
}

/// The members that OpenAI's clients read from an error, in a body and in a stream alike.
#[derive(Serialize)]
pub(crate) struct OpenAiError<'a> {
    message: &'a str,
    r#type: &'static str,
    param: Option<&'a str>,
    pub(crate) code: Option<&'a str>,
}

impl<'a> OpenAiError<'a> {
    pub(crate) fn of(error: &'a ApiError) -> Self {
        let (r#type, code) = openai_words(error.kind);
        Self {
            message: &error.message,
            r#type,
            param: error.param.as_deref(),
            code: error.code.as_deref().or(code),
        }
    }
}

#[derive(Serialize)]
struct AnthropicBody<'a> {
    r#type: &'static str,
    error: AnthropicError<'a>,
    request_id: &'a str,
}

#[derive(Serialize)]
struct AnthropicError<'a> {
    r#type: &'static str,
    message: &'a str,
}

#[derive(Serialize)]
struct GoogleBody<'a> {
    error: GoogleError<'a>,
}

#[derive(Serialize)]
struct GoogleError<'a> {
    code: u16,
    message: &'a str,
    status: &'static str,
}

/// Google's name of a status: `google.rpc.Code`.
const fn google_status(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::TooLarge => "INVALID_ARGUMENT",
        ErrorKind::Authentication => "UNAUTHENTICATED",
        ErrorKind::Permission => "PERMISSION_DENIED",
        ErrorKind::NotFound => "NOT_FOUND",
        ErrorKind::RateLimited | ErrorKind::QuotaExhausted => "RESOURCE_EXHAUSTED",
        ErrorKind::Overloaded => "UNAVAILABLE",
        ErrorKind::Timeout => "DEADLINE_EXCEEDED",
        ErrorKind::Upstream | ErrorKind::Internal => "INTERNAL",
    }
}

/// OpenAI's `type` and usual `code`.
const fn openai_words(kind: ErrorKind) -> (&'static str, Option<&'static str>) {
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::NotFound => ("invalid_request_error", None),
        ErrorKind::Authentication => ("authentication_error", Some("invalid_api_key")),
        ErrorKind::Permission => ("permission_error", None),
        ErrorKind::TooLarge => ("invalid_request_error", Some("request_too_large")),
        ErrorKind::RateLimited => ("rate_limit_error", Some("rate_limit_exceeded")),
        ErrorKind::QuotaExhausted => ("insufficient_quota", Some("insufficient_quota")),
        ErrorKind::Overloaded => ("server_error", Some("overloaded")),
        ErrorKind::Timeout => ("server_error", Some("timeout")),
        ErrorKind::Upstream => ("server_error", Some("upstream_error")),
        ErrorKind::Internal => ("server_error", Some("internal_error")),
    }
}

/// Anthropic's `type`.
pub(crate) const fn anthropic_type(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest => "invalid_request_error",
        ErrorKind::Authentication => "authentication_error",
        ErrorKind::Permission => "permission_error",
        ErrorKind::NotFound => "not_found_error",
        ErrorKind::TooLarge => "request_too_large",
        ErrorKind::RateLimited | ErrorKind::QuotaExhausted => "rate_limit_error",
        ErrorKind::Overloaded => "overloaded_error",
        ErrorKind::Timeout => "timeout_error",
        ErrorKind::Upstream | ErrorKind::Internal => "api_error",
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::{Value, json};

    use super::ErrorKind::{self, *};
    use super::{ApiError, Dialect};

    #[test]
    fn errors_inside_streams_are_understood() {
        #[rustfmt::skip]
        let cases = [
            // event                                                                                     kind            message
            (r#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#,                 Overloaded,     "busy"),
            (r#"{"error":{"message":"too long","type":"invalid_request_error","code":"context_length_exceeded"}}"#, InvalidRequest, "too long"),
            (r#"{"error":{"message":"slow","type":"tokens","code":"rate_limit_exceeded"}}"#,             RateLimited,    "slow"),
            (r#"{"error":{"message":"down","code":503}}"#,                                               Overloaded,     "down"),
            (r#"{"type":"error","code":"server_error","message":"oops","sequence_number":3}"#,           Upstream,       "oops"),
            (r#"{"type":"response.failed","response":{"error":{"code":"insufficient_quota","message":"broke"}}}"#, QuotaExhausted, "broke"),
            (r#"{"error":"plain"}"#,                                                                     Upstream,       "plain"),
            ("no JSON",                                                                                  Upstream,       "the upstream failed"),
        ];
        for (event, kind, message) in cases {
            let error = ApiError::of_event(event.as_bytes());
            assert_eq!(
                (error.kind, error.message.as_str(), error.status),
                (kind, message, kind.status()),
                "{event}"
            );
        }
    }

    #[test]
    fn each_dialect_has_its_words() {
        #[rustfmt::skip]
        let cases = [
            // kind            OpenAI's type            its usual code                 Anthropic's type         Google's status
            (InvalidRequest,   "invalid_request_error", Value::Null,                   "invalid_request_error", "INVALID_ARGUMENT"),
            (Authentication,   "authentication_error",  json!("invalid_api_key"),      "authentication_error", "UNAUTHENTICATED"),
            (Permission,       "permission_error",      Value::Null,                   "permission_error", "PERMISSION_DENIED"),
            (NotFound,         "invalid_request_error", Value::Null,                   "not_found_error", "NOT_FOUND"),
            (TooLarge,         "invalid_request_error", json!("request_too_large"),    "request_too_large", "INVALID_ARGUMENT"),
            (RateLimited,      "rate_limit_error",      json!("rate_limit_exceeded"),  "rate_limit_error", "RESOURCE_EXHAUSTED"),
            (QuotaExhausted,   "insufficient_quota",    json!("insufficient_quota"),   "rate_limit_error", "RESOURCE_EXHAUSTED"),
            (Overloaded,       "server_error",          json!("overloaded"),           "overloaded_error", "UNAVAILABLE"),
            (Timeout,          "server_error",          json!("timeout"),              "timeout_error", "DEADLINE_EXCEEDED"),
            (Upstream,         "server_error",          json!("upstream_error"),       "api_error",     "INTERNAL"),
            (Internal,         "server_error",          json!("internal_error"),       "api_error",     "INTERNAL"),
        ];
        let message = "a \"quoted\"\n\u{1} word";
        for (kind, openai, code, anthropic, google) in cases {
            let mut error = ApiError {
                status: StatusCode::IM_A_TEAPOT,
                kind,
                message: message.to_owned(),
                code: None,
                param: Some("model".to_owned()),
            };
            let rendered = |error: &ApiError, dialect| {
                serde_json::from_slice::<Value>(&error.render(dialect, "req-1")).unwrap()
            };
            let expected =
                json!({"error": {"message": message, "type": openai, "param": "model", "code": code}});
            assert_eq!(rendered(&error, Dialect::OpenAi), expected);
            let expected = json!({
                "type": "error", "error": {"type": anthropic, "message": message}, "request_id": "req-1",
            });
            assert_eq!(rendered(&error, Dialect::Anthropic), expected);
            let expected = json!({"error": {"code": 418, "message": message, "status": google}});
            assert_eq!(rendered(&error, Dialect::Gemini), expected);
            error.code = Some("model_not_found".to_owned());
            assert_eq!(
                rendered(&error, Dialect::OpenAi)["error"]["code"],
                "model_not_found",
                "its own code wins"
            );
        }
    }

    #[test]
    fn every_upstream_status_has_a_kind() {
        #[rustfmt::skip]
        let cases = [
            (400, InvalidRequest), (401, Authentication), (402, QuotaExhausted), (403, Permission), (404, NotFound),
            (408, Timeout), (413, TooLarge), (422, InvalidRequest), (424, Upstream), (429, RateLimited), (500, Upstream),
            (502, Upstream), (503, Overloaded), (504, Timeout), (529, Overloaded), (302, Upstream),
        ];
        for (status, kind) in cases {
            assert_eq!(ErrorKind::of_status(StatusCode::from_u16(status).unwrap()), kind, "{status}");
        }
    }
}
