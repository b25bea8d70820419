//! A Converse client's request into the canonical model: everything but the messages. Model and stream stand in the
//! path, which is not seen here.

use serde_json::value::RawValue;

use super::decode_message;
use crate::canonical::{
    Effort, Json, JsonSchema, OutputFormat, Reasoning, Request, Role, Sampling, Tool, ToolChoice, Turn,
};
use crate::dialects::anthropic_messages;
use crate::dialects::fields::Fields;
use crate::dialects::schema;
use crate::error::Untranslatable;

pub(super) fn decode(body: &[u8]) -> Result<Request, Untranslatable> {
    let mut fields = Fields::of_body(body)?;
    let mut request = Request { turns: turns(&mut fields)?, ..Request::default() };
    if let Some(config) = fields.object("inferenceConfig")? {
        inference(config, &mut request)?;
    }
    if let Some(config) = fields.object("toolConfig")? {
        tools(config, &mut request)?;
    }
    if let Some(additional) = fields.object("additionalModelRequestFields")? {
        anthropics(additional, &mut request)?;
    }
    if let Some(config) = fields.object("outputConfig")? {
        output(config, &mut request)?;
    }
    fields.ignore(&["requestMetadata"]);
    fields.finish()?;
    Ok(request)
}

/// `system` stands before the messages.
fn turns(fields: &mut Fields<'_>) -> Result<Vec<Turn>, Untranslatable> {
    let system = decode_message::parts(fields.objects("system")?)?;
    let messages: Vec<&RawValue> = fields.required("messages")?;
    let mut turns = Vec::new();
    if !system.is_empty() {
        turns.push(Turn { role: Role::System, parts: system });
    }
    for (index, message) in messages.into_iter().enumerate() {
        let message = Fields::of(message, format!("messages[{index}]"))?;
        turns.push(decode_message::turn(message)?);
    }
    Ok(turns)
}

fn inference(mut config: Fields<'_>, request: &mut Request) -> Result<(), Untranslatable> {
    request.max_output = config.optional("maxTokens")?;
    request.stop = config.optional("stopSequences")?.unwrap_or_default();
    request.sampling = Sampling {
        temperature: config.optional("temperature")?,
        top_p: config.optional("topP")?,
        ..Sampling::default()
    };
    config.finish()
}

fn tools(mut config: Fields<'_>, request: &mut Request) -> Result<(), Untranslatable> {
    for mut entry in config.objects("tools")? {
        if let Some(mark) = decode_message::cache_mark(&mut entry)? {
            if let Some(last) = request.tools.last_mut() {
                last.cache = Some(mark);
            }
        } else if let Some(spec) = entry.object("toolSpec")? {
            request.tools.push(tool(spec)?);
        }
        entry.finish()?;
    }
    if let Some(mut choice) = config.object("toolChoice")? {
        let named = choice.object("tool")?.map(|mut tool| tool.required("name")).transpose()?;
        let any = choice.object("any")?;
        request.tool_choice = Some(match (named, any) {
            (Some(name), _) => ToolChoice::Named(name),
            (None, Some(_)) => ToolChoice::Required,
            (None, None) => ToolChoice::Auto,
        });
        choice.ignore(&["auto"]);
        choice.finish()?;
    }
    config.finish()
}

fn tool(mut spec: Fields<'_>) -> Result<Tool, Untranslatable> {
    let schema = spec.object("inputSchema")?.and_then(|mut schema| schema.json("json"));
    let tool = Tool {
        name: spec.required("name")?,
        description: spec.optional("description")?,
        schema,
        strict: spec.optional("strict")?,
        cache: None,
    };
    spec.finish()?;
    Ok(tool)
}

/// What Anthropic's models take beside Converse's own fields.
fn anthropics(mut fields: Fields<'_>, request: &mut Request) -> Result<(), Untranslatable> {
    request.sampling.top_k = fields.optional("top_k")?;
    request.reasoning =
        fields.object("thinking")?.map_or(Ok(Reasoning::default()), anthropic_messages::thinking)?;
    if let (Some(choice), parallel) = anthropic_messages::tool_choice(&mut fields)? {
        request.tool_choice = Some(choice);
        request.parallel_tool_calls = parallel;
    }
    fields.finish()
}

fn output(mut config: Fields<'_>, request: &mut Request) -> Result<(), Untranslatable> {
    if let Some(word) = config.optional::<String>("effort")? {
        let effort = Effort::named(&word);
        request.reasoning.effort =
            Some(effort.ok_or_else(|| config.refuse("effort", &format!("`{word}` is not a known effort.")))?);
    }
    if let Some(mut format) = config.object("textFormat")? {
        format.only("type", &[r#""json_schema""#], "only JSON by a schema can be asked for.")?;
        let structure = format.object("structure")?;
        let schema = structure.map(|mut structure| structure.object("jsonSchema")).transpose()?.flatten();
        let schema = schema.ok_or_else(|| format.refuse("structure", "it has no `jsonSchema`."))?;
        request.format = Some(OutputFormat::JsonSchema(json_schema(schema)?));
        format.finish()?;
    }
    config.finish()
}

/// Bedrock promises that the answer matches; elsewhere that can be asked for only where the schema leaves nothing open.
fn json_schema(mut fields: Fields<'_>) -> Result<JsonSchema, Untranslatable> {
    let text: String = fields.required("schema")?;
    let raw = RawValue::from_string(text).map_err(|_| fields.refuse("schema", "it is not JSON."))?;
    let schema = Json(raw);
    let strict = Some(schema::is_closed(&schema));
    let (name, description) = (fields.optional("name")?, fields.optional("description")?);
    fields.finish()?;
    Ok(JsonSchema { name, description, schema, strict })
}
