//! OpenAI, and everything that imitates it.

use super::{JSON, Provider};
use crate::endpoint::Endpoint;
use crate::wire::Wire;

pub(super) const PROVIDER: Provider = Provider {
    name: "openai",
    wire,
    path: |address| {
        Ok(match address.wire {
            // vLLM has it beside the versions of the API.
            Wire::Tokenize => {
                let root = address.root("/v1");
                format!("{}{}", root.strip_suffix("/v1").unwrap_or(&root), address.wire.path())
            }
            Wire::ChatCompletions
            | Wire::Completions
            | Wire::Embeddings
            | Wire::Responses
            | Wire::Messages
            | Wire::GenerateContent
            | Wire::ImageGenerations
            | Wire::InputTokens
            | Wire::CountTokens
            | Wire::Rerank
            | Wire::Converse => address.below("/v1"),
        })
    },
    headers: |_| vec![JSON],
    body: |_, _| {},
};

fn wire(endpoint: Endpoint) -> Option<Wire> {
    match endpoint {
        Endpoint::ChatCompletions
        | Endpoint::Completions
        | Endpoint::Embeddings
        | Endpoint::Responses
        | Endpoint::ImageGenerations
        | Endpoint::InputTokens
        | Endpoint::Tokenize => Some(Wire::of(endpoint)),
        Endpoint::CountTokens | Endpoint::Rerank => None,
        // Chat is what every imitator has.
        Endpoint::Messages | Endpoint::GenerateContent => Some(Wire::ChatCompletions),
    }
}
