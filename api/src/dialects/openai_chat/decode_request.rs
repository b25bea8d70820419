//! A chat client's request into the canonical model: everything but the messages.

use super::decode_message;
use crate::canonical::{
    Effort, JsonSchema, OutputFormat, Reasoning, ReasoningMode, Request, Sampling, Tier, Tool, ToolChoice,
};
use crate::dialects::fields::Fields;
use crate::error::Untranslatable;

/// Fields that only help the provider or are the gateway's own business; dropping them changes no answer.
const HARMLESS: &[&str] = &[
    "metadata",
    "prediction",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "store",
    "stream_options",
    "verbosity",
];

pub(super) fn decode(body: &[u8]) -> Result<Request, Untranslatable> {
    let mut fields = Fields::of_body(body)?;
    refuse_what_nobody_carries(&mut fields)?;
    let user = match fields.optional("user")? {
        Some(user) => Some(user),
        None => fields.optional("safety_identifier")?,
    };
    let request = Request {
        model: fields.required("model")?,
        stream: fields.optional("stream")?.unwrap_or(false),
        turns: decode_message::turns(fields.objects("messages")?)?,
        max_output: max_output(&mut fields)?,
        sampling: sampling(&mut fields)?,
        stop: stop(&mut fields)?,
        tools: fields.objects("tools")?.into_iter().map(tool).collect::<Result<_, _>>()?,
        tool_choice: tool_choice(&mut fields)?,
        parallel_tool_calls: fields.optional("parallel_tool_calls")?,
        reasoning: reasoning(&mut fields)?,
        format: format(&mut fields)?,
        user,
        tier: tier(&mut fields)?,
    };
    fields.ignore(HARMLESS);
    fields.finish()?;
    Ok(request)
}

/// Fields whose harmless values say what is so anyway.
fn refuse_what_nobody_carries(fields: &mut Fields<'_>) -> Result<(), Untranslatable> {
    fields.only("n", &["1"], "only one answer can be asked for.")?;
    fields.only("logprobs", &["false"], "log probabilities are not available.")?;
    fields.only("top_logprobs", &["0"], "log probabilities are not available.")?;
    fields.only("logit_bias", &["{}"], "tokens cannot be biased.")?;
    if let Some(modalities) = fields.optional::<Vec<String>>("modalities")?
        && modalities.iter().any(|modality| modality != "text")
    {
        return Err(fields.refuse("modalities", "only text can be asked for."));
    }
    fields.only("functions", &["[]"], "it is deprecated; use `tools`.")?;
    fields.only("function_call", &[], "it is deprecated; use `tool_choice`.")
}

/// The larger of both names wins, as it does at admission.
fn max_output(fields: &mut Fields<'_>) -> Result<Option<u64>, Untranslatable> {
    let old: Option<u64> = fields.optional("max_tokens")?;
    let new: Option<u64> = fields.optional("max_completion_tokens")?;
    Ok(old.max(new))
}

fn sampling(fields: &mut Fields<'_>) -> Result<Sampling, Untranslatable> {
    Ok(Sampling {
        temperature: fields.optional("temperature")?,
        top_p: fields.optional("top_p")?,
        top_k: fields.optional("top_k")?,
        frequency_penalty: fields.optional("frequency_penalty")?,
        presence_penalty: fields.optional("presence_penalty")?,
        seed: fields.optional("seed")?,
    })
}

fn stop(fields: &mut Fields<'_>) -> Result<Vec<String>, Untranslatable> {
    let path = "stop";
    let Some(raw) = fields.raw(path) else {
        return Ok(Vec::new());
    };
    let stop = match raw.get().as_bytes().first() {
        Some(b'[') => serde_json::from_str(raw.get()),
        _ => serde_json::from_str(raw.get()).map(|one| vec![one]),
    };
    stop.map_err(|_| Untranslatable::at(path, "`stop` must be text or a list of texts."))
}

