//! Reads a chat-completions stream, OpenAI's own and its imitators'.
//!
//! Known oddities that are read as what they mean: a first chunk without id or choices (Azure), `content: null`, calls
//! without an id, two calls under one index, usage in any chunk, an error object in place of a chunk.

use serde::Deserialize;

use super::reply::nameless_call;
use super::stop_reason;
use super::wire::{Answer, CallRead, Choice, Said, ThinkingRead};
use crate::borrowed::Text;
use crate::canonical::{Event, Stop, StopReason, ToolsAsked, Usage};
use crate::dialects::{EventDecoder, said};
use crate::error::{ErrorKind, Malformed};

#[derive(Default)]
pub(super) struct Decoder {
    phase: Phase,
    /// Thinking that no signature has closed yet came as plain text.
    thinking: bool,
    calls: Vec<Call>,
}

/// How far the answer has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Awaited,
    Begun,
    /// The model said why it declines.
    Refused,
    Stopped,
}

/// A call that has begun.
struct Call {
    upstream_index: u64,
    id: String,
}

#[derive(Deserialize)]
struct Failure<'a> {
    #[serde(borrow, default)]
    message: Text<'a>,
    #[serde(borrow, default)]
    r#type: Text<'a>,
    #[serde(borrow, default)]
    code: Text<'a>,
}

impl EventDecoder for Decoder {
    fn decode(&mut self, _event: Option<&str>, data: &[u8], out: &mut Vec<Event>) -> Result<(), Malformed> {
        let data = data.trim_ascii();
        if data == b"[DONE]" {
            out.push(Event::Ended);
            return Ok(());
        }
        let chunk: Answer<'_> = serde_json::from_slice(data).map_err(|error| {
            Malformed::new(format!("The upstream's stream holds no chat completion chunk: {error}."))
        })?;
        if let Some(error) = chunk.error {
            out.push(failure(error.get()));
            return Ok(());
        }
        let choices = chunk.choices.unwrap_or_default();
        let says_something = !choices.is_empty() || !chunk.id.is_empty();
        if self.phase == Phase::Awaited && says_something {
            self.phase = Phase::Begun;
            out.push(Event::Started {
                id: chunk.id.0.into_owned(),
                model: chunk.model.0.into_owned(),
                created_s: chunk.created.0.unwrap_or(0),
                usage: None,
            });
        }
        for choice in choices {
            // The gateway asks for one answer only.
            if choice.index.0.unwrap_or(0) == 0 {
                self.choice(choice, out);
            }
        }
        out.extend(chunk.usage.map(|usage| Event::Usage(Usage::from(usage))));
        Ok(())
    }
}

impl Decoder {
    fn choice(&mut self, choice: Choice<'_>, out: &mut Vec<Event>) {
        if let Some(delta) = choice.delta.or(choice.message) {
            self.delta(delta, out);
        }
        if let Some(finish) = said(choice.finish_reason)
            && self.phase != Phase::Stopped
        {
            let mut reason = stop_reason(&finish);
            if reason == StopReason::EndTurn && self.phase == Phase::Refused {
                reason = StopReason::Refusal;
            } else if !self.calls.is_empty() {
                reason = reason.or_tool_use(ToolsAsked::Some);
            }
            self.phase = Phase::Stopped;
            out.push(Event::Stopped(Stop { reason, sequence: None }));
        }
    }

    fn delta(&mut self, delta: Said<'_>, out: &mut Vec<Event>) {
        if let Some(text) = said(delta.reasoning_content).or(said(delta.reasoning)) {
            self.thinking = true;
            out.push(Event::Thinking(text));
        }
        for block in delta.thinking_blocks.into_iter().flatten() {
            self.thinking_block(block, out);
        }
        if let Some(text) = said(delta.content.map(|content| content.0)) {
            // The answer has begun, so the thinking before it will not be signed any more.
            self.thinking = false;
            out.push(Event::Text(text));
        }
        if let Some(refusal) = said(delta.refusal) {
            self.phase = Phase::Refused;
            out.push(Event::Text(refusal));
        }
        for call in delta.tool_calls.into_iter().flatten() {
            self.call(call, out);
        }
    }

    /// The block repeats text that came as `reasoning_content`; only its signature is news then.
    fn thinking_block(&mut self, block: ThinkingRead<'_>, out: &mut Vec<Event>) {
        out.extend(said(block.data).map(|data| Event::RedactedThinking { data }));
        if !self.thinking {
            out.extend(said(block.thinking).map(Event::Thinking));
        }
        if let Some(signature) = said(block.signature) {
            self.thinking = false;
            out.push(Event::Signature(signature));
        }
    }

    fn call(&mut self, read: CallRead<'_>, out: &mut Vec<Event>) {
        let upstream_index = read.index.0.unwrap_or(0);
        let id = said(read.id);
        let known = self.calls.iter().rposition(|call| {
            let same = id.as_ref().is_none_or(|id| *id == call.id);
            call.upstream_index == upstream_index && same
        });
        let (name, arguments) =
            read.function.map(|function| (function.name, function.arguments)).unwrap_or_default();
        let index = known.unwrap_or(self.calls.len());
        if known.is_none() {
            let id = id.unwrap_or_else(|| nameless_call(index));
            let name = said(name).unwrap_or_default();
            self.calls.push(Call { upstream_index, id: id.clone() });
            out.push(Event::ToolCallStarted { index, id, name });
        }
        let text = said(arguments);
        out.extend(text.map(|text| Event::ToolCallArguments { index, text }));
    }
}

fn failure(error: &str) -> Event {
    let Ok(failure) = serde_json::from_str::<Failure<'_>>(error) else {
        return Event::Failed { message: error.to_owned(), kind: ErrorKind::Upstream };
    };
    let kind = match (&*failure.r#type, &*failure.code) {
        ("insufficient_quota", _) | (_, "insufficient_quota") => ErrorKind::QuotaExhausted,
        ("rate_limit_error" | "rate_limit_exceeded", _) | (_, "rate_limit_exceeded") => {
            ErrorKind::RateLimited
        }
        ("overloaded_error", _) | (_, "overloaded") => ErrorKind::Overloaded,
        ("timeout_error", _) | (_, "timeout") => ErrorKind::Timeout,
        ("invalid_request_error", _) => ErrorKind::InvalidRequest,
        _ => ErrorKind::Upstream,
    };
    let message = failure.message.0.into_owned();
    let message = if message.is_empty() { error.to_owned() } else { message };
    Event::Failed { message, kind }
}
