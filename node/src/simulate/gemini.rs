//! `:generateContent` and `:streamGenerateContent`, as Google has them.
//!
//! Strict where Google is and gateways err: members that it does not know, responses that do not match the calls before
//! them, and, from Gemini 3 on, calls that come back without their signature.

use bytes::Bytes;
use serde_json::{Value, json};

use super::answer::{Answer, Call, Finish, Part, Usage, answer};
use super::ask::{Ask, Tool, ToolChoice, list, optional_count, strings};
use super::error::ApiError;
use super::reply::{Asked, Form, Frames, Reply, Weight, chunks};
use super::tokens::{MESSAGE_TOKENS, PRIMING_TOKENS};

/// Tokens that the simulator thinks when it is asked to, if the budget allows.
const THINKING_TOKENS: u64 = 16;
/// In base64, as all signatures are; and Google's word for a call that lost its own.
const SIGNATURE: &str = "c2ltdWxhdGVkIHNpZ25hdHVyZQ==";
const UNSIGNED: &str = "skip_thought_signature_validator";

/// The members of a body that it knows.
const MEMBERS: [&str; 8] = [
    "contents",
    "systemInstruction",
    "tools",
    "toolConfig",
    "generationConfig",
    "safetySettings",
    "labels",
    "cachedContent",
];
const PART_MEMBERS: [&str; 7] =
    ["text", "thought", "thoughtSignature", "inlineData", "fileData", "functionCall", "functionResponse"];

pub(crate) fn reply(asked: &Asked<'_>, stream: bool) -> Result<Reply, ApiError> {
    let ask = read(asked)?;
    let answer = answer(&ask, asked.voice, asked.fingerprint);
    let cached = asked.cached(&ask.prompt);
    let usage = Usage {
        input: ask.prompt.tokens(),
        cached: cached.read,
        cache_written: 0,
        output: answer.output(),
        reasoning: answer.reasoning(),
    };
    let thoughts = &asked.body["generationConfig"]["thinkingConfig"]["includeThoughts"];
    let shown = if *thoughts == true { Thoughts::Shown } else { Thoughts::Hidden };
    let form = if stream {
        events(asked, (&answer, shown), &usage)
    } else {
        let mut whole = head(asked);
        let parts: Vec<Value> = answer.parts.iter().flat_map(|part| parts(part, shown)).collect();
        whole["candidates"] = json!([candidate(&parts, Some(finish_reason(&answer.finish)))]);
        whole["usageMetadata"] = usage_json(&usage);
        Form::Whole(Bytes::from(whole.to_string()))
    };
    Ok(Reply { usage, form })
}

/// `GET /v1beta/models`
pub(crate) fn models(names: &[String]) -> Value {
    json!({"models": names.iter().map(|name| model(name)).collect::<Vec<_>>()})
}

