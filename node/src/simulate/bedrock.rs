//! Amazon Bedrock: `/model/{id}/converse`, `/converse-stream`, and Anthropic's own words by `/invoke` and
//! `/invoke-with-response-stream`.
//!
//! Strict where Bedrock is and gateways err: members that it does not know, results that do not match the calls before them,
//! and turns that do not alternate.

mod frames;

use bytes::Bytes;
use serde_json::{Value, json};

use super::answer::{Answer, Call, Finish, Part, Usage, answer};
use super::ask::{Ask, Parallel, Tool, ToolChoice, list, optional_count, strings};
use super::error::ApiError;
use super::reply::{Asked, Events, Form, Reply, Weight, chunks};
use super::tokens::{MESSAGE_TOKENS, PRIMING_TOKENS};
use frames::Frames;

/// Tokens that the simulator thinks when it is asked to, if the budget allows.
const THINKING_TOKENS: u64 = 16;
/// What all signatures of thoughts are.
const SIGNATURE: &str = "c2ltdWxhdGVkIHNpZ25hdHVyZQ==";
/// What Bedrock calls Anthropic's version.
const VERSION: &str = "bedrock-2023-05-31";

/// The members of a body that it knows.
const MEMBERS: [&str; 12] = [
    "messages",
    "system",
    "inferenceConfig",
    "toolConfig",
    "guardrailConfig",
    "additionalModelRequestFields",
    "additionalModelResponseFieldPaths",
    "promptVariables",
    "requestMetadata",
    "performanceConfig",
    "serviceTier",
    "outputConfig",
];
const BLOCKS: [&str; 7] =
    ["text", "image", "document", "toolUse", "toolResult", "reasoningContent", "cachePoint"];

/// Converse.
pub(crate) fn reply(asked: &Asked<'_>, stream: bool) -> Result<Reply, ApiError> {
    let ask = read(asked)?;
    let answer = answer(&ask, asked.voice, asked.fingerprint);
    let cached = asked.cached_to_mark(&ask.prompt);
    let usage = Usage {
        input: ask.prompt.tokens(),
        cached: cached.read,
        cache_written: cached.written,
        output: answer.output(),
        reasoning: answer.reasoning(),
    };
    let form = if stream {
        Form::Events(events(asked, &answer, &usage))
    } else {
        let content: Vec<Value> = answer.parts.iter().map(block).collect();
        let whole = json!({
            "output": {"message": {"role": "assistant", "content": content}},
            "stopReason": stop_reason(&answer.finish),
            "usage": usage_json(&usage),
            "metrics": {"latencyMs": 1},
        });
        Form::Whole(Bytes::from(whole.to_string()))
    };
    Ok(Reply { usage, form })
}

/// Anthropic's own body, without what the path says.
pub(crate) fn invoke(asked: &Asked<'_>, stream: bool) -> Result<Reply, ApiError> {
    if asked.body["anthropic_version"] != VERSION {
        return Err(ApiError::field("anthropic_version", VERSION));
    }
    if let Some(said) = ["model", "stream"].into_iter().find(|name| asked.body.get(name).is_some()) {
        let message = format!("extraneous key [{said}] is not permitted");
        return Err(ApiError::new(http::StatusCode::BAD_REQUEST, message));
    }
    let mut body = asked.body.clone();
    body["stream"] = stream.into();
    let mut reply = super::anthropic::reply(&Asked { body: &body, ..*asked })?;
    if let Form::Events(events) = &mut reply.form {
        *events = frames::invoked(events, &reply.usage);
    }
    Ok(reply)
}

fn known(value: &Value, members: &[&str], what: &'static str) -> Result<(), ApiError> {
    let mut names = value.as_object().into_iter().flat_map(serde_json::Map::keys);
    match names.find(|name| !members.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(ApiError::field(what, &format!("no member {name:?}"))),
    }
}

