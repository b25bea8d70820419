//! A canonical request for a Converse upstream: everything but the messages.
//!
//! What Converse has no field for goes into `additionalModelRequestFields`, in the words of the model's vendor.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::encode_message::{self, Block, CachePoint, Caches, Conversation, Message};
use super::family::Family;
use crate::canonical::{
    Effort, Json, JsonSchema, OutputFormat, Reasoning, ReasoningMode, Request, Sampling, Tool, ToolChoice,
};
use crate::dialects::anthropic_messages::{
    self, Bounds, Budget, NO_PARAMETERS, ONE_JSON_OBJECT, Samplers, WireChoice, WireThinking,
};
use crate::dialects::openai_chat::effort_of_budget;
use crate::dialects::{EncodeTarget, schema};
use crate::error::Untranslatable;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<Block<'a>>,
    #[serde(skip_serializing_if = "InferenceConfig::is_empty")]
    inference_config: InferenceConfig<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<ToolConfig<'a>>,
    #[serde(skip_serializing_if = "OutputConfig::is_empty")]
    output_config: OutputConfig<'a>,
    #[serde(skip_serializing_if = "Additional::is_empty")]
    additional_model_request_fields: Additional<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InferenceConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop_sequences: &'a [String],
}

impl InferenceConfig<'_> {
    fn is_empty(&self) -> bool {
        let Self { max_tokens, temperature, top_p, stop_sequences } = self;
        max_tokens.is_none() && temperature.is_none() && top_p.is_none() && stop_sequences.is_empty()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolConfig<'a> {
    tools: Vec<WireTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
enum WireTool<'a> {
    ToolSpec {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        input_schema: InputSchema<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
    },
    CachePoint(CachePoint),
}

#[derive(Serialize)]
struct InputSchema<'a> {
    json: Cow<'a, Json>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Choice<'a> {
    Auto {},
    Any {},
    Tool { name: &'a str },
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct OutputConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    text_format: Option<TextFormat<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
}

impl OutputConfig<'_> {
    fn is_empty(&self) -> bool {
        self.text_format.is_none() && self.effort.is_none()
    }
}

#[derive(Serialize)]
struct TextFormat<'a> {
    r#type: &'static str,
    structure: Structure<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Structure<'a> {
    json_schema: WireSchema<'a>,
}

#[derive(Serialize)]
struct WireSchema<'a> {
    /// As text, not as JSON.
    schema: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
}

/// Vendors' own fields, in their spelling.
#[derive(Default, Serialize)]
struct Additional<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<WireThinking<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<WireChoice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'static str>,
    #[serde(rename = "reasoningConfig", skip_serializing_if = "Option::is_none")]
    reasoning_config: Option<ReasoningConfig>,
    #[serde(rename = "inferenceConfig", skip_serializing_if = "Option::is_none")]
    inference_config: Option<NovaInference>,
}

