//! An upstream's no, in the words of the client's dialect.

use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;

use crate::endpoint::Dialect;
use crate::error::{ApiError, ErrorKind};

/// How much of an answer that is not JSON is passed on.
const EXCERPT_CHARS: usize = 400;

/// How two of them say that a conversation outgrew the model.
const CONTEXT_OVERFLOW: &str = "context_length_exceeded";
const PROMPT_TOO_LONG: &str = "prompt is too long";

/// The same in the words of all upstreams.
const OVERFLOWS: [&str; 4] = [
    PROMPT_TOO_LONG,
    "exceed context limit",
    "exceeds the maximum number of tokens",
    "Input is too long for requested model",
];

/// Who speaks, and to whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Between {
    /// None: it speaks what no client speaks.
    pub(super) upstream: Option<Dialect>,
    pub(super) client: Dialect,
}

/// The body of an error for the client: the upstream's own where the client knows its shape.
pub(super) fn render(between: Between, status: StatusCode, body: Bytes, request_id: &str) -> Bytes {
    let Ok(answer) = serde_json::from_slice::<Value>(&body) else {
        return not_json(status, &body).render(between.client, request_id);
    };
    if between.upstream == Some(between.client) && has_shape(between.client, &answer) {
        return body;
    }
    // Google wraps the error of what would have been a stream in a list.
    let answer = answer.get(0).unwrap_or(&answer);
    restated(between.client, status, answer).render(between.client, request_id)
}

fn has_shape(dialect: Dialect, answer: &Value) -> bool {
    let has_message = answer["error"]["message"].is_string();
    match dialect {
        Dialect::OpenAi => has_message,
        Dialect::Anthropic => has_message && answer["type"] == "error" && answer["error"]["type"].is_string(),
        Dialect::Gemini => has_message && answer["error"]["status"].is_string(),
        Dialect::Cohere => answer["message"].is_string(),
    }
}

fn restated(client: Dialect, status: StatusCode, answer: &Value) -> ApiError {
    let message = message(answer).map_or_else(|| format!("the upstream answered {status}"), str::to_owned);
    let code = answer["error"]["code"].as_str().map(str::to_owned);
    let kind = match code.as_deref() {
        Some("insufficient_quota") => ErrorKind::QuotaExhausted,
        _ => ErrorKind::of_status(status),
    };
    let overflow =
        code.as_deref() == Some(CONTEXT_OVERFLOW) || OVERFLOWS.iter().any(|words| message.contains(words));
    // Anthropic's clients shorten the conversation when they read these words.
    let message = if overflow && client == Dialect::Anthropic && !message.starts_with(PROMPT_TOO_LONG) {
        format!("{PROMPT_TOO_LONG}: {message}")
    } else {
        message
    };
    let code = if overflow {
        Some(CONTEXT_OVERFLOW.to_owned())
    } else if kind == ErrorKind::NotFound && message.starts_with("model:") {
        // The way in which Anthropic names a model that it does not have.
        Some("model_not_found".to_owned())
    } else {
        code
    };
    let param = answer["error"]["param"].as_str().map(str::to_owned);
    ApiError { status, kind, message, code, param }
}

/// Where the many servers that imitate one of the two put what went wrong.
fn message(answer: &Value) -> Option<&str> {
    let error = &answer["error"];
    let places = [&error["message"], error, &answer["message"], &answer["Message"], &answer["detail"]];
    places.into_iter().find_map(Value::as_str).filter(|message| !message.is_empty())
}

