//! A chat client's messages into turns.

use std::collections::BTreeMap;

use crate::canonical::{Content, Document, Part, Place, Role, Source, Turn};
use crate::dialects::fields::{Fields, TextOrParts};
use crate::error::Untranslatable;

/// What clients echo from answers they got, and names of participants, which the API calls optional.
const HARMLESS_IN_MESSAGE: &[&str] =
    &["annotations", "name", "provider_specific_fields", "reasoning", "reasoning_details"];

/// Hints inside parts that the API calls optional.
const HARMLESS_IN_PART: &[&str] = &["annotations", "prompt_cache_breakpoint"];

pub(super) fn turns(messages: Vec<Fields<'_>>) -> Result<Vec<Turn>, Untranslatable> {
    messages.into_iter().map(turn).collect()
}

fn turn(mut message: Fields<'_>) -> Result<Turn, Untranslatable> {
    let role: String = message.required("role")?;
    let cache = message.json("cache_control");
    let (role, mut parts) = match role.as_str() {
        "system" | "developer" => (Role::System, content(&mut message)?),
        "user" => (Role::User, content(&mut message)?),
        "assistant" => (Role::Assistant, assistant(&mut message)?),
        "tool" => (Role::User, vec![tool_result(&mut message)?]),
        _ => {
            return Err(message.refuse("role", &format!("`{role}` is not a role that can be carried.")));
        }
    };
    message.ignore(HARMLESS_IN_MESSAGE);
    message.finish()?;
    // A mark on the message means: up to its end.
    if let (Some(cache), Some(last)) = (cache, parts.last_mut()) {
        last.cache.get_or_insert(cache);
    }
    Ok(Turn { role, parts })
}

/// Thinking first: that is where a model's answer begins, and where Anthropic wants it back.
fn assistant(message: &mut Fields<'_>) -> Result<Vec<Part>, Untranslatable> {
    message.only("audio", &[], "audio answers cannot be carried.")?;
    message.only("function_call", &[], "it is deprecated; use `tool_calls`.")?;
    let mut parts = thinking(message)?;
    parts.extend(content(message)?);
    let refusal: Option<String> = message.optional("refusal")?;
    parts.extend(refusal.map(|text| plain(Content::Text(text), message.place())));
    for call in message.objects("tool_calls")? {
        parts.push(tool_call(call)?);
    }
    Ok(parts)
}

/// The blocks if there are any, because they are signed, else the bare text.
fn thinking(message: &mut Fields<'_>) -> Result<Vec<Part>, Untranslatable> {
    let text: Option<String> = message.optional("reasoning_content")?;
    let blocks = message.objects("thinking_blocks")?;
    if blocks.is_empty() {
        let text = text.filter(|text| !text.is_empty());
        let content = text.map(|text| Content::Thinking { text, signature: None });
        return Ok(content.map(|content| plain(content, message.place())).into_iter().collect());
    }
    blocks.into_iter().map(crate::dialects::anthropic_messages::thinking_block).collect()
}

fn content(message: &mut Fields<'_>) -> Result<Vec<Part>, Untranslatable> {
    let place = Place(message.path_of("content"));
    match message.text_or_parts("content")? {
        None => Ok(Vec::new()),
        Some(TextOrParts::Text(text)) if text.is_empty() => Ok(Vec::new()),
        Some(TextOrParts::Text(text)) => Ok(vec![plain(Content::Text(text), place)]),
        Some(TextOrParts::Parts(parts)) => parts.into_iter().map(part).collect(),
    }
}

fn part(mut fields: Fields<'_>) -> Result<Part, Untranslatable> {
    let kind: String = fields.required("type")?;
    let content = match kind.as_str() {
        "text" => Content::Text(fields.required("text")?),
        "refusal" => Content::Text(fields.required("refusal")?),
        "image_url" => Content::Image(image(&mut fields)?),
        "file" => Content::Document(file(&mut fields)?),
        "input_audio" => return Err(fields.refuse("input_audio", "audio cannot be carried.")),
        _ => {
            return Err(fields.refuse("type", &format!("parts of type `{kind}` cannot be carried.")));
        }
    };
    let part = Part { content, cache: fields.json("cache_control"), place: fields.place() };
    fields.ignore(HARMLESS_IN_PART);
    fields.finish()?;
    Ok(part)
}

