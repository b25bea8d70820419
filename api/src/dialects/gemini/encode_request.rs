//! A canonical request for a Gemini upstream: everything but the contents. The model and whether to stream stand in the
//! path.

use serde::Serialize;

use super::encode_message;
use super::models;
use super::thinking::{self, Config};
use super::wire::{ContentWritten, PartWritten};
use crate::canonical::{Json, OutputFormat, Request, Tool, ToolChoice};
use crate::dialects::EncodeTarget;
use crate::error::Untranslatable;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    contents: Vec<ContentWritten<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<System<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<[Tools<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<ToolConfig<'a>>,
    generation_config: GenerationConfig<'a>,
}

#[derive(Serialize)]
struct System<'a> {
    parts: Vec<PartWritten<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tools<'a> {
    function_declarations: Vec<Function<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Function<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    /// JSON Schema as written; `parameters` beside it would be OpenAPI's.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters_json_schema: Option<&'a Json>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolConfig<'a> {
    function_calling_config: Calling<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Calling<'a> {
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_function_names: Option<[&'a str; 1]>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GenerationConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop_sequences: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_json_schema: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_config: Option<Config>,
}

pub(super) fn encode(request: &Request, target: &EncodeTarget<'_>) -> Result<Vec<u8>, Untranslatable> {
    let conversation = encode_message::conversation(&request.turns, models::signatures(target.model))?;
    let has_tools = !request.tools.is_empty();
    let functions = || request.tools.iter().map(function).collect();
    let body = Body {
        contents: conversation.contents,
        system_instruction: Some(System { parts: conversation.system })
            .filter(|system| !system.parts.is_empty()),
        tools: has_tools.then(|| [Tools { function_declarations: functions() }]),
        tool_config: request.tool_choice.as_ref().filter(|_| has_tools).map(tool_config),
        generation_config: generation_config(request, target),
    };
    Ok(serde_json::to_vec(&body).expect("structs of strings, numbers and raw JSON serialise"))
}

fn function(tool: &Tool) -> Function<'_> {
    let Tool { name, description, schema, strict: _, cache: _ } = tool;
    Function { name, description: description.as_deref(), parameters_json_schema: schema.as_ref() }
}

fn tool_config(choice: &ToolChoice) -> ToolConfig<'_> {
    let (mode, allowed_function_names) = match choice {
        ToolChoice::Auto => ("AUTO", None),
        ToolChoice::None => ("NONE", None),
        ToolChoice::Required => ("ANY", None),
        ToolChoice::Named(name) => ("ANY", Some([name.as_str()])),
    };
    ToolConfig { function_calling_config: Calling { mode, allowed_function_names } }
}

fn generation_config<'a>(request: &'a Request, target: &EncodeTarget<'_>) -> GenerationConfig<'a> {
    let sampling = &request.sampling;
    let max_output_tokens = match (request.max_output, target.output_cap) {
        (Some(own), Some(cap)) => Some(own.min(cap)),
        (own, cap) => own.or(cap),
    };
    GenerationConfig {
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        top_k: sampling.top_k,
        max_output_tokens,
        stop_sequences: &request.stop,
        seed: sampling.seed.map(seed),
        frequency_penalty: sampling.frequency_penalty,
        presence_penalty: sampling.presence_penalty,
        response_mime_type: request.format.as_ref().map(|_| "application/json"),
        response_json_schema: match &request.format {
            Some(OutputFormat::JsonSchema(schema)) => Some(&schema.schema),
            Some(OutputFormat::JsonObject) | None => None,
        },
        thinking_config: thinking::config(&request.reasoning, target.model, max_output_tokens),
    }
}

/// The API takes 32 bits; what matters is that one seed is always the same.
fn seed(seed: i64) -> i32 {
    i32::try_from(seed % (i64::from(i32::MAX) + 1)).expect("a remainder is smaller than its divisor")
}