fn tool(mut fields: Fields<'_>) -> Result<Tool, Untranslatable> {
    let kind: String = fields.required("type")?;
    if kind != "function" {
        return Err(
            fields.refuse("type", &format!("only tools of type `function` can be carried, not `{kind}`."))
        );
    }
    let cache = fields.json("cache_control");
    let mut function =
        fields.object("function")?.ok_or_else(|| fields.refuse("function", "it is missing."))?;
    fields.finish()?;
    let tool = Tool {
        name: function.required("name")?,
        description: function.optional("description")?,
        schema: function.json("parameters"),
        strict: function.optional("strict")?,
        cache: function.json("cache_control").or(cache),
    };
    function.finish()?;
    Ok(tool)
}

fn tool_choice(fields: &mut Fields<'_>) -> Result<Option<ToolChoice>, Untranslatable> {
    let path = fields.path_of("tool_choice");
    let Some(raw) = fields.raw("tool_choice") else {
        return Ok(None);
    };
    let choice = match raw.get() {
        r#""auto""# => ToolChoice::Auto,
        r#""none""# => ToolChoice::None,
        r#""required""# => ToolChoice::Required,
        word if word.starts_with('"') => {
            let why = format!("it must be auto, none, required or a function, not {word}.");
            return Err(fields.refuse("tool_choice", &why));
        }
        _ => named_tool(Fields::of(raw, path)?)?,
    };
    Ok(Some(choice))
}

fn named_tool(mut choice: Fields<'_>) -> Result<ToolChoice, Untranslatable> {
    let kind: String = choice.required("type")?;
    match choice.object("function")? {
        Some(mut function) if kind == "function" => {
            choice.finish()?;
            let name = function.required("name")?;
            function.finish()?;
            Ok(ToolChoice::Named(name))
        }
        Some(_) | None => {
            Err(choice.refuse("type", &format!("`{kind}` is not a choice that can be carried.")))
        }
    }
}

/// `thinking` is Anthropic's own field, which unified clients send along.
fn reasoning(fields: &mut Fields<'_>) -> Result<Reasoning, Untranslatable> {
    let effort =
        match fields.optional::<String>("reasoning_effort")? {
            None => None,
            Some(word) => Some(Effort::named(&word).ok_or_else(|| {
                fields.refuse("reasoning_effort", &format!("`{word}` is not a known effort."))
            })?),
        };
    let mut reasoning = match fields.object("thinking")? {
        Some(thinking) => crate::dialects::anthropic_messages::thinking(thinking)?,
        None => Reasoning::default(),
    };
    if effort == Some(Effort::None) {
        reasoning.mode = reasoning.mode.or(Some(ReasoningMode::Off));
    } else {
        reasoning.effort = effort;
    }
    Ok(reasoning)
}

fn format(fields: &mut Fields<'_>) -> Result<Option<OutputFormat>, Untranslatable> {
    let Some(mut format) = fields.object("response_format")? else {
        return Ok(None);
    };
    let kind: String = format.required("type")?;
    let read = match kind.as_str() {
        "text" => None,
        "json_object" => Some(OutputFormat::JsonObject),
        "json_schema" => {
            let mut schema = format
                .object("json_schema")?
                .ok_or_else(|| format.refuse("json_schema", "it is missing."))?;
            let read = JsonSchema {
                name: schema.optional("name")?,
                description: schema.optional("description")?,
                schema: schema.json("schema").ok_or_else(|| schema.refuse("schema", "it is missing."))?,
                strict: schema.optional("strict")?,
            };
            schema.finish()?;
            Some(OutputFormat::JsonSchema(read))
        }
        _ => {
            return Err(format.refuse("type", &format!("`{kind}` is not a format that can be carried.")));
        }
    };
    format.finish()?;
    Ok(read)
}

fn tier(fields: &mut Fields<'_>) -> Result<Option<Tier>, Untranslatable> {
    match fields.optional::<String>("service_tier")?.as_deref() {
        None => Ok(None),
        Some("auto") => Ok(Some(Tier::Auto)),
        Some("default") => Ok(Some(Tier::Standard)),
        Some(other) => {
            let why = format!("it knows no counterpart of `{other}`, which has a price of its own.");
            Err(fields.refuse("service_tier", &why))
        }
    }
}
