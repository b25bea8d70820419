//! Whole chat completions.

use serde::Serialize;

use super::wire::{Answer, CallRead, Said, ThinkingRead, ThinkingWritten, UsageWritten};
use super::{finish_reason, stop_reason};
use crate::canonical::{Block, Reply, Stop, StopReason, ToolsAsked, Usage};
use crate::dialects::call_ids::CallIds;
use crate::dialects::said;
use crate::error::Malformed;

pub(super) fn decode(body: &[u8]) -> Result<Reply, Malformed> {
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|error| {
        Malformed::new(format!("The upstream's answer is not a chat completion: {error}."))
    })?;
    let choice = answer.choices.into_iter().flatten().next();
    let Some((message, finish)) = choice.and_then(|c| c.message.map(|m| (m, c.finish_reason))) else {
        let message = "The upstream's answer is not a chat completion: it has no choice with a message.";
        return Err(Malformed::at("choices", message));
    };
    let refused = message.refusal.as_ref().is_some_and(|refusal| !refusal.is_empty());
    let mut ids = CallIds::of(&answer.id, answer.created.0.unwrap_or(0));
    let blocks = blocks(message, &mut ids);
    let reason = finish.map_or(StopReason::EndTurn, |finish| stop_reason(&finish));
    Ok(Reply {
        id: answer.id.0.into_owned(),
        model: answer.model.0.into_owned(),
        created_s: answer.created.0.unwrap_or(0),
        stop: Stop { reason: settled(reason, refused, &blocks), sequence: None },
        blocks,
        usage: answer.usage.map(Usage::from),
    })
}

/// OpenAI says `stop` beside a refusal's text, and beside calls of a tool that was forced by name.
fn settled(reason: StopReason, refused: bool, blocks: &[Block]) -> StopReason {
    if refused && reason == StopReason::EndTurn {
        return StopReason::Refusal;
    }
    let asked = blocks.iter().any(|block| matches!(block, Block::ToolCall { .. }));
    reason.or_tool_use(if asked { ToolsAsked::Some } else { ToolsAsked::None })
}

fn blocks(message: Said<'_>, ids: &mut CallIds) -> Vec<Block> {
    let bare = said(message.reasoning_content).or(said(message.reasoning));
    let signed = message.thinking_blocks.into_iter().flatten().filter_map(thinking);
    let mut blocks: Vec<Block> = signed.collect();
    // The blocks repeat the bare text, unless none of them is readable.
    if !blocks.iter().any(|block| matches!(block, Block::Thinking { .. })) {
        blocks.extend(bare.map(|text| Block::Thinking { text, signature: None }));
    }
    blocks.extend(said(message.content.map(|content| content.0)).map(Block::Text));
    blocks.extend(said(message.refusal).map(Block::Text));
    blocks.extend(message.tool_calls.into_iter().flatten().map(|call| tool_call(call, ids)));
    blocks
}

fn thinking(block: ThinkingRead<'_>) -> Option<Block> {
    if let Some(data) = said(block.data) {
        return Some(Block::RedactedThinking { data });
    }
    let signature = said(block.signature);
    let text = block.thinking.map(|text| text.0.into_owned()).unwrap_or_default();
    (!text.is_empty() || signature.is_some()).then_some(Block::Thinking { text, signature })
}

fn tool_call(call: CallRead<'_>, ids: &mut CallIds) -> Block {
    let (name, arguments) =
        call.function.map(|function| (function.name, function.arguments)).unwrap_or_default();
    Block::ToolCall {
        id: ids.next(said(call.id)),
        name: said(name).unwrap_or_default(),
        arguments: said(arguments).unwrap_or_else(|| "{}".to_owned()),
    }
}

#[derive(Serialize)]
struct Completion<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: [ChoiceWritten<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageWritten>,
}

#[derive(Serialize)]
struct ChoiceWritten<'a> {
    index: u32,
    message: Message<'a>,
    logprobs: Option<()>,
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Option<String>,
    refusal: Option<()>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    thinking_blocks: Vec<ThinkingWritten<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
}

#[derive(Serialize)]
struct Call<'a> {
    id: &'a str,
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: &'a str,
}

pub(super) fn encode(reply: &Reply) -> Vec<u8> {
    let completion = Completion {
        id: &reply.id,
        object: "chat.completion",
        created: reply.created_s,
        model: &reply.model,
        choices: [ChoiceWritten {
            index: 0,
            message: message(&reply.blocks),
            logprobs: None,
            finish_reason: finish_reason(reply.stop.reason),
        }],
        usage: reply.usage.map(UsageWritten::from),
    };
    serde_json::to_vec(&completion).expect("structs of strings and numbers serialise")
}

fn message(blocks: &[Block]) -> Message<'_> {
    let mut message = Message {
        role: "assistant",
        content: None,
        refusal: None,
        reasoning_content: None,
        thinking_blocks: Vec::new(),
        tool_calls: Vec::new(),
    };
    for block in blocks {
        match block {
            Block::Text(text) => message.content.get_or_insert_default().push_str(text),
            Block::Thinking { text, signature } => {
                message.reasoning_content.get_or_insert_default().push_str(text);
                if let Some(signature) = signature {
                    let written = ThinkingWritten::Thinking { index: None, thinking: text, signature };
                    message.thinking_blocks.push(written);
                }
            }
            Block::RedactedThinking { data } => {
                message.thinking_blocks.push(ThinkingWritten::RedactedThinking { index: None, data });
            }
            Block::ToolCall { id, name, arguments } => {
                let function = Function { name, arguments };
                message.tool_calls.push(Call { id, r#type: "function", function });
            }
        }
    }
    message
}
