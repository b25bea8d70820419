//! Turns for a Gemini upstream: system text apart, results of tools in contents of their own.
//!
//! ```text
//! turns:     assistant: calls a, b · user: result a · user: result b (with an image), text
//! contents:  model: calls a, b     · user: responses a, b           · user: images of b, text
//! ```
//!
//! Google wants as many responses in one content as there were calls, and finds them by the functions' names, which no
//! other API repeats with a result.

use std::collections::HashMap;

use super::models::Signatures;
use super::signature;
use super::wire::{ContentWritten, FileData, InlineData, Outcome, PartWritten, ResponseWritten};
use crate::canonical::{Content, Document, Part, Role, Source, Turn};
use crate::error::Untranslatable;

/// In place of a signature that was lost on the way: Google's own word for "let it pass".
const UNSIGNED: &str = "skip_thought_signature_validator";

/// What a function's response says where the result is not text.
const SEE_NEXT: &str = "The result is attached to the next message.";

pub(super) struct Conversation<'a> {
    pub(super) system: Vec<PartWritten<'a>>,
    pub(super) contents: Vec<ContentWritten<'a>>,
}

pub(super) fn conversation(
    turns: &[Turn],
    signatures: Signatures,
) -> Result<Conversation<'_>, Untranslatable> {
    let mut made = Made { names: names(turns), contents: Vec::new(), after_results: false };
    let mut system = Vec::new();
    for turn in turns {
        match turn.role {
            Role::System => {
                for part in &turn.parts {
                    system.extend(system_text(part)?);
                }
            }
            Role::User => made.user(&turn.parts)?,
            Role::Assistant => {
                let parts = assistant(&turn.parts, signatures)?;
                made.push("model", parts);
            }
        }
    }
    Ok(Conversation { system, contents: made.contents })
}

/// Each call's function, by the call's id.
fn names(turns: &[Turn]) -> HashMap<&str, &str> {
    let parts = turns.iter().flat_map(|turn| &turn.parts);
    let calls = parts.filter_map(|part| match &part.content {
        Content::ToolCall { id, name, .. } => Some((id.as_str(), name.as_str())),
        Content::Text(_)
        | Content::Image(_)
        | Content::Document(_)
        | Content::Thinking { .. }
        | Content::RedactedThinking { .. }
        | Content::ToolResult { .. } => None,
    });
    calls.collect()
}

fn system_text(part: &Part) -> Result<Option<PartWritten<'_>>, Untranslatable> {
    match &part.content {
        Content::Text(text) => Ok((!text.is_empty()).then(|| PartWritten::text(text))),
        Content::Image(_)
        | Content::Document(_)
        | Content::Thinking { .. }
        | Content::RedactedThinking { .. }
        | Content::ToolCall { .. }
        | Content::ToolResult { .. } => Err(refuse(part, "a system prompt is text only.")),
    }
}

struct Made<'a> {
    names: HashMap<&'a str, &'a str>,
    contents: Vec<ContentWritten<'a>>,
    /// The last content holds nothing but responses, so that more may join them.
    after_results: bool,
}

impl<'a> Made<'a> {
    fn user(&mut self, parts: &'a [Part]) -> Result<(), Untranslatable> {
        let mut rest = Vec::new();
        for part in parts {
            match &part.content {
                Content::ToolResult { call_id, parts, is_error } => {
                    let name = self.names.get(call_id.as_str()).copied().ok_or_else(|| {
                        let why = format!(
                            "it answers `{call_id}`, which no message calls, and a response needs its function's name."
                        );
                        refuse(part, &why)
                    })?;
                    let text = result(parts);
                    let response = if *is_error { Outcome::Error(text) } else { Outcome::Output(text) };
                    let response = ResponseWritten { id: call_id, name, response };
                    self.respond(PartWritten { function_response: Some(response), ..PartWritten::default() });
                    rest.extend(files(call_id, parts)?);
                }
                Content::Text(_)
                | Content::Image(_)
                | Content::Document(_)
                | Content::Thinking { .. }
                | Content::RedactedThinking { .. }
                | Content::ToolCall { .. } => rest.extend(said(part)?),
            }
        }
        self.push("user", rest);
        Ok(())
    }

    fn respond(&mut self, response: PartWritten<'a>) {
        match self.contents.last_mut() {
            Some(last) if self.after_results => last.parts.push(response),
            Some(_) | None => {
                self.push("user", vec![response]);
                self.after_results = true;
            }
        }
    }

    /// A content without parts would be refused.
    fn push(&mut self, role: &'static str, parts: Vec<PartWritten<'a>>) {
        if !parts.is_empty() {
            self.contents.push(ContentWritten { role: Some(role), parts });
            self.after_results = false;
        }
    }
}

/// The text of a result.
fn result(parts: &[Part]) -> String {
    let mut text = String::new();
    for part in parts {
        match &part.content {
            Content::Text(more) | Content::Document(Document { source: Source::Text(more), .. }) => {
                text.push_str(more);
            }
            Content::Image(_)
            | Content::Document(_)
            | Content::Thinking { .. }
            | Content::RedactedThinking { .. }
            | Content::ToolCall { .. }
            | Content::ToolResult { .. } => {}
        }
    }
    if text.is_empty() && parts.iter().any(is_file) {
        SEE_NEXT.clone_into(&mut text);
    }
    text
}

