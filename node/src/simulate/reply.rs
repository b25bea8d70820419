//! What an endpoint hands to delivery: a whole body or the events of a stream, with what each of them
//! carries.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde_json::Value;

use super::answer::{Usage, Voice};
use super::text::mix;
use super::tokens::{Cached, PrefixCache, Prompt};

/// One request on its way to an answer.
pub(crate) struct Asked<'a> {
    pub(crate) body: &'a Value,
    pub(crate) model: &'a str,
    /// Of the body's bytes.
    pub(crate) fingerprint: u64,
    pub(crate) voice: &'a Voice,
    pub(crate) stamp: Stamp,
    pub(crate) cache: &'a Mutex<PrefixCache>,
}

/// What makes one answer differ from another with the same text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    pub(crate) number: u64,
    pub(crate) created_s: u64,
}

/// An answer in its dialect.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) usage: Usage,
    pub(crate) form: Form,
}

#[derive(Clone, Debug)]
pub(crate) enum Form {
    Whole(Bytes),
    Events(Events),
}

/// A stream, framed as SSE with LF, or as Amazon frames it.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    pub(crate) frames: Arc<[Frame]>,
    /// The protocol's error event, for when the script asks for it.
    pub(crate) error: Bytes,
    pub(crate) content_type: &'static str,
}

#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) bytes: Bytes,
    pub(crate) weight: Weight,
}

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// Framing only.
    Nothing,
    /// Output tokens that the client sees.
    Output(u64),
    /// Reasoning tokens that the client sees.
    Reasoning(u64),
    /// Reasoning tokens that are billed but not shown.
    Hidden(u64),
}

impl Asked<'_> {
    pub(crate) fn cached(&self, prompt: &Prompt) -> Cached {
        self.lock().visit(prompt)
    }

    pub(crate) fn cached_to_mark(&self, prompt: &Prompt) -> Cached {
        self.lock().visit_marked(prompt)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, PrefixCache> {
        // A panic elsewhere leaves at most a prefix half remembered, which is a valid cache.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stamp {
    pub(crate) fn id(self, prefix: &str) -> String {
        format!("{prefix}{:024x}", mix(0x1d, self.number))
    }
}

impl Weight {
    pub(crate) fn tokens(self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Output(tokens) | Self::Reasoning(tokens) | Self::Hidden(tokens) => tokens,
        }
    }

    pub(crate) fn reasoning(self) -> u64 {
        match self {
            Self::Nothing | Self::Output(_) => 0,
            Self::Reasoning(tokens) | Self::Hidden(tokens) => tokens,
        }
    }

    /// Counts as a chunk for the failure script.
    pub(crate) fn is_chunk(self) -> bool {
        match self {
            Self::Nothing | Self::Hidden(_) => false,
            Self::Output(_) | Self::Reasoning(_) => true,
        }
    }
}

/// Collects a stream's frames.
#[derive(Debug, Default)]
pub(crate) struct Frames(Vec<Frame>);

impl Frames {
    /// A frame without an event name (OpenAI's chat).
    pub(crate) fn data(&mut self, json: &str, weight: Weight) {
        self.push(format!("data: {json}\n\n"), weight);
    }

    pub(crate) fn event(&mut self, name: &str, json: &str, weight: Weight) {
        self.push(event(name, json), weight);
    }

    pub(crate) fn finish(self, error: String) -> Events {
        Events { frames: self.0.into(), error: error.into(), content_type: "text/event-stream" }
    }

    fn push(&mut self, text: String, weight: Weight) {
        let bytes = Bytes::from(text);
        self.0.push(Frame { bytes, weight });
    }
}

pub(crate) fn event(name: &str, json: &str) -> String {
    format!("event: {name}\ndata: {json}\n\n")
}

/// A JSON string literal.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if u32::from(c) < 0x20 => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Tokens joined into the chunks of a stream, each with its number of tokens.
pub(crate) fn chunks(tokens: &[String], chunk_tokens: usize) -> impl Iterator<Item = (String, u64)> {
    tokens.chunks(chunk_tokens.max(1)).map(|chunk| (chunk.concat(), chunk.len() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_what_json_needs_quoted() {
        for text in ["", "plain", "a \"b\" \\ c", "line\nfeed\r\t\u{1}", "é☂\u{10348}"] {
            let read: String = serde_json::from_str(&quoted(text)).unwrap();
            assert_eq!(read, text);
        }
    }
}
