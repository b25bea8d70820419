//! Turns for a Converse upstream: system text apart, then users and assistants in alternation, cache marks as blocks of
//! their own.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use serde_json::value::RawValue;

use super::files::{self, Names};
use crate::canonical::{Content, Document, Json, Part, Role, Source, Turn};
use crate::error::Untranslatable;

/// What Converse makes of a list of turns.
pub(super) struct Conversation<'a> {
    pub(super) system: Vec<Block<'a>>,
    pub(super) messages: Vec<Message<'a>>,
}

#[derive(Serialize)]
pub(super) struct Message<'a> {
    role: &'static str,
    content: Vec<Block<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(super) enum Block<'a> {
    Text(&'a str),
    Image {
        format: &'static str,
        source: Bytes<'a>,
    },
    Document {
        format: &'static str,
        name: String,
        source: Bytes<'a>,
    },
    ReasoningContent(Thought<'a>),
    ToolUse {
        tool_use_id: &'a str,
        name: &'a str,
        input: &'a RawValue,
    },
    ToolResult {
        tool_use_id: &'a str,
        content: Vec<Block<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<&'static str>,
    },
    CachePoint(CachePoint),
}

#[derive(Serialize)]
pub(super) struct Bytes<'a> {
    bytes: Cow<'a, str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Thought<'a> {
    ReasoningText { text: &'a str, signature: &'a str },
    RedactedContent(&'a str),
}

#[derive(Serialize)]
pub(super) struct CachePoint {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<&'static str>,
}

impl CachePoint {
    /// Anthropic's `cache_control`; the shorter of its two lives is the default.
    pub(super) fn of(mark: &Json) -> Self {
        let mark: serde_json::Value = serde_json::from_str(mark.0.get()).unwrap_or_default();
        let ttl = (mark["ttl"] == "1h").then_some("1h");
        Self { r#type: "default", ttl }
    }
}

/// Splits off the system turns, wherever they stand, and joins neighbours of one role. `caches`: marks are carried.
pub(super) fn conversation(turns: &[Turn], caches: Caches) -> Result<Conversation<'_>, Untranslatable> {
    let mut system = Vec::new();
    let mut messages: Vec<(&'static str, Vec<&Part>)> = Vec::new();
    for turn in turns {
        let role = match turn.role {
            Role::System => {
                system.extend(&turn.parts);
                continue;
            }
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        match messages.last_mut() {
            Some((last, parts)) if *last == role => parts.extend(&turn.parts),
            Some(_) | None => messages.push((role, turn.parts.iter().collect())),
        }
    }
    if let Some(part) = system.iter().find(|part| !matches!(part.content, Content::Text(_))) {
        return Err(refuse(part, "a system prompt is text only."));
    }
    let mut writer = Writer { caches, names: Names::default() };
    let mut written = Vec::new();
    for (role, mut parts) in messages {
        // Results must come before whatever else the user says; the sort is stable.
        parts.sort_by_key(|part| !matches!(part.content, Content::ToolResult { .. }));
        let content = writer.blocks(parts)?;
        // A turn of which nothing is left would be refused.
        if !content.is_empty() {
            written.push(Message { role, content });
        }
    }
    Ok(Conversation { system: writer.blocks(system)?, messages: written })
}

impl Conversation<'_> {
    /// Tools were called or answered, so that Converse wants to be told which there are.
    pub(super) fn speaks_of_tools(&self) -> bool {
        let mut blocks = self.messages.iter().flat_map(|message| &message.content);
        blocks.any(|block| matches!(block, Block::ToolUse { .. } | Block::ToolResult { .. }))
    }
}

/// Whether cache marks become cache points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caches {
    Yes,
    No,
}

struct Writer {
    caches: Caches,
    names: Names,
}

impl Writer {
    fn blocks<'a>(&mut self, parts: Vec<&'a Part>) -> Result<Vec<Block<'a>>, Untranslatable> {
        let mut blocks = Vec::with_capacity(parts.len());
        for part in parts {
            let Some(block) = self.block(part)? else {
                continue;
            };
            blocks.push(block);
            let mark = mark(part).filter(|_| self.caches == Caches::Yes);
            blocks.extend(mark.map(|mark| Block::CachePoint(CachePoint::of(mark))));
        }
        Ok(blocks)
    }

    /// None for what Bedrock refuses and nobody misses: blank text, and thinking that nobody signed.
    fn block<'a>(&mut self, part: &'a Part) -> Result<Option<Block<'a>>, Untranslatable> {
        Ok(Some(match &part.content {
            Content::Text(text) if text.trim().is_empty() => return Ok(None),
            Content::Text(text) => Block::Text(text),
            Content::Image(source) => image(part, source)?,
            Content::Document(document) => self.document(part, document)?,
            Content::Thinking { signature: None, .. } => return Ok(None),
            Content::Thinking { text, signature: Some(signature) } => {
                Block::ReasoningContent(Thought::ReasoningText { text, signature })
            }
            Content::RedactedThinking { data } => Block::ReasoningContent(Thought::RedactedContent(data)),
            Content::ToolCall { id, name, arguments } => {
                let input = serde_json::from_str(arguments).map_err(|error| {
                    let message = format!("The arguments of tool call `{id}` are not JSON: {error}.");
                    Untranslatable::at(part.place.0.clone(), message)
                })?;
                Block::ToolUse { tool_use_id: id, name, input }
            }
            Content::ToolResult { call_id, parts, is_error } => {
                let mut content = Vec::with_capacity(parts.len());
                for part in parts {
                    content.extend(self.block(part)?);
                }
                Block::ToolResult { tool_use_id: call_id, content, status: is_error.then_some("error") }
            }
        }))
    }

    fn document<'a>(&mut self, part: &Part, document: &'a Document) -> Result<Block<'a>, Untranslatable> {
        let (format, bytes) = match &document.source {
            Source::Base64 { media_type, data } => {
                let format = files::document_format(media_type).ok_or_else(|| {
                    refuse(part, &format!("documents of type `{media_type}` cannot be read."))
                })?;
                (format, Cow::Borrowed(data.as_str()))
            }
            Source::Text(text) => ("txt", Cow::Owned(BASE64_STANDARD.encode(text))),
            Source::Url(_) => return Err(refuse(part, "documents by URL cannot be fetched; send the data.")),
        };
        let name = self.names.name(document.title.as_deref());
        Ok(Block::Document { format, name, source: Bytes { bytes } })
    }
}

