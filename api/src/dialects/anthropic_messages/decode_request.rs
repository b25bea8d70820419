//! A messages client's request into the canonical model: everything but the messages.

use super::decode_message;
use crate::canonical::{
    Effort, JsonSchema, OutputFormat, Reasoning, ReasoningMode, Request, Role, Sampling, Tier, Tool,
    ToolChoice, Turn,
};
use crate::dialects::fields::Fields;
use crate::dialects::schema;
use crate::error::Untranslatable;

/// Fields that change no answer elsewhere: caching and context housekeeping that only Anthropic's servers do.
const HARMLESS: &[&str] = &["cache_control", "context_management", "diagnostics"];

/// Hints on tools that only Anthropic's servers act on; the tool works the same without them.
const HARMLESS_IN_TOOL: &[&str] = &["eager_input_streaming", "input_examples"];

pub(super) fn decode(body: &[u8]) -> Result<Request, Untranslatable> {
    let mut fields = Fields::of_body(body)?;
    fields.only("speed", &[r#""standard""#], "only the standard speed can be asked for.")?;
    fields.only("mcp_servers", &["[]"], "servers of tools are asked by Anthropic only.")?;
    let (tool_choice, parallel_tool_calls) = tool_choice(&mut fields)?;
    let mut reasoning = fields.object("thinking")?.map_or(Ok(Reasoning::default()), thinking)?;
    let (effort, format) = output_config(&mut fields)?;
    reasoning.effort = effort;
    let request = Request {
        model: fields.required("model")?,
        stream: fields.optional("stream")?.unwrap_or(false),
        turns: turns(&mut fields)?,
        max_output: fields.optional("max_tokens")?,
        sampling: Sampling {
            temperature: fields.optional("temperature")?,
            top_p: fields.optional("top_p")?,
            top_k: fields.optional("top_k")?,
            ..Sampling::default()
        },
        stop: fields.optional("stop_sequences")?.unwrap_or_default(),
        tools: fields.objects("tools")?.into_iter().map(tool).collect::<Result<_, _>>()?,
        tool_choice,
        parallel_tool_calls,
        reasoning,
        format,
        user: user(&mut fields)?,
        tier: tier(&mut fields)?,
    };
    fields.ignore(HARMLESS);
    fields.finish()?;
    Ok(request)
}

/// `system` stands before the messages.
fn turns(fields: &mut Fields<'_>) -> Result<Vec<Turn>, Untranslatable> {
    let system = decode_message::content(fields, "system")?;
    let mut turns = Vec::new();
    if !system.is_empty() {
        turns.push(Turn { role: Role::System, parts: system });
    }
    for message in fields.objects("messages")? {
        turns.push(decode_message::turn(message)?);
    }
    Ok(turns)
}

fn tool(mut fields: Fields<'_>) -> Result<Tool, Untranslatable> {
    let kind: Option<String> = fields.optional("type")?;
    if let Some(kind) = kind.filter(|kind| kind != "custom") {
        let why = format!("tools of type `{kind}` run at Anthropic or are known to its models only.");
        return Err(fields.refuse("type", &why));
    }
    fields.only("defer_loading", &["false"], "tools cannot be loaded later.")?;
    fields.only("allowed_callers", &[r#"["direct"]"#], "tools can be called directly only.")?;
    let tool = Tool {
        name: fields.required("name")?,
        description: fields.optional("description")?,
        schema: fields.json("input_schema"),
        strict: fields.optional("strict")?,
        cache: fields.json("cache_control"),
    };
    fields.ignore(HARMLESS_IN_TOOL);
    fields.finish()?;
    Ok(tool)
}

/// The choice, and whether tools may be called in parallel, which Anthropic says in the same object.
pub(in crate::dialects) fn tool_choice(
    fields: &mut Fields<'_>,
) -> Result<(Option<ToolChoice>, Option<bool>), Untranslatable> {
    let Some(mut choice) = fields.object("tool_choice")? else {
        return Ok((None, None));
    };
    let kind: String = choice.required("type")?;
    let one_at_a_time: Option<bool> = choice.optional("disable_parallel_tool_use")?;
    let read = match kind.as_str() {
        "auto" => ToolChoice::Auto,
        "none" => ToolChoice::None,
        "any" => ToolChoice::Required,
        "tool" => ToolChoice::Named(choice.required("name")?),
        _ => return Err(choice.refuse("type", &format!("`{kind}` is not a known choice."))),
    };
    choice.finish()?;
    Ok((Some(read), one_at_a_time.map(|one| !one)))
}

/// `thinking`, which chat clients may send too.
pub(in crate::dialects) fn thinking(mut fields: Fields<'_>) -> Result<Reasoning, Untranslatable> {
    let kind: String = fields.required("type")?;
    let mode = match kind.as_str() {
        "disabled" => ReasoningMode::Off,
        "adaptive" => ReasoningMode::Adaptive,
        "enabled" => ReasoningMode::Budget(fields.required("budget_tokens")?),
        _ => {
            return Err(fields.refuse("type", &format!("thinking of type `{kind}` cannot be carried.")));
        }
    };
    let display = fields.optional("display")?;
    fields.finish()?;
    Ok(Reasoning { mode: Some(mode), effort: None, display })
}

/// `output_format` is the beta's place for what is `output_config.format` now.
fn output_config(fields: &mut Fields<'_>) -> Result<(Option<Effort>, Option<OutputFormat>), Untranslatable> {
    let old = fields.object("output_format")?;
    let Some(mut config) = fields.object("output_config")? else {
        return Ok((None, old.map(format).transpose()?));
    };
    let effort = match config.optional::<String>("effort")? {
        None => None,
        Some(word) => Some(
            Effort::named(&word)
                .ok_or_else(|| config.refuse("effort", &format!("`{word}` is not a known effort.")))?,
        ),
    };
    let new = config.object("format")?;
    config.finish()?;
    Ok((effort, new.or(old).map(format).transpose()?))
}

fn format(mut fields: Fields<'_>) -> Result<OutputFormat, Untranslatable> {
    let kind: String = fields.required("type")?;
    if kind != "json_schema" {
        return Err(fields.refuse("type", &format!("`{kind}` is not a format that can be carried.")));
    }
    let schema = fields.json("schema").ok_or_else(|| fields.refuse("schema", "it is missing."))?;
    fields.finish()?;
    // Anthropic promises that the answer matches. Elsewhere it can be asked for only where the schema leaves nothing
    // open; the others would be refused.
    let strict = Some(schema::is_closed(&schema));
    Ok(OutputFormat::JsonSchema(JsonSchema { name: None, description: None, schema, strict }))
}

fn user(fields: &mut Fields<'_>) -> Result<Option<String>, Untranslatable> {
    match fields.object("metadata")? {
        None => Ok(None),
        Some(mut metadata) => metadata.optional("user_id"),
    }
}

fn tier(fields: &mut Fields<'_>) -> Result<Option<Tier>, Untranslatable> {
    match fields.optional::<String>("service_tier")?.as_deref() {
        None => Ok(None),
        Some("auto") => Ok(Some(Tier::Auto)),
        Some("standard_only") => Ok(Some(Tier::Standard)),
        Some(other) => Err(fields.refuse("service_tier", &format!("`{other}` is not a known tier."))),
    }
}
