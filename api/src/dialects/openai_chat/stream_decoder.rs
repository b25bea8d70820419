//! Reads a chat-completions stream, OpenAI's own and its imitators'.
//!
//! Known oddities that are read as what they mean: a first chunk without id or choices (Azure), `content: null`, calls
//! without an id, two calls under one index or one id, usage in any chunk, an error object in place of a chunk.

use serde::Deserialize;

use super::stop_reason;
use super::wire::{Answer, CallRead, Choice, Said, ThinkingRead};
use crate::borrowed::Text;
use crate::canonical::{Event, Stop, StopReason, ToolsAsked, Usage};
use crate::dialects::balance::Balance;
use crate::dialects::call_ids::CallIds;
use crate::dialects::{EventDecoder, said};
use crate::error::{ErrorKind, Malformed};

#[derive(Default)]
pub(super) struct Decoder {
    phase: Phase,
    /// Thinking that no signature has closed yet came as plain text.
    thinking: bool,
    calls: Vec<Call>,
    ids: CallIds,
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
    upstream_id: Option<String>,
    name: String,
    arguments: Balance,
}

impl Call {
    /// Whether a piece under this call's index is another call's: no call has two names, or arguments after its end.
    fn is_over(&self, id: Option<&String>, name: &str, arguments: &str) -> bool {
        let renamed = !name.is_empty() && !self.name.is_empty() && *name != self.name;
        let named_again =
            !name.is_empty() && id.is_none() && self.arguments.is_whole() && !arguments.is_empty();
        renamed || named_again
    }
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
            self.ids = CallIds::of(&chunk.id, chunk.created.0.unwrap_or(0));
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
        let (name, text) =
            read.function.map(|function| (said(function.name), said(function.arguments))).unwrap_or_default();
        let (name, text) = (name.unwrap_or_default(), text.unwrap_or_default());
        let known = self.calls.iter().rposition(|call| {
            let same = id.is_none() || id == call.upstream_id;
            call.upstream_index == upstream_index && same
        });
        let known = known.filter(|index| !self.calls[*index].is_over(id.as_ref(), &name, &text));
        let index = known.unwrap_or(self.calls.len());
        if known.is_none() {
            out.push(Event::ToolCallStarted { index, id: self.ids.next(id.clone()), name: name.clone() });
            self.calls.push(Call { upstream_index, upstream_id: id, name, arguments: Balance::default() });
        }
        if !text.is_empty() {
            self.calls[index].arguments.feed(&text);
            out.push(Event::ToolCallArguments { index, text });
        }
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    type Case<'a> = (&'a [Value], &'a [(&'a str, &'a str)]);

    /// Name, id and arguments of each call that `deltas` are read as.
    fn calls(deltas: &[Value]) -> Vec<(String, String, String)> {
        let mut decoder = Decoder::default();
        let mut events = Vec::new();
        for delta in deltas {
            let chunk =
                json!({"id": "c", "created": 1, "choices": [{"index": 0, "delta": {"tool_calls": [delta]}}]});
            decoder.decode(None, chunk.to_string().as_bytes(), &mut events).unwrap();
        }
        let mut calls = Vec::new();
        for event in events {
            if let Event::ToolCallStarted { index, id, name } = event {
                assert_eq!(index, calls.len());
                calls.push((name, id, String::new()));
            } else if let Event::ToolCallArguments { index, text } = event {
                calls[index].2 += &text;
            }
        }
        calls
    }

    #[test]
    fn calls_are_told_apart_as_their_upstream_means_them() {
        let call = |index: u64, id: &str, name: &str, arguments: &str| {
            let mut function = json!({"arguments": arguments});
            if !name.is_empty() {
                function["name"] = name.into();
            }
            let mut call = json!({"index": index, "function": function});
            if !id.is_empty() {
                call["id"] = id.into();
            }
            call
        };
        #[rustfmt::skip]
        let cases: [Case<'_>; 9] = [
            // deltas                                                                             calls                       why
            (&[call(0, "a", "f", ""), call(0, "", "", "{\"x\":"), call(0, "", "", "1}")],         &[("f", "{\"x\":1}")]),     // OpenAI's own
            (&[call(0, "a", "f", "{}"), call(1, "b", "f", "{}")],                                 &[("f", "{}"), ("f", "{}")]),
            (&[call(0, "a", "f", "{}"), call(0, "b", "f", "{}")],                                 &[("f", "{}"), ("f", "{}")]), // one index, ids tell
            (&[call(0, "", "f", "{}"), call(0, "", "g", "{}")],                                   &[("f", "{}"), ("g", "{}")]), // one index, names tell
            (&[call(0, "", "f", "{}"), call(0, "", "f", "{}")],                                   &[("f", "{}"), ("f", "{}")]), // the first was whole
            (&[call(0, "", "f", ""), call(0, "", "f", "{\"x\":"), call(0, "", "f", "1}")],        &[("f", "{\"x\":1}")]),     // each delta names it
            (&[call(0, "a", "f", "{}"), call(0, "a", "f", "")],                                   &[("f", "{}")]),            // named once more at the end
            (&[call(0, "a", "f", "{}"), call(1, "a", "g", "{}")],                                 &[("f", "{}"), ("g", "{}")]), // one id for both
            (&[call(0, "a", "f", "{}"), call(0, "a", "g", "{}")],                                 &[("f", "{}"), ("g", "{}")]),
        ];
        for (deltas, expected) in cases {
            let calls = calls(deltas);
            let read: Vec<_> = calls.iter().map(|(name, _, arguments)| (&**name, &**arguments)).collect();
            assert_eq!(read, expected, "{deltas:?}");
            let ids: std::collections::BTreeSet<_> = calls.iter().map(|(_, id, _)| id).collect();
            assert_eq!(ids.len(), calls.len(), "{calls:?}");
        }
    }
}
