//! A Converse client's turns and content blocks: each block is an object with one member, which says what it is.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::value::RawValue;

use super::files;
use crate::canonical::{Content, Document, Json, Part, Role, Source, Turn};
use crate::dialects::fields::Fields;
use crate::error::Untranslatable;

pub(super) fn turn(mut message: Fields<'_>) -> Result<Turn, Untranslatable> {
    let role: String = message.required("role")?;
    let role = match role.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        _ => return Err(message.refuse("role", &format!("`{role}` is not a known role."))),
    };
    let parts = parts(message.objects("content")?)?;
    message.finish()?;
    Ok(Turn { role, parts })
}

/// Blocks, of which cache points mark the one before.
pub(super) fn parts(blocks: Vec<Fields<'_>>) -> Result<Vec<Part>, Untranslatable> {
    let mut parts: Vec<Part> = Vec::with_capacity(blocks.len());
    for mut block in blocks {
        if let Some(mark) = cache_mark(&mut block)? {
            block.finish()?;
            if let Some(last) = parts.last_mut() {
                last.cache = Some(mark);
            }
            continue;
        }
        let place = block.place();
        let content = content(&mut block)?;
        block.finish()?;
        parts.push(Part { content, cache: None, place });
    }
    Ok(parts)
}

/// A cache point, as Anthropic's mark.
pub(super) fn cache_mark(block: &mut Fields<'_>) -> Result<Option<Json>, Untranslatable> {
    let Some(mut point) = block.object("cachePoint")? else {
        return Ok(None);
    };
    point.ignore(&["type"]);
    let ttl: Option<String> = point.optional("ttl")?;
    point.finish()?;
    let mark = match ttl.as_deref() {
        Some("1h") => r#"{"type":"ephemeral","ttl":"1h"}"#,
        Some(_) | None => r#"{"type":"ephemeral"}"#,
    };
    Ok(Some(Json(RawValue::from_string(mark.to_owned()).expect("the constants are JSON"))))
}

fn content(block: &mut Fields<'_>) -> Result<Content, Untranslatable> {
    if let Some(mut thought) = block.object("reasoningContent")? {
        let content = thinking(&mut thought)?;
        thought.finish()?;
        return Ok(content);
    }
    if let Some(mut call) = block.object("toolUse")? {
        let input = call.json("input").ok_or_else(|| call.refuse("input", "it is missing."))?;
        let (id, name) = (call.required("toolUseId")?, call.required("name")?);
        call.finish()?;
        return Ok(Content::ToolCall { id, name, arguments: input.0.get().to_owned() });
    }
    if let Some(mut result) = block.object("toolResult")? {
        let status: Option<String> = result.optional("status")?;
        let call_id = result.required("toolUseId")?;
        let blocks = result.objects("content")?;
        result.finish()?;
        let parts = blocks.into_iter().map(plain_part).collect::<Result<_, _>>()?;
        return Ok(Content::ToolResult { call_id, parts, is_error: status.as_deref() == Some("error") });
    }
    plain(block)
}

/// What a tool result may hold too: it never nests, so no body can drive this reader deep.
fn plain_part(mut block: Fields<'_>) -> Result<Part, Untranslatable> {
    let place = block.place();
    let content = plain(&mut block)?;
    block.finish()?;
    Ok(Part { content, cache: None, place })
}

fn plain(block: &mut Fields<'_>) -> Result<Content, Untranslatable> {
    if let Some(mut image) = block.object("image")? {
        let format: String = image.required("format")?;
        let Some(media_type) = files::image_type(&format) else {
            return Err(image.refuse("format", &format!("`{format}` is not a known format.")));
        };
        let data = bytes(&mut image)?;
        image.finish()?;
        return Ok(Content::Image(Source::Base64 { media_type: media_type.to_owned(), data }));
    }
    if let Some(mut document) = block.object("document")? {
        let content = file(&mut document)?;
        document.finish()?;
        return Ok(content);
    }
    Ok(Content::Text(block.required("text")?))
}

fn file(document: &mut Fields<'_>) -> Result<Content, Untranslatable> {
    let format: String = document.required("format")?;
    let title = document.optional("name")?;
    let data = bytes(document)?;
    if format == "txt" {
        let text = BASE64_STANDARD.decode(&data).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let text = text.ok_or_else(|| document.refuse("source", "its bytes are not text in base64."))?;
        return Ok(Content::Document(Document { source: Source::Text(text), title }));
    }
    let Some(media_type) = files::document_type(&format) else {
        return Err(document.refuse("format", &format!("`{format}` is not a known format.")));
    };
    let source = Source::Base64 { media_type: media_type.to_owned(), data };
    Ok(Content::Document(Document { source, title }))
}

fn bytes(file: &mut Fields<'_>) -> Result<String, Untranslatable> {
    let mut source = file.object("source")?.ok_or_else(|| file.refuse("source", "it is missing."))?;
    let data = source.required("bytes")?;
    source.finish()?;
    Ok(data)
}

fn thinking(thought: &mut Fields<'_>) -> Result<Content, Untranslatable> {
    let Some(mut text) = thought.object("reasoningText")? else {
        return Ok(Content::RedactedThinking { data: thought.required("redactedContent")? });
    };
    let content = Content::Thinking { text: text.required("text")?, signature: text.optional("signature")? };
    text.finish()?;
    Ok(content)
}
