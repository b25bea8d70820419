//! A streamed answer between dialects, event by event.
//!
//! ```text
//! Started (Text | Thinking* Signature | RedactedThinking | ToolCallStarted ToolCallArguments*)* Stopped Usage* Ended
//! ```
//!
//! Usage may come at any time and is cumulative: the last one counts. `Failed` may take the place of anything after
//! the start, and nothing follows it. An encoder copes with a stream that lacks `Started` or `Stopped`.

use super::{Stop, Usage};
use crate::error::ErrorKind;

/// One step of a streamed answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    Started {
        id: String,
        model: String,
        created_s: u64,
        usage: Option<Usage>,
    },
    Text(String),
    Thinking(String),
    /// Signs the thinking since the last signature, and ends that block.
    Signature(String),
    RedactedThinking {
        data: String,
    },
    /// `index` counts this answer's tool calls from 0, without gaps.
    ToolCallStarted {
        index: usize,
        id: String,
        name: String,
    },
    ToolCallArguments {
        index: usize,
        text: String,
    },
    /// So far, not since the last one.
    Usage(Usage),
    Stopped(Stop),
    /// The protocol's terminal event: `[DONE]` or `message_stop`.
    Ended,
    /// The upstream said `error` inside the stream.
    Failed {
        message: String,
        kind: ErrorKind,
    },
}
