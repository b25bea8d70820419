//! The Responses API: typed events with numbers, ended by `response.completed`, `.incomplete` or `.failed`, which alone
//! bears the usage. No `[DONE]`.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::tokens::{self, OpenAiTokens};
use super::{Fate, Watch, written};
use crate::borrowed::{Count, Present, Text, TextBytes};
use crate::canonical::Usage;
use crate::edit::Draft;
use crate::error::{ApiError, OpenAiError};
use crate::framing::sse::Event;
use crate::seen::Seen;

/// The response object repeats the request's instructions and tools; one larger than this is not kept.
const KEPT_RESPONSE_LIMIT_BYTES: usize = 256 * 1024;

/// Watches a stream of the Responses API.
#[derive(Default)]
pub(crate) struct WatchResponses {
    /// The response object as it was first sent, for a terminal event of our own.
    begun: Bytes,
    /// What an event of our own would be numbered; some servers do not number theirs.
    next_sequence: u64,
}

impl Watch for WatchResponses {
    fn observe(&mut self, event: &Event<'_>, seen: &mut Seen) -> Fate {
        let Ok(step) = serde_json::from_slice::<Step<'_>>(&event.data) else {
            seen.count_unread(&event.data);
            return Fate::Pass;
        };
        self.next_sequence = step.sequence_number.0.unwrap_or(self.next_sequence).saturating_add(1);
        seen.count(step.output_bytes());
        if let Some(response) = step.response {
            if self.begun.is_empty() && response.get().len() <= KEPT_RESPONSE_LIMIT_BYTES {
                self.begun = Bytes::copy_from_slice(response.get().as_bytes());
            }
            if let Ok(response) = serde_json::from_str::<Response<'_>>(response.get()) {
                response.note(seen);
            }
        }
        match &*step.r#type {
            "response.completed" | "response.incomplete" => seen.complete = true,
            "response.failed" => {
                seen.complete = true;
                seen.fail(|| ApiError::of_event(&event.data));
            }
            "error" => seen.fail(|| ApiError::of_event(&event.data)),
            _ => {}
        }
        Fate::Pass
    }

    fn missing_end(&self) -> Option<Bytes> {
        None
    }

    fn error(&self, error: &ApiError, _request_id: &str) -> Bytes {
        let words = OpenAiError::of(error);
        let event = json!({
            "type": "error",
            "code": words.code,
            "message": error.message,
            "param": error.param,
            "sequence_number": self.next_sequence,
        });
        written("error", event.to_string().as_bytes())
    }

    fn landing(&self, usage: &Usage, seen: &Seen) -> Bytes {
        let begun = if self.begun.is_empty() {
            let response = json!({"object": "response", "model": seen.response_model, "output": []});
            Bytes::from(response.to_string())
        } else {
            self.begun.clone()
        };
        let mut response = Draft::read(begun);
        let details = json!({"reason": "max_output_tokens"});
        for (field, value) in [
            ("status", Value::from("incomplete")),
            ("incomplete_details", details),
            ("usage", tokens::of_response(usage)),
        ] {
            response.set(field, Bytes::from(value.to_string()));
        }
        let mut event = Draft::read(Bytes::from_static(br#"{"type":"response.incomplete"}"#));
        event.set("sequence_number", Bytes::from(self.next_sequence.to_string()));
        event.set("response", response.finish().concat());
        written("response.incomplete", &event.finish().concat())
    }
}

/// An event, as far as it is read.
#[derive(Deserialize)]
struct Step<'a> {
    #[serde(borrow, default)]
    r#type: Text<'a>,
    #[serde(default)]
    sequence_number: Count,
    #[serde(default)]
    delta: TextBytes,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
}

impl Step<'_> {
    /// Sound comes as text too, but is no text.
    fn output_bytes(&self) -> u64 {
        if self.r#type.ends_with(".delta") && &*self.r#type != "response.audio.delta" {
            self.delta.0
        } else {
            0
        }
    }
}

/// The response object, within a stream or alone.
#[derive(Deserialize)]
pub(super) struct Response<'a> {
    #[serde(borrow, default)]
    model: Text<'a>,
    usage: Option<OpenAiTokens>,
    #[serde(default)]
    error: Present,
}

impl Response<'_> {
    pub(super) fn note(&self, seen: &mut Seen) {
        seen.answered_by(&self.model);
        seen.failed |= self.error.0;
        if let Some(usage) = &self.usage {
            seen.usage = Some(usage.usage());
        }
    }
}
