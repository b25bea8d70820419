//! A client's request as one upstream wants it.
//!
//! The order of changes: translation, the upstream's model, the operator's edits, and last what metering and budgets
//! need, which no edit may undo.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::Replies;
use crate::canonical::Request;
use crate::dialects::EncodeTarget;
use crate::edit::{BodyEdits, Draft, Segments};
use crate::endpoint::{Dialect, Endpoint, Schema};
use crate::error::Untranslatable;
use crate::peek::{Peek, gemini, output_cap_fields};
use crate::providers::{self, Address, Project};
use crate::wire::Wire;

/// What a request is prepared for.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// What the upstream speaks.
    pub schema: Schema,
    /// `schema.version`: Azure's api-version.
    pub version: Option<&'a str>,
    /// `schema.prefix`: in place of the provider's usual path prefix, with or without slashes around.
    pub prefix: Option<&'a str>,
    /// The project at Google that models are called in, where the backend's credential names one.
    pub project: Option<Project<'a>>,
    /// The model to ask the upstream for.
    pub model: &'a str,
    /// The operator's changes to the body.
    pub edits: &'a BodyEdits,
    /// Write this cap on output tokens into the request, in the upstream's own field (never raising the client's own).
    pub output_cap: Option<u64>,
}

/// What to send.
#[derive(Clone, Debug)]
pub struct UpstreamRequest {
    /// Path and query.
    pub path: String,
    /// Set on top of what the client's headers left.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub body: Segments,
    /// False: client headers of the client's dialect (anthropic-*, openai-*) pass; true: they must be dropped.
    pub translated: bool,
    /// How the answers are read.
    pub replies: Replies,
}

/// Writes the request that `target` gets for what a client sent to `endpoint`. `peek` is what was read from `body`.
pub fn prepare(
    endpoint: Endpoint,
    client_headers: &HeaderMap,
    body: &Bytes,
    peek: &Peek,
    target: &Target<'_>,
) -> Result<UpstreamRequest, Untranslatable> {
    let provider = providers::provider(target.schema);
    let client = Wire::of(endpoint);
    let wire = (provider.wire)(endpoint).ok_or_else(|| refused(endpoint, target.schema))?;
    let translated = wire != client;

    let mut draft = if translated {
        let translated = translate((client, wire), body, peek, target);
        Draft::read(translated.ok_or_else(|| refused(endpoint, target.schema))??)
    } else {
        let mut draft = Draft::read(body.clone());
        if peek.model != target.model {
            draft.set("model", json_string(target.model));
        }
        draft
    };
    let passing = Some(client_headers).filter(|_| !translated);
    let address = Address {
        wire,
        model: target.model,
        version: target.version,
        prefix: target.prefix,
        project: target.project,
        stream: peek.stream,
        client: passing,
    };
    (provider.body)(&mut draft, &address);
    draft.mutate(target.edits);
    if peek.stream {
        ask_for_usage(&mut draft, wire);
    }
    if let Some(cap) = target.output_cap {
        cap_output(&mut draft, wire, cap);
    }

    Ok(UpstreamRequest {
        path: (provider.path)(&address)?,
        headers: (provider.headers)(passing),
        body: draft.finish(),
        translated,
        replies: Replies::new(client, wire, peek.asks_usage).by(target.model),
    })
}

/// True for a header that belongs to `dialect` alone and means nothing to another.
pub fn belongs_to(dialect: Dialect, header: &HeaderName) -> bool {
    let name = header.as_str();
    match dialect {
        Dialect::OpenAi => name.starts_with("openai-"),
        Dialect::Anthropic => name.starts_with("anthropic-") || name == "x-api-key",
        Dialect::Gemini => name.starts_with("x-goog-"),
        Dialect::Cohere => name == "x-client-name",
    }
}

/// None: one of the two formats can't be translated.
fn translate(
    (client, wire): (Wire, Wire),
    body: &[u8],
    peek: &Peek,
    target: &Target<'_>,
) -> Option<Result<Bytes, Untranslatable>> {
    let (from, to) = (client.codec()?, wire.codec()?);
    let encode = EncodeTarget { model: target.model, output_cap: target.output_cap };
    Some(
        (from.decode_request)(body)
            .and_then(|request| {
                // Not all bodies say it themselves: some clients' paths do.
                let request = Request { model: peek.model.clone(), stream: peek.stream, ..request };
                (to.encode_request)(&request, &encode)
            })
            .map(Bytes::from),
    )
}

