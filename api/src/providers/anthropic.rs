//! Anthropic's own API.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{JSON, Provider};
use crate::endpoint::Endpoint;
use crate::wire::Wire;

pub(super) const PROVIDER: Provider =
    Provider { name: "anthropic", wire, path: |address| Ok(address.below("/v1")), headers, body: |_, _| {} };

const VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// What requests that we write ourselves conform to. A client's own version passes as it is.
const OUR_VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");

fn wire(endpoint: Endpoint) -> Option<Wire> {
    match endpoint {
        Endpoint::Messages | Endpoint::ChatCompletions | Endpoint::GenerateContent => Some(Wire::Messages),
        Endpoint::CountTokens => Some(Wire::CountTokens),
        Endpoint::Completions
        | Endpoint::Embeddings
        | Endpoint::Responses
        | Endpoint::ImageGenerations
        | Endpoint::InputTokens
        | Endpoint::Tokenize
        | Endpoint::Rerank => None,
    }
}

fn headers(client: Option<&HeaderMap>) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = vec![JSON];
    if !client.is_some_and(|client| client.contains_key(VERSION)) {
        headers.push((VERSION, OUR_VERSION));
    }
    headers
}
