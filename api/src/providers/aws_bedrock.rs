//! Amazon Bedrock's Converse: one format for the models of all vendors there. The model stands in the path, and whether
//! to stream, too.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{Address, JSON, Provider, encoded};
use crate::endpoint::Endpoint;
use crate::wire::Wire;

pub(super) const PROVIDER: Provider = Provider {
    name: "aws.bedrock",
    wire,
    path: |address| Ok(model_path(address, ["converse", "converse-stream"])),
    headers,
    body: |_, _| {},
};

fn wire(endpoint: Endpoint) -> Option<Wire> {
    match endpoint {
        Endpoint::ChatCompletions | Endpoint::Messages | Endpoint::GenerateContent => Some(Wire::Converse),
        Endpoint::Completions
        | Endpoint::Embeddings
        | Endpoint::Responses
        | Endpoint::ImageGenerations
        | Endpoint::InputTokens
        | Endpoint::CountTokens
        | Endpoint::Tokenize
        | Endpoint::Rerank => None,
    }
}

/// The path of one operation on the model: the whole answer's, or the stream's.
pub(super) fn model_path(address: &Address<'_>, [whole, stream]: [&str; 2]) -> String {
    let operation = if address.stream { stream } else { whole };
    format!("{}/model/{}/{operation}", address.root(""), encoded(address.model))
}

/// What a client accepts says nothing here: whether events come is the path's business.
pub(super) fn headers(_client: Option<&HeaderMap>) -> Vec<(HeaderName, HeaderValue)> {
    vec![JSON, (header::ACCEPT, HeaderValue::from_static("application/json"))]
}
