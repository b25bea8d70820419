//! Reads a messages stream.
//!
//! Unknown events and blocks are skipped, as Anthropic asks of clients. `message_start` may be missing: llama.cpp leaves
//! it out at times.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::wire::{BlockRead, MessageRead, UsageRead};
use super::{failure, stop_reason};
use crate::borrowed::{Count, Text};
use crate::canonical::{Event, Stop, Usage};
use crate::dialects::{EventDecoder, said};
use crate::error::Malformed;

#[derive(Default)]
pub(super) struct Decoder {
    usage: UsageRead,
    started: bool,
    tools_started: usize,
    open_tool: Option<OpenTool>,
}

/// A `tool_use` block that has not stopped.
struct OpenTool {
    block: u64,
    index: usize,
    /// Sent if no delta comes: some imitators put the whole input here.
    input: String,
    argued: bool,
}

#[derive(Deserialize)]
struct Read<'a> {
    #[serde(borrow, default)]
    r#type: Text<'a>,
    #[serde(default)]
    index: Count,
    #[serde(borrow)]
    message: Option<MessageRead<'a>>,
    #[serde(borrow)]
    content_block: Option<BlockRead<'a>>,
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
    usage: Option<UsageRead>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    thinking: Option<Text<'a>>,
    #[serde(borrow)]
    signature: Option<Text<'a>>,
    #[serde(borrow)]
    partial_json: Option<Text<'a>>,
    #[serde(borrow)]
    stop_reason: Option<Text<'a>>,
    #[serde(borrow)]
    stop_sequence: Option<Text<'a>>,
}

impl EventDecoder for Decoder {
    fn decode(&mut self, event: Option<&str>, data: &[u8], out: &mut Vec<Event>) -> Result<(), Malformed> {
        let read: Read<'_> = serde_json::from_slice(data).map_err(|error| {
            Malformed::new(format!("The upstream's stream holds no messages event: {error}."))
        })?;
        let kind = if read.r#type.is_empty() { event.unwrap_or_default() } else { &*read.r#type };
        let block = read.index.0.unwrap_or(0);
        match kind {
            "message_start" => self.start(read.message, out),
            "content_block_start" => self.open(block, read.content_block, out),
            "content_block_delta" => self.delta(block, read.delta, out),
            "content_block_stop" => self.close(block, out),
            "message_delta" => self.settle(read.delta, read.usage.as_ref(), out),
            "message_stop" => out.push(Event::Ended),
            "error" => out.push(failure::read(read.error.map_or("{}", RawValue::get))),
            _ => {}
        }
        Ok(())
    }
}

impl Decoder {
    fn start(&mut self, message: Option<MessageRead<'_>>, out: &mut Vec<Event>) {
        let Some(message) = message.filter(|_| !self.started) else {
            return;
        };
        self.started = true;
        if let Some(usage) = &message.usage {
            self.usage.update(usage);
        }
        out.push(Event::Started {
            id: message.id.0.into_owned(),
            model: message.model.0.into_owned(),
            created_s: 0,
            usage: message.usage.is_some().then(|| Usage::from(&self.usage)),
        });
    }

    fn open(&mut self, block: u64, read: Option<BlockRead<'_>>, out: &mut Vec<Event>) {
        let Some(read) = read else { return };
        match &*read.r#type {
            "text" => out.extend(said(read.text).map(Event::Text)),
            "thinking" => {
                out.extend(said(read.thinking).map(Event::Thinking));
                out.extend(said(read.signature).map(Event::Signature));
            }
            "redacted_thinking" => {
                out.extend(said(read.data).map(|data| Event::RedactedThinking { data }));
            }
            "tool_use" => {
                let index = self.tools_started;
                self.tools_started += 1;
                let input = read.input.map_or("{}", RawValue::get).to_owned();
                self.open_tool = Some(OpenTool { block, index, input, argued: false });
                out.push(Event::ToolCallStarted {
                    index,
                    id: said(read.id).unwrap_or_default(),
                    name: said(read.name).unwrap_or_default(),
                });
            }
            _ => {}
        }
    }

    fn delta(&mut self, block: u64, delta: Option<Delta<'_>>, out: &mut Vec<Event>) {
        let Some(delta) = delta else { return };
        out.extend(said(delta.text).map(Event::Text));
        out.extend(said(delta.thinking).map(Event::Thinking));
        out.extend(said(delta.signature).map(Event::Signature));
        // Other kinds of blocks stream JSON too; theirs has no reader.
        if let Some(tool) = self.open_tool.as_mut().filter(|tool| tool.block == block)
            && let Some(text) = said(delta.partial_json)
        {
            tool.argued = true;
            out.push(Event::ToolCallArguments { index: tool.index, text });
        }
    }

    /// A chat client expects arguments to be JSON even where there are none.
    fn close(&mut self, block: u64, out: &mut Vec<Event>) {
        if let Some(tool) = self.open_tool.take_if(|tool| tool.block == block)
            && !tool.argued
        {
            out.push(Event::ToolCallArguments { index: tool.index, text: tool.input });
        }
    }

    fn settle(&mut self, delta: Option<Delta<'_>>, usage: Option<&UsageRead>, out: &mut Vec<Event>) {
        if let Some(usage) = usage {
            self.usage.update(usage);
            out.push(Event::Usage(Usage::from(&self.usage)));
        }
        let Some(delta) = delta else { return };
        if let Some(word) = said(delta.stop_reason) {
            let sequence = said(delta.stop_sequence);
            out.push(Event::Stopped(Stop { reason: stop_reason(&word), sequence }));
        }
    }
}
