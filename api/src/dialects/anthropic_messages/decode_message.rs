//! A messages client's turns and content blocks.

use crate::canonical::{Content, Document, Part, Place, Role, Source, Turn};
use crate::dialects::fields::{Fields, TextOrParts};
use crate::error::Untranslatable;

/// Fields inside blocks that are echoes of answers (`citations` on text, `caller` on tool calls).
const HARMLESS_IN_BLOCK: &[&str] = &["caller", "citations"];

pub(super) fn turn(mut message: Fields<'_>) -> Result<Turn, Untranslatable> {
    let role: String = message.required("role")?;
    let role = match role.as_str() {
        "system" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        _ => return Err(message.refuse("role", &format!("`{role}` is not a known role."))),
    };
    let parts = content(&mut message, "content")?;
    message.finish()?;
    Ok(Turn { role, parts })
}

/// Text or blocks; empty text is nothing.
pub(super) fn content(fields: &mut Fields<'_>, name: &str) -> Result<Vec<Part>, Untranslatable> {
    parts(fields, name, block)
}

fn parts(
    fields: &mut Fields<'_>,
    name: &str,
    read: fn(&str, &mut Fields<'_>) -> Result<Content, Untranslatable>,
) -> Result<Vec<Part>, Untranslatable> {
    let place = Place(fields.path_of(name));
    match fields.text_or_parts(name)? {
        None => Ok(Vec::new()),
        Some(TextOrParts::Text(text)) if text.is_empty() => Ok(Vec::new()),
        Some(TextOrParts::Text(text)) => Ok(vec![Part { content: Content::Text(text), cache: None, place }]),
        Some(TextOrParts::Parts(blocks)) => blocks.into_iter().map(|block| part(block, read)).collect(),
    }
}

fn part(
    mut fields: Fields<'_>,
    read: fn(&str, &mut Fields<'_>) -> Result<Content, Untranslatable>,
) -> Result<Part, Untranslatable> {
    let kind: String = fields.required("type")?;
    let content = read(&kind, &mut fields)?;
    let part = Part { content, cache: fields.json("cache_control"), place: fields.place() };
    fields.ignore(HARMLESS_IN_BLOCK);
    fields.finish()?;
    Ok(part)
}

fn block(kind: &str, fields: &mut Fields<'_>) -> Result<Content, Untranslatable> {
    match kind {
        "thinking" => thinking(fields),
        "redacted_thinking" => Ok(Content::RedactedThinking { data: fields.required("data")? }),
        "tool_use" => Ok(Content::ToolCall {
            id: fields.required("id")?,
            name: fields.required("name")?,
            arguments: tool_input(fields)?,
        }),
        "tool_result" => Ok(Content::ToolResult {
            call_id: fields.required("tool_use_id")?,
            parts: parts(fields, "content", plain_block)?,
            is_error: fields.optional("is_error")?.unwrap_or(false),
        }),
        _ => plain_block(kind, fields),
    }
}

/// What a tool result may hold too: it never nests, so no body can drive this reader deep.
fn plain_block(kind: &str, fields: &mut Fields<'_>) -> Result<Content, Untranslatable> {
    match kind {
        "text" => Ok(Content::Text(fields.required("text")?)),
        "image" => Ok(Content::Image(image_source(fields)?)),
        "document" => Ok(Content::Document(document(fields)?)),
        _ => Err(fields.refuse("type", &format!("blocks of type `{kind}` cannot be carried here."))),
    }
}

/// One element of a chat message's `thinking_blocks`.
pub(in crate::dialects) fn thinking_block(mut fields: Fields<'_>) -> Result<Part, Untranslatable> {
    // A stream numbers its blocks.
    fields.ignore(&["index"]);
    part(fields, |kind, fields| match kind {
        "thinking" => thinking(fields),
        "redacted_thinking" => Ok(Content::RedactedThinking { data: fields.required("data")? }),
        _ => Err(fields.refuse("type", &format!("`{kind}` is not a kind of thinking."))),
    })
}

fn thinking(fields: &mut Fields<'_>) -> Result<Content, Untranslatable> {
    let signature: Option<String> = fields.optional("signature")?;
    Ok(Content::Thinking {
        text: fields.required("thinking")?,
        signature: signature.filter(|signature| !signature.is_empty()),
    })
}

fn image_source(block: &mut Fields<'_>) -> Result<Source, Untranslatable> {
    block.only("transformations", &[], "images cannot be transformed.")?;
    let mut source = required_source(block)?;
    let kind: String = source.required("type")?;
    let read = match kind.as_str() {
        "base64" => base64(&mut source)?,
        "url" => Source::Url(source.required("url")?),
        _ => return Err(other_source(&source, &kind)),
    };
    source.finish()?;
    Ok(read)
}

/// `context` is text for the model beside the document, with no place elsewhere.
fn document(block: &mut Fields<'_>) -> Result<Document, Untranslatable> {
    if let Some(mut citations) = block.object("citations")? {
        citations.only("enabled", &["false"], "answers cannot cite documents.")?;
    }
    block.only("context", &[r#""""#], "documents cannot carry a context.")?;
    let title = block.optional("title")?;
    let mut source = required_source(block)?;
    let kind: String = source.required("type")?;
    let read = match kind.as_str() {
        "base64" => base64(&mut source)?,
        "url" => Source::Url(source.required("url")?),
        "text" => {
            source.ignore(&["media_type"]);
            Source::Text(source.required("data")?)
        }
        _ => return Err(other_source(&source, &kind)),
    };
    source.finish()?;
    Ok(Document { source: read, title })
}

fn required_source<'a>(block: &mut Fields<'a>) -> Result<Fields<'a>, Untranslatable> {
    block.object("source")?.ok_or_else(|| block.refuse("source", "it is missing."))
}

/// Files by id live in the client's workspace at Anthropic.
fn other_source(source: &Fields<'_>, kind: &str) -> Untranslatable {
    source.refuse("type", &format!("a source of type `{kind}` cannot be read by another provider."))
}

fn base64(source: &mut Fields<'_>) -> Result<Source, Untranslatable> {
    Ok(Source::Base64 { media_type: source.required("media_type")?, data: source.required("data")? })
}

fn tool_input(block: &mut Fields<'_>) -> Result<String, Untranslatable> {
    let Some(input) = block.json("input") else {
        return Ok("{}".to_owned());
    };
    let text = input.0.get();
    if text.starts_with('{') {
        Ok(text.to_owned())
    } else {
        Err(block.refuse("input", "it must be a JSON object."))
    }
}
