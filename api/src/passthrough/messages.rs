//! Anthropic's Messages: `message_start`, blocks, `message_delta` with cumulative usage, `message_stop`.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::tokens::{self, AnthropicTokens};
use super::{Fate, Watch, written};
use crate::borrowed::{Count, Text, TextBytes};
use crate::canonical::Usage;
use crate::endpoint::Dialect;
use crate::error::ApiError;
use crate::framing::sse::Event;
use crate::seen::Seen;

/// Watches a stream of Messages. A stream without `message_start`, as some servers send, is taken too.
#[derive(Default)]
pub(crate) struct WatchMessages {
    tokens: AnthropicTokens,
    /// The block that was begun and not ended; blocks follow one another.
    open_block: Option<u64>,
}

impl Watch for WatchMessages {
    fn observe(&mut self, event: &Event<'_>, seen: &mut Seen) -> Fate {
        let Ok(step) = serde_json::from_slice::<Step<'_>>(&event.data) else {
            seen.count_unread(&event.data);
            return Fate::Pass;
        };
        match &*step.r#type {
            "content_block_delta" => seen.count(step.delta.unwrap_or_default().output_bytes()),
            "content_block_start" => self.open_block = Some(step.index.0.unwrap_or(0)),
            "content_block_stop" => self.open_block = None,
            "message_start" => {
                let message = step.message.unwrap_or_default();
                seen.answered_by(&message.model);
                self.report(message.usage, seen);
            }
            "message_delta" => self.report(step.usage, seen),
            "message_stop" => seen.complete = true,
            "error" => seen.fail(|| ApiError::of_event(&event.data)),
            _ => {}
        }
        Fate::Pass
    }

    fn missing_end(&self) -> Option<Bytes> {
        None
    }

    fn error(&self, error: &ApiError, request_id: &str) -> Bytes {
        written("error", &error.render(Dialect::Anthropic, request_id))
    }

    fn landing(&self, usage: &Usage, _seen: &Seen) -> Bytes {
        let mut events = Vec::new();
        let mut write = |event: serde_json::Value| {
            let name = event["type"].as_str().unwrap_or_default();
            events.extend_from_slice(&written(name, event.to_string().as_bytes()));
        };
        if let Some(index) = self.open_block {
            write(json!({"type": "content_block_stop", "index": index}));
        }
        write(json!({
            "type": "message_delta",
            "delta": {"stop_reason": "max_tokens", "stop_sequence": null},
            "usage": tokens::of_message(usage),
        }));
        write(json!({"type": "message_stop"}));
        Bytes::from(events)
    }
}

impl WatchMessages {
    fn report(&mut self, usage: Option<AnthropicTokens>, seen: &mut Seen) {
        if let Some(usage) = usage {
            self.tokens.update(&usage);
            seen.usage = Some(self.tokens.usage());
        }
    }
}

/// An event, as far as it is read.
#[derive(Deserialize)]
struct Step<'a> {
    #[serde(borrow, default)]
    r#type: Text<'a>,
    #[serde(default)]
    index: Count,
    delta: Option<Delta>,
    #[serde(borrow)]
    message: Option<Message<'a>>,
    usage: Option<AnthropicTokens>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Delta {
    text: TextBytes,
    thinking: TextBytes,
    partial_json: TextBytes,
}

impl Delta {
    fn output_bytes(self) -> u64 {
        self.text.0 + self.thinking.0 + self.partial_json.0
    }
}

#[derive(Default, Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    model: Text<'a>,
    usage: Option<AnthropicTokens>,
}
