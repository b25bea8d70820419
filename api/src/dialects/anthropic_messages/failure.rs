//! Errors inside a messages stream.
//!
//! The words are those of `crate::error`, which writes whole error answers; a stream's event carries no request id.

use serde::{Deserialize, Serialize};

use crate::borrowed::Text;
use crate::canonical::Event;
use crate::error::{ErrorKind, anthropic_type};

#[derive(Deserialize)]
struct Read<'a> {
    #[serde(borrow, default)]
    r#type: Text<'a>,
    #[serde(borrow, default)]
    message: Text<'a>,
}

/// The `error` member of an `error` event.
#[derive(Serialize)]
pub(super) struct Written<'a> {
    r#type: &'static str,
    message: &'a str,
}

impl<'a> Written<'a> {
    pub(super) const fn new(message: &'a str, kind: ErrorKind) -> Self {
        Self { r#type: anthropic_type(kind), message }
    }
}

/// What the `error` member says; anything unreadable is passed on as it came.
pub(super) fn read(error: &str) -> Event {
    let read: Option<Read<'_>> = serde_json::from_str(error).ok();
    let kind = read.as_ref().map_or(ErrorKind::Upstream, |read| kind(&read.r#type));
    let message = read.map(|read| read.message.0.into_owned()).filter(|text| !text.is_empty());
    Event::Failed { message: message.unwrap_or_else(|| error.to_owned()), kind }
}

fn kind(word: &str) -> ErrorKind {
    match word {
        "invalid_request_error" => ErrorKind::InvalidRequest,
        "authentication_error" => ErrorKind::Authentication,
        "permission_error" => ErrorKind::Permission,
        "not_found_error" => ErrorKind::NotFound,
        "request_too_large" => ErrorKind::TooLarge,
        "rate_limit_error" => ErrorKind::RateLimited,
        "billing_error" => ErrorKind::QuotaExhausted,
        "overloaded_error" => ErrorKind::Overloaded,
        "timeout_error" => ErrorKind::Timeout,
        _ => ErrorKind::Upstream,
    }
}
