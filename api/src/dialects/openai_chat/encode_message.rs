//! Turns for a chat-completions upstream.
//!
//! One turn of a user may become several messages, because results of tools have a message each:
//!
//! ```text
//! user turn:  result a · result b (with an image) · text
//! messages:   tool a · tool b · user: images of b, text
//! ```
//!
//! Thinking is left out: the API has no place for it in a request, and Anthropic's signatures mean nothing elsewhere.

use serde::{Serialize, Serializer};

use crate::canonical::{Content, Document, Part, Role, Source, Turn};
use crate::error::Untranslatable;

/// The API wants a file to have a name.
const DEFAULT_FILE_NAME: &str = "document.pdf";

/// What a tool's message says where the result is not text.
const SEE_NEXT_MESSAGE: &str = "The result is attached to the next user message.";

#[derive(Serialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub(super) enum Message<'a> {
    System {
        content: Body<'a>,
    },
    User {
        content: Body<'a>,
    },
    Assistant {
        content: Option<Body<'a>>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<Call<'a>>,
    },
    Tool {
        tool_call_id: &'a str,
        content: Body<'a>,
    },
}

/// One text is sent as a string, which every imitator of the API understands.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Body<'a> {
    Text(Said<'a>),
    Parts(Vec<WirePart<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum WirePart<'a> {
    Text { text: Said<'a> },
    ImageUrl { image_url: ImageUrl<'a> },
    File { file: File<'a> },
}

#[derive(Serialize)]
pub(super) struct ImageUrl<'a> {
    url: Url<'a>,
}

#[derive(Serialize)]
pub(super) struct File<'a> {
    filename: &'a str,
    file_data: Url<'a>,
}

#[derive(Serialize)]
pub(super) struct Call<'a> {
    id: &'a str,
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: &'a str,
}

/// Text of the client's, or a word of ours about a tool's result.
#[derive(Clone, Copy)]
pub(super) enum Said<'a> {
    Text(&'a str),
    /// The API has no flag for a failed tool, so the text says it.
    Failure(&'a str),
    ResultOf(&'a str),
    /// A document's title has no other place.
    Titled {
        title: &'a str,
        text: &'a str,
    },
}

impl Serialize for Said<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Failure(text) => serializer.collect_str(&format_args!("Error: {text}")),
            Self::ResultOf(call_id) => {
                serializer.collect_str(&format_args!("Result of tool call {call_id}:"))
            }
            Self::Titled { title, text } => serializer.collect_str(&format_args!("{title}\n\n{text}")),
        }
    }
}

/// A plain URL, or bytes as a data URL (RFC 2397), written without a copy.
pub(super) enum Url<'a> {
    Plain(&'a str),
    Data { media_type: &'a str, data: &'a str },
}

impl Serialize for Url<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Plain(url) => serializer.serialize_str(url),
            Self::Data { media_type, data } => {
                serializer.collect_str(&format_args!("data:{media_type};base64,{data}"))
            }
        }
    }
}

pub(super) fn messages(turns: &[Turn]) -> Result<Vec<Message<'_>>, Untranslatable> {
    let mut messages = Vec::with_capacity(turns.len());
    for turn in turns {
        match turn.role {
            Role::System => {
                messages.extend(body(parts(&turn.parts)?).map(|content| Message::System { content }));
            }
            Role::User => user(&turn.parts, &mut messages)?,
            Role::Assistant => messages.extend(assistant(&turn.parts)?),
        }
    }
    Ok(messages)
}

