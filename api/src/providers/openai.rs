//! OpenAI, and everything that imitates it.

use super::{JSON, Provider};
use crate::endpoint::Endpoint;
use crate::wire::Wire;

pub(super) const PROVIDER: Provider = Provider {
    name: "openai",
    wire,
    path: |address| Ok(address.below("/v1")),
    headers: |_| vec![JSON],
    body: |_, _| {},
};

#[expect(clippy::unnecessary_wraps, reason = "others can't carry every endpoint")]
fn wire(endpoint: Endpoint) -> Option<Wire> {
    match endpoint {
        Endpoint::ChatCompletions | Endpoint::Completions | Endpoint::Embeddings | Endpoint::Responses => {
            Some(Wire::of(endpoint))
        }
        // Chat is what every imitator has.
        Endpoint::Messages => Some(Wire::ChatCompletions),
    }
}
