//! Whole answers.

use serde_json::value::RawValue;

use super::usage::UsageWritten;
use super::wire::{Answer, AnswerWritten, Candidate, CandidateWritten, ContentWritten, Part, PartWritten};
use super::{finish_reason, signature, stop_reason};
use crate::canonical::{Block, Reply, Stop, StopReason, ToolsAsked};
use crate::dialects::call_ids::CallIds;
use crate::dialects::said;
use crate::error::Malformed;

pub(super) fn decode(body: &[u8]) -> Result<Reply, Malformed> {
    let answer: Answer<'_> = serde_json::from_slice(body)
        .map_err(|error| Malformed::new(format!("The upstream's answer is not a generated one: {error}.")))?;
    let declined = answer.prompt_feedback.is_some_and(|feedback| said(feedback.block_reason).is_some());
    let candidate = answer.candidates.into_iter().flatten().next();
    let mut ids = CallIds::of(&answer.response_id, 0);
    let (blocks, reason) = match candidate {
        Some(candidate) => read(candidate, &mut ids),
        None if declined => (Vec::new(), StopReason::Refusal),
        None => {
            let message = "The upstream's answer is not a generated one: it has no candidate.";
            return Err(Malformed::at("candidates", message));
        }
    };
    Ok(Reply {
        id: answer.response_id.0.into_owned(),
        model: answer.model_version.0.into_owned(),
        created_s: 0,
        blocks,
        stop: Stop { reason, sequence: None },
        usage: answer.usage_metadata.and_then(|usage| usage.usage()),
    })
}

fn read(candidate: Candidate<'_>, ids: &mut CallIds) -> (Vec<Block>, StopReason) {
    let parts = candidate.content.and_then(|content| content.parts).unwrap_or_default();
    let mut blocks = Vec::new();
    let mut open = None;
    for part in parts {
        self::part(part, (&mut blocks, &mut open), ids);
    }
    blocks.extend(open.map(|text| Block::Thinking { text, signature: None }));
    let asked = blocks.iter().any(|block| matches!(block, Block::ToolCall { .. }));
    let asked = if asked { ToolsAsked::Some } else { ToolsAsked::None };
    let word = said(candidate.finish_reason).unwrap_or_default();
    (blocks, stop_reason(&word).or_tool_use(asked))
}

/// `open` is the text of thoughts that no signature has closed. A signature stands on the part that follows them.
fn part(part: Part<'_>, (blocks, open): (&mut Vec<Block>, &mut Option<String>), ids: &mut CallIds) {
    let text = said(part.text);
    let is_thought = part.thought == Some(true);
    if let (true, Some(more)) = (is_thought, &text) {
        open.get_or_insert_default().push_str(more);
    }
    match said(part.thought_signature).map(|signature| signature::read(&signature)) {
        Some(signature::Held::Signature(signature)) => {
            let text = open.take().unwrap_or_default();
            blocks.push(Block::Thinking { text, signature: Some(signature) });
        }
        Some(signature::Held::Redacted(data)) => blocks.push(Block::RedactedThinking { data }),
        None if is_thought => return,
        None => blocks.extend(open.take().map(|text| Block::Thinking { text, signature: None })),
    }
    match (text.filter(|_| !is_thought), blocks.last_mut()) {
        (Some(more), Some(Block::Text(text))) => text.push_str(&more),
        (Some(text), _) => blocks.push(Block::Text(text)),
        (None, _) => {}
    }
    if let Some(call) = part.function_call {
        blocks.push(Block::ToolCall {
            id: ids.next(said(call.id)),
            name: call.name.0.into_owned(),
            arguments: call.args.map_or("{}", RawValue::get).to_owned(),
        });
    }
}

pub(super) fn encode(reply: &Reply) -> Vec<u8> {
    let candidate = CandidateWritten {
        content: ContentWritten::of_model(reply.blocks.iter().flat_map(written).collect()),
        finish_reason: Some(finish_reason(reply.stop.reason)),
        index: 0,
    };
    let answer = AnswerWritten {
        candidates: vec![candidate],
        usage_metadata: reply.usage.map(UsageWritten::from),
        model_version: &reply.model,
        response_id: &reply.id,
    };
    serde_json::to_vec(&answer).expect("structs of strings, numbers and raw JSON serialise")
}

fn written(block: &Block) -> Vec<PartWritten<'_>> {
    match block {
        Block::Text(text) => vec![PartWritten::text(text)],
        Block::Thinking { text, signature } => {
            let thought = (!text.is_empty()).then(|| PartWritten::thought(text));
            let signature = signature.as_deref().map(|by| PartWritten::signature(signature::written(by)));
            thought.into_iter().chain(signature).collect()
        }
        Block::RedactedThinking { data } => vec![PartWritten::signature(signature::redacted(data))],
        Block::ToolCall { id, name, arguments } => vec![PartWritten::call(id, name, arguments)],
    }
}
