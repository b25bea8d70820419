//! What answers look like on the wire, whole and streamed: the parts that both share.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::borrowed::{Count, Text};
use crate::canonical::Usage;

/// A piece of an answer, or the beginning of one in a stream: the member that is there says which.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BlockRead<'a> {
    #[serde(borrow)]
    pub(super) text: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) reasoning_content: Option<ThoughtRead<'a>>,
    #[serde(borrow)]
    pub(super) tool_use: Option<ToolUseRead<'a>>,
}

/// Whole blocks have `reasoningText`, streams its members.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ThoughtRead<'a> {
    #[serde(borrow)]
    pub(super) reasoning_text: Option<ReasoningText<'a>>,
    #[serde(borrow)]
    pub(super) redacted_content: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) text: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) signature: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct ReasoningText<'a> {
    #[serde(borrow, default)]
    pub(super) text: Text<'a>,
    #[serde(borrow)]
    pub(super) signature: Option<Text<'a>>,
}

/// `input` is JSON in a whole block, and a piece of its text in a stream.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolUseRead<'a> {
    #[serde(borrow, default)]
    pub(super) tool_use_id: Text<'a>,
    #[serde(borrow, default)]
    pub(super) name: Text<'a>,
    #[serde(borrow)]
    pub(super) input: Option<&'a RawValue>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_field_names, reason = "the names are Bedrock's")]
pub(crate) struct UsageRead {
    input_tokens: Count,
    output_tokens: Count,
    total_tokens: Count,
    cache_read_input_tokens: Count,
    cache_write_input_tokens: Count,
}

impl From<UsageRead> for Usage {
    /// `inputTokens` leaves out what was read from or written to the cache.
    fn from(read: UsageRead) -> Self {
        let count = |count: Count| count.0.unwrap_or(0);
        let cached_input = count(read.cache_read_input_tokens);
        let cache_creation_input = count(read.cache_write_input_tokens);
        let uncached = count(read.input_tokens);
        let input = uncached.saturating_add(cached_input).saturating_add(cache_creation_input);
        let output = count(read.output_tokens);
        // Whether their total counts the cache depends on the model; ours does.
        let total = count(read.total_tokens).max(input.saturating_add(output));
        Self { input, cached_input, cache_creation_input, output, reasoning: 0, total }
    }
}

/// `usage` as Bedrock writes it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names are Bedrock's")]
pub(super) struct UsageWritten {
    input_tokens: u64,
    output_tokens: u64,
    total_tokens: u64,
    cache_read_input_tokens: u64,
    cache_write_input_tokens: u64,
}

impl From<Usage> for UsageWritten {
    fn from(usage: Usage) -> Self {
        let Usage { input, cached_input, cache_creation_input, output, reasoning: _, total } = usage;
        Self {
            input_tokens: input.saturating_sub(cached_input).saturating_sub(cache_creation_input),
            output_tokens: output,
            total_tokens: total,
            cache_read_input_tokens: cached_input,
            cache_write_input_tokens: cache_creation_input,
        }
    }
}

/// How long the model took, which Bedrock's own clients require; nobody has measured it here.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metrics {
    latency_ms: u64,
}

impl Metrics {
    pub(super) const UNKNOWN: Self = Self { latency_ms: 0 };
}
