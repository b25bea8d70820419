//! `POST /v1/images/generations`: the same small image, as often as it is asked for.

use bytes::Bytes;
use serde_json::{Value, json};

use super::super::answer::Usage;
use super::super::error::ApiError;
use super::super::reply::{Asked, Form, Reply};
use super::super::tokens::Prompt;

/// A PNG of one white pixel.
const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEA2cJdGgAAAABJRU5ErkJggg==";
/// What a square image of low quality counts at OpenAI.
const IMAGE_TOKENS: u64 = 272;
const MOST_IMAGES: u64 = 10;

pub(crate) fn reply(asked: &Asked<'_>) -> Result<Reply, ApiError> {
    let Some(prompt) = asked.body["prompt"].as_str() else {
        return Err(ApiError::field("prompt", "a text"));
    };
    let count = match super::read_choices(asked.body)? {
        count if count <= MOST_IMAGES => count,
        _ => return Err(ApiError::field("n", "at most 10")),
    };
    let mut read = Prompt::new(asked.model);
    read.text(prompt);
    let usage = Usage { input: read.tokens(), output: count * IMAGE_TOKENS, ..Usage::default() };
    let images: Vec<Value> = (0..count).map(|_| json!({"b64_json": PIXEL})).collect();
    let whole = json!({
        "created": asked.stamp.created_s,
        "data": images,
        "usage": {
            "input_tokens": usage.input,
            "input_tokens_details": {"image_tokens": 0, "text_tokens": usage.input},
            "output_tokens": usage.output,
            "total_tokens": usage.input + usage.output,
        },
    });
    Ok(Reply { usage, form: Form::Whole(Bytes::from(whole.to_string())) })
}
