//! Writes a ConverseStream, as the events that its frames hold.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use super::stop_word;
use super::wire::{Metrics, UsageWritten};
use crate::canonical::{Event, Stop, ToolsAsked, Usage};
use crate::dialects::EventEncoder;
use crate::error::anthropic_type;

#[derive(Default)]
pub(super) struct Encoder {
    started: bool,
    /// The open block that is no call, and the next block's index.
    open: Option<(Kind, u64)>,
    next: u64,
    calls: BTreeMap<usize, u64>,
    stop: Option<Stop>,
    usage: Usage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
}

#[derive(Serialize)]
struct Ended {
    usage: UsageWritten,
    metrics: Metrics,
}

impl EventEncoder for Encoder {
    fn encode(&mut self, event: &Event, out: &mut Vec<u8>) {
        match event {
            Event::Started { usage, .. } => {
                self.usage = usage.unwrap_or_default();
                self.start(out);
            }
            Event::Text(text) => self.delta(Kind::Text, &json!({"text": text}), out),
            Event::Thinking(text) => {
                self.delta(Kind::Thinking, &json!({"reasoningContent": {"text": text}}), out);
            }
            Event::Signature(signature) => {
                self.delta(Kind::Thinking, &json!({"reasoningContent": {"signature": signature}}), out);
                self.close(out);
            }
            Event::RedactedThinking { data } => {
                self.close(out);
                self.delta(Kind::Thinking, &json!({"reasoningContent": {"redactedContent": data}}), out);
                self.close(out);
            }
            Event::ToolCallStarted { index, id, name } => self.call(*index, &[id, name], out),
            Event::ToolCallArguments { index, text } => {
                if let Some(block) = self.calls.get(index) {
                    let delta = json!({"toolUse": {"input": text}});
                    write("contentBlockDelta", &json!({"contentBlockIndex": block, "delta": delta}), out);
                }
            }
            Event::Usage(usage) => self.usage = *usage,
            Event::Stopped(stop) => self.stop = Some(stop.clone()),
            Event::Ended => self.end(out),
            Event::Failed { message, kind } => {
                let error = json!({"type": anthropic_type(*kind), "message": message});
                write("error", &json!({"type": "error", "error": error}), out);
            }
        }
    }
}

impl Encoder {
    fn start(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.started, true) {
            write("messageStart", &json!({"role": "assistant"}), out);
        }
    }

    fn delta(&mut self, kind: Kind, delta: &serde_json::Value, out: &mut Vec<u8>) {
        self.start(out);
        if self.open.is_some_and(|(open, _)| open != kind) {
            self.close(out);
        }
        let next = &mut self.next;
        let (_, block) = *self.open.get_or_insert_with(|| {
            *next += 1;
            (kind, *next - 1)
        });
        write("contentBlockDelta", &json!({"contentBlockIndex": block, "delta": delta}), out);
    }

    fn call(&mut self, index: usize, [id, name]: &[&String; 2], out: &mut Vec<u8>) {
        self.start(out);
        self.close(out);
        let block = self.next;
        self.next += 1;
        self.calls.insert(index, block);
        let start = json!({"toolUse": {"toolUseId": id, "name": name}});
        write("contentBlockStart", &json!({"contentBlockIndex": block, "start": start}), out);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if let Some((_, block)) = self.open.take() {
            write("contentBlockStop", &json!({"contentBlockIndex": block}), out);
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.start(out);
        self.close(out);
        for block in self.calls.values() {
            write("contentBlockStop", &json!({"contentBlockIndex": block}), out);
        }
        let asked = if self.calls.is_empty() { ToolsAsked::None } else { ToolsAsked::Some };
        let reason = self.stop.take().unwrap_or_default().reason.or_tool_use(asked);
        write("messageStop", &json!({"stopReason": stop_word(reason)}), out);
        let ended = Ended { usage: UsageWritten::from(self.usage), metrics: Metrics::UNKNOWN };
        write("metadata", &ended, out);
    }
}

fn write(name: &str, data: &impl Serialize, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    serde_json::to_writer(&mut *out, data).expect("writing to memory cannot fail");
    out.extend_from_slice(b"\n\n");
}