fn refused(endpoint: Endpoint, schema: Schema) -> Untranslatable {
    Untranslatable::new(format!(
        "requests to {} can't be carried by a backend that speaks {}",
        endpoint.path(),
        schema.name()
    ))
}

/// Streams of choices report usage only when asked.
fn ask_for_usage(draft: &mut Draft, wire: Wire) {
    match wire {
        Wire::ChatCompletions | Wire::Completions => {}
        Wire::Embeddings
        | Wire::Responses
        | Wire::Messages
        | Wire::GenerateContent
        | Wire::ImageGenerations
        | Wire::InputTokens
        | Wire::CountTokens
        | Wire::Tokenize
        | Wire::Rerank
        | Wire::Converse => {
            return;
        }
    }
    let asks = || Bytes::from_static(b"true");
    let mut options = match draft.value("stream_options") {
        Some(options) if options.first() == Some(&b'{') => Draft::read(options),
        _ => Draft::read(Bytes::from_static(b"{}")),
    };
    if options.value("include_usage") != Some(asks()) {
        options.set("include_usage", asks());
        draft.set("stream_options", options.finish().concat());
    }
}

/// Lowers each cap that stands in the body, or writes one if none does.
fn cap_output(draft: &mut Draft, wire: Wire, cap: u64) {
    if wire == Wire::GenerateContent {
        return cap_generation(draft, cap);
    }
    let Some(endpoint) = wire.endpoint() else {
        return cap_inference(draft, cap);
    };
    let fields = output_cap_fields(endpoint);
    let is_given = |field: &&str| draft.value(field).is_some_and(|value| *value != *b"null");
    let lowered: Vec<_> = if fields.iter().any(&is_given) {
        let is_over = |field: &&str| is_given(field) && is_over(draft, field, cap);
        fields.iter().filter(|field| is_over(field)).collect()
    } else {
        fields.first().into_iter().collect()
    };
    if wire == Wire::Messages && !lowered.is_empty() {
        fit_thinking(draft, cap);
    }
    for field in lowered {
        draft.set(field, Bytes::from(cap.to_string()));
    }
}

/// The same below `generationConfig`; both spellings are read at the other end.
fn cap_generation(draft: &mut Draft, cap: u64) {
    let field = gemini::spelled(gemini::CONFIG, |name| draft.value(name).is_some());
    let given = draft.value(field).filter(|config| config.first() == Some(&b'{'));
    let mut config = Draft::read(given.unwrap_or_else(|| Bytes::from_static(b"{}")));
    let bound = gemini::spelled(gemini::BOUND, |name| config.value(name).is_some());
    if is_over(&config, bound, cap) {
        config.set(bound, Bytes::from(cap.to_string()));
        draft.set(field, config.finish().concat());
    }
}

/// Converse has its cap one level down.
fn cap_inference(draft: &mut Draft, cap: u64) {
    let given = draft.value("inferenceConfig").filter(|config| config.first() == Some(&b'{'));
    let mut config = Draft::read(given.unwrap_or_else(|| Bytes::from_static(b"{}")));
    if is_over(&config, "maxTokens", cap) {
        config.set("maxTokens", Bytes::from(cap.to_string()));
        draft.set("inferenceConfig", config.finish().concat());
    }
}

/// A value that is no such number is not ours to explain, but must not get past the cap.
fn is_over(draft: &Draft, field: &str, cap: u64) -> bool {
    let own = draft.value(field).and_then(|value| serde_json::from_slice::<u64>(&value).ok());
    own.is_none_or(|own| own > cap)
}

/// Anthropic refuses a request whose thinking budget is not below its `max_tokens`, so a lowered cap lowers the budget,
/// and where the least budget that it takes is too much, there is no room to think.
fn fit_thinking(draft: &mut Draft, max_tokens: u64) {
    const LEAST_BUDGET: u64 = 1024;
    let Some(thinking) = draft.value("thinking") else {
        return;
    };
    let mut thinking = Draft::read(thinking);
    let budget = thinking.value("budget_tokens").and_then(|value| serde_json::from_slice::<u64>(&value).ok());
    if budget.is_none_or(|budget| budget < max_tokens) {
        return;
    }
    if max_tokens > LEAST_BUDGET {
        thinking.set("budget_tokens", Bytes::from((max_tokens - 1).to_string()));
        draft.set("thinking", thinking.finish().concat());
    } else {
        draft.remove("thinking");
    }
}

fn json_string(text: &str) -> Bytes {
    Bytes::from(serde_json::to_string(text).expect("a string always serialises"))
}
