//! OpenAI's chat completions, as client format and as upstream format.
//!
//! Fields beyond OpenAI's own, which many gateways and servers share, so that a chat client can hold a conversation with
//! a thinking model:
//!
//! | field | where | meaning |
//! | --- | --- | --- |
//! | `reasoning_content` (read also as `reasoning`) | message, delta | the thinking's text |
//! | `thinking_blocks` | message, delta | `{type: thinking, thinking, signature}` or `{type: redacted_thinking, data}`; in a stream each element is a whole block with its `index`, sent once when its signature is known. Send them back in the assistant's message as they are |
//! | `thinking` | request | Anthropic's `thinking`, in place of or beside `reasoning_effort` |
//! | `top_k` | request | as in Anthropic's API |
//! | `cache_control` | content parts, tools, tool calls and messages | Anthropic's cache mark |
//! | `is_error` | `tool` messages | the tool failed |

mod decode_message;
mod decode_request;
mod encode_message;
mod encode_request;
mod models;
mod reply;
mod stream_decoder;
mod stream_encoder;
mod wire;

use super::Codec;
use crate::canonical::{Effort, StopReason};

/// OpenAI chat completions.
pub(crate) const CODEC: Codec = Codec {
    decode_request: decode_request::decode,
    encode_request: encode_request::encode,
    decode_reply: reply::decode,
    encode_reply: reply::encode,
    decoder: || Box::new(stream_decoder::Decoder::default()),
    encoder: |options| Box::new(stream_encoder::Encoder::new(*options)),
};

/// `finish_reason` as OpenAI writes it. A pause is over for a client that does not know pauses.
const fn finish_reason(reason: StopReason) -> &'static str {
    match reason {
        StopReason::EndTurn | StopReason::StopSequence | StopReason::Pause => "stop",
        StopReason::MaxTokens | StopReason::ContextWindow => "length",
        StopReason::ToolUse => "tool_calls",
        StopReason::Refusal => "content_filter",
    }
}

/// Imitators invent words of their own; an unknown one still says that the answer ended.
fn stop_reason(finish_reason: &str) -> StopReason {
    match finish_reason {
        "length" => StopReason::MaxTokens,
        "tool_calls" | "function_call" => StopReason::ToolUse,
        "content_filter" => StopReason::Refusal,
        _ => StopReason::EndTurn,
    }
}

/// The effort that a token budget stands for. Only the three words that every reasoning model knows.
pub(super) fn effort_of_budget(tokens: u64) -> Effort {
    match tokens {
        0..=4096 => Effort::Low,
        4097..=16_384 => Effort::Medium,
        _ => Effort::High,
    }
}
