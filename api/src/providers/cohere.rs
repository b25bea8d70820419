//! Cohere's own API, as far as reranking. What it has of OpenAI's API is a backend of the schema OpenAI with the prefix
//! `compatibility/v1`.

use super::{JSON, Provider};
use crate::endpoint::Endpoint;
use crate::wire::Wire;

pub(super) const PROVIDER: Provider = Provider {
    name: "cohere",
    wire: |endpoint| (endpoint == Endpoint::Rerank).then_some(Wire::Rerank),
    path: |address| Ok(address.below("/v2")),
    headers: |_| vec![JSON],
    body: |_, _| {},
};
