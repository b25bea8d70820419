//! The simulator's own paths under `/simulate/`.

use bytes::Bytes;
use http::{Method, StatusCode, Uri};
use serde_json::{Value, json};

use super::script::{Schedule, Script};
use super::server::Server;

/// The answer, or None if the path is not one of these.
pub(crate) fn answer(server: &Server, method: &Method, uri: &Uri) -> Option<(StatusCode, Bytes)> {
    let name = uri.path().strip_prefix("/simulate/")?;
    let (status, body) = match (method, name) {
        (&Method::GET, "stats") => (StatusCode::OK, server.stats.to_json()),
        (&Method::GET, "requests") => (StatusCode::OK, server.stats.requests_to_json()),
        (&Method::POST, "reset") => reset(server, uri.query().unwrap_or_default()),
        _ => {
            let expected =
                "expected GET /simulate/stats, GET /simulate/requests or POST /simulate/reset?fail=SCRIPT";
            (StatusCode::NOT_FOUND, json!({"error": expected}))
        }
    };
    Some((status, Bytes::from(body.to_string())))
}

/// Forgets counts, requests and prefixes, and starts the script anew: the same one, or the given one.
fn reset(server: &Server, query: &str) -> (StatusCode, Value) {
    let given = query.split('&').find_map(|pair| pair.strip_prefix("fail="));
    let script = match given.map(|text| decoded(text).parse::<Script>()) {
        None => server.script(),
        Some(Ok(script)) => script,
        Some(Err(error)) => return (StatusCode::BAD_REQUEST, json!({"error": error.to_string()})),
    };
    server.restart(Schedule::new(script));
    (StatusCode::OK, json!({"reset": true}))
}

/// Percent-decoding; what is not an escape stays as it is (a plus too: it is part of no script).
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escape = text.get(at + 1..at + 3).filter(|_| *byte == b'%');
        let decoded = escape.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(decoded.unwrap_or(*byte));
        at += if decoded.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_queries() {
        #[rustfmt::skip]
        let cases = [
            ("429*2,ok", "429*2,ok"), ("429%2A2%2cok", "429*2,ok"), ("%", "%"), ("%4", "%4"), ("%zz", "%zz"), ("é%41", "éA"),
        ];
        for (text, expected) in cases {
            assert_eq!(decoded(text), expected, "{text}");
        }
    }
}