fn read(asked: &Asked<'_>) -> Result<Ask, ApiError> {
    let body = asked.body;
    known(body, &MEMBERS, "the body")?;
    let mut ask = Ask::new(asked.model);
    read_tools(&mut ask, &body["toolConfig"])?;
    if let Some(blocks) = body["system"].as_array() {
        ask.prompt.fixed(MESSAGE_TOKENS);
        for block in blocks {
            read_block(&mut ask, block)?;
        }
    }
    let mut before = None;
    let mut open_calls = Vec::new();
    for message in list(body, "messages")? {
        let role = message["role"].as_str();
        if !matches!(role, Some("user" | "assistant")) || role == before {
            return Err(ApiError::field("messages", "the roles user and assistant in turns"));
        }
        before = role;
        read_message(&mut ask, message, &mut open_calls)?;
    }
    ask.prompt.fixed(PRIMING_TOKENS);
    let config = &body["inferenceConfig"];
    known(config, &["maxTokens", "temperature", "topP", "stopSequences"], "inferenceConfig")?;
    ask.output_cap = optional_count(config, "maxTokens")?;
    ask.stops = strings(config, "stopSequences")?;
    let schema = body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"].as_str();
    ask.schema = schema
        .map(serde_json::from_str)
        .transpose()
        .map_err(|_| ApiError::field("outputConfig", "a schema that is JSON in a text"))?;
    let thinking = &body["additionalModelRequestFields"]["thinking"];
    ask.reasoning = match (thinking["type"].as_str(), thinking["budget_tokens"].as_u64()) {
        (Some("enabled"), Some(budget)) => budget.min(THINKING_TOKENS),
        (Some("adaptive"), _) => THINKING_TOKENS,
        (Some("disabled") | None, _) => 0,
        (Some(_), _) => {
            return Err(ApiError::field("thinking", "enabled with a budget, adaptive or disabled"));
        }
    };
    Ok(ask)
}

/// `open_calls` are those of the last message that wait for a result.
fn read_message(ask: &mut Ask, message: &Value, open_calls: &mut Vec<String>) -> Result<(), ApiError> {
    ask.prompt.fixed(MESSAGE_TOKENS);
    let blocks = list(message, "content")?;
    let ids = |member: &str| -> Vec<String> {
        let ids = blocks.iter().filter_map(|block| block[member]["toolUseId"].as_str());
        ids.map(str::to_owned).collect()
    };
    let mut results = ids("toolResult");
    results.sort_unstable();
    open_calls.sort_unstable();
    if results != *open_calls {
        return Err(ApiError::field("messages", "a toolResult for each toolUse of the message before"));
    }
    *open_calls = ids("toolUse");
    let mut said = Vec::new();
    for block in blocks {
        read_block(ask, block)?;
        said.extend(block["text"].as_str());
    }
    if message["role"] == "user" {
        ask.after_tool = !results.is_empty();
        if !said.is_empty() {
            ask.question = said.join(" ");
        }
    }
    Ok(())
}

fn read_block(ask: &mut Ask, block: &Value) -> Result<(), ApiError> {
    known(block, &BLOCKS, "content")?;
    let Some((kind, value)) = block.as_object().and_then(|members| members.iter().next()) else {
        return Err(ApiError::field("content", "blocks with one member"));
    };
    match (kind.as_str(), value.as_str()) {
        ("text", Some("")) => return Err(ApiError::field("content", "text that is not blank")),
        ("text", Some(text)) => ask.prompt.text(text),
        ("cachePoint", _) => ask.prompt.mark(),
        ("image" | "document", _) => ask.prompt.image(&value.to_string()),
        // Thought of earlier turns is not billed again.
        ("reasoningContent", _) => match value["reasoningText"]["signature"].as_str() {
            Some(SIGNATURE) => {}
            other => {
                let message = format!("one that was given before, not {other:?}");
                return Err(ApiError::field("signature", &message));
            }
        },
        _ => ask.prompt.text(&value.to_string()),
    }
    Ok(())
}