/// Whether a part of a result can't stand in its response.
fn is_file(part: &Part) -> bool {
    match &part.content {
        Content::Image(_) => true,
        Content::Document(document) => !matches!(document.source, Source::Text(_)),
        Content::Text(_)
        | Content::Thinking { .. }
        | Content::RedactedThinking { .. }
        | Content::ToolCall { .. }
        | Content::ToolResult { .. } => false,
    }
}

fn files<'a>(call_id: &str, parts: &'a [Part]) -> Result<Vec<PartWritten<'a>>, Untranslatable> {
    let mut files = Vec::new();
    for part in parts.iter().filter(|part| is_file(part)) {
        files.extend(said(part)?);
    }
    if !files.is_empty() {
        files.insert(0, PartWritten::text(format!("Result of tool call {call_id}:")));
    }
    Ok(files)
}

/// A signature belongs to the part that follows the thinking; one that nothing follows stands alone. Where no thinking is
/// shown with it, it came with a call, if there is one: chat clients keep all thinking before the text.
fn assistant(parts: &[Part], signatures: Signatures) -> Result<Vec<PartWritten<'_>>, Untranslatable> {
    let mut made: Vec<PartWritten<'_>> = Vec::new();
    let mut signed_by: Option<&str> = None;
    let mut shown = false;
    for (at, part) in parts.iter().enumerate() {
        if let Content::Thinking { text, signature } = &part.content {
            // Others' thinking would be refused, or taken for the model's own.
            if let Some(signature) = signature.as_deref().and_then(signature::of_google) {
                made.extend(signed_by.replace(signature).map(PartWritten::signature));
                shown = !text.is_empty();
                if shown {
                    made.push(PartWritten::thought(text));
                }
            }
        } else if let Some(mut written) = said(part)? {
            if shown || written.function_call.is_some() || !call_follows(&parts[at + 1..]) {
                written.thought_signature = signed_by.take().map(Into::into);
            }
            made.push(written);
        }
    }
    made.extend(signed_by.map(PartWritten::signature));
    if signatures == Signatures::Required {
        // Of calls that were made at once only the first one is signed.
        let first = made.iter_mut().find(|part| part.function_call.is_some());
        if let Some(call) = first {
            call.thought_signature.get_or_insert(UNSIGNED.into());
        }
    }
    Ok(made)
}

/// Whether there is a call before the next thinking.
fn call_follows(parts: &[Part]) -> bool {
    let until_thinking = parts.iter().take_while(|part| !matches!(part.content, Content::Thinking { .. }));
    until_thinking.into_iter().any(|part| matches!(part.content, Content::ToolCall { .. }))
}

/// None for what says nothing here.
fn said(part: &Part) -> Result<Option<PartWritten<'_>>, Untranslatable> {
    Ok(Some(match &part.content {
        Content::Text(text) if text.is_empty() => return Ok(None),
        Content::Text(text) => PartWritten::text(text),
        Content::Image(source) => file(part, source, "image/")?,
        Content::Document(Document { source: Source::Text(text), title }) => {
            match title.as_deref().filter(|title| !title.is_empty()) {
                Some(title) => PartWritten::text(format!("{title}\n\n{text}")),
                None => PartWritten::text(text),
            }
        }
        Content::Document(Document { source, .. }) => file(part, source, "application/pdf")?,
        Content::ToolCall { id, name, arguments } => PartWritten::call(id, name, arguments),
        Content::Thinking { .. } | Content::RedactedThinking { .. } | Content::ToolResult { .. } => {
            return Ok(None);
        }
    }))
}

fn file<'a>(part: &Part, source: &'a Source, kind: &str) -> Result<PartWritten<'a>, Untranslatable> {
    Ok(match source {
        Source::Base64 { media_type, data } => {
            let mime_type = registered(media_type);
            PartWritten { inline_data: Some(InlineData { mime_type, data }), ..PartWritten::default() }
        }
        Source::Url(file_uri) => {
            let mime_type =
                media_type(file_uri).filter(|found| found.starts_with(kind)).ok_or_else(|| {
                    refuse(
                        part,
                        "its type must be told, and its URL's ending does not tell it; send its data.",
                    )
                })?;
            PartWritten { file_data: Some(FileData { mime_type, file_uri }), ..PartWritten::default() }
        }
        Source::Text(text) => PartWritten::text(text),
    })
}

/// Google takes the registered name only of a type that many programs misspell.
fn registered(media_type: &str) -> &str {
    if media_type.eq_ignore_ascii_case("image/jpg") { "image/jpeg" } else { media_type }
}

/// By the ending of the URL's path.
fn media_type(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next()?;
    let (_, ending) = path.rsplit('/').next()?.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "pdf" => "application/pdf",
        _ => return None,
    })
}

fn refuse(part: &Part, why: &str) -> Untranslatable {
    let place = &part.place.0;
    Untranslatable::at(place.clone(), format!("`{place}` cannot be translated for this model: {why}"))
}
