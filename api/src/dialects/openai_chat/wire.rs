//! What chat completions look like on the wire, whole and streamed: the parts that both share.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::borrowed::{Count, Text};
use crate::canonical::Usage;

/// A whole answer or a chunk of one; chunks say `delta` where answers say `message`.
#[derive(Deserialize)]
pub(super) struct Answer<'a> {
    #[serde(borrow, default)]
    pub(super) id: Text<'a>,
    #[serde(borrow, default)]
    pub(super) model: Text<'a>,
    #[serde(default)]
    pub(super) created: Count,
    #[serde(borrow)]
    pub(super) choices: Option<Vec<Choice<'a>>>,
    pub(super) usage: Option<UsageRead>,
    /// Some upstreams report a failure in place of a chunk.
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Choice<'a> {
    #[serde(default)]
    pub(super) index: Count,
    #[serde(borrow)]
    pub(super) delta: Option<Said<'a>>,
    #[serde(borrow)]
    pub(super) message: Option<Said<'a>>,
    #[serde(borrow)]
    pub(super) finish_reason: Option<Text<'a>>,
}

/// What the assistant said.
#[derive(Deserialize)]
pub(super) struct Said<'a> {
    #[serde(borrow)]
    pub(super) content: Option<Spoken<'a>>,
    #[serde(borrow)]
    pub(super) refusal: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) reasoning_content: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) reasoning: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) thinking_blocks: Option<Vec<ThinkingRead<'a>>>,
    #[serde(borrow)]
    pub(super) tool_calls: Option<Vec<CallRead<'a>>>,
}

/// Content: text, or the texts of a list of parts, as Mistral's reasoning models send it.
pub(super) struct Spoken<'a>(pub(super) Text<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Spoken<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrParts;

        impl<'de> Visitor<'de> for TextOrParts {
            type Value = Cow<'de, str>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text or a list of parts")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
                let mut whole = String::new();
                while let Some(part) = parts.next_element::<PartRead<'de>>()? {
                    whole.push_str(&part.text);
                }
                Ok(Cow::Owned(whole))
            }
        }

        let text = deserializer.deserialize_any(TextOrParts)?;
        Ok(Self(Text(text)))
    }
}

#[derive(Deserialize)]
struct PartRead<'a> {
    #[serde(borrow, default)]
    text: Text<'a>,
}

#[derive(Deserialize)]
pub(super) struct ThinkingRead<'a> {
    #[serde(borrow)]
    pub(super) thinking: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) signature: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) data: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct CallRead<'a> {
    #[serde(default)]
    pub(super) index: Count,
    #[serde(borrow)]
    pub(super) id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) function: Option<FunctionRead<'a>>,
}

#[derive(Deserialize)]
pub(super) struct FunctionRead<'a> {
    #[serde(borrow)]
    pub(super) name: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) arguments: Option<Text<'a>>,
}

/// Cached, written and remaining tokens are parts of `prompt_tokens`; reasoning is part of `completion_tokens`.
#[derive(Deserialize)]
pub(super) struct UsageRead {
    #[serde(default)]
    prompt_tokens: Count,
    #[serde(default)]
    completion_tokens: Count,
    #[serde(default)]
    total_tokens: Count,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Default, Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Count,
    #[serde(default)]
    cache_write_tokens: Count,
}

#[derive(Default, Deserialize)]
struct CompletionDetails {
    #[serde(default)]
    reasoning_tokens: Count,
}

impl From<UsageRead> for Usage {
    fn from(read: UsageRead) -> Self {
        let prompt = read.prompt_tokens_details.unwrap_or_default();
        let completion = read.completion_tokens_details.unwrap_or_default();
        let input = read.prompt_tokens.0.unwrap_or(0);
        let output = read.completion_tokens.0.unwrap_or(0);
        Self {
            input,
            cached_input: prompt.cached_tokens.0.unwrap_or(0),
            cache_creation_input: prompt.cache_write_tokens.0.unwrap_or(0),
            output,
            reasoning: completion.reasoning_tokens.0.unwrap_or(0),
            total: read.total_tokens.0.unwrap_or(input.saturating_add(output)),
        }
    }
}

/// `usage` as OpenAI writes it.
#[derive(Serialize)]
pub(super) struct UsageWritten {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptDetailsWritten,
    completion_tokens_details: CompletionDetailsWritten,
}

#[derive(Serialize)]
struct PromptDetailsWritten {
    cached_tokens: u64,
    cache_write_tokens: u64,
}

#[derive(Serialize)]
struct CompletionDetailsWritten {
    reasoning_tokens: u64,
}

impl From<Usage> for UsageWritten {
    fn from(usage: Usage) -> Self {
        let Usage { input, cached_input, cache_creation_input, output, reasoning, total } = usage;
        Self {
            prompt_tokens: input,
            completion_tokens: output,
            total_tokens: total,
            prompt_tokens_details: PromptDetailsWritten {
                cached_tokens: cached_input,
                cache_write_tokens: cache_creation_input,
            },
            completion_tokens_details: CompletionDetailsWritten { reasoning_tokens: reasoning },
        }
    }
}

/// One element of `thinking_blocks`. In a stream it has an index: OpenAI's own client joins lists by it and fails without.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ThinkingWritten<'a> {
    Thinking {
        #[serde(skip_serializing_if = "Option::is_none")]
        index: Option<usize>,
        thinking: &'a str,
        signature: &'a str,
    },
    RedactedThinking {
        #[serde(skip_serializing_if = "Option::is_none")]
        index: Option<usize>,
        data: &'a str,
    },
}
