//! A canonical request for an Anthropic upstream: everything but the messages.

use std::borrow::Cow;

use serde::Serialize;

use super::budget::{self, Bounds, Budget};
use super::encode_message::{self, Block, Conversation, Message};
use super::models::{self, Samplers, Thinking};
use crate::canonical::{
    Json, OutputFormat, Reasoning, ReasoningMode, Request, Sampling, Tier, Tool, ToolChoice,
};
use crate::dialects::{EncodeTarget, schema};
use crate::error::Untranslatable;

/// Below this Anthropic refuses `top_p` while the model thinks.
const MIN_TOP_P_WHILE_THINKING: f64 = 0.95;

/// OpenAI's range ends at 2.
const MAX_TEMPERATURE: f64 = 1.0;

/// What asks for JSON without a schema, which Anthropic has no field for.
pub(in crate::dialects) const ONE_JSON_OBJECT: &str = "Answer with one JSON object and nothing else.";

/// A tool without parameters; Anthropic requires a schema.
pub(in crate::dialects) const NO_PARAMETERS: &str = r#"{"type":"object","properties":{}}"#;

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    max_tokens: u64,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<Block<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop_sequences: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WireTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<WireChoice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<WireThinking<'a>>,
    #[serde(skip_serializing_if = "OutputConfig::is_empty")]
    output_config: OutputConfig<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'static str>,
}

#[derive(Serialize)]
struct WireTool<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    input_schema: Schema<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<&'a Json>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Schema<'a> {
    Given(Cow<'a, Json>),
    Empty(&'static serde_json::value::RawValue),
}

#[derive(Serialize)]
pub(in crate::dialects) struct WireChoice<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    disable_parallel_tool_use: bool,
}

#[derive(Serialize)]
pub(in crate::dialects) struct WireThinking<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    display: Option<&'a str>,
}

#[derive(Serialize)]
struct OutputConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format<'a>>,
}

impl OutputConfig<'_> {
    fn is_empty(&self) -> bool {
        self.effort.is_none() && self.format.is_none()
    }
}

#[derive(Serialize)]
struct Format<'a> {
    r#type: &'static str,
    schema: &'a Json,
}

#[derive(Serialize)]
struct Metadata<'a> {
    user_id: &'a str,
}

pub(super) fn encode(request: &Request, target: &EncodeTarget<'_>) -> Result<Vec<u8>, Untranslatable> {
    let conversation = encode_message::conversation(&request.turns)?;
    let (budget, sampling) = fitting(request, &conversation, target);
    let body = Body {
        model: target.model,
        max_tokens: budget.max_tokens,
        messages: conversation.messages,
        system: system(conversation.system, request.format.as_ref()),
        stream: request.stream,
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        top_k: sampling.top_k,
        stop_sequences: &request.stop,
        tools: request.tools.iter().map(tool).collect(),
        tool_choice: tool_choice(request),
        thinking: thinking(&budget, &request.reasoning),
        output_config: OutputConfig {
            effort: budget.effort.map(budget::effort_word),
            format: request.format.as_ref().and_then(format),
        },
        metadata: request.user.as_deref().map(|user_id| Metadata { user_id }),
        service_tier: request.tier.map(|tier| match tier {
            Tier::Auto => "auto",
            Tier::Standard => "standard_only",
        }),
    };
    Ok(serde_json::to_vec(&body).expect("structs of strings, numbers and raw JSON serialise"))
}

/// How much such a request may think and write, and how to draw: the same wherever Anthropic's models are served.
pub(in crate::dialects) fn wishes(
    request: &Request,
    target: &EncodeTarget<'_>,
) -> Result<(Budget, Sampling), Untranslatable> {
    Ok(fitting(request, &encode_message::conversation(&request.turns)?, target))
}

fn fitting(
    request: &Request,
    conversation: &Conversation<'_>,
    target: &EncodeTarget<'_>,
) -> (Budget, Sampling) {
    let bounds = Bounds { model: target.model, max_output: request.max_output, cap: target.output_cap };
    let budget = budget::fit(&reasoning(request, conversation, target.model), bounds);
    let sampling = sampling(&request.sampling, &budget, models::samplers(target.model));
    (budget, sampling)
}

