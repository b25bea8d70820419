//! Whole messages.

use super::wire::{BlockRead, BlockWritten, Input, MessageRead, MessageWritten, UsageWritten};
use super::{stop_reason, stop_word};
use crate::canonical::{Block, Reply, Stop, StopReason, Usage};
use crate::dialects::said;
use crate::error::Malformed;

pub(super) fn decode(body: &[u8]) -> Result<Reply, Malformed> {
    let message: MessageRead<'_> = serde_json::from_slice(body)
        .map_err(|error| Malformed::new(format!("The upstream's answer is not a message: {error}.")))?;
    let Some(content) = message.content else {
        let message = "The upstream's answer is not a message: it has no content.";
        return Err(Malformed::at("content", message));
    };
    Ok(Reply {
        id: message.id.0.into_owned(),
        model: message.model.0.into_owned(),
        created_s: 0,
        blocks: content.into_iter().filter_map(block).collect(),
        stop: Stop {
            reason: message.stop_reason.map_or(StopReason::EndTurn, |word| stop_reason(&word)),
            sequence: said(message.stop_sequence),
        },
        usage: message.usage.as_ref().map(Usage::from),
    })
}

/// None for blocks of kinds that no translated request can have asked for.
fn block(read: BlockRead<'_>) -> Option<Block> {
    match &*read.r#type {
        "text" => said(read.text).map(Block::Text),
        "thinking" => Some(Block::Thinking {
            text: said(read.thinking).unwrap_or_default(),
            signature: said(read.signature),
        }),
        "redacted_thinking" => said(read.data).map(|data| Block::RedactedThinking { data }),
        "tool_use" => Some(Block::ToolCall {
            id: said(read.id).unwrap_or_default(),
            name: said(read.name).unwrap_or_default(),
            arguments: read.input.map_or("{}", serde_json::value::RawValue::get).to_owned(),
        }),
        _ => None,
    }
}

pub(super) fn encode(reply: &Reply) -> Vec<u8> {
    let message = MessageWritten {
        id: &reply.id,
        r#type: "message",
        role: "assistant",
        model: &reply.model,
        content: reply.blocks.iter().map(written).collect(),
        stop_reason: Some(stop_word(reply.stop.reason)),
        stop_sequence: reply.stop.sequence.as_deref(),
        usage: UsageWritten::from(reply.usage.unwrap_or_default()),
    };
    serde_json::to_vec(&message).expect("structs of strings, numbers and raw JSON serialise")
}

fn written(block: &Block) -> BlockWritten<'_> {
    match block {
        Block::Text(text) => BlockWritten::Text { text },
        Block::Thinking { text, signature } => {
            BlockWritten::Thinking { thinking: text, signature: signature.as_deref().unwrap_or_default() }
        }
        Block::RedactedThinking { data } => BlockWritten::RedactedThinking { data },
        Block::ToolCall { id, name, arguments } => {
            BlockWritten::ToolUse { id, name, input: Input::of(arguments) }
        }
    }
}
