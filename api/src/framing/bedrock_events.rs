//! What Bedrock streams in Amazon's frames, as server-sent events.
//!
//! | frame | event |
//! | --- | --- |
//! | an event of `ConverseStream` | one of its type, with its payload |
//! | `chunk` of `InvokeModelWithResponseStream`: `{"bytes": base64}` | the model's own event that it holds |
//! | an exception or error | `error`, as Anthropic writes it, with the kind that the exception stands for |

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::json;

use super::aws_event_stream::{Kind, Message, Splitter};
use crate::borrowed::Text;
use crate::error::{ErrorKind, Malformed, anthropic_type};

/// Rewrites a stream while it arrives.
#[derive(Debug, Default)]
pub(crate) struct BedrockEvents {
    frames: Splitter,
}

impl BedrockEvents {
    /// Takes a chunk, cut anywhere, and appends the events that are whole. Those before a fault are appended, too.
    pub(crate) fn feed(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
        self.frames.feed(chunk);
        while let Some(message) = self.frames.next()? {
            rewrite(&message, out)?;
        }
        Ok(())
    }

    /// The upstream has ended its body: nothing may be left.
    pub(crate) fn finish(&self) -> Result<(), Malformed> {
        if self.frames.is_between_frames() {
            Ok(())
        } else {
            Err(Malformed::new("the upstream ended its stream inside an event"))
        }
    }
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    bytes: Text<'a>,
}

#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(borrow, default)]
    r#type: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Described<'a> {
    #[serde(borrow, alias = "Message")]
    message: Text<'a>,
}

fn rewrite(message: &Message<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
    match message.kind {
        Kind::Event("chunk") => {
            let event = inner(message.payload)?;
            let name = serde_json::from_slice::<Typed<'_>>(&event).map(|read| read.r#type.0.into_owned());
            write(&name.unwrap_or_default(), &event, out);
        }
        Kind::Event(name) => write(name, message.payload, out),
        Kind::Exception(name) => {
            let described: Described<'_> = serde_json::from_slice(message.payload).unwrap_or_default();
            fail(name, &described.message, out);
        }
        Kind::Error { code, message } => fail(code, message, out),
    }
    Ok(())
}

fn inner(payload: &[u8]) -> Result<Vec<u8>, Malformed> {
    let chunk: Chunk<'_> = serde_json::from_slice(payload)
        .map_err(|error| Malformed::new(format!("the upstream sent a chunk without `bytes`: {error}")))?;
    BASE64_STANDARD
        .decode(chunk.bytes.as_bytes())
        .map_err(|error| Malformed::new(format!("the upstream sent a chunk that is not base64: {error}")))
}

fn fail(exception: &str, message: &str, out: &mut Vec<u8>) {
    let message = if message.is_empty() { exception } else { message };
    let error = json!({"type": anthropic_type(kind(exception)), "message": message});
    write("error", json!({"type": "error", "error": error}).to_string().as_bytes(), out);
}

/// Streams begin the names with a small letter, answers with a capital one.
fn kind(exception: &str) -> ErrorKind {
    match exception.to_ascii_lowercase().as_str() {
        "validationexception" => ErrorKind::InvalidRequest,
        "accessdeniedexception" => ErrorKind::Permission,
        "resourcenotfoundexception" => ErrorKind::NotFound,
        "throttlingexception" | "servicequotaexceededexception" => ErrorKind::RateLimited,
        "serviceunavailableexception" | "modelnotreadyexception" => ErrorKind::Overloaded,
        "modeltimeoutexception" => ErrorKind::Timeout,
        _ => ErrorKind::Upstream,
    }
}

/// Line ends are white space to JSON, but end a line of the event.
fn write(name: &str, data: &[u8], out: &mut Vec<u8>) {
    if !name.is_empty() && !name.contains(['\n', '\r']) {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.push(b'\n');
    }
    for line in data.split(|byte| matches!(byte, b'\n' | b'\r')) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.push(b'\n');
}

#[cfg(test)]
#[path = "bedrock_events_test.rs"]
mod tests;
