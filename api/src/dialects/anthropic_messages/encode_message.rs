//! Turns for an Anthropic upstream: system text apart, then users and assistants in alternation.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::canonical::{Content, Document, Json, Part, Role, Source, Turn};
use crate::dialects::gemini;
use crate::error::Untranslatable;

/// What Anthropic makes of a list of turns.
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
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block<'a> {
    Text {
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a Json>,
    },
    Image {
        source: WireSource<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a Json>,
    },
    Document {
        source: WireSource<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a Json>,
    },
    Thinking {
        thinking: &'a str,
        signature: &'a str,
    },
    RedactedThinking {
        data: &'a str,
    },
    ToolUse {
        id: &'a str,
        name: &'a str,
        input: &'a RawValue,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a Json>,
    },
    ToolResult {
        tool_use_id: &'a str,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        content: Vec<Block<'a>>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a Json>,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum WireSource<'a> {
    Base64 { media_type: &'a str, data: &'a str },
    Url { url: &'a str },
    Text { media_type: &'static str, data: &'a str },
}

/// Splits off the system turns, wherever they stand, and joins neighbours of one role.
pub(super) fn conversation(turns: &[Turn]) -> Result<Conversation<'_>, Untranslatable> {
    let mut system = Vec::new();
    let mut messages: Vec<Message<'_>> = Vec::new();
    for turn in turns {
        let mut blocks = blocks(&turn.parts)?;
        let role = match turn.role {
            Role::System => {
                system.append(&mut blocks);
                continue;
            }
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        match messages.last_mut() {
            // A turn of which nothing is left would be refused.
            _ if blocks.is_empty() => {}
            Some(last) if last.role == role => last.content.append(&mut blocks),
            Some(_) | None => messages.push(Message { role, content: blocks }),
        }
    }
    for message in &mut messages {
        // Results must come before whatever else the user says; the sort is stable.
        message.content.sort_by_key(|block| !matches!(block, Block::ToolResult { .. }));
    }
    for block in &system {
        if !matches!(block, Block::Text { .. }) {
            return Err(not_text(turns));
        }
    }
    Ok(Conversation { system, messages })
}

impl Conversation<'_> {
    /// Results of tools are being answered, and the turn that asked for them did not begin with thinking: such a
    /// conversation cannot go on with a thinking budget.
    pub(super) fn continues_without_thinking(&self) -> bool {
        let since_a_person_spoke = self.messages.iter().rev().take_while(|message| {
            let answers_tools = message.content.iter().any(|block| matches!(block, Block::ToolResult { .. }));
            message.role == "assistant" || answers_tools
        });
        let last = since_a_person_spoke.into_iter().find(|message| message.role == "assistant");
        last.is_some_and(|last| {
            let thought =
                matches!(last.content.first(), Some(Block::Thinking { .. } | Block::RedactedThinking { .. }));
            !thought && last.content.iter().any(|block| matches!(block, Block::ToolUse { .. }))
        })
    }
}

/// Names the first part of a system turn that is no text.
fn not_text(turns: &[Turn]) -> Untranslatable {
    let system = turns.iter().filter(|turn| turn.role == Role::System);
    let mut parts = system.flat_map(|turn| &turn.parts);
    let part = parts.find(|part| !matches!(part.content, Content::Text(_)));
    let place = part.map_or_else(String::new, |part| part.place.0.clone());
    let message = format!("`{place}` cannot be translated for this model: a system prompt is text only.");
    Untranslatable::at(place, message)
}

fn blocks(parts: &[Part]) -> Result<Vec<Block<'_>>, Untranslatable> {
    parts.iter().filter_map(|part| block(part).transpose()).collect()
}

/// None for what Anthropic refuses and nobody misses: blank text, and thinking that no Claude signed.
fn block(part: &Part) -> Result<Option<Block<'_>>, Untranslatable> {
    let cache_control = part.cache.as_ref();
    Ok(Some(match &part.content {
        Content::Text(text) if text.trim().is_empty() => return Ok(None),
        Content::Text(text) => Block::Text { text, cache_control },
        Content::Image(image) => Block::Image { source: source(image), cache_control },
        Content::Document(Document { source: document, title }) => {
            Block::Document { source: source(document), title: title.as_deref(), cache_control }
        }
        Content::Thinking { signature: None, .. } => return Ok(None),
        Content::Thinking { signature: Some(signature), .. } if gemini::is_googles(signature) => {
            return Ok(None);
        }
        Content::Thinking { text, signature: Some(signature) } => {
            Block::Thinking { thinking: text, signature }
        }
        Content::RedactedThinking { data } => Block::RedactedThinking { data },
        Content::ToolCall { id, name, arguments } => {
            let input = serde_json::from_str(arguments).map_err(|error| {
                let message = format!("The arguments of tool call `{id}` are not JSON: {error}.");
                Untranslatable::at(part.place.0.clone(), message)
            })?;
            Block::ToolUse { id, name, input, cache_control }
        }
        Content::ToolResult { call_id, parts, is_error } => Block::ToolResult {
            tool_use_id: call_id,
            content: blocks(parts)?,
            is_error: *is_error,
            cache_control,
        },
    }))
}

fn source(source: &Source) -> WireSource<'_> {
    match source {
        Source::Base64 { media_type, data } => {
            WireSource::Base64 { media_type: registered(media_type), data }
        }
        Source::Url(url) => WireSource::Url { url },
        Source::Text(data) => WireSource::Text { media_type: "text/plain", data },
    }
}

/// Anthropic takes the registered name only of a type that many programs misspell.
fn registered(media_type: &str) -> &str {
    if media_type.eq_ignore_ascii_case("image/jpg") { "image/jpeg" } else { media_type }
}
