//! A simulated provider's no, in the shape of each dialect.

use bytes::Bytes;
use http::StatusCode;
use serde_json::json;

use super::route::Dialect;
use super::script::Refusal;

/// An answer that says no.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    pub(crate) code: Option<String>,
    pub(crate) param: Option<&'static str>,
    pub(crate) headers: Vec<(http::HeaderName, http::HeaderValue)>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), code: None, param: None, headers: Vec::new() }
    }

    /// A fault in a field of the request.
    pub(crate) fn field(param: &'static str, expected: &str) -> Self {
        Self {
            param: Some(param),
            ..Self::new(StatusCode::BAD_REQUEST, format!("{param}: expected {expected}"))
        }
    }

    pub(crate) fn code(self, code: &str) -> Self {
        Self { code: Some(code.to_owned()), ..self }
    }

    /// A scripted failure.
    pub(crate) fn scripted(refusal: &Refusal) -> Self {
        let reason = refusal.status.canonical_reason().unwrap_or("no reason");
        Self {
            code: refusal.code.clone(),
            headers: refusal.headers.clone(),
            ..Self::new(refusal.status, format!("simulated failure: {reason}"))
        }
    }

    pub(crate) fn body(&self, dialect: Dialect, request_id: &str) -> Bytes {
        let status = self.status.as_u16();
        let body = match dialect {
            Dialect::OpenAi => json!({"error": {
                "message": self.message,
                "type": openai_type(status, self.code.as_deref()),
                "param": self.param,
                "code": self.code.as_deref().or(openai_code(status)),
            }}),
            Dialect::Anthropic => json!({
                "type": "error",
                "error": {"type": anthropic_type(status), "message": self.message},
                "request_id": request_id,
            }),
            Dialect::Amazon | Dialect::Cohere => json!({"message": self.message}),
            Dialect::Gemini => json!({"error": {
                "code": status,
                "message": self.message,
                "status": google_status(status),
            }}),
        };
        Bytes::from(body.to_string())
    }
}

/// What a proxy in front of a provider sends when it is at a loss.
pub(crate) fn html(status: StatusCode) -> Bytes {
    let title = format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or("Error"));
    Bytes::from(format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n\
         <hr><center>simulated proxy</center>\r\n</body>\r\n</html>\r\n"
    ))
}

fn openai_type(status: u16, code: Option<&str>) -> &'static str {
    match (status, code) {
        (429, Some("insufficient_quota")) => "insufficient_quota",
        (429, _) => "requests",
        (403, _) => "permission_error",
        (500..=599, _) => "server_error",
        _ => "invalid_request_error",
    }
}

fn google_status(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        500..=599 => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    }
}

/// What stands beside the body.
pub(crate) fn amazon_type(status: u16) -> &'static str {
    match status {
        401 | 403 => "AccessDeniedException",
        404 => "ResourceNotFoundException",
        408 | 504 => "ModelTimeoutException",
        429 => "ThrottlingException",
        503 => "ServiceUnavailableException",
        500..=599 => "InternalServerException",
        _ => "ValidationException",
    }
}

fn openai_code(status: u16) -> Option<&'static str> {
    (status == 429).then_some("rate_limit_exceeded")
}

fn anthropic_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        500..=599 => "api_error",
        _ => "invalid_request_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speaks_each_dialect() {
        #[rustfmt::skip]
        let cases = [
            // status  OpenAI's type             Anthropic's type
            (400,      "invalid_request_error", "invalid_request_error"),
            (401,      "invalid_request_error", "authentication_error"),
            (404,      "invalid_request_error", "not_found_error"),
            (429,      "requests",              "rate_limit_error"),
            (500,      "server_error",          "api_error"),
            (529,      "server_error",          "overloaded_error"),
        ];
        for (status, openai, anthropic) in cases {
            let error = ApiError::new(StatusCode::from_u16(status).unwrap(), "no");
            let read = |dialect| -> serde_json::Value {
                serde_json::from_slice(&error.body(dialect, "req_1")).unwrap()
            };
            assert_eq!(read(Dialect::OpenAi)["error"]["type"], openai, "{status}");
            assert_eq!(read(Dialect::Anthropic)["error"]["type"], anthropic, "{status}");
            assert_eq!(read(Dialect::Anthropic)["request_id"], "req_1");
        }
    }
}
