//! `POST /v1/responses`: the request, the objects, and the whole answer. Its stream is beside it.

use bytes::Bytes;
use serde_json::{Value, json};

use super::super::answer::{Answer, Finish, Part, Usage, answer};
use super::super::ask::{Ask, effort_tokens, flag, optional_count};
use super::super::content;
use super::super::error::ApiError;
use super::super::reply::{Asked, Form, Reply};
use super::super::tokens::{MESSAGE_TOKENS, PRIMING_TOKENS};
use super::responses_stream;

pub(crate) fn reply(asked: &Asked<'_>) -> Result<Reply, ApiError> {
    let ask = read(asked)?;
    let answer = answer(&ask, asked.voice, asked.fingerprint);
    let usage = super::usage_of(asked, &ask.prompt, std::slice::from_ref(&answer));
    let form = if flag(asked.body, "stream")? {
        Form::Events(responses_stream::events(asked, &answer, &usage))
    } else {
        Form::Whole(Bytes::from(response(asked, &answer, &usage).to_string()))
    };
    Ok(Reply { usage, form })
}

/// The response object when all is said.
pub(super) fn response(asked: &Asked<'_>, answer: &Answer, usage: &Usage) -> Value {
    let mut response = begun(asked);
    let items = answer.parts.iter().enumerate();
    response["output"] = items.map(|(index, part)| item(asked, index, part, status(answer))).collect();
    response["status"] = status(answer).into();
    if answer.finish == Finish::Length {
        response["incomplete_details"] = json!({"reason": "max_output_tokens"});
    }
    response["usage"] = json!({
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": 0},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input + usage.output,
    });
    response
}

/// The response object when nothing is said yet.
pub(super) fn begun(asked: &Asked<'_>) -> Value {
    let body = asked.body;
    let given = |name: &str, default: Value| match body.get(name) {
        Some(value) if !value.is_null() => value.clone(),
        Some(_) | None => default,
    };
    json!({
        "id": asked.stamp.id("resp_"),
        "object": "response",
        "created_at": asked.stamp.created_s,
        "status": "in_progress",
        "error": null,
        "incomplete_details": null,
        "instructions": body["instructions"],
        "max_output_tokens": body["max_output_tokens"],
        "metadata": given("metadata", json!({})),
        "model": asked.model,
        "output": [],
        "parallel_tool_calls": given("parallel_tool_calls", json!(true)),
        "previous_response_id": body["previous_response_id"],
        "reasoning": {"effort": body["reasoning"]["effort"], "summary": null},
        "store": given("store", json!(true)),
        "temperature": given("temperature", json!(1.0)),
        "text": given("text", json!({"format": {"type": "text"}})),
        "tool_choice": given("tool_choice", json!("auto")),
        "tools": given("tools", json!([])),
        "top_p": given("top_p", json!(1.0)),
        "truncation": "disabled",
        "usage": null,
    })
}

/// An item of the output. Given without its text it is how an item begins.
pub(super) fn item(asked: &Asked<'_>, index: usize, part: &Part, status: &str) -> Value {
    let id = |prefix: &str| format!("{}{index}", asked.stamp.id(prefix));
    match part {
        Part::Reasoning(_) => json!({"id": id("rs_"), "type": "reasoning", "summary": []}),
        Part::Text(tokens) => json!({
            "id": id("msg_"),
            "type": "message",
            "role": "assistant",
            "status": status,
            "content": [text_part(&tokens.concat())],
        }),
        Part::Call(call) => json!({
            "id": id("fc_"),
            "type": "function_call",
            "status": status,
            "call_id": super::call_id(call),
            "name": call.name,
            "arguments": call.arguments.concat(),
        }),
    }
}

pub(super) fn text_part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

pub(super) fn status(answer: &Answer) -> &'static str {
    match answer.finish {
        Finish::Length => "incomplete",
        Finish::Stop | Finish::StopSequence(_) | Finish::Tools => "completed",
    }
}

pub(super) fn read(asked: &Asked<'_>) -> Result<Ask, ApiError> {
    let body = asked.body;
    let mut ask = Ask::new(asked.model);
    super::read_tools(&mut ask, body, "")?;
    if let Some(instructions) = body["instructions"].as_str() {
        ask.prompt.fixed(MESSAGE_TOKENS);
        ask.prompt.text(instructions);
    }
    match &body["input"] {
        Value::String(text) => {
            ask.prompt.fixed(MESSAGE_TOKENS);
            ask.prompt.text(text);
            ask.question.clone_from(text);
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                read_item(&mut ask, item)?;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            return Err(ApiError::field("input", "a string or a list of items"));
        }
    }
    ask.prompt.fixed(PRIMING_TOKENS);
    ask.output_cap = optional_count(body, "max_output_tokens")?;
    ask.schema = super::read_format(&body["text"]["format"], "/schema")?;
    ask.reasoning = effort_tokens(&body["reasoning"]["effort"]);
    Ok(ask)
}

fn read_item(ask: &mut Ask, item: &Value) -> Result<(), ApiError> {
    ask.prompt.fixed(MESSAGE_TOKENS);
    ask.after_tool = false;
    match item["type"].as_str() {
        None | Some("message") => {
            let content = content::read(&mut ask.prompt, &item["content"])?;
            if item["role"] == "user" {
                ask.question = content.text;
            }
        }
        Some("function_call") => {
            ask.prompt.text(item["name"].as_str().unwrap_or_default());
            ask.prompt.text(item["arguments"].as_str().unwrap_or_default());
        }
        Some("function_call_output") => {
            ask.after_tool = true;
            content::read(&mut ask.prompt, &item["output"])?;
        }
        // Thought of earlier turns is not billed again.
        Some("reasoning") => {}
        Some(_) => ask.prompt.text(&item.to_string()),
    }
    Ok(())
}
