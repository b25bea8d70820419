//! A Gemini client's request into the canonical model: everything but the contents.

use super::decode_message::Reader;
use super::spelling::{camel, object, objects};
use super::{openapi, thinking};
use crate::canonical::{JsonSchema, OutputFormat, Request, Role, Sampling, Tool, ToolChoice, Turn};
use crate::dialects::fields::Fields;
use crate::dialects::schema;
use crate::error::Untranslatable;

/// Settings of Google's own filters, and names for its bills.
const HARMLESS: &[&str] = &["safetySettings", "labels", "model", "serviceTier"];

/// What only Google's models act on, and can do without.
const HARMLESS_IN_CONFIG: &[&str] = &["mediaResolution", "audioTimestamp", "enableEnhancedCivicAnswers"];

pub(super) fn decode(body: &[u8]) -> Result<Request, Untranslatable> {
    let mut fields = camel(Fields::of_body(body)?);
    let mut config = object(&mut fields, "generationConfig")?;
    let mut request = Request {
        turns: turns(&mut fields)?,
        tools: tools(&mut fields)?,
        tool_choice: object(&mut fields, "toolConfig")?.map_or(Ok(None), tool_choice)?,
        ..Request::default()
    };
    if let Some(config) = config.take() {
        read_config(config, &mut request)?;
    }
    fields.only("cachedContent", &[r#""""#], "what is cached at Google is known there only.")?;
    fields.ignore(HARMLESS);
    fields.finish()?;
    Ok(request)
}

/// The system's instruction stands before the contents.
fn turns(fields: &mut Fields<'_>) -> Result<Vec<Turn>, Untranslatable> {
    let mut reader = Reader::default();
    let mut turns = Vec::new();
    if let Some(system) = object(fields, "systemInstruction")? {
        let parts = reader.turn(system)?.parts;
        turns.push(Turn { role: Role::System, parts });
    }
    if !fields.has("contents") {
        return Err(Untranslatable::at("contents", "`contents` is missing."));
    }
    for content in objects(fields, "contents")? {
        turns.push(reader.turn(content)?);
    }
    Ok(turns)
}

fn tools(fields: &mut Fields<'_>) -> Result<Vec<Tool>, Untranslatable> {
    let mut tools = Vec::new();
    for mut one in objects(fields, "tools")? {
        for function in objects(&mut one, "functionDeclarations")? {
            tools.push(tool(function)?);
        }
        // Searches, code and the like run at Google.
        one.finish()?;
    }
    Ok(tools)
}

fn tool(mut function: Fields<'_>) -> Result<Tool, Untranslatable> {
    let openapi = function.json("parameters").map(|schema| openapi::json_schema(&schema));
    function.only("behavior", &[r#""BLOCKING""#], "calls are waited for.")?;
    let tool = Tool {
        name: function.required("name")?,
        description: function.optional("description")?,
        schema: function.json("parametersJsonSchema").or(openapi),
        strict: None,
        cache: None,
    };
    // What a function gives back is for the client's own code.
    function.ignore(&["response", "responseJsonSchema"]);
    function.finish()?;
    Ok(tool)
}

fn tool_choice(mut config: Fields<'_>) -> Result<Option<ToolChoice>, Untranslatable> {
    let Some(mut calling) = object(&mut config, "functionCallingConfig")? else {
        config.finish()?;
        return Ok(None);
    };
    config.finish()?;
    let mode: Option<String> = calling.optional("mode")?;
    let mut allowed: Vec<String> = calling.optional("allowedFunctionNames")?.unwrap_or_default();
    calling.ignore(&["streamFunctionCallArguments"]);
    let choice = match (mode.as_deref(), allowed.len()) {
        (None | Some("MODE_UNSPECIFIED"), 0) => None,
        (Some("AUTO" | "VALIDATED"), 0) => Some(ToolChoice::Auto),
        (Some("NONE"), _) => Some(ToolChoice::None),
        (Some("ANY"), 0) => Some(ToolChoice::Required),
        (Some("ANY"), 1) => allowed.pop().map(ToolChoice::Named),
        (None | Some("ANY" | "AUTO" | "VALIDATED" | "MODE_UNSPECIFIED"), _) => {
            let why = "either one function can be named, with the mode ANY, or none.";
            return Err(calling.refuse("allowedFunctionNames", why));
        }
        (Some(other), _) => return Err(calling.refuse("mode", &format!("`{other}` is not a known mode."))),
    };
    calling.finish()?;
    Ok(choice)
}

fn read_config(mut config: Fields<'_>, request: &mut Request) -> Result<(), Untranslatable> {
    config.only("candidateCount", &["1"], "only one answer can be asked for.")?;
    config.only("responseLogprobs", &["false"], "log probabilities are not available.")?;
    config.only("logprobs", &["0"], "log probabilities are not available.")?;
    if let Some(modalities) = config.optional::<Vec<String>>("responseModalities")?
        && modalities.iter().any(|modality| modality != "TEXT")
    {
        return Err(config.refuse("responseModalities", "only text can be asked for."));
    }
    request.max_output = config.optional("maxOutputTokens")?;
    request.sampling = Sampling {
        temperature: config.optional("temperature")?,
        top_p: config.optional("topP")?,
        top_k: top_k(&mut config)?,
        frequency_penalty: config.optional("frequencyPenalty")?,
        presence_penalty: config.optional("presencePenalty")?,
        seed: config.optional("seed")?,
    };
    request.stop = config.optional("stopSequences")?.unwrap_or_default();
    request.format = format(&mut config)?;
    if let Some(thinking) = object(&mut config, "thinkingConfig")? {
        request.reasoning = thinking::read(thinking)?;
    }
    config.ignore(HARMLESS_IN_CONFIG);
    config.finish()
}

/// A float in Google's API, with nothing behind the point.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be whole and in range"
)]
fn top_k(config: &mut Fields<'_>) -> Result<Option<u64>, Untranslatable> {
    match config.optional::<f64>("topK")? {
        None => Ok(None),
        Some(top_k) if top_k.fract() == 0.0 && (0.0..1e9).contains(&top_k) => Ok(Some(top_k as u64)),
        Some(top_k) => Err(config.refuse("topK", &format!("it must be a whole number, not {top_k}."))),
    }
}

fn format(config: &mut Fields<'_>) -> Result<Option<OutputFormat>, Untranslatable> {
    let openapi = config.json("responseSchema").map(|schema| openapi::json_schema(&schema));
    let schema = config.json("responseJsonSchema").or(openapi);
    match (config.optional::<String>("responseMimeType")?.as_deref(), schema) {
        (None | Some("" | "text/plain"), None) => Ok(None),
        (Some("application/json"), None) => Ok(Some(OutputFormat::JsonObject)),
        (Some("application/json"), Some(schema)) => {
            let strict = Some(schema::is_closed(&schema));
            let schema = JsonSchema { name: None, description: None, schema, strict };
            Ok(Some(OutputFormat::JsonSchema(schema)))
        }
        (other, _) => {
            let other = other.unwrap_or_default();
            let why = format!("it must be application/json or, without a schema, text/plain, not `{other}`.");
            Err(config.refuse("responseMimeType", &why))
        }
    }
}
