//! Reads a ConverseStream: `messageStart`, blocks told apart by their index, `messageStop`, and the figures last, in
//! `metadata`. Unknown events and blocks are skipped.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::stop_reason;
use super::wire::{BlockRead, ThoughtRead, ToolUseRead, UsageRead};
use crate::borrowed::{Count, Text};
use crate::canonical::{Event, Stop, Usage};
use crate::dialects::{EventDecoder, said};
use crate::error::{ApiError, Malformed};

#[derive(Default)]
pub(super) struct Decoder {
    started: bool,
    tools_started: usize,
    open_tools: BTreeMap<u64, OpenTool>,
}

/// A `toolUse` block that has not stopped.
struct OpenTool {
    index: usize,
    argued: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read<'a> {
    #[serde(default)]
    content_block_index: Count,
    #[serde(borrow)]
    start: Option<BlockRead<'a>>,
    #[serde(borrow)]
    delta: Option<BlockRead<'a>>,
    #[serde(borrow)]
    stop_reason: Option<Text<'a>>,
    usage: Option<UsageRead>,
}

impl EventDecoder for Decoder {
    fn decode(&mut self, event: Option<&str>, data: &[u8], out: &mut Vec<Event>) -> Result<(), Malformed> {
        let name = event.unwrap_or_default();
        let read: Read<'_> = serde_json::from_slice(data).map_err(|error| {
            Malformed::new(format!("The upstream's stream holds no event of ConverseStream: {error}."))
        })?;
        let block = read.content_block_index.0.unwrap_or(0);
        match name {
            "messageStart" => self.start(out),
            "contentBlockStart" => self.open(block, read.start.and_then(|start| start.tool_use), out),
            "contentBlockDelta" => self.delta(block, read.delta, out),
            "contentBlockStop" => self.close(block, out),
            "messageStop" => {
                let word = read.stop_reason.unwrap_or_default();
                out.push(Event::Stopped(Stop { reason: stop_reason(&word), sequence: None }));
            }
            "metadata" => {
                out.extend(read.usage.map(|usage| Event::Usage(Usage::from(usage))));
                out.push(Event::Ended);
            }
            "error" => {
                let ApiError { message, kind, .. } = ApiError::of_event(data);
                out.push(Event::Failed { message, kind });
            }
            _ => {}
        }
        Ok(())
    }
}

impl Decoder {
    fn start(&mut self, out: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.started, true) {
            let (id, model) = (String::new(), String::new());
            out.push(Event::Started { id, model, created_s: 0, usage: None });
        }
    }

    fn open(&mut self, block: u64, tool: Option<ToolUseRead<'_>>, out: &mut Vec<Event>) {
        let Some(ToolUseRead { tool_use_id, name, input: _ }) = tool else {
            return;
        };
        let index = self.tools_started;
        self.tools_started += 1;
        self.open_tools.insert(block, OpenTool { index, argued: false });
        let (id, name) = (tool_use_id.0.into_owned(), name.0.into_owned());
        out.push(Event::ToolCallStarted { index, id, name });
    }

    fn delta(&mut self, block: u64, delta: Option<BlockRead<'_>>, out: &mut Vec<Event>) {
        let Some(BlockRead { text, reasoning_content, tool_use }) = delta else {
            return;
        };
        out.extend(said(text).map(Event::Text));
        if let Some(ThoughtRead { reasoning_text: _, redacted_content, text, signature }) = reasoning_content
        {
            out.extend(said(text).map(Event::Thinking));
            out.extend(said(signature).map(Event::Signature));
            out.extend(said(redacted_content).map(|data| Event::RedactedThinking { data }));
        }
        if let (Some(tool), Some(text)) =
            (self.open_tools.get_mut(&block), tool_use.as_ref().and_then(fragment))
        {
            tool.argued = true;
            out.push(Event::ToolCallArguments { index: tool.index, text });
        }
    }

    /// Clients expect arguments to be JSON even where there are none.
    fn close(&mut self, block: u64, out: &mut Vec<Event>) {
        if let Some(tool) = self.open_tools.remove(&block)
            && !tool.argued
        {
            out.push(Event::ToolCallArguments { index: tool.index, text: "{}".to_owned() });
        }
    }
}

/// A piece of the arguments' text, itself written as a JSON text.
fn fragment(tool: &ToolUseRead<'_>) -> Option<String> {
    let text: Text<'_> = serde_json::from_str(tool.input.map(RawValue::get)?).ok()?;
    said(Some(text))
}
