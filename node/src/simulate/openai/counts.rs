//! `POST /v1/responses/input_tokens` and vLLM's `POST /tokenize`: counting, which costs nothing.

use bytes::Bytes;
use serde_json::{Value, json};

use super::super::answer::Usage;
use super::super::content;
use super::super::error::ApiError;
use super::super::reply::{Asked, Form, Reply};
use super::super::tokens::Prompt;
use super::responses;

pub(crate) fn input_tokens(asked: &Asked<'_>) -> Result<Reply, ApiError> {
    let count = responses::read(asked)?.prompt.tokens();
    Ok(counted(&json!({"object": "response.input_tokens", "input_tokens": count})))
}

/// A text, or the messages of a chat.
pub(crate) fn tokenize(asked: &Asked<'_>) -> Result<Reply, ApiError> {
    let mut prompt = Prompt::new(asked.model);
    match (asked.body["prompt"].as_str(), asked.body["messages"].as_array()) {
        (Some(text), None) => prompt.text(text),
        (None, Some(messages)) => {
            for message in messages {
                content::read(&mut prompt, &message["content"])?;
            }
        }
        _ => return Err(ApiError::field("prompt", "a text here, or messages")),
    }
    let tokens: Vec<u64> = (1..=prompt.tokens()).collect();
    Ok(counted(
        &json!({"count": prompt.tokens(), "max_model_len": 4096, "tokens": tokens, "token_strs": null}),
    ))
}

fn counted(answer: &Value) -> Reply {
    Reply { usage: Usage::default(), form: Form::Whole(Bytes::from(answer.to_string())) }
}
