//! Whole answers.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::wire::{BlockRead, Metrics, ThoughtRead, ToolUseRead, UsageRead, UsageWritten};
use super::{stop_reason, stop_word};
use crate::borrowed::Text;
use crate::canonical::{Block, Reply, Stop, StopReason, Usage};
use crate::dialects::said;
use crate::error::Malformed;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    #[serde(borrow)]
    output: Option<Output<'a>>,
    #[serde(borrow)]
    stop_reason: Option<Text<'a>>,
    usage: Option<UsageRead>,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    message: Option<Message<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Vec<BlockRead<'a>>,
}

pub(super) fn decode(body: &[u8]) -> Result<Reply, Malformed> {
    let answer: Answer<'_> = serde_json::from_slice(body)
        .map_err(|error| Malformed::new(format!("The upstream's answer is not Converse's: {error}.")))?;
    let Some(message) = answer.output.and_then(|output| output.message) else {
        let message = "The upstream's answer is not Converse's: it has no message.";
        return Err(Malformed::at("output.message", message));
    };
    Ok(Reply {
        // It names neither itself nor the model, nor the time.
        id: String::new(),
        model: String::new(),
        created_s: 0,
        blocks: message.content.into_iter().filter_map(block).collect(),
        stop: Stop {
            reason: answer.stop_reason.map_or(StopReason::EndTurn, |word| stop_reason(&word)),
            sequence: None,
        },
        usage: answer.usage.map(Usage::from),
    })
}

/// None for blocks of kinds that no translated request can have asked for.
fn block(read: BlockRead<'_>) -> Option<Block> {
    let BlockRead { text, reasoning_content, tool_use } = read;
    if let Some(thought) = reasoning_content {
        return thinking(thought);
    }
    if let Some(ToolUseRead { tool_use_id, name, input }) = tool_use {
        let arguments = input.map_or("{}", RawValue::get).to_owned();
        return Some(Block::ToolCall {
            id: tool_use_id.0.into_owned(),
            name: name.0.into_owned(),
            arguments,
        });
    }
    said(text).map(Block::Text)
}

fn thinking(read: ThoughtRead<'_>) -> Option<Block> {
    if let Some(thought) = read.reasoning_text {
        let (text, signature) = (thought.text.0.into_owned(), said(thought.signature));
        return Some(Block::Thinking { text, signature });
    }
    said(read.redacted_content).map(|data| Block::RedactedThinking { data })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    output: OutputWritten<'a>,
    stop_reason: &'static str,
    usage: UsageWritten,
    metrics: Metrics,
}

#[derive(Serialize)]
struct OutputWritten<'a> {
    message: MessageWritten<'a>,
}

#[derive(Serialize)]
struct MessageWritten<'a> {
    role: &'static str,
    content: Vec<BlockWritten<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
enum BlockWritten<'a> {
    Text(&'a str),
    ReasoningContent(ThoughtWritten<'a>),
    ToolUse { tool_use_id: &'a str, name: &'a str, input: Input<'a> },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum ThoughtWritten<'a> {
    ReasoningText {
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        signature: Option<&'a str>,
    },
    RedactedContent(&'a str),
}

/// A tool's input; what is no JSON is kept as a text, which is.
#[derive(Serialize)]
#[serde(untagged)]
enum Input<'a> {
    Given(&'a RawValue),
    Broken(&'a str),
}

pub(super) fn encode(reply: &Reply) -> Vec<u8> {
    let content = reply.blocks.iter().map(written).collect();
    let answer = Written {
        output: OutputWritten { message: MessageWritten { role: "assistant", content } },
        stop_reason: stop_word(reply.stop.reason),
        usage: UsageWritten::from(reply.usage.unwrap_or_default()),
        metrics: Metrics::UNKNOWN,
    };
    serde_json::to_vec(&answer).expect("structs of strings, numbers and raw JSON serialise")
}

fn written(block: &Block) -> BlockWritten<'_> {
    match block {
        Block::Text(text) => BlockWritten::Text(text),
        Block::Thinking { text, signature } => {
            let signature = signature.as_deref();
            BlockWritten::ReasoningContent(ThoughtWritten::ReasoningText { text, signature })
        }
        Block::RedactedThinking { data } => {
            BlockWritten::ReasoningContent(ThoughtWritten::RedactedContent(data))
        }
        Block::ToolCall { id, name, arguments } => {
            let input = serde_json::from_str(arguments).map_or(Input::Broken(arguments), Input::Given);
            BlockWritten::ToolUse { tool_use_id: id, name, input }
        }
    }
}