fn image<'a>(part: &Part, source: &'a Source) -> Result<Block<'a>, Untranslatable> {
    match source {
        Source::Base64 { media_type, data } => {
            let format = files::image_format(media_type)
                .ok_or_else(|| refuse(part, &format!("images of type `{media_type}` cannot be read.")))?;
            Ok(Block::Image { format, source: Bytes { bytes: Cow::Borrowed(data) } })
        }
        Source::Url(_) | Source::Text(_) => {
            Err(refuse(part, "images by URL cannot be fetched; send the data."))
        }
    }
}

/// A result's own mark, or one inside it, where no block of its own can stand.
fn mark(part: &Part) -> Option<&Json> {
    let inside = match &part.content {
        Content::ToolResult { parts, .. } => parts.iter().rev().find_map(|part| part.cache.as_ref()),
        Content::Text(_)
        | Content::Image(_)
        | Content::Document(_)
        | Content::Thinking { .. }
        | Content::RedactedThinking { .. }
        | Content::ToolCall { .. } => None,
    };
    part.cache.as_ref().or(inside)
}

fn refuse(part: &Part, why: &str) -> Untranslatable {
    let place = &part.place.0;
    Untranslatable::at(place.clone(), format!("`{place}` cannot be translated for this model: {why}"))
}
