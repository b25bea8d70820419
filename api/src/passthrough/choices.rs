//! Chat and legacy completions: chunks of choices, then a usage chunk where it was asked for, then `[DONE]`.

use std::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::{Value, json};

use super::tokens::{self, OpenAiTokens};
use super::{Fate, Watch, written};
use crate::borrowed::{Count, Present, Text, TextBytes};
use crate::canonical::Usage;
use crate::endpoint::Dialect;
use crate::error::ApiError;
use crate::framing::sse::Event;
use crate::seen::Seen;

/// The data of the terminal event.
pub(super) const DONE: &[u8] = b"[DONE]";

/// Which of the two endpoints writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Chat,
    Completions,
}

/// Whether the client is to see the chunk with the usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UsageChunk {
    /// The client asked for it.
    Shown,
    /// Only the gateway asked for it.
    Hidden,
}

/// Watches a stream of choices.
pub(crate) struct WatchChoices {
    kind: Kind,
    usage_chunk: UsageChunk,
    /// Of the first chunk that has one, for chunks of our own.
    id: String,
    created: u64,
    /// One bit a choice: seen at all, seen to finish.
    started: u128,
    finished: u128,
}

impl WatchChoices {
    pub(crate) fn new(kind: Kind, usage_chunk: UsageChunk) -> Self {
        Self { kind, usage_chunk, id: String::new(), created: 0, started: 0, finished: 0 }
    }

    fn chunk(&self, seen: &Seen, choices: &Value) -> Value {
        json!({
            "id": self.id,
            "object": match self.kind {
                Kind::Chat => "chat.completion.chunk",
                Kind::Completions => "text_completion",
            },
            "created": self.created,
            "model": seen.response_model,
            "choices": choices,
        })
    }

    /// Choices that are still being written, or the first if none was begun.
    fn open_choices(&self) -> impl Iterator<Item = u32> {
        let open = if self.started == 0 { 1 } else { self.started & !self.finished };
        (0..u128::BITS).filter(move |index| open >> index & 1 == 1)
    }
}

impl Watch for WatchChoices {
    fn observe(&mut self, event: &Event<'_>, seen: &mut Seen) -> Fate {
        if *event.data == *DONE {
            seen.complete = true;
            return Fate::Pass;
        }
        let Ok(chunk) = serde_json::from_slice::<Chunk<'_>>(&event.data) else {
            seen.count_unread(&event.data);
            return Fate::Pass;
        };
        if self.id.is_empty() {
            self.id.push_str(&chunk.id);
            self.created = chunk.created.0.unwrap_or(0);
        }
        self.started |= chunk.choices.started;
        self.finished |= chunk.choices.finished;
        let bears_usage = chunk.bears_usage();
        let fate = match self.usage_chunk {
            UsageChunk::Hidden if bears_usage && chunk.choices.is_empty_list && !chunk.error.0 => Fate::Hide,
            UsageChunk::Hidden | UsageChunk::Shown => Fate::Pass,
        };
        chunk.note(seen);
        if chunk.error.0 {
            seen.fail(|| ApiError::of_event(&event.data));
        }
        fate
    }

    fn missing_end(&self) -> Option<Bytes> {
        let all_finished = self.started != 0 && self.started == self.finished & self.started;
        all_finished.then(|| written("", DONE))
    }

    fn error(&self, error: &ApiError, request_id: &str) -> Bytes {
        written("", &error.render(Dialect::OpenAi, request_id))
    }

    fn landing(&self, usage: &Usage, seen: &Seen) -> Bytes {
        let choices: Vec<_> = self
            .open_choices()
            .map(|index| match self.kind {
                Kind::Chat => {
                    json!({"index": index, "delta": {}, "logprobs": null, "finish_reason": "length"})
                }
                Kind::Completions => {
                    json!({"index": index, "text": "", "logprobs": null, "finish_reason": "length"})
                }
            })
            .collect();
        let mut events = Vec::new();
        if !choices.is_empty() {
            let chunk = self.chunk(seen, &choices.into());
            events.extend_from_slice(&written("", chunk.to_string().as_bytes()));
        }
        if self.usage_chunk == UsageChunk::Shown {
            let mut chunk = self.chunk(seen, &json!([]));
            chunk["usage"] = tokens::of_choices(usage);
            events.extend_from_slice(&written("", chunk.to_string().as_bytes()));
        }
        events.extend_from_slice(&written("", DONE));
        Bytes::from(events)
    }
}

