//! A canonical request for an Anthropic upstream: everything but the messages.

use serde::Serialize;

use super::budget::{self, Bounds, Budget};
use super::encode_message::{self, Block, Message};
use crate::canonical::{
    Json, OutputFormat, Reasoning, ReasoningMode, Request, Sampling, Tier, Tool, ToolChoice,
};
use crate::dialects::EncodeTarget;
use crate::error::Untranslatable;

/// Below this Anthropic refuses `top_p` while the model thinks.
const MIN_TOP_P_WHILE_THINKING: f64 = 0.95;

/// A tool without parameters; Anthropic requires a schema.
const NO_PARAMETERS: &str = r#"{"type":"object","properties":{}}"#;

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
    thinking: Option<Thinking<'a>>,
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
    Given(&'a Json),
    Empty(&'static serde_json::value::RawValue),
}

#[derive(Serialize)]
struct WireChoice<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    disable_parallel_tool_use: bool,
}

#[derive(Serialize)]
struct Thinking<'a> {
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
    let bounds = Bounds { model: target.model, max_output: request.max_output, cap: target.output_cap };
    let budget = budget::fit(&request.reasoning, bounds);
    let sampling = sampling(&request.sampling, &budget)?;
    let conversation = encode_message::conversation(&request.turns)?;
    let body = Body {
        model: target.model,
        max_tokens: budget.max_tokens,
        messages: conversation.messages,
        system: conversation.system,
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
            format: format(request.format.as_ref())?,
        },
        metadata: request.user.as_deref().map(|user_id| Metadata { user_id }),
        service_tier: request.tier.map(|tier| match tier {
            Tier::Auto => "auto",
            Tier::Standard => "standard_only",
        }),
    };
    Ok(serde_json::to_vec(&body).expect("structs of strings, numbers and raw JSON serialise"))
}

/// What Anthropic takes of the client's wishes.
fn sampling(wish: &Sampling, budget: &Budget) -> Result<Sampling, Untranslatable> {
    let Sampling { temperature, top_p, top_k, frequency_penalty, presence_penalty, seed: _ } = wish;
    if let Some(temperature) = temperature.filter(|temperature| *temperature > 1.0) {
        let message = format!("`temperature` is {temperature}, but this model takes 0 to 1.");
        return Err(Untranslatable::at("temperature", message));
    }
    for (name, penalty) in [("frequency_penalty", frequency_penalty), ("presence_penalty", presence_penalty)]
    {
        if penalty.is_some_and(|penalty| penalty != 0.0) {
            let message = format!("`{name}` cannot be translated for this model: it has no penalties.");
            return Err(Untranslatable::at(name, message));
        }
    }
    if budget.thinks() {
        let top_p = top_p.filter(|top_p| *top_p >= MIN_TOP_P_WHILE_THINKING);
        return Ok(Sampling { top_p, ..Sampling::default() });
    }
    // 1 is what absence means, and current models refuse both together.
    let top_p = top_p.filter(|top_p| temperature.is_none() || *top_p < 1.0);
    Ok(Sampling { temperature: *temperature, top_p, top_k: *top_k, ..Sampling::default() })
}

fn tool(tool: &Tool) -> WireTool<'_> {
    let Tool { name, description, schema, strict, cache } = tool;
    WireTool {
        name,
        description: description.as_deref(),
        input_schema: match schema {
            Some(schema) => Schema::Given(schema),
            None => Schema::Empty(serde_json::from_str(NO_PARAMETERS).expect("the constant above is JSON")),
        },
        strict: *strict,
        cache_control: cache.as_ref(),
    }
}

/// "One at a time" is a part of the choice here, so it needs a choice, and a choice needs tools.
fn tool_choice(request: &Request) -> Option<WireChoice<'_>> {
    let one_at_a_time = request.parallel_tool_calls == Some(false) && !request.tools.is_empty();
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

fn thinking<'a>(budget: &Budget, reasoning: &'a Reasoning) -> Option<Thinking<'a>> {
    let (r#type, budget_tokens) = match budget.mode? {
        ReasoningMode::Off => {
            return Some(Thinking { r#type: "disabled", budget_tokens: None, display: None });
        }
        ReasoningMode::Adaptive => ("adaptive", None),
        ReasoningMode::Budget(tokens) => ("enabled", Some(tokens)),
    };
    Some(Thinking { r#type, budget_tokens, display: reasoning.display.as_deref() })
}

fn format(format: Option<&OutputFormat>) -> Result<Option<Format<'_>>, Untranslatable> {
    match format {
        None => Ok(None),
        Some(OutputFormat::JsonSchema(schema)) => {
            Ok(Some(Format { r#type: "json_schema", schema: &schema.schema }))
        }
        Some(OutputFormat::JsonObject) => Err(Untranslatable::at(
            "response_format",
            "`response_format` of type `json_object` cannot be translated for this model: it takes a schema; use `json_schema`.",
        )),
    }
}
