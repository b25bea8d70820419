//! What messages look like on the wire, whole and streamed: the parts that both share.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::borrowed::{Count, Text};
use crate::canonical::Usage;

/// A whole message, or the one that begins a stream.
#[derive(Deserialize)]
pub(super) struct MessageRead<'a> {
    #[serde(borrow, default)]
    pub(super) id: Text<'a>,
    #[serde(borrow, default)]
    pub(super) model: Text<'a>,
    #[serde(borrow)]
    pub(super) content: Option<Vec<BlockRead<'a>>>,
    #[serde(borrow)]
    pub(super) stop_reason: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) stop_sequence: Option<Text<'a>>,
    pub(super) usage: Option<UsageRead>,
}

#[derive(Deserialize)]
pub(super) struct BlockRead<'a> {
    #[serde(borrow, default)]
    pub(super) r#type: Text<'a>,
    #[serde(borrow)]
    pub(super) text: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) thinking: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) signature: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) data: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) name: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) input: Option<&'a RawValue>,
}

/// Figures are cumulative in a stream, and an event may leave out those that did not change.
#[derive(Clone, Default, Deserialize)]
pub(super) struct UsageRead {
    #[serde(default)]
    input_tokens: Count,
    #[serde(default)]
    cache_read_input_tokens: Count,
    #[serde(default)]
    cache_creation_input_tokens: Count,
    #[serde(default)]
    output_tokens: Count,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Clone, Copy, Default, Deserialize)]
struct OutputDetails {
    #[serde(default)]
    thinking_tokens: Count,
}

impl UsageRead {
    /// Takes over what `newer` states.
    pub(super) fn update(&mut self, newer: &Self) {
        let pairs = [
            (&mut self.input_tokens, newer.input_tokens),
            (&mut self.cache_read_input_tokens, newer.cache_read_input_tokens),
            (&mut self.cache_creation_input_tokens, newer.cache_creation_input_tokens),
            (&mut self.output_tokens, newer.output_tokens),
        ];
        for (old, new) in pairs {
            if new.0.is_some() {
                *old = new;
            }
        }
        self.output_tokens_details = newer.output_tokens_details.or(self.output_tokens_details);
    }
}

impl From<&UsageRead> for Usage {
    /// `input_tokens` leaves out what was read from or written to the cache.
    fn from(read: &UsageRead) -> Self {
        let cached_input = read.cache_read_input_tokens.0.unwrap_or(0);
        let cache_creation_input = read.cache_creation_input_tokens.0.unwrap_or(0);
        let uncached = read.input_tokens.0.unwrap_or(0);
        let input = uncached.saturating_add(cached_input).saturating_add(cache_creation_input);
        let output = read.output_tokens.0.unwrap_or(0);
        let details = read.output_tokens_details.unwrap_or_default();
        Self {
            input,
            cached_input,
            cache_creation_input,
            output,
            reasoning: details.thinking_tokens.0.unwrap_or(0),
            total: input.saturating_add(output),
        }
    }
}

/// `usage` as Anthropic writes it.
#[derive(Serialize)]
pub(super) struct UsageWritten {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    output_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens_details: Option<OutputDetailsWritten>,
}

#[derive(Serialize)]
struct OutputDetailsWritten {
    thinking_tokens: u64,
}

impl From<Usage> for UsageWritten {
    fn from(usage: Usage) -> Self {
        let Usage { input, cached_input, cache_creation_input, output, reasoning, total: _ } = usage;
        Self {
            input_tokens: input.saturating_sub(cached_input).saturating_sub(cache_creation_input),
            cache_creation_input_tokens: cache_creation_input,
            cache_read_input_tokens: cached_input,
            output_tokens: output,
            output_tokens_details: (reasoning > 0)
                .then_some(OutputDetailsWritten { thinking_tokens: reasoning }),
        }
    }
}

/// A message without its content: whole, or as a stream begins.
#[derive(Serialize)]
pub(super) struct MessageWritten<'a> {
    pub(super) id: &'a str,
    pub(super) r#type: &'static str,
    pub(super) role: &'static str,
    pub(super) model: &'a str,
    pub(super) content: Vec<BlockWritten<'a>>,
    pub(super) stop_reason: Option<&'static str>,
    pub(super) stop_sequence: Option<&'a str>,
    pub(super) usage: UsageWritten,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum BlockWritten<'a> {
    Text { text: &'a str },
    Thinking { thinking: &'a str, signature: &'a str },
    RedactedThinking { data: &'a str },
    ToolUse { id: &'a str, name: &'a str, input: Input<'a> },
}

/// A tool's input, which must be an object.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Input<'a> {
    Given(&'a RawValue),
    Empty {},
    /// What a model wrote that is no object: a cut-off answer, or a weak model. Better kept than lost.
    Broken {
        raw_arguments: &'a str,
    },
}

impl<'a> Input<'a> {
    pub(super) fn of(arguments: &'a str) -> Self {
        let arguments = arguments.trim();
        if arguments.is_empty() {
            return Self::Empty {};
        }
        match serde_json::from_str::<&RawValue>(arguments) {
            Ok(input) if arguments.starts_with('{') => Self::Given(input),
            Ok(_) | Err(_) => Self::Broken { raw_arguments: arguments },
        }
    }
}