fn user<'a>(turn: &'a [Part], messages: &mut Vec<Message<'a>>) -> Result<(), Untranslatable> {
    let mut rest = Vec::new();
    for part in turn {
        if let Content::ToolResult { call_id, parts: result, is_error } = &part.content {
            let (mut texts, files): (Vec<_>, Vec<_>) =
                parts(result)?.into_iter().partition(|part| matches!(part, WirePart::Text { .. }));
            if !files.is_empty() {
                rest.push(WirePart::Text { text: Said::ResultOf(call_id) });
                rest.extend(files);
                if texts.is_empty() {
                    texts.push(WirePart::Text { text: Said::Text(SEE_NEXT_MESSAGE) });
                }
            }
            if *is_error {
                say_it_failed(&mut texts);
            }
            let content = body(texts).unwrap_or(Body::Text(Said::Text("")));
            messages.push(Message::Tool { tool_call_id: call_id, content });
        } else {
            rest.extend(wire_part(part)?);
        }
    }
    messages.extend(body(rest).map(|content| Message::User { content }));
    Ok(())
}

fn say_it_failed(texts: &mut Vec<WirePart<'_>>) {
    if let Some(WirePart::Text { text }) = texts.first_mut()
        && let Said::Text(said) = *text
    {
        *text = Said::Failure(said);
    } else {
        let why = if texts.is_empty() { "the tool gave no reason." } else { "see below." };
        texts.insert(0, WirePart::Text { text: Said::Failure(why) });
    }
}

fn assistant(turn: &[Part]) -> Result<Option<Message<'_>>, Untranslatable> {
    let mut tool_calls = Vec::new();
    for part in turn {
        if let Content::ToolCall { id, name, arguments } = &part.content {
            let function = Function { name, arguments };
            tool_calls.push(Call { id, r#type: "function", function });
        }
    }
    let said = parts(turn)?;
    if let Some(part) = turn.iter().find(|part| is_file(part)) {
        return Err(refuse(part, "an assistant's message holds text only."));
    }
    let content = body(said);
    let silent = content.is_none() && tool_calls.is_empty();
    Ok((!silent).then_some(Message::Assistant { content, tool_calls }))
}

fn is_file(part: &Part) -> bool {
    matches!(part.content, Content::Image(_) | Content::Document(_))
}

/// What of the parts is said in content; calls and results have their own places.
fn parts(parts: &[Part]) -> Result<Vec<WirePart<'_>>, Untranslatable> {
    parts.iter().filter_map(|part| wire_part(part).transpose()).collect()
}

fn wire_part(part: &Part) -> Result<Option<WirePart<'_>>, Untranslatable> {
    Ok(Some(match &part.content {
        Content::Text(text) if text.is_empty() => return Ok(None),
        Content::Text(text) => WirePart::Text { text: Said::Text(text) },
        Content::Image(image) => WirePart::ImageUrl { image_url: ImageUrl { url: url(image) } },
        Content::Document(document) => wire_document(document, part)?,
        Content::Thinking { .. }
        | Content::RedactedThinking { .. }
        | Content::ToolCall { .. }
        | Content::ToolResult { .. } => return Ok(None),
    }))
}

fn wire_document<'a>(document: &'a Document, part: &Part) -> Result<WirePart<'a>, Untranslatable> {
    let title = document.title.as_deref().filter(|title| !title.is_empty());
    match &document.source {
        Source::Url(_) => Err(refuse(part, "files must be sent with their data, not by URL.")),
        Source::Text(text) => Ok(WirePart::Text {
            text: match title {
                Some(title) => Said::Titled { title, text },
                None => Said::Text(text),
            },
        }),
        Source::Base64 { .. } => Ok(WirePart::File {
            file: File { filename: title.unwrap_or(DEFAULT_FILE_NAME), file_data: url(&document.source) },
        }),
    }
}

fn url(source: &Source) -> Url<'_> {
    match source {
        Source::Url(url) | Source::Text(url) => Url::Plain(url),
        Source::Base64 { media_type, data } => Url::Data { media_type, data },
    }
}

fn body(mut parts: Vec<WirePart<'_>>) -> Option<Body<'_>> {
    match parts.as_mut_slice() {
        [] => None,
        [WirePart::Text { text }] => Some(Body::Text(*text)),
        _ => Some(Body::Parts(parts)),
    }
}

fn refuse(part: &Part, why: &str) -> Untranslatable {
    let place = &part.place.0;
    Untranslatable::at(place.clone(), format!("`{place}` cannot be translated for this model: {why}"))
}
