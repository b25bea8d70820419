//! Anthropic's messages API, as client format and as upstream format.
//!
//! Requests are written for API version 2023-06-01: version 2026-10-21 refuses `temperature`, `top_p` and `top_k`, which
//! chat clients send all the time. Both versions are read, a `system` role inside `messages` included.

mod budget;
mod decode_message;
mod decode_request;
mod encode_message;
mod encode_request;
mod failure;
mod models;
mod reply;
mod stream_decoder;
mod stream_encoder;
mod wire;

pub(super) use budget::{Bounds, Budget, effort_word, fit};
pub(super) use decode_message::thinking_block;
pub(super) use decode_request::{thinking, tool_choice};
pub(super) use encode_request::{
    NO_PARAMETERS, ONE_JSON_OBJECT, WireChoice, WireThinking, sampling, thinking as thinking_written,
    tool_choice as tool_choice_written, wishes,
};
pub(super) use models::Samplers;

use super::Codec;
use crate::canonical::StopReason;

/// Anthropic messages.
pub(crate) const CODEC: Codec = Codec {
    decode_request: decode_request::decode,
    encode_request: encode_request::encode,
    decode_reply: reply::decode,
    encode_reply: reply::encode,
    decoder: || Box::new(stream_decoder::Decoder::default()),
    encoder: |_| Box::new(stream_encoder::Encoder::default()),
};

/// `stop_reason` as Anthropic writes it.
const fn stop_word(reason: StopReason) -> &'static str {
    match reason {
        StopReason::EndTurn => "end_turn",
        StopReason::StopSequence => "stop_sequence",
        StopReason::MaxTokens => "max_tokens",
        StopReason::ContextWindow => "model_context_window_exceeded",
        StopReason::ToolUse => "tool_use",
        StopReason::Refusal => "refusal",
        StopReason::Pause => "pause_turn",
    }
}

/// A word of a later API version still says that the answer ended.
fn stop_reason(word: &str) -> StopReason {
    match word {
        "stop_sequence" => StopReason::StopSequence,
        "max_tokens" => StopReason::MaxTokens,
        "model_context_window_exceeded" => StopReason::ContextWindow,
        "tool_use" => StopReason::ToolUse,
        "refusal" => StopReason::Refusal,
        "pause_turn" => StopReason::Pause,
        _ => StopReason::EndTurn,
    }
}