impl Additional<'_> {
    fn is_empty(&self) -> bool {
        let Self { top_k, thinking, tool_choice, reasoning_effort, reasoning_config, inference_config } =
            self;
        top_k.is_none()
            && thinking.is_none()
            && tool_choice.is_none()
            && reasoning_effort.is_none()
            && reasoning_config.is_none()
            && inference_config.is_none()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReasoningConfig {
    r#type: &'static str,
    max_reasoning_effort: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NovaInference {
    top_k: u64,
}

pub(super) fn encode(request: &Request, target: &EncodeTarget<'_>) -> Result<Vec<u8>, Untranslatable> {
    let family = Family::of(target.model);
    let caches = if family.caches() { Caches::Yes } else { Caches::No };
    let conversation = encode_message::conversation(&request.turns, caches)?;
    let (budget, sampling) = wishes(request, target, family)?;
    let (tool_config, tool_choice) = tools(request, &conversation, (family, caches))?;
    // Converse needs no bound, but a budget to think needs one above it.
    let bounded = request.max_output.is_some() || target.output_cap.is_some();
    let budgeted = matches!(budget.mode, Some(ReasoningMode::Budget(_)));
    let body = Body {
        messages: conversation.messages,
        system: system(conversation.system, request.format.as_ref()),
        inference_config: InferenceConfig {
            max_tokens: Some(budget.max_tokens).filter(|_| bounded || budgeted),
            temperature: sampling.temperature,
            top_p: sampling.top_p,
            stop_sequences: &request.stop,
        },
        tool_config,
        output_config: OutputConfig {
            text_format: request.format.as_ref().and_then(format),
            effort: budget.effort.map(anthropic_messages::effort_word),
        },
        additional_model_request_fields: Additional {
            thinking: anthropic_messages::thinking_written(&budget, &request.reasoning),
            tool_choice,
            ..additional(request, sampling.top_k, family)
        },
    };
    Ok(serde_json::to_vec(&body).expect("structs of strings, numbers and raw JSON serialise"))
}

/// How much to think and how to draw: for Anthropic's models by its rules, for others what needs no rule.
fn wishes(
    request: &Request,
    target: &EncodeTarget<'_>,
    family: Family,
) -> Result<(Budget, Sampling), Untranslatable> {
    if family == Family::Claude {
        return anthropic_messages::wishes(request, target);
    }
    let own = request.reasoning.mode.filter(|mode| *mode != ReasoningMode::Off);
    let mode = own.filter(|_| family.takes_anthropics());
    let bounds = Bounds { model: target.model, max_output: request.max_output, cap: target.output_cap };
    let budget = anthropic_messages::fit(&Reasoning { mode, ..Reasoning::default() }, bounds);
    let sampling = anthropic_messages::sampling(&request.sampling, &budget, Samplers::All);
    Ok((budget, sampling))
}

/// Converse has no word for "none" and for "one at a time"; Anthropic's models take their own.
fn tools<'a>(
    request: &'a Request,
    conversation: &Conversation<'_>,
    (family, caches): (Family, Caches),
) -> Result<(Option<ToolConfig<'a>>, Option<WireChoice<'a>>), Untranslatable> {
    if request.tools.is_empty() {
        return Ok((None, None));
    }
    let tools = request.tools.iter().flat_map(|tool| tool_blocks(tool, caches)).collect();
    let unsaid = request.parallel_tool_calls == Some(false) || request.tool_choice == Some(ToolChoice::None);
    if unsaid && family.takes_anthropics() {
        let choice = anthropic_messages::tool_choice_written(request);
        return Ok((Some(ToolConfig { tools, tool_choice: None }), choice));
    }
    if request.parallel_tool_calls == Some(false) {
        let why = "the model can't be told to ask for one tool at a time.";
        return Err(refuse("parallel_tool_calls", why));
    }
    let choice = match &request.tool_choice {
        Some(ToolChoice::None) if conversation.speaks_of_tools() => {
            let why =
                "a conversation with tool calls needs its tools, and the model can't be told to use none.";
            return Err(refuse("tool_choice", why));
        }
        Some(ToolChoice::None) => return Ok((None, None)),
        None => None,
        Some(ToolChoice::Auto) => Some(Choice::Auto {}),
        Some(ToolChoice::Required) => Some(Choice::Any {}),
        Some(ToolChoice::Named(name)) => Some(Choice::Tool { name }),
    };
    Ok((Some(ToolConfig { tools, tool_choice: choice }), None))
}

fn tool_blocks(tool: &Tool, caches: Caches) -> impl Iterator<Item = WireTool<'_>> {
    let Tool { name, description, schema: parameters, strict, cache } = tool;
    let json = match parameters {
        Some(parameters) => schema::with_type(parameters),
        None => {
            Cow::Owned(Json(RawValue::from_string(NO_PARAMETERS.to_owned()).expect("the constant is JSON")))
        }
    };
    let spec = WireTool::ToolSpec {
        name,
        description: description.as_deref().filter(|text| !text.is_empty()),
        input_schema: InputSchema { json },
        strict: *strict,
    };
    let mark = cache.as_ref().filter(|_| caches == Caches::Yes);
    std::iter::once(spec).chain(mark.map(|mark| WireTool::CachePoint(CachePoint::of(mark))))
}

/// Other vendors' words for how much to think and how to draw. Both are hints, so what a model has no word for is left
/// out.
fn additional(request: &Request, top_k: Option<u64>, family: Family) -> Additional<'static> {
    let effort = effort(&request.reasoning);
    match family {
        Family::Claude | Family::Untold => Additional { top_k, ..Additional::default() },
        Family::Nova | Family::Nova2 => Additional {
            reasoning_config: effort.filter(|_| family == Family::Nova2).and_then(reasoning_config),
            inference_config: top_k.map(|top_k| NovaInference { top_k }),
            ..Additional::default()
        },
        Family::GptOss => {
            let reasoning_effort = effort.map(|effort| match effort {
                Effort::None | Effort::Minimal | Effort::Low => "low",
                Effort::Medium => "medium",
                Effort::High | Effort::Xhigh | Effort::Max => "high",
            });
            Additional { reasoning_effort, ..Additional::default() }
        }
        Family::Other => Additional::default(),
    }
}

fn effort(reasoning: &Reasoning) -> Option<Effort> {
    let meant = match reasoning.mode {
        Some(ReasoningMode::Off) => Some(Effort::None),
        Some(ReasoningMode::Budget(tokens)) => Some(effort_of_budget(tokens)),
        Some(ReasoningMode::Adaptive) | None => None,
    };
    reasoning.effort.or(meant)
}

/// Nova's `high` refuses a bound on the answer, which budgets need, so `medium` is the most.
fn reasoning_config(effort: Effort) -> Option<ReasoningConfig> {
    let most = match effort {
        Effort::None => return None,
        Effort::Minimal | Effort::Low => "low",
        Effort::Medium | Effort::High | Effort::Xhigh | Effort::Max => "medium",
    };
    Some(ReasoningConfig { r#type: "enabled", max_reasoning_effort: most })
}

fn format(format: &OutputFormat) -> Option<TextFormat<'_>> {
    let OutputFormat::JsonSchema(JsonSchema { name, description, schema, strict: _ }) = format else {
        return None;
    };
    let json_schema =
        WireSchema { schema: schema.0.get(), name: name.as_deref(), description: description.as_deref() };
    Some(TextFormat { r#type: "json_schema", structure: Structure { json_schema } })
}

/// The system's text, and what has no field of its own here.
fn system<'a>(mut system: Vec<Block<'a>>, format: Option<&OutputFormat>) -> Vec<Block<'a>> {
    if matches!(format, Some(OutputFormat::JsonObject)) {
        system.push(Block::Text(ONE_JSON_OBJECT));
    }
    system
}

fn refuse(field: &str, why: &str) -> Untranslatable {
    Untranslatable::at(field, format!("`{field}` cannot be translated for this model: {why}"))
}