/// The wish to think. An effort is a hint, so it is left out where thinking would be refused: beside a forced tool, and
/// within a budget after a tool call that no thinking led to. A client's own `thinking` stays.
fn reasoning(request: &Request, conversation: &Conversation<'_>, model: &str) -> Reasoning {
    if request.reasoning.mode.is_some() {
        return request.reasoning.clone();
    }
    let forced = !request.tools.is_empty()
        && matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_)));
    match models::thinking(model) {
        Thinking::Budget if forced || conversation.continues_without_thinking() => Reasoning::default(),
        Thinking::Any if forced => Reasoning::default(),
        // Some of them think unless they are told not to.
        Thinking::Adaptive if forced => Reasoning { mode: Some(ReasoningMode::Off), ..Reasoning::default() },
        Thinking::Budget | Thinking::Any | Thinking::Adaptive | Thinking::Always => request.reasoning.clone(),
    }
}

/// What Anthropic takes of the client's wishes, by the rules of its own OpenAI-compatible endpoint: a temperature above
/// its range is the highest, and penalties are dropped.
pub(in crate::dialects) fn sampling(wish: &Sampling, budget: &Budget, takes: Samplers) -> Sampling {
    let Sampling { temperature, top_p, top_k, frequency_penalty: _, presence_penalty: _, seed: _ } = wish;
    if takes == Samplers::None {
        return Sampling::default();
    }
    if budget.thinks() {
        let top_p = top_p.filter(|top_p| *top_p >= MIN_TOP_P_WHILE_THINKING);
        return Sampling { top_p, ..Sampling::default() };
    }
    // 1 is what absence means.
    let top_p =
        top_p.filter(|top_p| temperature.is_none() || (takes != Samplers::TemperatureOrTopP && *top_p < 1.0));
    let temperature = temperature.map(|temperature| temperature.min(MAX_TEMPERATURE));
    Sampling { temperature, top_p, top_k: *top_k, ..Sampling::default() }
}

fn tool(tool: &Tool) -> WireTool<'_> {
    let Tool { name, description, schema: parameters, strict, cache } = tool;
    WireTool {
        name,
        description: description.as_deref(),
        input_schema: match parameters {
            Some(parameters) => Schema::Given(schema::with_type(parameters)),
            None => Schema::Empty(serde_json::from_str(NO_PARAMETERS).expect("the constant above is JSON")),
        },
        strict: *strict,
        cache_control: cache.as_ref(),
    }
}

/// "One at a time" is a part of the choice here, so it needs a choice, and a choice needs tools.
pub(in crate::dialects) fn tool_choice(request: &Request) -> Option<WireChoice<'_>> {
    if request.tools.is_empty() {
        return None;
    }
    let one_at_a_time = request.parallel_tool_calls == Some(false);
    let choice = match &request.tool_choice {
        None if !one_at_a_time => return None,
        None | Some(ToolChoice::Auto) => ("auto", None),
        // It has no such member, and needs none.
        Some(ToolChoice::None) => {
            return Some(WireChoice { r#type: "none", name: None, disable_parallel_tool_use: false });
        }
        Some(ToolChoice::Required) => ("any", None),
        Some(ToolChoice::Named(name)) => ("tool", Some(name.as_str())),
    };
    let (r#type, name) = choice;
    Some(WireChoice { r#type, name, disable_parallel_tool_use: one_at_a_time })
}

pub(in crate::dialects) fn thinking<'a>(
    budget: &Budget,
    reasoning: &'a Reasoning,
) -> Option<WireThinking<'a>> {
    let (r#type, budget_tokens) = match budget.mode? {
        ReasoningMode::Off => {
            return Some(WireThinking { r#type: "disabled", budget_tokens: None, display: None });
        }
        ReasoningMode::Adaptive => ("adaptive", None),
        ReasoningMode::Budget(tokens) => ("enabled", Some(tokens)),
    };
    Some(WireThinking { r#type, budget_tokens, display: reasoning.display.as_deref() })
}

fn format(format: &OutputFormat) -> Option<Format<'_>> {
    match format {
        OutputFormat::JsonSchema(schema) => Some(Format { r#type: "json_schema", schema: &schema.schema }),
        OutputFormat::JsonObject => None,
    }
}

/// The system's text, and what has no field of its own here.
fn system<'a>(mut system: Vec<Block<'a>>, format: Option<&OutputFormat>) -> Vec<Block<'a>> {
    if matches!(format, Some(OutputFormat::JsonObject)) {
        system.push(Block::Text { text: ONE_JSON_OBJECT, cache_control: None });
    }
    system
}
