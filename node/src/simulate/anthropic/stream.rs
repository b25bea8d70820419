//! The events of a streamed message: usage at the start, blocks with their deltas, cumulative usage at
//! the end.

use serde_json::{Value, json};

use super::super::answer::{Answer, Part, Usage};
use super::super::reply::{Asked, Events, Frames, Weight, chunks, event, quoted};
use super::{call_id, message, signature, stop, usage_json};

pub(super) fn events(asked: &Asked<'_>, answer: &Answer, usage: &Usage) -> Events {
    let mut frames = Frames::default();
    let mut begun = message(asked);
    begun["usage"] = usage_json(usage, 1, 0);
    let start = json!({"type": "message_start", "message": begun}).to_string();
    frames.event("message_start", &start, Weight::Nothing);
    for (index, part) in answer.parts.iter().enumerate() {
        stream_block(&mut frames, index, part, asked.voice.chunk_tokens);
    }
    let (reason, sequence) = stop(&answer.finish);
    let delta = json!({
        "type": "message_delta",
        "delta": {"stop_reason": reason, "stop_sequence": sequence},
        "usage": usage_json(usage, usage.output, usage.reasoning),
    });
    frames.event("message_delta", &delta.to_string(), Weight::Nothing);
    frames.event("message_stop", r#"{"type":"message_stop"}"#, Weight::Nothing);
    let error = json!({
        "type": "error",
        "error": {"type": "overloaded_error", "message": "simulated failure in the stream"},
    });
    frames.finish(event("error", &error.to_string()))
}

fn stream_block(frames: &mut Frames, index: usize, part: &Part, chunk_tokens: usize) {
    let (begin, kind, key, tokens, weight): (Value, _, _, &[String], fn(u64) -> Weight) = match part {
        Part::Reasoning(tokens) => {
            let begin = json!({"type": "thinking", "thinking": "", "signature": ""});
            (begin, "thinking_delta", "thinking", tokens, Weight::Reasoning)
        }
        Part::Text(tokens) => {
            (json!({"type": "text", "text": ""}), "text_delta", "text", tokens, Weight::Output)
        }
        Part::Call(call) => {
            let begin = json!({"type": "tool_use", "id": call_id(call), "name": call.name, "input": {}});
            (begin, "input_json_delta", "partial_json", &call.arguments, Weight::Output)
        }
    };
    let name_weight = match part {
        Part::Call(call) => Weight::Output(call.name_tokens),
        Part::Reasoning(_) | Part::Text(_) => Weight::Nothing,
    };
    let start = json!({"type": "content_block_start", "index": index, "content_block": begin});
    frames.event("content_block_start", &start.to_string(), name_weight);
    if index == 0 {
        frames.event("ping", r#"{"type":"ping"}"#, Weight::Nothing);
    }
    let mut delta = |kind: &str, key: &str, text: &str, weight| {
        let json = format!(
            r#"{{"type":"content_block_delta","index":{index},"delta":{{"type":"{kind}","{key}":{}}}}}"#,
            quoted(text)
        );
        frames.event("content_block_delta", &json, weight);
    };
    for (text, count) in chunks(tokens, chunk_tokens) {
        delta(kind, key, &text, weight(count));
    }
    if let Part::Reasoning(tokens) = part {
        delta("signature_delta", "signature", &signature(&tokens.concat()), Weight::Nothing);
    }
    let stop = format!(r#"{{"type":"content_block_stop","index":{index}}}"#);
    frames.event("content_block_stop", &stop, Weight::Nothing);
}
