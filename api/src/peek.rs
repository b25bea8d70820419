//! What the gateway must know of a request body before it can route and admit it.
//!
//! The whole body is checked to be JSON here, so that no later step meets a broken one, but nothing is built from it:
//! the fields that matter are looked at in place and the rest is skipped. What two readers could read differently is
//! refused, since a request must not be billed as one model and served as another: a field given twice, or once more
//! in other letter case (some servers match names without regard to case).

pub(crate) mod gemini;

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::borrowed::Text;
use crate::endpoint::Endpoint;
use crate::error::Malformed;

/// What the gateway must know of a body before it can route and admit it. One pass, nothing else is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peek {
    /// The model that the client asks for; never empty.
    pub model: String,
    /// The client wants events, not one body.
    pub stream: bool,
    /// The client's own bound on output tokens (`max_tokens`, `max_completion_tokens` (the larger wins),
    /// `max_output_tokens`).
    pub output_cap: Option<u64>,
    /// `stream_options.include_usage` was true: the client wants to see the usage chunk.
    pub asks_usage: bool,
}

/// What a path says of a request whose body does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The model that the client asks for.
    pub model: String,
    /// The client wants events.
    pub stream: bool,
}

/// The same for a Gemini client's body, of which the path says the rest.
pub fn peek_named(named: &Named, body: &[u8]) -> Result<Peek, Malformed> {
    gemini::peek(named, utf8(body)?)
}

/// Validates that `body` is one JSON object, whole, and picks the fields. Duplicate top-level keys that matter are
/// refused.
pub fn peek(endpoint: Endpoint, body: &[u8]) -> Result<Peek, Malformed> {
    let fields: Fields<'_> = serde_json::from_str(utf8(body)?).map_err(|error| {
        let expected = if error.is_data() { "a JSON object" } else { "valid JSON" };
        Malformed::new(format!("the body is not {expected}: {error}"))
    })?;
    if let Some((param, message)) = fields.ambiguous {
        return Err(Malformed::at(param, message));
    }

    let asks_stream = fields.read("stream", "a boolean");
    let stream = endpoint.has_output() && asks_stream.as_ref().map_err(Clone::clone)?.unwrap_or(false);
    if endpoint == Endpoint::ImageGenerations && asks_stream?.unwrap_or(false) {
        return Err(Malformed::at("stream", "images are sent whole: `stream` must be false or absent"));
    }
    let mut output_cap = None;
    for field in output_cap_fields(endpoint) {
        output_cap = output_cap.max(fields.read(field, "a whole number that is not negative")?);
    }
    Ok(Peek { model: fields.model()?, stream, output_cap, asks_usage: fields.asks_usage(endpoint)? })
}

/// The fields in which a body of `endpoint` bounds its answer, the preferred one first.
pub(crate) const fn output_cap_fields(endpoint: Endpoint) -> &'static [&'static str] {
    match endpoint {
        Endpoint::ChatCompletions => &["max_completion_tokens", "max_tokens"],
        Endpoint::Completions | Endpoint::Messages => &["max_tokens"],
        Endpoint::Responses => &["max_output_tokens"],
        // A Gemini client's stands deeper: see `gemini`.
        Endpoint::Embeddings
        | Endpoint::GenerateContent
        | Endpoint::ImageGenerations
        | Endpoint::InputTokens
        | Endpoint::CountTokens
        | Endpoint::Tokenize
        | Endpoint::Rerank => &[],
    }
}

fn utf8(body: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(body).map_err(|error| {
        Malformed::new(format!("the body must be JSON in UTF-8; byte {} is not UTF-8", error.valid_up_to()))
    })
}

/// All fields that are read at any endpoint.
const FIELDS: [&str; 6] =
    ["model", "stream", "stream_options", "max_tokens", "max_completion_tokens", "max_output_tokens"];

/// The values of `FIELDS` as they stand in the body.
#[derive(Default)]
struct Fields<'a> {
    values: [Option<&'a RawValue>; FIELDS.len()],
    /// The first field that could be read in two ways, and what is wrong with it.
    ambiguous: Option<(&'static str, String)>,
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

impl<'a> Fields<'a> {
    fn model(&self) -> Result<String, Malformed> {
        match self.read::<String>("model", "a string")? {
            Some(model) if !model.is_empty() => Ok(model),
            Some(_) => Err(Malformed::at("model", "`model` must not be empty")),
            None => Err(Malformed::at("model", "`model` is required: the name of a model")),
        }
    }

    fn asks_usage(&self, endpoint: Endpoint) -> Result<bool, Malformed> {
        match endpoint {
            Endpoint::ChatCompletions | Endpoint::Completions => {
                let options: Option<StreamOptions> =
                    self.read("stream_options", "an object whose `include_usage` is a boolean, given once")?;
                Ok(options.and_then(|options| options.include_usage).unwrap_or(false))
            }
            Endpoint::Embeddings
            | Endpoint::Responses
            | Endpoint::Messages
            | Endpoint::GenerateContent
            | Endpoint::ImageGenerations
            | Endpoint::InputTokens
            | Endpoint::CountTokens
            | Endpoint::Tokenize
            | Endpoint::Rerank => Ok(false),
        }
    }

    /// The value of `field`, where null counts as absent.
    fn read<T: Deserialize<'a>>(&self, field: &'static str, expected: &str) -> Result<Option<T>, Malformed> {
        let value = FIELDS.iter().position(|&known| known == field).and_then(|index| self.values[index]);
        let Some(value) = value else { return Ok(None) };
        serde_json::from_str(value.get()).map_err(|_| {
            Malformed::at(field, format!("`{field}` must be {expected}, not `{}`", excerpt(value.get())))
        })
    }

    fn keep(&mut self, key: &str, index: usize, value: &'a RawValue) {
        let field = FIELDS[index];
        let fault = if key != field {
            Some(format!("`{key}` differs from the field `{field}` in letter case only"))
        } else if self.values[index].is_some() {
            Some(format!("`{field}` is given twice"))
        } else {
            None
        };
        match fault {
            Some(fault) => self.ambiguous = self.ambiguous.take().or(Some((field, fault))),
            None => self.values[index] = Some(value),
        }
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Fields::default();
        while let Some(key) = map.next_key::<Text<'de>>()? {
            match FIELDS.iter().position(|field| key.eq_ignore_ascii_case(field)) {
                Some(index) => fields.keep(&key, index, map.next_value()?),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(fields)
    }
}

/// The beginning of `text`, short enough for a message.
fn excerpt(text: &str) -> String {
    const CHARS: usize = 40;
    match text.char_indices().nth(CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
#[path = "peek_test.rs"]
mod tests;