pub(crate) fn model(name: &str) -> Value {
    json!({"name": format!("models/{name}"), "supportedGenerationMethods": ["generateContent"]})
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Thoughts {
    Shown,
    Hidden,
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
    read_tools(&mut ask, body)?;
    if let Some(parts) = body["systemInstruction"]["parts"].as_array() {
        ask.prompt.fixed(MESSAGE_TOKENS);
        for part in parts {
            ask.prompt.text(part["text"].as_str().unwrap_or_default());
        }
    }
    let mut open_calls = 0;
    for content in list(body, "contents")? {
        ask.prompt.fixed(MESSAGE_TOKENS);
        read_content(&mut ask, (asked.model, content), &mut open_calls)?;
    }
    ask.prompt.fixed(PRIMING_TOKENS);
    let config = &body["generationConfig"];
    ask.output_cap = optional_count(config, "maxOutputTokens")?;
    ask.stops = strings(config, "stopSequences")?;
    let json = config["responseMimeType"] == "application/json";
    let schema = &config["responseJsonSchema"];
    ask.schema = json.then(|| if schema.is_null() { json!({"type": "object"}) } else { schema.clone() });
    let thinking = &config["thinkingConfig"];
    ask.reasoning = match (thinking["thinkingBudget"].as_i64(), thinking["thinkingLevel"].as_str()) {
        (Some(_), Some(_)) => return Err(ApiError::field("thinkingConfig", "a budget or a level, not both")),
        (Some(budget), None) => {
            u64::try_from(budget).map_or(THINKING_TOKENS, |most| most.min(THINKING_TOKENS))
        }
        (None, Some("LOW")) => THINKING_TOKENS / 2,
        (None, Some(_)) => THINKING_TOKENS,
        (None, None) => 0,
    };
    Ok(ask)
}

/// `open_calls` is how many calls of the last content of the model's wait for a response.
fn read_content(
    ask: &mut Ask,
    (model, content): (&str, &Value),
    open_calls: &mut usize,
) -> Result<(), ApiError> {
    let parts = list(content, "parts")?;
    let count = |member: &str| parts.iter().filter(|part| part.get(member).is_some()).count();
    let (calls, responses) = (count("functionCall"), count("functionResponse"));
    if responses != *open_calls {
        let message = "the number of function response parts is equal to the number of function call parts";
        return Err(ApiError::field("contents", message));
    }
    *open_calls = calls;
    match content["role"].as_str() {
        Some("user") => ask.after_tool = responses > 0,
        Some("model") => check_signatures(model, parts)?,
        Some(_) | None => return Err(ApiError::field("contents", "the role user or model")),
    }
    let mut said = String::new();
    for part in parts {
        known(part, &PART_MEMBERS, "parts")?;
        match part["text"].as_str() {
            // Thought of earlier turns is not billed again.
            Some(_) if part["thought"] == true => {}
            Some(text) => {
                ask.prompt.text(text);
                said.push_str(text);
            }
            None if part.get("inlineData").or(part.get("fileData")).is_some() => {
                ask.prompt.image(&part.to_string());
            }
            None => ask.prompt.text(&part.to_string()),
        }
    }
    if content["role"] == "user" && !said.is_empty() {
        ask.question = said;
    }
    Ok(())
}

fn check_signatures(model: &str, parts: &[Value]) -> Result<(), ApiError> {
    let signatures = parts.iter().filter_map(|part| part["thoughtSignature"].as_str());
    if let Some(other) = signatures.into_iter().find(|by| ![SIGNATURE, UNSIGNED].contains(by)) {
        return Err(ApiError::field(
            "thoughtSignature",
            &format!("one that was given before, not {other:?}"),
        ));
    }
    let first_call = parts.iter().find(|part| part.get("functionCall").is_some());
    match first_call {
        Some(call) if model.starts_with("gemini-3") && call.get("thoughtSignature").is_none() => {
            Err(ApiError::field("contents", "a thought_signature in the first function call"))
        }
        Some(_) | None => Ok(()),
    }
}

fn read_tools(ask: &mut Ask, body: &Value) -> Result<(), ApiError> {
    for tool in body["tools"].as_array().map_or(&[][..], Vec::as_slice) {
        for function in tool["functionDeclarations"].as_array().map_or(&[][..], Vec::as_slice) {
            let name = function["name"].as_str();
            let name = name.ok_or_else(|| ApiError::field("tools", "a name for each function"))?;
            // Google reads both spellings of a member, and its package for Python sends this one in the other.
            let schemas = ["parametersJsonSchema", "parameters_json_schema", "parameters"];
            let schema = schemas.iter().find_map(|name| function.get(name)).cloned().unwrap_or_default();
            ask.tools.push(Tool { name: name.to_owned(), schema });
        }
        ask.prompt.text(&tool.to_string());
    }
    let calling = &body["toolConfig"]["functionCallingConfig"];
    ask.choice = match (calling["mode"].as_str(), calling["allowedFunctionNames"][0].as_str()) {
        (None | Some("AUTO"), None) => ToolChoice::Auto,
        (Some("NONE"), None) => ToolChoice::Never,
        (Some("ANY"), None) => ToolChoice::Any,
        (Some("ANY"), Some(name)) if ask.tools.iter().any(|tool| tool.name == name) => {
            ToolChoice::Named(name.to_owned())
        }
        _ => return Err(ApiError::field("toolConfig", "AUTO, NONE, or ANY, which may name functions")),
    };
    Ok(())
}

fn head(asked: &Asked<'_>) -> Value {
    json!({
        "modelVersion": asked.model,
        "responseId": asked.stamp.id(""),
        "createTime": "2026-01-01T00:00:00Z",
    })
}

fn candidate(parts: &[Value], finish: Option<&str>) -> Value {
    let mut candidate = json!({"content": {"role": "model", "parts": parts}, "index": 0});
    if let Some(finish) = finish {
        candidate["finishReason"] = finish.into();
    }
    candidate
}

fn usage_json(usage: &Usage) -> Value {
    json!({
        "promptTokenCount": usage.input,
        "cachedContentTokenCount": usage.cached,
        "candidatesTokenCount": usage.output - usage.reasoning,
        "thoughtsTokenCount": usage.reasoning,
        "totalTokenCount": usage.input + usage.output,
        "trafficType": "ON_DEMAND",
    })
}

fn finish_reason(finish: &Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::StopSequence(_) | Finish::Tools => "STOP",
        Finish::Length => "MAX_TOKENS",
    }
}

