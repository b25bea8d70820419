//! A model request between dialects: what every chat-like API says, each thing said in one way.
//!
//! A field exists here when at least one target can carry it. What only one dialect knows and no other could ever
//! honour is refused by that dialect's reader, so an encoder never has to guess what it was given.

use super::{Json, Place};

/// One request, read from one dialect, to be written in another.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Request {
    /// The name that the client asked for; an encoder writes its target's name instead.
    pub(crate) model: String,
    pub(crate) stream: bool,
    /// In the client's order. System turns stand where the client put them.
    pub(crate) turns: Vec<Turn>,
    /// The client's own bound on output tokens, reasoning included.
    pub(crate) max_output: Option<u64>,
    pub(crate) sampling: Sampling,
    /// Texts that end the answer.
    pub(crate) stop: Vec<String>,
    pub(crate) tools: Vec<Tool>,
    pub(crate) tool_choice: Option<ToolChoice>,
    /// Whether the model may ask for several tools at once; each API's default is yes.
    pub(crate) parallel_tool_calls: Option<bool>,
    pub(crate) reasoning: Reasoning,
    pub(crate) format: Option<OutputFormat>,
    /// An opaque name for the end user, for abuse detection at the provider.
    pub(crate) user: Option<String>,
    pub(crate) tier: Option<Tier>,
}

/// How the next token is drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sampling {
    pub(crate) temperature: Option<f64>,
    pub(crate) top_p: Option<f64>,
    pub(crate) top_k: Option<u64>,
    pub(crate) frequency_penalty: Option<f64>,
    pub(crate) presence_penalty: Option<f64>,
    /// A wish for repeatability; every API that knows it calls it best effort.
    pub(crate) seed: Option<i64>,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    System,
    /// People, and the tools that answer the model.
    User,
    Assistant,
}

/// What one party said at once.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Turn {
    pub(crate) role: Role,
    pub(crate) parts: Vec<Part>,
}

/// One piece of a turn.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Part {
    pub(crate) content: Content,
    /// Anthropic's `cache_control`, as written.
    pub(crate) cache: Option<Json>,
    /// Where the client wrote it, for refusals.
    pub(crate) place: Place,
}

/// What a part holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    Text(String),
    Image(Source),
    Document(Document),
    /// Unsigned thinking comes from models that do not sign theirs.
    Thinking {
        text: String,
        signature: Option<String>,
    },
    RedactedThinking {
        data: String,
    },
    /// `arguments` is the text of one JSON object.
    ToolCall {
        id: String,
        name: String,
        arguments: String,
    },
    ToolResult {
        call_id: String,
        parts: Vec<Part>,
        is_error: bool,
    },
}

/// A file for the model to read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Document {
    pub(crate) source: Source,
    pub(crate) title: Option<String>,
}

/// Where an image's or document's bytes are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    Base64 {
        media_type: String,
        data: String,
    },
    Url(String),
    /// A document that is plain text.
    Text(String),
}

/// A function that the model may ask for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    /// JSON Schema of the arguments, as written.
    pub(crate) schema: Option<Json>,
    /// Arguments must match the schema exactly.
    pub(crate) strict: Option<bool>,
    pub(crate) cache: Option<Json>,
}

/// Which tools the model may or must use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ToolChoice {
    Auto,
    None,
    /// At least one, whichever.
    Required,
    Named(String),
}

/// How much the model should think before it answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Reasoning {
    pub(crate) mode: Option<ReasoningMode>,
    pub(crate) effort: Option<Effort>,
    /// Anthropic's `thinking.display`: `summarized` or `omitted`.
    pub(crate) display: Option<String>,
}

/// Anthropic's `thinking.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReasoningMode {
    Off,
    /// At most this many tokens.
    Budget(u64),
    /// As the model sees fit.
    Adaptive,
}

/// OpenAI's `reasoning_effort`, and Anthropic's `output_config.effort`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

impl Effort {
    /// One of the words that newer models added on top.
    pub(crate) const fn is_above_high(self) -> bool {
        match self {
            Self::None | Self::Minimal | Self::Low | Self::Medium | Self::High => false,
            Self::Xhigh | Self::Max => true,
        }
    }

    /// Both APIs use the same words.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Xhigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// The effort that `word` names.
    pub(crate) fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|effort| effort.word() == word)
    }

    const ALL: [Self; 7] =
        [Self::None, Self::Minimal, Self::Low, Self::Medium, Self::High, Self::Xhigh, Self::Max];
}

/// What the answer's text must be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum OutputFormat {
    /// Any JSON object.
    JsonObject,
    /// JSON that matches a schema.
    JsonSchema(JsonSchema),
}

/// A schema for the answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct JsonSchema {
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) schema: Json,
    pub(crate) strict: Option<bool>,
}

/// Capacity that both sides have a word for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tier {
    /// Reserved capacity if there is some, else ordinary.
    Auto,
    /// Ordinary capacity only.
    Standard,
}
