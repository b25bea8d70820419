//! Google's Gemini, as Vertex AI and the Gemini API speak it: as client format and as upstream format.
//!
//! Clients may spell members in camel case or with underscores, as Google's own parser lets them; written is camel case.
//! The model and whether to stream are no part of the body: the path names them.

mod decode_message;
mod decode_request;
mod encode_message;
mod encode_request;
mod models;
mod openapi;
mod reply;
mod signature;
mod spelling;
mod stream_decoder;
mod stream_encoder;
mod thinking;
mod usage;
mod wire;

pub(super) use signature::is_googles;
pub(crate) use usage::{UsageRead, UsageWritten};
pub(crate) use wire::{AnswerWritten, CandidateWritten, ContentWritten};

use super::Codec;
use crate::canonical::StopReason;

/// Gemini's generated content.
pub(crate) const CODEC: Codec = Codec {
    decode_request: decode_request::decode,
    encode_request: encode_request::encode,
    decode_reply: reply::decode,
    encode_reply: reply::encode,
    decoder: || Box::new(stream_decoder::Decoder::default()),
    encoder: |_| Box::new(stream_encoder::Encoder::default()),
};

/// `finishReason` as Google writes it. It has no word for calls.
const fn finish_reason(reason: StopReason) -> &'static str {
    match reason {
        StopReason::EndTurn | StopReason::StopSequence | StopReason::ToolUse | StopReason::Pause => "STOP",
        StopReason::MaxTokens | StopReason::ContextWindow => "MAX_TOKENS",
        StopReason::Refusal => "SAFETY",
    }
}

/// The many names of its filters are one thing elsewhere; an unknown word still says that the answer ended.
fn stop_reason(word: &str) -> StopReason {
    match word {
        "MAX_TOKENS" | "CONTINUATION" => StopReason::MaxTokens,
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "MODEL_ARMOR"
        | "ESCALATION"
        | "PUP_LIMITED_DISABLED" => StopReason::Refusal,
        _ => StopReason::EndTurn,
    }
}
