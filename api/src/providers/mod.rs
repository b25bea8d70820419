//! Who serves models: where each provider's endpoints are, what they speak, and which headers they want.
//!
//! A provider is a value. A new one is one file that is written as a difference from another, a variant of `Schema`,
//! and an arm of `provider`; the tests run over all of them.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::edit::Draft;
use crate::endpoint::{Endpoint, Schema};
use crate::error::Untranslatable;
use crate::wire::Wire;

mod anthropic;
mod aws_anthropic;
mod aws_bedrock;
mod aws_openai;
mod azure_openai;
mod cohere;
mod gcp_anthropic;
mod gcp_vertex_ai;
mod openai;

/// One kind of upstream.
pub struct Provider {
    /// OpenTelemetry's `gen_ai.provider.name`.
    pub name: &'static str,
    /// What carries the requests of a client's endpoint; None: nothing can.
    pub(crate) wire: fn(Endpoint) -> Option<Wire>,
    /// Path and query.
    pub(crate) path: fn(&Address<'_>) -> Result<String, Untranslatable>,
    /// Headers to set on top of what the client's headers, which are given if they pass, leave.
    pub(crate) headers: fn(Option<&HeaderMap>) -> Vec<(HeaderName, HeaderValue)>,
    /// What its bodies have, or lack, that other bodies of their wire format do not.
    pub(crate) body: fn(&mut Draft, &Address<'_>),
}

/// The provider that stands behind `schema`.
pub fn provider(schema: Schema) -> &'static Provider {
    match schema {
        Schema::OpenAi => &openai::PROVIDER,
        Schema::AzureOpenAi => &azure_openai::PROVIDER,
        Schema::Anthropic => &anthropic::PROVIDER,
        Schema::GcpVertexAi => &gcp_vertex_ai::PROVIDER,
        Schema::GcpAnthropic => &gcp_anthropic::PROVIDER,
        Schema::AwsBedrock => &aws_bedrock::PROVIDER,
        Schema::AwsAnthropic => &aws_anthropic::PROVIDER,
        Schema::AwsOpenAi => &aws_openai::PROVIDER,
        Schema::Cohere => &cohere::PROVIDER,
    }
}

/// What a path is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Address<'a> {
    pub(crate) wire: Wire,
    pub(crate) model: &'a str,
    /// `schema.version`
    pub(crate) version: Option<&'a str>,
    /// `schema.prefix`
    pub(crate) prefix: Option<&'a str>,
    /// The project at Google, for providers that are reached through one.
    pub(crate) project: Option<Project<'a>>,
    /// The client wants events.
    pub(crate) stream: bool,
    /// The client's headers, if they pass.
    pub(crate) client: Option<&'a HeaderMap>,
}

/// Where at Google Cloud models are called.
#[derive(Clone, Copy, Debug)]
pub struct Project<'a> {
    /// The project's id.
    pub name: &'a str,
    /// `us-central1` and its like, or `global`.
    pub region: &'a str,
}

impl Address<'_> {
    /// The endpoint's path below the configured prefix, written with or without its slashes.
    fn below(&self, default_prefix: &str) -> String {
        format!("{}{}", self.root(default_prefix), self.wire.path())
    }

    /// The configured prefix, with its first slash only.
    fn root(&self, default_prefix: &str) -> String {
        let prefix = self.prefix.unwrap_or(default_prefix).trim_matches('/');
        let slash = if prefix.is_empty() { "" } else { "/" };
        format!("{slash}{prefix}")
    }
}

const JSON: (HeaderName, HeaderValue) = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));

/// All that is not plainly part of a name, so that a name stays one segment or one value.
#[rustfmt::skip]
const OUTSIDE_NAMES: &AsciiSet = &CONTROLS
    .add(b' ').add(b'"').add(b'#').add(b'%').add(b'&').add(b'+').add(b'/').add(b';').add(b'<').add(b'=')
    .add(b'>').add(b'?').add(b'[').add(b'\\').add(b']').add(b'^').add(b'`').add(b'{').add(b'|').add(b'}');

/// `text` as one segment of a path or one value of a query.
fn encoded(text: &str) -> String {
    match text {
        // Dots alone would be taken for steps in the path.
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        _ => utf8_percent_encode(text, OUTSIDE_NAMES).to_string(),
    }
}

#[cfg(test)]
#[path = "providers_test.rs"]
mod tests;
