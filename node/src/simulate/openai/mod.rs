//! OpenAI's endpoints, and what they share: tools, formats, usage.

pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod counts;
pub(crate) mod embeddings;
pub(crate) mod images;
pub(crate) mod responses;
mod responses_stream;

use serde_json::{Value, json};

use super::answer::{Answer, Call, Finish, Usage};
use super::ask::{Ask, Parallel, Tool, ToolChoice};
use super::error::ApiError;
use super::reply::Asked;
use super::tokens::Prompt;

/// The stream's error event, where the protocol has no name for it.
pub(crate) fn stream_error() -> String {
    let error = json!({"error": {
        "message": "simulated failure in the stream",
        "type": "server_error",
        "param": null,
        "code": null,
    }});
    format!("data: {error}\n\n")
}

/// `GET /v1/models`.
pub(crate) fn models(names: &[String], created_s: u64) -> Value {
    let data: Vec<Value> = names.iter().map(|name| model(name, created_s)).collect();
    json!({"object": "list", "data": data})
}

pub(crate) fn model(name: &str, created_s: u64) -> Value {
    json!({"id": name, "object": "model", "created": created_s, "owned_by": "simulated"})
}

/// Reads `tools`, `tool_choice` and `parallel_tool_calls`. A function's fields are at `at` of its tool:
/// `/function` in chat, at the top in responses.
fn read_tools(ask: &mut Ask, body: &Value, at: &str) -> Result<(), ApiError> {
    let tools = match &body["tools"] {
        Value::Null => return Ok(()),
        Value::Array(tools) => tools,
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            return Err(ApiError::field("tools", "a list of tools"));
        }
    };
    for tool in tools.iter().filter(|tool| tool["type"] == "function") {
        let function = tool.pointer(at).unwrap_or(&Value::Null);
        let name =
            function["name"].as_str().ok_or_else(|| ApiError::field("tools", "a name for each function"))?;
        ask.tools.push(Tool { name: name.to_owned(), schema: function["parameters"].clone() });
    }
    ask.prompt.text(&body["tools"].to_string());
    ask.choice = match &body["tool_choice"] {
        Value::Null => ToolChoice::Auto,
        Value::String(choice) => match choice.as_str() {
            "auto" => ToolChoice::Auto,
            "none" => ToolChoice::Never,
            "required" => ToolChoice::Any,
            _ => {
                return Err(ApiError::field("tool_choice", "auto, none, required or a function"));
            }
        },
        choice @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            match choice.pointer(at).and_then(|function| function["name"].as_str()) {
                Some(name) => ToolChoice::Named(name.to_owned()),
                None => ToolChoice::Auto,
            }
        }
    };
    if let ToolChoice::Named(name) = &ask.choice
        && !ask.tools.iter().any(|tool| tool.name == *name)
    {
        return Err(ApiError::field("tool_choice", "the name of one of the tools"));
    }
    if body["parallel_tool_calls"] == false {
        ask.parallel = Parallel::Forbidden;
    }
    Ok(())
}

/// The schema of a `response_format` (chat) or `text.format` (responses); its schema is at `at`.
fn read_format(format: &Value, at: &str) -> Result<Option<Value>, ApiError> {
    match format["type"].as_str() {
        None | Some("text") => Ok(None),
        Some("json_object") => Ok(Some(json!({"type": "object"}))),
        Some("json_schema") => match format.pointer(at) {
            Some(schema) => Ok(Some(schema.clone())),
            None => Err(ApiError::field("response_format", "a schema")),
        },
        Some(_) => Err(ApiError::field("response_format", "text, json_object or json_schema")),
    }
}

/// How many answers are asked for.
fn read_choices(body: &Value) -> Result<u64, ApiError> {
    /// As the real one.
    const MOST: u64 = 128;
    match super::ask::optional_count(body, "n")?.unwrap_or(1) {
        n if n <= MOST => Ok(n),
        _ => Err(ApiError::field("n", "at most 128")),
    }
}

fn usage_of(asked: &Asked<'_>, prompt: &Prompt, answers: &[Answer]) -> Usage {
    Usage {
        input: prompt.tokens(),
        cached: asked.cached(prompt).read,
        cache_written: 0,
        output: answers.iter().map(Answer::output).sum(),
        reasoning: answers.iter().map(Answer::reasoning).sum(),
    }
}

/// Usage as chat and completions tell it.
fn usage_json(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

fn finish_reason(finish: &Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::StopSequence(_) => "stop",
        Finish::Length => "length",
        Finish::Tools => "tool_calls",
    }
}

fn call_id(call: &Call) -> String {
    format!("call_{}", call.id)
}

/// True if `stream_options.include_usage` is.
fn asks_usage(body: &Value) -> bool {
    body["stream_options"]["include_usage"] == true
}