/// `detail` is a hint by the API's own words.
fn image(part: &mut Fields<'_>) -> Result<Source, Untranslatable> {
    let mut image = part.object("image_url")?.ok_or_else(|| part.refuse("image_url", "it is missing."))?;
    let url: String = image.required("url")?;
    image.ignore(&["detail"]);
    let source = match data_url(&url) {
        Some(source) => source,
        None if url.starts_with("https://") || url.starts_with("http://") => Source::Url(url),
        None => return Err(image.refuse("url", "it must be an http(s) URL or a base64 data URL.")),
    };
    image.finish()?;
    Ok(source)
}

/// Files by id live in the client's account at OpenAI, where no other provider can read them.
fn file(part: &mut Fields<'_>) -> Result<Document, Untranslatable> {
    let mut file = part.object("file")?.ok_or_else(|| part.refuse("file", "it is missing."))?;
    file.only("file_id", &[], "a file stored at one provider cannot be read by another; send `file_data`.")?;
    let data: String = file.required("file_data")?;
    let title = file.optional("filename")?;
    match data_url(&data) {
        Some(source @ Source::Base64 { .. }) if is_pdf(&source) => {
            file.finish()?;
            Ok(Document { source, title })
        }
        _ => Err(file.refuse("file_data", "it must be a base64 data URL of type application/pdf.")),
    }
}

fn is_pdf(source: &Source) -> bool {
    matches!(source, Source::Base64 { media_type, .. } if media_type == "application/pdf")
}

/// `data:<media type>;base64,<data>` (RFC 2397); parameters between the two are no part of the type.
fn data_url(url: &str) -> Option<Source> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    let head = head.strip_suffix(";base64")?;
    let media_type = head.split(';').next().filter(|media_type| !media_type.is_empty())?;
    Some(Source::Base64 { media_type: media_type.to_owned(), data: data.to_owned() })
}

fn tool_call(mut call: Fields<'_>) -> Result<Part, Untranslatable> {
    let place = call.place();
    let id = call.required("id")?;
    let kind: Option<String> = call.optional("type")?;
    if let Some(kind) = kind.filter(|kind| kind != "function") {
        return Err(call.refuse("type", &format!("calls of type `{kind}` cannot be carried.")));
    }
    let cache = call.json("cache_control");
    let mut function = call.object("function")?.ok_or_else(|| call.refuse("function", "it is missing."))?;
    // `index` is left over where a client kept a stream's delta.
    call.ignore(&["index"]);
    call.finish()?;
    let name = function.required("name")?;
    let arguments: String = function.required("arguments")?;
    let arguments = object(arguments);
    function.finish()?;
    Ok(Part { content: Content::ToolCall { id, name, arguments }, cache, place })
}

/// What a model wrote that is no object is wrapped, as it is in replies: refusing it would end the conversation.
fn object(arguments: String) -> String {
    if arguments.trim().is_empty() {
        return "{}".to_owned();
    }
    if is_json_object(&arguments) {
        return arguments;
    }
    let wrapped = BTreeMap::from([("raw_arguments", arguments)]);
    serde_json::to_string(&wrapped).expect("a map of text serialises")
}

fn is_json_object(text: &str) -> bool {
    text.trim_start().starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

fn tool_result(message: &mut Fields<'_>) -> Result<Part, Untranslatable> {
    let content = Content::ToolResult {
        call_id: message.required("tool_call_id")?,
        parts: content(message)?,
        is_error: message.optional("is_error")?.unwrap_or(false),
    };
    Ok(plain(content, message.place()))
}

fn plain(content: Content, place: Place) -> Part {
    Part { content, cache: None, place }
}
