//! Writes a messages stream.
//!
//! Here one block is open at a time and `message_delta` ends the message, while chat upstreams may talk about several
//! tool calls at once and send usage, even content, after they stopped. So what cannot be said yet is held:
//!
//! ```text
//! in:   call 0 {"a":   call 1 {   call 0 1}              call 1 }  stopped  usage  ended
//! out:  open 0 {"a":   (held)     1} close 0 · open 1 {  }                         close 1 · message_delta(usage) · message_stop
//! ```

use serde::Serialize;

use super::wire::{BlockWritten, Input, MessageWritten, UsageWritten};
use super::{failure, stop_word};
use crate::canonical::{Event, Stop, ToolsAsked, Usage};
use crate::dialects::EventEncoder;
use crate::dialects::balance::Balance;

#[derive(Default)]
pub(super) struct Encoder {
    started: bool,
    /// The open block's index, or the next one's.
    index: u32,
    open: Open,
    tools: ToolsAsked,
    /// Events that must wait until the open call is whole.
    held: Vec<Event>,
    stop: Option<Stop>,
    usage: Usage,
}

#[derive(Default)]
enum Open {
    #[default]
    Nothing,
    Text,
    Thinking,
    Call {
        index: usize,
        balance: Balance,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Written<'a> {
    MessageStart { message: MessageWritten<'a> },
    ContentBlockStart { index: u32, content_block: BlockWritten<'a> },
    ContentBlockDelta { index: u32, delta: Delta<'a> },
    ContentBlockStop { index: u32 },
    MessageDelta { delta: Stopped<'a>, usage: UsageWritten },
    MessageStop {},
    Error { error: failure::Written<'a> },
}

impl Written<'_> {
    const fn name(&self) -> &'static str {
        match self {
            Self::MessageStart { .. } => "message_start",
            Self::ContentBlockStart { .. } => "content_block_start",
            Self::ContentBlockDelta { .. } => "content_block_delta",
            Self::ContentBlockStop { .. } => "content_block_stop",
            Self::MessageDelta { .. } => "message_delta",
            Self::MessageStop {} => "message_stop",
            Self::Error { .. } => "error",
        }
    }
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum Delta<'a> {
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
    #[serde(rename = "signature_delta")]
    Signature { signature: &'a str },
    #[serde(rename = "input_json_delta")]
    InputJson { partial_json: &'a str },
}

#[derive(Serialize)]
struct Stopped<'a> {
    stop_reason: &'static str,
    stop_sequence: Option<&'a str>,
}

impl EventEncoder for Encoder {
    fn encode(&mut self, event: &Event, out: &mut Vec<u8>) {
        match event {
            Event::Started { id, model, usage, created_s: _ } => {
                self.usage = usage.unwrap_or_default();
                self.start(id, model, out);
            }
            Event::Text(_)
            | Event::Thinking(_)
            | Event::Signature(_)
            | Event::RedactedThinking { .. }
            | Event::ToolCallStarted { .. }
            | Event::ToolCallArguments { .. } => {
                self.start("", "", out);
                self.content(event, out);
                self.release(out);
            }
            Event::Usage(usage) => self.usage = *usage,
            Event::Stopped(stop) => {
                self.start("", "", out);
                // Content may still follow, and usage usually does.
                self.stop.get_or_insert_with(|| stop.clone());
            }
            Event::Ended => self.end(out),
            Event::Failed { message, kind } => {
                let error = failure::Written::new(message, *kind);
                write(&Written::Error { error }, out);
            }
        }
    }
}

impl Encoder {
    fn start(&mut self, id: &str, model: &str, out: &mut Vec<u8>) {
        if self.started {
            return;
        }
        self.started = true;
        let message = MessageWritten {
            id,
            r#type: "message",
            role: "assistant",
            model,
            content: Vec::new(),
            stop_reason: None,
            stop_sequence: None,
            usage: UsageWritten::from(self.usage),
        };
        write(&Written::MessageStart { message }, out);
    }

    /// Says a piece of content now if it belongs to the open block or that block may be closed.
    fn content(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.must_wait(event) {
            self.held.push(event.clone());
            return;
        }
        match event {
            Event::Text(text) => {
                if !matches!(self.open, Open::Text) {
                    self.open(Open::Text, BlockWritten::Text { text: "" }, out);
                }
                self.delta(Delta::Text { text }, out);
            }
            Event::Thinking(text) => {
                self.open_thinking(out);
                self.delta(Delta::Thinking { thinking: text }, out);
            }
            Event::Signature(signature) => {
                self.open_thinking(out);
                self.delta(Delta::Signature { signature }, out);
                self.close(out);
            }
            Event::RedactedThinking { data } => {
                self.open(Open::Text, BlockWritten::RedactedThinking { data }, out);
                self.close(out);
            }
            Event::ToolCallStarted { index, id, name } => {
                self.tools = ToolsAsked::Some;
                let call = Open::Call { index: *index, balance: Balance::default() };
                let block = BlockWritten::ToolUse { id, name, input: Input::Empty {} };
                self.open(call, block, out);
            }
            Event::ToolCallArguments { index, text } => self.arguments(*index, text, out),
            Event::Started { .. }
            | Event::Usage(_)
            | Event::Stopped(_)
            | Event::Ended
            | Event::Failed { .. } => {}
        }
    }

    /// While a call is not whole, only it may be talked about; and nothing overtakes what is held.
    fn must_wait(&self, event: &Event) -> bool {
        match (&self.open, event) {
            (Open::Call { index, balance }, event) => {
                let own = matches!(event, Event::ToolCallArguments { index: of, .. } if of == index);
                !own && (!balance.is_whole() || !self.held.is_empty())
            }
            (Open::Nothing | Open::Text | Open::Thinking, _) => false,
        }
    }

    /// Arguments of a call that is whole and closed already can only be white space.
    fn arguments(&mut self, of: usize, text: &str, out: &mut Vec<u8>) {
        if let Open::Call { index, balance } = &mut self.open
            && *index == of
        {
            balance.feed(text);
            self.delta(Delta::InputJson { partial_json: text }, out);
        }
    }

    /// Says what was held, as far as the open call lets it.
    fn release(&mut self, out: &mut Vec<u8>) {
        let whole = matches!(&self.open, Open::Call { balance, .. } if balance.is_whole());
        if whole && !self.held.is_empty() {
            self.say_held(out);
        }
    }

    /// A call that becomes whole on the way makes room for what had to wait again.
    fn say_held(&mut self, out: &mut Vec<u8>) {
        for event in std::mem::take(&mut self.held) {
            self.content(&event, out);
        }
        // Each round closes a call, so the rounds end.
        self.release(out);
    }

    fn open_thinking(&mut self, out: &mut Vec<u8>) {
        if !matches!(self.open, Open::Thinking) {
            self.open(Open::Thinking, BlockWritten::Thinking { thinking: "", signature: "" }, out);
        }
    }

    fn open(&mut self, open: Open, content_block: BlockWritten<'_>, out: &mut Vec<u8>) {
        self.close(out);
        self.open = open;
        write(&Written::ContentBlockStart { index: self.index, content_block }, out);
    }

    fn delta(&self, delta: Delta<'_>, out: &mut Vec<u8>) {
        write(&Written::ContentBlockDelta { index: self.index, delta }, out);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if !matches!(self.open, Open::Nothing) {
            self.open = Open::Nothing;
            write(&Written::ContentBlockStop { index: self.index }, out);
            self.index += 1;
        }
    }

    /// Nothing more will come: calls that never became whole must not hold back the others. Then the message says why
    /// it ended and what it cost.
    fn end(&mut self, out: &mut Vec<u8>) {
        self.start("", "", out);
        self.close(out);
        while !self.held.is_empty() {
            self.say_held(out);
            self.close(out);
        }
        let Stop { reason, sequence } = self.stop.take().unwrap_or_default();
        let stop_reason = stop_word(reason.or_tool_use(self.tools));
        let delta = Stopped { stop_reason, stop_sequence: sequence.as_deref() };
        write(&Written::MessageDelta { delta, usage: UsageWritten::from(self.usage) }, out);
        write(&Written::MessageStop {}, out);
    }
}

fn write(written: &Written<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(written.name().as_bytes());
    out.extend_from_slice(b"\ndata: ");
    serde_json::to_writer(&mut *out, written).expect("writing to memory cannot fail");
    out.extend_from_slice(b"\n\n");
}
