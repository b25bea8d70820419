//! A canonical request for a chat-completions upstream: everything but the messages.

use std::borrow::Cow;

use serde::Serialize;

use super::encode_message::{self, Message};
use super::{effort_of_budget, models};
use crate::canonical::{
    Effort, Json, OutputFormat, Reasoning, ReasoningMode, Request, Tier, Tool, ToolChoice,
};
use crate::dialects::{EncodeTarget, schema};
use crate::error::Untranslatable;

/// OpenAI refuses longer names of end users. The name is a hint, so a longer one is left out.
const MAX_USER_BYTES: usize = 64;

/// OpenAI requires a schema to be named; Anthropic has no name to give.
const DEFAULT_SCHEMA_NAME: &str = "response";

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WireTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<WireChoice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Format<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'static str>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Serialize)]
struct WireTool<'a> {
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Cow<'a, Json>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum WireChoice<'a> {
    Word(&'static str),
    Named { r#type: &'static str, function: Named<'a> },
}

#[derive(Serialize)]
struct Named<'a> {
    name: &'a str,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Format<'a> {
    JsonObject,
    JsonSchema { json_schema: Described<'a> },
}

#[derive(Serialize)]
struct Described<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    schema: &'a Json,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

pub(super) fn encode(request: &Request, target: &EncodeTarget<'_>) -> Result<Vec<u8>, Untranslatable> {
    let sampling = &request.sampling;
    let has_tools = !request.tools.is_empty();
    let body = Body {
        model: target.model,
        messages: encode_message::messages(&request.turns)?,
        max_completion_tokens: max_output(request.max_output, target.output_cap),
        stream: request.stream.then_some(true),
        // The gateway bills by it; whether the client sees it is decided when the answer is written.
        stream_options: request.stream.then_some(StreamOptions { include_usage: true }),
        // `top_k` has no field here, and is a hint on how to draw like the others.
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        frequency_penalty: sampling.frequency_penalty,
        presence_penalty: sampling.presence_penalty,
        seed: sampling.seed,
        stop: &request.stop,
        tools: request.tools.iter().map(tool).collect(),
        // OpenAI refuses both without tools.
        tool_choice: request.tool_choice.as_ref().filter(|_| has_tools).map(tool_choice),
        parallel_tool_calls: request.parallel_tool_calls.filter(|_| has_tools),
        reasoning_effort: if has_tools && models::reasons_or_calls(target.model) {
            Some(Effort::None.word())
        } else {
            effort(&request.reasoning).map(Effort::word)
        },
        response_format: request.format.as_ref().map(format),
        user: request.user.as_deref().filter(|user| user.len() <= MAX_USER_BYTES),
        service_tier: request.tier.map(|tier| match tier {
            Tier::Auto => "auto",
            Tier::Standard => "default",
        }),
    };
    Ok(serde_json::to_vec(&body).expect("structs of strings, numbers and raw JSON serialise"))
}

fn max_output(own: Option<u64>, cap: Option<u64>) -> Option<u64> {
    match (own, cap) {
        (Some(own), Some(cap)) => Some(own.min(cap)),
        (own, cap) => own.or(cap),
    }
}

fn tool(tool: &Tool) -> WireTool<'_> {
    let Tool { name, description, schema: parameters, strict, cache: _ } = tool;
    WireTool {
        r#type: "function",
        function: Function {
            name,
            description: description.as_deref(),
            parameters: parameters.as_ref().map(schema::with_properties),
            strict: *strict,
        },
    }
}

fn tool_choice(choice: &ToolChoice) -> WireChoice<'_> {
    match choice {
        ToolChoice::Auto => WireChoice::Word("auto"),
        ToolChoice::None => WireChoice::Word("none"),
        ToolChoice::Required => WireChoice::Word("required"),
        ToolChoice::Named(name) => WireChoice::Named { r#type: "function", function: Named { name } },
    }
}

/// A stated effort wins over the mode. Adaptive alone says what absence says here: the model decides.
fn effort(reasoning: &Reasoning) -> Option<Effort> {
    match (reasoning.mode, reasoning.effort) {
        (Some(ReasoningMode::Off), _) => Some(Effort::None),
        (_, Some(effort)) => Some(effort),
        (Some(ReasoningMode::Budget(tokens)), None) => Some(effort_of_budget(tokens)),
        (Some(ReasoningMode::Adaptive) | None, None) => None,
    }
}

fn format(format: &OutputFormat) -> Format<'_> {
    match format {
        OutputFormat::JsonObject => Format::JsonObject,
        OutputFormat::JsonSchema(schema) => Format::JsonSchema {
            json_schema: Described {
                name: schema.name.as_deref().unwrap_or(DEFAULT_SCHEMA_NAME),
                description: schema.description.as_deref(),
                schema: &schema.schema,
                strict: schema.strict,
            },
        },
    }
}
