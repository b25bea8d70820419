//! Amazon Bedrock's Converse and ConverseStream, which every vendor's models there speak.
//!
//! Bedrock streams in frames of its own; they come here as server-sent events, named as the frames are. No client speaks
//! this here: what reads requests and writes answers is for the simulated provider and for trying that nothing is lost.

mod decode_message;
mod decode_request;
mod encode_message;
mod encode_request;
mod family;
mod files;
mod reply;
mod stream_decoder;
mod stream_encoder;
mod wire;

pub(crate) use wire::UsageRead;

use super::Codec;
use crate::canonical::StopReason;

/// Bedrock Converse.
pub(crate) const CODEC: Codec = Codec {
    decode_request: decode_request::decode,
    encode_request: encode_request::encode,
    decode_reply: reply::decode,
    encode_reply: reply::encode,
    decoder: || Box::new(stream_decoder::Decoder::default()),
    encoder: |_| Box::new(stream_encoder::Encoder::default()),
};

/// `stopReason` as Bedrock writes it; it has no pauses.
const fn stop_word(reason: StopReason) -> &'static str {
    match reason {
        StopReason::EndTurn | StopReason::Pause => "end_turn",
        StopReason::StopSequence => "stop_sequence",
        StopReason::MaxTokens => "max_tokens",
        StopReason::ContextWindow => "model_context_window_exceeded",
        StopReason::ToolUse => "tool_use",
        StopReason::Refusal => "content_filtered",
    }
}

/// An answer that the model did not manage to write ends as any other; its text says how far it came.
fn stop_reason(word: &str) -> StopReason {
    match word {
        "stop_sequence" => StopReason::StopSequence,
        "max_tokens" => StopReason::MaxTokens,
        "model_context_window_exceeded" => StopReason::ContextWindow,
        "tool_use" => StopReason::ToolUse,
        "guardrail_intervened" | "content_filtered" | "refusal" => StopReason::Refusal,
        _ => StopReason::EndTurn,
    }
}