fn parts(part: &Part, thoughts: Thoughts) -> Vec<Value> {
    match part {
        Part::Reasoning(_) if thoughts == Thoughts::Hidden => Vec::new(),
        Part::Reasoning(tokens) => vec![json!({"text": tokens.concat(), "thought": true})],
        Part::Text(tokens) => vec![json!({"text": tokens.concat()})],
        Part::Call(call) => vec![call_json(call)],
    }
}

/// Google signs the first one of calls that are made at once; here all are, which it takes back as well.
fn call_json(call: &Call) -> Value {
    let args = serde_json::from_str(&call.arguments.concat()).unwrap_or_else(|_| json!({}));
    json!({"functionCall": {"name": call.name, "args": args}, "thoughtSignature": SIGNATURE})
}

fn events(asked: &Asked<'_>, (answer, thoughts): (&Answer, Thoughts), usage: &Usage) -> Form {
    let mut frames = Frames::default();
    let mut push = |parts: Vec<Value>, weight| {
        let mut chunk = head(asked);
        chunk["candidates"] = json!([candidate(&parts, None)]);
        chunk["usageMetadata"] = json!({"trafficType": "ON_DEMAND"});
        frames.data(&chunk.to_string(), weight);
    };
    for part in &answer.parts {
        match part {
            Part::Reasoning(tokens) if thoughts == Thoughts::Hidden => {
                push(Vec::new(), Weight::Hidden(tokens.len() as u64));
            }
            Part::Reasoning(tokens) => {
                for (text, count) in chunks(tokens, asked.voice.chunk_tokens) {
                    push(vec![json!({"text": text, "thought": true})], Weight::Reasoning(count));
                }
            }
            Part::Text(tokens) => {
                for (text, count) in chunks(tokens, asked.voice.chunk_tokens) {
                    push(vec![json!({"text": text})], Weight::Output(count));
                }
            }
            Part::Call(call) => {
                let tokens = call.name_tokens + call.arguments.len() as u64;
                push(vec![call_json(call)], Weight::Output(tokens));
            }
        }
    }
    let mut last = head(asked);
    let nothing = vec![json!({"text": ""})];
    last["candidates"] = json!([candidate(&nothing, Some(finish_reason(&answer.finish)))]);
    last["usageMetadata"] = usage_json(usage);
    frames.data(&last.to_string(), Weight::Nothing);
    let error = json!({"error": {"code": 503, "message": "simulated failure in the stream", "status": "UNAVAILABLE"}});
    Form::Events(frames.finish(format!("data: {error}\n\n")))
}