fn read_tools(ask: &mut Ask, config: &Value) -> Result<(), ApiError> {
    for tool in config["tools"].as_array().map_or(&[][..], Vec::as_slice) {
        if tool.get("cachePoint").is_some() {
            ask.prompt.mark();
            continue;
        }
        let spec = &tool["toolSpec"];
        let name =
            spec["name"].as_str().ok_or_else(|| ApiError::field("toolConfig", "a name for each tool"))?;
        ask.tools.push(Tool { name: name.to_owned(), schema: spec["inputSchema"]["json"].clone() });
        ask.prompt.text(&tool.to_string());
    }
    let choice = config["toolChoice"].as_object().and_then(|choice| choice.iter().next());
    ask.choice = match choice.map(|(kind, value)| (kind.as_str(), value["name"].as_str())) {
        None | Some(("auto", _)) => ToolChoice::Auto,
        Some(("any", _)) => ToolChoice::Any,
        Some(("tool", Some(name))) if ask.tools.iter().any(|tool| tool.name == name) => {
            ToolChoice::Named(name.to_owned())
        }
        Some(_) => return Err(ApiError::field("toolChoice", "auto, any or one of the tools")),
    };
    ask.parallel = Parallel::Allowed;
    Ok(())
}

fn usage_json(usage: &Usage) -> Value {
    json!({
        "inputTokens": usage.input - usage.cached - usage.cache_written,
        "outputTokens": usage.output,
        "totalTokens": usage.input + usage.output,
        "cacheReadInputTokens": usage.cached,
        "cacheWriteInputTokens": usage.cache_written,
    })
}

fn stop_reason(finish: &Finish) -> &'static str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::StopSequence(_) => "stop_sequence",
        Finish::Length => "max_tokens",
        Finish::Tools => "tool_use",
    }
}

fn call_id(call: &Call) -> String {
    format!("tooluse_{}", call.id)
}

fn block(part: &Part) -> Value {
    match part {
        Part::Reasoning(tokens) => {
            let text = json!({"text": tokens.concat(), "signature": SIGNATURE});
            json!({"reasoningContent": {"reasoningText": text}})
        }
        Part::Text(tokens) => json!({"text": tokens.concat()}),
        Part::Call(call) => {
            let input = serde_json::from_str(&call.arguments.concat()).unwrap_or_else(|_| json!({}));
            json!({"toolUse": {"toolUseId": call_id(call), "name": call.name, "input": input}})
        }
    }
}

fn events(asked: &Asked<'_>, answer: &Answer, usage: &Usage) -> Events {
    let mut frames = Frames::default();
    frames.event("messageStart", &json!({"role": "assistant"}), Weight::Nothing);
    for (index, part) in answer.parts.iter().enumerate() {
        stream_part(&mut frames, (index, part), asked.voice.chunk_tokens);
    }
    let stop = json!({"stopReason": stop_reason(&answer.finish)});
    frames.event("messageStop", &stop, Weight::Nothing);
    let metadata = json!({"usage": usage_json(usage), "metrics": {"latencyMs": 1}});
    frames.event("metadata", &metadata, Weight::Nothing);
    frames.finish()
}

fn stream_part(frames: &mut Frames, (index, part): (usize, &Part), chunk_tokens: usize) {
    let (tokens, weight): (&[String], fn(u64) -> Weight) = match part {
        Part::Reasoning(tokens) => (tokens, Weight::Reasoning),
        Part::Text(tokens) => (tokens, Weight::Output),
        Part::Call(call) => {
            let start = json!({"toolUse": {"toolUseId": call_id(call), "name": call.name}});
            let start = json!({"contentBlockIndex": index, "start": start});
            frames.event("contentBlockStart", &start, Weight::Output(call.name_tokens));
            (&call.arguments, Weight::Output)
        }
    };
    let delta = |text: &str| match part {
        Part::Reasoning(_) => json!({"reasoningContent": {"text": text}}),
        Part::Text(_) => json!({"text": text}),
        Part::Call(_) => json!({"toolUse": {"input": text}}),
    };
    let mut push = |delta: Value, weight| {
        let delta = json!({"contentBlockIndex": index, "delta": delta});
        frames.event("contentBlockDelta", &delta, weight);
    };
    for (text, count) in chunks(tokens, chunk_tokens) {
        push(delta(&text), weight(count));
    }
    if matches!(part, Part::Reasoning(_)) {
        push(json!({"reasoningContent": {"signature": SIGNATURE}}), Weight::Nothing);
    }
    frames.event("contentBlockStop", &json!({"contentBlockIndex": index}), Weight::Nothing);
}
