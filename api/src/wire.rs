//! The formats that go over a wire, as upstreams speak them. Today each is also a client's endpoint; a provider may
//! bring one that no client speaks.

use crate::dialects::{self, Codec};
use crate::endpoint::{Dialect, Endpoint};

/// One format of requests, answers and events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    ChatCompletions,
    Completions,
    Embeddings,
    Responses,
    Messages,
    GenerateContent,
}

impl Wire {
    /// What clients of `endpoint` speak.
    pub(crate) const fn of(endpoint: Endpoint) -> Self {
        match endpoint {
            Endpoint::ChatCompletions => Self::ChatCompletions,
            Endpoint::Completions => Self::Completions,
            Endpoint::Embeddings => Self::Embeddings,
            Endpoint::Responses => Self::Responses,
            Endpoint::Messages => Self::Messages,
            Endpoint::GenerateContent => Self::GenerateContent,
        }
    }

    /// The endpoint whose clients speak it.
    pub(crate) const fn endpoint(self) -> Endpoint {
        match self {
            Self::ChatCompletions => Endpoint::ChatCompletions,
            Self::Completions => Endpoint::Completions,
            Self::Embeddings => Endpoint::Embeddings,
            Self::Responses => Endpoint::Responses,
            Self::Messages => Endpoint::Messages,
            Self::GenerateContent => Endpoint::GenerateContent,
        }
    }

    /// The path that its own dialect has for it, below the version prefix.
    pub(crate) const fn path(self) -> &'static str {
        self.endpoint().path()
    }

    /// The dialect of its errors.
    pub(crate) const fn dialect(self) -> Dialect {
        self.endpoint().dialect()
    }

    /// How it is translated, if it can be.
    pub(crate) fn codec(self) -> Option<&'static Codec> {
        match self {
            Self::ChatCompletions => Some(&dialects::openai_chat::CODEC),
            Self::Messages => Some(&dialects::anthropic_messages::CODEC),
            Self::GenerateContent => Some(&dialects::gemini::CODEC),
            Self::Completions | Self::Embeddings | Self::Responses => None,
        }
    }
}
