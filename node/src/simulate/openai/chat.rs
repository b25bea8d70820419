//! `POST /v1/chat/completions`.
//!
//! Reasoning tokens are billed and counted but not shown, as OpenAI's models do.

use bytes::Bytes;
use serde_json::{Value, json};

use super::super::answer::{Answer, Part, Usage, answer};
use super::super::ask::{Ask, effort_tokens, flag, list, optional_count, strings};
use super::super::content;
use super::super::error::ApiError;
use super::super::reply::{Asked, Form, Frames, Reply, Weight, chunks, quoted};
use super::super::text::mix;
use super::super::tokens::{MESSAGE_TOKENS, PRIMING_TOKENS};

pub(crate) fn reply(asked: &Asked<'_>) -> Result<Reply, ApiError> {
    let ask = read(asked)?;
    let choices = super::read_choices(asked.body)?;
    let streamed = flag(asked.body, "stream")?;
    let answers: Vec<Answer> =
        (0..choices).map(|choice| answer(&ask, asked.voice, mix(asked.fingerprint, choice))).collect();
    let usage = super::usage_of(asked, &ask.prompt, &answers);
    let form = if streamed { stream(asked, &answers, &usage) } else { whole(asked, &answers, &usage) };
    Ok(Reply { usage, form })
}

fn read(asked: &Asked<'_>) -> Result<Ask, ApiError> {
    let body = asked.body;
    let mut ask = Ask::new(asked.model);
    super::read_tools(&mut ask, body, "/function")?;
    for message in list(body, "messages")? {
        read_message(&mut ask, message)?;
    }
    ask.prompt.fixed(PRIMING_TOKENS);
    ask.output_cap = match optional_count(body, "max_completion_tokens")? {
        Some(cap) => Some(cap),
        None => optional_count(body, "max_tokens")?,
    };
    ask.stops = strings(body, "stop")?;
    ask.schema = super::read_format(&body["response_format"], "/json_schema/schema")?;
    ask.reasoning = effort_tokens(&body["reasoning_effort"]);
    Ok(ask)
}

fn read_message(ask: &mut Ask, message: &Value) -> Result<(), ApiError> {
    let role =
        message["role"].as_str().ok_or_else(|| ApiError::field("messages", "a role in each message"))?;
    ask.prompt.fixed(MESSAGE_TOKENS);
    let content = content::read(&mut ask.prompt, &message["content"])?;
    for call in message["tool_calls"].as_array().map_or(&[][..], Vec::as_slice) {
        ask.prompt.text(call["function"]["name"].as_str().unwrap_or_default());
        ask.prompt.text(call["function"]["arguments"].as_str().unwrap_or_default());
    }
    ask.after_tool = role == "tool";
    if role == "user" {
        ask.question = content.text;
    }
    Ok(())
}

fn whole(asked: &Asked<'_>, answers: &[Answer], usage: &Usage) -> Form {
    let choices: Vec<Value> = answers.iter().enumerate().map(choice_json).collect();
    let body = json!({
        "id": asked.stamp.id("chatcmpl-"),
        "object": "chat.completion",
        "created": asked.stamp.created_s,
        "model": asked.model,
        "choices": choices,
        "usage": super::usage_json(usage),
        "service_tier": "default",
        "system_fingerprint": "fp_simulated",
    });
    Form::Whole(Bytes::from(body.to_string()))
}

fn choice_json((index, answer): (usize, &Answer)) -> Value {
    let calls: Vec<Value> = answer
        .calls()
        .map(|call| {
            json!({
                "id": super::call_id(call),
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments.concat()},
            })
        })
        .collect();
    let mut message = json!({"role": "assistant", "content": answer.text(), "refusal": null});
    if !calls.is_empty() {
        message["content"] = Value::Null;
        message["tool_calls"] = Value::Array(calls);
    }
    json!({
        "index": index,
        "message": message,
        "logprobs": null,
        "finish_reason": super::finish_reason(&answer.finish),
    })
}

/// Writes the chunks of one stream; all but `choices` and `usage` are alike.
struct Chunks {
    frames: Frames,
    head: String,
    tail: &'static str,
}

impl Chunks {
    fn delta(&mut self, index: usize, delta: &str, weight: Weight) {
        self.choice(index, delta, "null", weight);
    }

    fn choice(&mut self, index: usize, delta: &str, finish: &str, weight: Weight) {
        let Self { head, tail, .. } = self;
        let json = format!(
            r#"{head}[{{"index":{index},"delta":{delta},"logprobs":null,"finish_reason":{finish}}}]{tail}"#
        );
        self.frames.data(&json, weight);
    }
}

fn stream(asked: &Asked<'_>, answers: &[Answer], usage: &Usage) -> Form {
    let asks_usage = super::asks_usage(asked.body);
    let mut out = Chunks {
        frames: Frames::default(),
        head: format!(
            r#"{{"id":"{}","object":"chat.completion.chunk","created":{},"model":{},"service_tier":"default","system_fingerprint":"fp_simulated","choices":"#,
            asked.stamp.id("chatcmpl-"),
            asked.stamp.created_s,
            quoted(asked.model),
        ),
        tail: if asks_usage { r#","usage":null}"# } else { "}" },
    };
    for (index, answer) in answers.iter().enumerate() {
        stream_choice(&mut out, index, answer, asked.voice.chunk_tokens);
    }
    if asks_usage {
        let json = format!(r#"{}[],"usage":{}}}"#, out.head, super::usage_json(usage));
        out.frames.data(&json, Weight::Nothing);
    }
    out.frames.data("[DONE]", Weight::Nothing);
    Form::Events(out.frames.finish(super::stream_error()))
}

fn stream_choice(out: &mut Chunks, index: usize, answer: &Answer, chunk_tokens: usize) {
    let role = r#"{"role":"assistant","content":"","refusal":null}"#;
    out.delta(index, role, Weight::Hidden(answer.reasoning()));
    let mut call_index = 0;
    for part in &answer.parts {
        match part {
            Part::Reasoning(_) => {}
            Part::Text(tokens) => {
                for (text, count) in chunks(tokens, chunk_tokens) {
                    let delta = format!(r#"{{"content":{}}}"#, quoted(&text));
                    out.delta(index, &delta, Weight::Output(count));
                }
            }
            Part::Call(call) => {
                let delta = format!(
                    r#"{{"tool_calls":[{{"index":{call_index},"id":"{}","type":"function","function":{{"name":{},"arguments":""}}}}]}}"#,
                    super::call_id(call),
                    quoted(&call.name),
                );
                out.delta(index, &delta, Weight::Output(call.name_tokens));
                for (text, count) in chunks(&call.arguments, chunk_tokens) {
                    let delta = format!(
                        r#"{{"tool_calls":[{{"index":{call_index},"function":{{"arguments":{}}}}}]}}"#,
                        quoted(&text)
                    );
                    out.delta(index, &delta, Weight::Output(count));
                }
                call_index += 1;
            }
        }
    }
    let finish = quoted(super::finish_reason(&answer.finish));
    out.choice(index, "{}", &finish, Weight::Nothing);
}
