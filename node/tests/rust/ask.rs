//! A request of a client, put together a piece at a time.

use http::Method;
use hyper::body::Bytes;
use serde_json::{Value, json};

/// What a client sends.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

impl Ask {
    pub(crate) fn get(path: &str) -> Self {
        Self { method: Method::GET, path: path.to_owned(), headers: Vec::new(), body: Bytes::new() }
    }

    pub(crate) fn post(path: &str, body: impl Into<Bytes>) -> Self {
        Self { method: Method::POST, body: body.into(), ..Self::get(path) }
            .header("content-type", "application/json")
    }

    /// An OpenAI client's chat.
    pub(crate) fn chat(model: &str) -> Self {
        let body =
            json!({"model": model, "messages": [{"role": "user", "content": "How much is the fish?"}]});
        Self::post("/v1/chat/completions", body.to_string())
    }

    /// An Anthropic client's message.
    pub(crate) fn messages(model: &str) -> Self {
        let body = json!({
            "model": model, "max_tokens": 64, "messages": [{"role": "user", "content": "How much is the fish?"}],
        });
        Self::post("/v1/messages", body.to_string()).header("anthropic-version", "2023-06-01")
    }

    /// Sets a field of the body.
    pub(crate) fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        let mut body: Value = serde_json::from_slice(&self.body).unwrap();
        body[field] = value.into();
        self.body = body.to_string().into();
        self
    }

    pub(crate) fn streamed(self) -> Self {
        self.with("stream", true)
    }

    /// As an OpenAI client that wants to see the usage of a stream.
    pub(crate) fn showing_usage(self) -> Self {
        self.with("stream_options", json!({"include_usage": true}))
    }

    /// Sets a header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Has the simulator play a script for this request alone, whichever backend gets it.
    pub(crate) fn simulate(self, script: &str) -> Self {
        self.header("x-simulate", script)
    }
}
