//! `POST /v1/completions`, the protocol before chat.

use bytes::Bytes;
use serde_json::{Value, json};

use super::super::answer::{Answer, answer};
use super::super::ask::{Ask, flag, optional_count, strings};
use super::super::error::ApiError;
use super::super::reply::{Asked, Form, Frames, Reply, Weight, chunks, quoted};
use super::super::text::mix;

/// As OpenAI's bound on prompts.
const MOST_ANSWERS: u64 = 2048;

pub(crate) fn reply(asked: &Asked<'_>) -> Result<Reply, ApiError> {
    let body = asked.body;
    let prompts = prompts(&body["prompt"])?;
    let choices = super::read_choices(body)?;
    let count = prompts.len() as u64 * choices;
    if count > MOST_ANSWERS {
        return Err(ApiError::field("prompt", "at most 2048 answers, n for each prompt"));
    }
    let mut ask = Ask::new(asked.model);
    for prompt in &prompts {
        match prompt {
            Prompted::Text(text) => ask.prompt.text(text),
            Prompted::Tokens(count) => ask.prompt.fixed(*count),
        }
    }
    ask.output_cap = optional_count(body, "max_tokens")?;
    ask.stops = strings(body, "stop")?;
    let answers: Vec<Answer> =
        (0..count).map(|choice| answer(&ask, asked.voice, mix(asked.fingerprint, choice))).collect();
    let usage = super::usage_of(asked, &ask.prompt, &answers);
    let form = if flag(body, "stream")? {
        let usage = super::asks_usage(body).then(|| super::usage_json(&usage));
        stream(asked, &answers, usage.as_ref())
    } else {
        let mut whole = envelope(asked);
        whole["choices"] = answers.iter().enumerate().map(choice_json).collect();
        whole["usage"] = super::usage_json(&usage);
        Form::Whole(Bytes::from(whole.to_string()))
    };
    Ok(Reply { usage, form })
}

enum Prompted<'a> {
    Text(&'a str),
    /// Already tokens: only their number matters.
    Tokens(u64),
}

fn prompts(prompt: &Value) -> Result<Vec<Prompted<'_>>, ApiError> {
    let wrong = || ApiError::field("prompt", "a string, a list of strings, or tokens");
    match prompt {
        Value::String(text) => Ok(vec![Prompted::Text(text)]),
        Value::Array(items) if items.is_empty() => Err(wrong()),
        Value::Array(items) if items.iter().all(Value::is_u64) => {
            Ok(vec![Prompted::Tokens(items.len() as u64)])
        }
        Value::Array(items) => items
            .iter()
            .map(|item| match item {
                Value::String(text) => Ok(Prompted::Text(text)),
                Value::Array(tokens) => Ok(Prompted::Tokens(tokens.len() as u64)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Err(wrong()),
            })
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Err(wrong()),
    }
}

fn envelope(asked: &Asked<'_>) -> Value {
    json!({
        "id": asked.stamp.id("cmpl-"),
        "object": "text_completion",
        "created": asked.stamp.created_s,
        "model": asked.model,
        "system_fingerprint": "fp_simulated",
    })
}

fn choice_json((index, answer): (usize, &Answer)) -> Value {
    json!({
        "index": index,
        "text": answer.text(),
        "logprobs": null,
        "finish_reason": super::finish_reason(&answer.finish),
    })
}

fn stream(asked: &Asked<'_>, answers: &[Answer], usage: Option<&Value>) -> Form {
    let mut frames = Frames::default();
    let mut head = envelope(asked).to_string();
    head.pop();
    let tail = if usage.is_some() { r#","usage":null}"# } else { "}" };
    let chunk = |index: usize, text: &str, finish: &str| {
        format!(
            r#"{head},"choices":[{{"text":{},"index":{index},"logprobs":null,"finish_reason":{finish}}}]{tail}"#,
            quoted(text)
        )
    };
    for (index, answer) in answers.iter().enumerate() {
        for part in &answer.parts {
            let super::super::answer::Part::Text(tokens) = part else {
                continue;
            };
            for (text, count) in chunks(tokens, asked.voice.chunk_tokens) {
                frames.data(&chunk(index, &text, "null"), Weight::Output(count));
            }
        }
        let finish = quoted(super::finish_reason(&answer.finish));
        frames.data(&chunk(index, "", &finish), Weight::Nothing);
    }
    if let Some(usage) = usage {
        frames.data(&format!(r#"{head},"choices":[],"usage":{usage}}}"#), Weight::Nothing);
    }
    frames.data("[DONE]", Weight::Nothing);
    Form::Events(frames.finish(super::stream_error()))
}
