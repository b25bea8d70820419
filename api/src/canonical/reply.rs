//! A whole answer between dialects.

use super::Usage;

/// One whole answer, read from one dialect, to be written in another.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Reply {
    /// The upstream's own id, kept as it is.
    pub(crate) id: String,
    pub(crate) model: String,
    /// Unix seconds; 0 where the upstream does not say.
    pub(crate) created_s: u64,
    pub(crate) blocks: Vec<Block>,
    pub(crate) stop: Stop,
    pub(crate) usage: Option<Usage>,
}

/// One piece of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    Text(String),
    Thinking {
        text: String,
        signature: Option<String>,
    },
    RedactedThinking {
        data: String,
    },
    /// `arguments` should be a JSON object's text; a model that was cut off may have left half of one.
    ToolCall {
        id: String,
        name: String,
        arguments: String,
    },
}

/// Why an answer ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stop {
    pub(crate) reason: StopReason,
    /// The stop text that ended it, where the upstream tells.
    pub(crate) sequence: Option<String>,
}

/// Why an answer ended, in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// The model was done.
    #[default]
    EndTurn,
    /// One of the client's stop texts came up.
    StopSequence,
    /// The bound on output was reached.
    MaxTokens,
    /// The model's context is full.
    ContextWindow,
    /// The model waits for tools.
    ToolUse,
    /// The provider or the model declined.
    Refusal,
    /// A long turn was paused and may be continued.
    Pause,
}

impl StopReason {
    /// Some upstreams say `stop` although the answer asks for tools (OpenAI does so when a tool was forced by name);
    /// clients that act on tools look for the word.
    pub(crate) fn or_tool_use(self, asked_for_tools: ToolsAsked) -> Self {
        match (self, asked_for_tools) {
            (Self::EndTurn, ToolsAsked::Some) => Self::ToolUse,
            (reason, ToolsAsked::Some | ToolsAsked::None) => reason,
        }
    }
}

/// Whether an answer asked for any tool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ToolsAsked {
    #[default]
    None,
    Some,
}
