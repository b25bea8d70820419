//! The formats that go over a wire, as upstreams speak them. Most are also a client's endpoint; a provider may bring one
//! that no client speaks.

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
    ImageGenerations,
    InputTokens,
    CountTokens,
    Tokenize,
    Rerank,
    /// Amazon Bedrock's, which no client speaks here.
    Converse,
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
            Endpoint::ImageGenerations => Self::ImageGenerations,
            Endpoint::InputTokens => Self::InputTokens,
            Endpoint::CountTokens => Self::CountTokens,
            Endpoint::Tokenize => Self::Tokenize,
            Endpoint::Rerank => Self::Rerank,
        }
    }

    /// The endpoint whose clients speak it, if any do.
    pub(crate) const fn endpoint(self) -> Option<Endpoint> {
        match self {
            Self::ChatCompletions => Some(Endpoint::ChatCompletions),
            Self::Completions => Some(Endpoint::Completions),
            Self::Embeddings => Some(Endpoint::Embeddings),
            Self::Responses => Some(Endpoint::Responses),
            Self::Messages => Some(Endpoint::Messages),
            Self::GenerateContent => Some(Endpoint::GenerateContent),
            Self::ImageGenerations => Some(Endpoint::ImageGenerations),
            Self::InputTokens => Some(Endpoint::InputTokens),
            Self::CountTokens => Some(Endpoint::CountTokens),
            Self::Tokenize => Some(Endpoint::Tokenize),
            Self::Rerank => Some(Endpoint::Rerank),
            Self::Converse => None,
        }
    }

    /// The path that its own dialect has for it, below the version prefix.
    pub(crate) const fn path(self) -> &'static str {
        match self.endpoint() {
            Some(endpoint) => endpoint.path(),
            None => "/converse",
        }
    }

    /// The dialect of its errors, if it is a client's.
    pub(crate) fn dialect(self) -> Option<Dialect> {
        self.endpoint().map(Endpoint::dialect)
    }

    /// How it is translated, if it can be.
    pub(crate) fn codec(self) -> Option<&'static Codec> {
        match self {
            Self::ChatCompletions => Some(&dialects::openai_chat::CODEC),
            Self::Messages => Some(&dialects::anthropic_messages::CODEC),
            Self::GenerateContent => Some(&dialects::gemini::CODEC),
            Self::Converse => Some(&dialects::bedrock_converse::CODEC),
            Self::Completions
            | Self::Embeddings
            | Self::Responses
            | Self::ImageGenerations
            | Self::InputTokens
            | Self::CountTokens
            | Self::Tokenize
            | Self::Rerank => None,
        }
    }
}
