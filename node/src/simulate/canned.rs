//! Prebuilt answers for load tests: built once by the ordinary endpoints from a sample request, so they
//! are the same bytes that a real answer would be, and then only sent.
//!
//! The model is [`MODEL`] and the usage is the sample's, whatever the request says.

use std::sync::Mutex;

use memchr::memmem;
use serde_json::json;

use super::answer::Voice;
use super::error::ApiError;
use super::reply::{Asked, Reply, Stamp};
use super::route::Endpoint;
use super::tokens::PrefixCache;
use super::{anthropic, openai};

pub(crate) const MODEL: &str = "canned";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Whole,
    Streamed,
    /// Streamed, and the request asks for usage.
    Counted,
}

/// An answer for each chat endpoint and shape.
pub(crate) struct Canned(Vec<(Endpoint, Shape, Reply)>);

impl Canned {
    pub(crate) fn new(voice: &Voice) -> Result<Self, ApiError> {
        let mut all = Vec::new();
        for endpoint in [Endpoint::Chat, Endpoint::Responses, Endpoint::Messages] {
            for shape in [Shape::Whole, Shape::Streamed, Shape::Counted] {
                all.push((endpoint.clone(), shape, build(&endpoint, shape, voice)?));
            }
        }
        Ok(Self(all))
    }

    /// None for endpoints that have no prebuilt answer.
    pub(crate) fn find(&self, endpoint: &Endpoint, body: &[u8]) -> Option<&Reply> {
        let shape = match (says(body, b"\"stream\""), says(body, b"\"include_usage\"")) {
            (true, true) => Shape::Counted,
            (true, false) => Shape::Streamed,
            (false, _) => Shape::Whole,
        };
        let found = self.0.iter().find(|(e, s, _)| e == endpoint && *s == shape);
        found.map(|(_, _, reply)| reply)
    }
}

fn build(endpoint: &Endpoint, shape: Shape, voice: &Voice) -> Result<Reply, ApiError> {
    let body = json!({
        "messages": [{"role": "user", "content": "hello"}],
        "input": "hello",
        "max_tokens": voice.tokens.max(1),
        "stream": shape != Shape::Whole,
        "stream_options": {"include_usage": shape == Shape::Counted},
    });
    let asked = Asked {
        body: &body,
        model: MODEL,
        fingerprint: 0,
        voice,
        stamp: Stamp { number: 0, created_s: 0 },
        cache: &Mutex::new(PrefixCache::default()),
    };
    match endpoint {
        Endpoint::Responses => openai::responses::reply(&asked),
        Endpoint::Messages => anthropic::reply(&asked),
        Endpoint::Chat
        | Endpoint::Completions
        | Endpoint::Embeddings
        | Endpoint::CountTokens
        | Endpoint::Images
        | Endpoint::InputTokens
        | Endpoint::Tokenize
        | Endpoint::Rerank
        | Endpoint::Generate { .. }
        | Endpoint::Converse { .. }
        | Endpoint::Invoke { .. }
        | Endpoint::Models
        | Endpoint::Model(_) => openai::chat::reply(&asked),
    }
}

/// True if the body has the key with the value true, seen without parsing.
fn says(body: &[u8], key: &[u8]) -> bool {
    memmem::find_iter(body, key).any(|at| {
        let rest = body[at + key.len()..].trim_ascii_start();
        let value = rest.strip_prefix(b":").map(<[u8]>::trim_ascii_start);
        value.is_some_and(|value| value.starts_with(b"true"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_a_flag_without_parsing() {
        #[rustfmt::skip]
        let cases = [
            (r#"{"stream":true}"#,                      true),
            ("{\"stream\" :\n true}",                   true),  // white space
            (r#"{"stream":false}"#,                     false),
            (r#"{"stream_options":{"a":true}}"#,        false), // another key
            (r#"{"a":"stream"}"#,                       false), // a value
            (r#"{"a":"stream","stream":true}"#,         true),  // the second one
            ("",                                        false),
        ];
        for (body, expected) in cases {
            assert_eq!(says(body.as_bytes(), b"\"stream\""), expected, "{body}");
        }
    }
}