/// A chunk, or a whole answer of these endpoints and of embeddings, as far as it is read.
#[derive(Deserialize)]
pub(super) struct Chunk<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow, default)]
    model: Text<'a>,
    #[serde(default)]
    created: Count,
    #[serde(default)]
    choices: Choices,
    usage: Option<OpenAiTokens>,
    #[serde(default)]
    error: Present,
}

impl Chunk<'_> {
    pub(super) fn bears_usage(&self) -> bool {
        self.usage.is_some()
    }

    pub(super) fn note(&self, seen: &mut Seen) {
        seen.answered_by(&self.model);
        seen.count(self.choices.output_bytes);
        seen.failed |= self.error.0;
        if let Some(usage) = &self.usage {
            seen.usage = Some(usage.usage());
        }
    }
}

/// The list of choices, summed up while it is read.
#[derive(Default)]
struct Choices {
    is_empty_list: bool,
    output_bytes: u64,
    started: u128,
    finished: u128,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Choice {
    index: Count,
    delta: Option<Said>,
    message: Option<Said>,
    /// Of a legacy completion.
    text: TextBytes,
    finish_reason: Present,
}

/// A message or a part of one.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    content: TextBytes,
    refusal: TextBytes,
    /// The same text goes by two names, with some servers by both at once.
    reasoning: TextBytes,
    reasoning_content: TextBytes,
    tool_calls: ToolCalls,
    function_call: Option<Call>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ToolCall {
    function: Option<Call>,
    custom: Option<Call>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Call {
    arguments: TextBytes,
    input: TextBytes,
}

/// Bytes of arguments over all calls.
#[derive(Default)]
struct ToolCalls(u64);

impl Choice {
    fn output_bytes(&self) -> u64 {
        let said = |said: &Option<Said>| said.as_ref().map_or(0, Said::output_bytes);
        self.text.0 + said(&self.delta) + said(&self.message)
    }
}

impl Said {
    fn output_bytes(&self) -> u64 {
        let reasoning = self.reasoning.0.max(self.reasoning_content.0);
        let call = self.function_call.as_ref().map_or(0, Call::output_bytes);
        self.content.0 + self.refusal.0 + reasoning + self.tool_calls.0 + call
    }
}

impl Call {
    fn output_bytes(&self) -> u64 {
        self.arguments.0 + self.input.0
    }
}

impl<'de> Deserialize<'de> for Choices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ChoicesVisitor)
    }
}

struct ChoicesVisitor;

impl<'de> Visitor<'de> for ChoicesVisitor {
    type Value = Choices;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of choices")
    }

    fn visit_unit<E>(self) -> Result<Choices, E> {
        Ok(Choices::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Choices, A::Error> {
        let mut choices = Choices { is_empty_list: true, ..Choices::default() };
        while let Some(choice) = seq.next_element::<Choice>()? {
            // Choices past the last bit share it; no provider offers that many.
            let bit = 1_u128 << choice.index.0.unwrap_or(0).min(u64::from(u128::BITS - 1));
            choices.is_empty_list = false;
            choices.started |= bit;
            if choice.finish_reason.0 {
                choices.finished |= bit;
            }
            choices.output_bytes += choice.output_bytes();
        }
        Ok(choices)
    }
}

impl<'de> Deserialize<'de> for ToolCalls {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ToolCallsVisitor)
    }
}

struct ToolCallsVisitor;

impl<'de> Visitor<'de> for ToolCallsVisitor {
    type Value = ToolCalls;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of tool calls")
    }

    fn visit_unit<E>(self) -> Result<ToolCalls, E> {
        Ok(ToolCalls(0))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<ToolCalls, A::Error> {
        let mut bytes = 0;
        while let Some(call) = seq.next_element::<ToolCall>()? {
            bytes += [call.function, call.custom].iter().flatten().map(Call::output_bytes).sum::<u64>();
        }
        Ok(ToolCalls(bytes))
    }
}