fn not_json(status: StatusCode, body: &[u8]) -> ApiError {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    let message = match text.char_indices().nth(EXCERPT_CHARS) {
        _ if text.is_empty() => format!("the upstream answered {status} without a body"),
        Some((end, _)) => format!("the upstream answered {status}: {}…", &text[..end]),
        None => format!("the upstream answered {status}: {text}"),
    };
    ApiError { status, kind: ErrorKind::of_status(status), message, code: None, param: None }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::StatusCode;

    use super::{Between, render};
    use crate::endpoint::Dialect::{self, Anthropic, OpenAi};

    #[test]
    fn speaks_the_clients_dialect() {
        #[rustfmt::skip]
        let cases: [(Option<Dialect>, Dialect, u16, &str, &str); 20] = [
            // upstream  client     status  body                                                        expected
            (Some(OpenAi),    OpenAi,    429, r#"{"error":{"message":"slow","x":1}}"#,                        r#"{"error":{"message":"slow","x":1}}"#), // untouched
            (Some(Anthropic), Anthropic, 529, r#"{"type":"error","error":{"type":"overloaded_error","message":"o"}}"#, r#"{"type":"error","error":{"type":"overloaded_error","message":"o"}}"#),
            (Some(OpenAi),    OpenAi,    401, r#"{"statusCode":401,"message":"no"}"#,                         r#"{"error":{"message":"no","type":"authentication_error","param":null,"code":"invalid_api_key"}}"#), // not the shape
            (Some(OpenAi),    OpenAi,    422, r#"{"detail":"bad"}"#,                                          r#"{"error":{"message":"bad","type":"invalid_request_error","param":null,"code":null}}"#),
            (Some(OpenAi),    OpenAi,    400, r#"{"error":"bad"}"#,                                           r#"{"error":{"message":"bad","type":"invalid_request_error","param":null,"code":null}}"#),
            (Some(OpenAi),    OpenAi,    500, "[]",                                                           r#"{"error":{"message":"the upstream answered 500 Internal Server Error","type":"server_error","param":null,"code":"upstream_error"}}"#),
            (Some(OpenAi),    OpenAi,    502, "<h1>Bad \"Gateway\"</h1>",                                     r#"{"error":{"message":"the upstream answered 502 Bad Gateway: <h1>Bad \"Gateway\"</h1>","type":"server_error","param":null,"code":"upstream_error"}}"#),
            (Some(OpenAi),    OpenAi,    502, "",                                                             r#"{"error":{"message":"the upstream answered 502 Bad Gateway without a body","type":"server_error","param":null,"code":"upstream_error"}}"#),
            (Some(OpenAi),    Anthropic, 429, r#"{"error":{"message":"broke","code":"insufficient_quota"}}"#, r#"{"type":"error","error":{"type":"rate_limit_error","message":"broke"},"request_id":"r"}"#),
            (Some(OpenAi),    Anthropic, 413, r#"{"error":{"message":"big"}}"#,                               r#"{"type":"error","error":{"type":"request_too_large","message":"big"},"request_id":"r"}"#),
            (Some(Anthropic), OpenAi,    529, r#"{"type":"error","error":{"type":"overloaded_error","message":"o"}}"#, r#"{"error":{"message":"o","type":"server_error","param":null,"code":"overloaded"}}"#),
            (Some(OpenAi),    Anthropic, 400, r#"{"error":{"message":"max is 8192","param":"messages","code":"context_length_exceeded"}}"#, r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: max is 8192"},"request_id":"r"}"#),
            (Some(Anthropic), OpenAi,    400, r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9 tokens > 8 maximum"}}"#, r#"{"error":{"message":"prompt is too long: 9 tokens > 8 maximum","type":"invalid_request_error","param":null,"code":"context_length_exceeded"}}"#),
            (Some(OpenAi),    Anthropic, 429, "Too Many Requests",                                            r#"{"type":"error","error":{"type":"rate_limit_error","message":"the upstream answered 429 Too Many Requests: Too Many Requests"},"request_id":"r"}"#),
            (Some(Anthropic), OpenAi,    404, r#"{"type":"error","error":{"type":"not_found_error","message":"model: x"}}"#, r#"{"error":{"message":"model: x","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#),
            (None,            OpenAi,    400, r#"{"message":"Input is too long for requested model."}"#,     r#"{"error":{"message":"Input is too long for requested model.","type":"invalid_request_error","param":null,"code":"context_length_exceeded"}}"#),
            (None,            Anthropic, 400, r#"{"message":"Input is too long for requested model."}"#,     r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: Input is too long for requested model."},"request_id":"r"}"#),
            (Some(Anthropic), Anthropic, 429, r#"{"message":"Too many requests"}"#,                          r#"{"type":"error","error":{"type":"rate_limit_error","message":"Too many requests"},"request_id":"r"}"#), // Bedrock's shape
            (None,            OpenAi,    424, r#"{"message":"the model failed"}"#,                           r#"{"error":{"message":"the model failed","type":"server_error","param":null,"code":"upstream_error"}}"#),
            (None,            OpenAi,    403, r#"{"Message":"no"}"#,                                         r#"{"error":{"message":"no","type":"permission_error","param":null,"code":null}}"#),
        ];
        for (upstream, client, status, body, expected) in cases {
            let status = StatusCode::from_u16(status).unwrap();
            let rendered = render(Between { upstream, client }, status, Bytes::from(body), "r");
            assert_eq!(std::str::from_utf8(&rendered).unwrap(), expected, "{body}");
        }
    }

    #[test]
    fn what_is_not_json_is_cut_short() {
        let between = Between { upstream: Some(OpenAi), client: OpenAi };
        let rendered = render(between, StatusCode::BAD_GATEWAY, Bytes::from("é".repeat(100_000)), "r");
        assert!(rendered.len() < 1_000, "{}", rendered.len());
        serde_json::from_slice::<serde_json::Value>(&rendered).unwrap();
    }
}
