//! `POST /v1/messages`, `/v1/messages/count_tokens` and the list of models, as Anthropic has them.
//!
//! Caching happens only where `cache_control` asks for it; `input_tokens` leaves out what was read from
//! or written to the cache. Usage in `message_delta` is cumulative.

mod stream;

use bytes::Bytes;
use serde_json::{Value, json};

use super::answer::{Answer, Call, Finish, Part, Usage, answer};
use super::ask::{Ask, Parallel, Tool, ToolChoice, flag, list, optional_count, strings};
use super::content;
use super::error::ApiError;
use super::reply::{Asked, Form, Reply};
use super::tokens::{MESSAGE_TOKENS, PRIMING_TOKENS};

/// Tokens that the simulator thinks when it is asked to, if the budget allows.
const THINKING_TOKENS: u64 = 16;

pub(crate) fn reply(asked: &Asked<'_>) -> Result<Reply, ApiError> {
    let mut ask = read(asked)?;
    ask.output_cap = optional_count(asked.body, "max_tokens")?;
    if ask.output_cap.is_none() {
        return Err(ApiError::field("max_tokens", "a whole number above 0"));
    }
    let answer = answer(&ask, asked.voice, asked.fingerprint);
    let cached = asked.cached_to_mark(&ask.prompt);
    let usage = Usage {
        input: ask.prompt.tokens(),
        cached: cached.read,
        cache_written: cached.written,
        output: answer.output(),
        reasoning: answer.reasoning(),
    };
    let form = if flag(asked.body, "stream")? {
        Form::Events(stream::events(asked, &answer, &usage))
    } else {
        Form::Whole(whole(asked, &answer, &usage))
    };
    Ok(Reply { usage, form })
}

/// Counts without answering; costs nothing.
pub(crate) fn count_tokens(asked: &Asked<'_>) -> Result<Reply, ApiError> {
    let ask = read(asked)?;
    let body = json!({"input_tokens": ask.prompt.tokens()}).to_string();
    Ok(Reply { usage: Usage::default(), form: Form::Whole(body.into()) })
}

pub(crate) fn models(names: &[String]) -> Value {
    let data: Vec<Value> = names.iter().map(|name| model(name)).collect();
    json!({"data": data, "has_more": false, "first_id": names.first(), "last_id": names.last()})
}

pub(crate) fn model(name: &str) -> Value {
    json!({"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"})
}

fn read(asked: &Asked<'_>) -> Result<Ask, ApiError> {
    let body = asked.body;
    let mut ask = Ask::new(asked.model);
    read_tools(&mut ask, body)?;
    if !body["system"].is_null() {
        ask.prompt.fixed(MESSAGE_TOKENS);
        content::read(&mut ask.prompt, &body["system"])?;
    }
    for message in list(body, "messages")? {
        ask.prompt.fixed(MESSAGE_TOKENS);
        let content = content::read(&mut ask.prompt, &message["content"])?;
        match message["role"].as_str() {
            Some("user") => {
                ask.after_tool = content.tool_result;
                if !content.text.is_empty() {
                    ask.question = content.text;
                }
            }
            Some("assistant" | "system") => {}
            Some(_) | None => {
                return Err(ApiError::field("messages", "the role user or assistant"));
            }
        }
    }
    ask.prompt.fixed(PRIMING_TOKENS);
    ask.stops = strings(body, "stop_sequences")?;
    ask.schema = match &body["output_config"]["format"] {
        format if format["type"] == "json_schema" => Some(format["schema"].clone()),
        _ => None,
    };
    ask.reasoning = match body["thinking"]["type"].as_str() {
        Some("enabled") => match body["thinking"]["budget_tokens"].as_u64() {
            Some(budget) => budget.min(THINKING_TOKENS),
            None => return Err(ApiError::field("thinking.budget_tokens", "a whole number")),
        },
        Some("adaptive") => THINKING_TOKENS,
        Some(_) | None => 0,
    };
    Ok(ask)
}

fn read_tools(ask: &mut Ask, body: &Value) -> Result<(), ApiError> {
    for tool in body["tools"].as_array().map_or(&[][..], Vec::as_slice) {
        let name = tool["name"].as_str().ok_or_else(|| ApiError::field("tools", "a name for each tool"))?;
        // A tool without a schema is one that the provider runs.
        if let Some(schema) = tool.get("input_schema") {
            ask.tools.push(Tool { name: name.to_owned(), schema: schema.clone() });
        }
        ask.prompt.text(&tool.to_string());
        if !tool["cache_control"].is_null() {
            ask.prompt.mark();
        }
    }
    let choice = &body["tool_choice"];
    ask.choice = match (choice["type"].as_str(), choice["name"].as_str()) {
        (None | Some("auto"), _) => ToolChoice::Auto,
        (Some("none"), _) => ToolChoice::Never,
        (Some("any"), _) => ToolChoice::Any,
        (Some("tool"), Some(name)) if ask.tools.iter().any(|tool| tool.name == name) => {
            ToolChoice::Named(name.to_owned())
        }
        _ => {
            return Err(ApiError::field("tool_choice", "auto, any, none or one of the tools"));
        }
    };
    if choice["disable_parallel_tool_use"] == true {
        ask.parallel = Parallel::Forbidden;
    }
    Ok(())
}

fn message(asked: &Asked<'_>) -> Value {
    json!({
        "id": asked.stamp.id("msg_"),
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
    })
}

fn usage_json(usage: &Usage, output: u64, reasoning: u64) -> Value {
    json!({
        "input_tokens": usage.input - usage.cached - usage.cache_written,
        "cache_creation_input_tokens": usage.cache_written,
        "cache_read_input_tokens": usage.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": usage.cache_written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output,
        "output_tokens_details": {"thinking_tokens": reasoning},
        "service_tier": "standard",
    })
}

fn stop(finish: &Finish) -> (&'static str, Option<&str>) {
    match finish {
        Finish::Stop => ("end_turn", None),
        Finish::StopSequence(stop) => ("stop_sequence", Some(stop)),
        Finish::Length => ("max_tokens", None),
        Finish::Tools => ("tool_use", None),
    }
}

fn whole(asked: &Asked<'_>, answer: &Answer, usage: &Usage) -> Bytes {
    let content: Vec<Value> = answer.parts.iter().map(block).collect();
    let (reason, sequence) = stop(&answer.finish);
    let mut whole = message(asked);
    whole["content"] = Value::Array(content);
    whole["stop_reason"] = reason.into();
    whole["stop_sequence"] = sequence.into();
    whole["usage"] = usage_json(usage, usage.output, usage.reasoning);
    Bytes::from(whole.to_string())
}

fn block(part: &Part) -> Value {
    match part {
        Part::Reasoning(tokens) => {
            let text = tokens.concat();
            json!({"type": "thinking", "signature": signature(&text), "thinking": text})
        }
        Part::Text(tokens) => json!({"type": "text", "text": tokens.concat()}),
        // Arguments cut by the cap are no JSON: the block stays empty, as nothing better is true.
        Part::Call(call) => {
            let input = serde_json::from_str(&call.arguments.concat()).unwrap_or_else(|_| json!({}));
            json!({"type": "tool_use", "id": call_id(call), "name": call.name, "input": input})
        }
    }
}

fn call_id(call: &Call) -> String {
    format!("toolu_{}", call.id)
}

/// Opaque to clients; the same thought has the same one.
fn signature(thought: &str) -> String {
    format!("simulated{:016x}", super::text::fingerprint(thought.as_bytes()))
}
