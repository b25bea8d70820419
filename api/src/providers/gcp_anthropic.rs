//! Anthropic's models at Google's Vertex AI: messages, but for the model, which the path names, and the API's version,
//! which the body does.

use bytes::Bytes;

use super::{Address, JSON, Provider, anthropic, gcp_vertex_ai};
use crate::wire::Wire;

pub(super) const PROVIDER: Provider = Provider {
    name: "gcp.anthropic",
    path: |address| {
        if address.wire == Wire::CountTokens {
            // One for all models: the body names it.
            return gcp_vertex_ai::model_path(
                &Address { model: "count-tokens", ..*address },
                "anthropic",
                "rawPredict",
            );
        }
        let verb = if address.stream { "streamRawPredict" } else { "rawPredict" };
        gcp_vertex_ai::model_path(address, "anthropic", verb)
    },
    headers: |_| vec![JSON],
    body: |draft, address| {
        if address.wire == Wire::CountTokens {
            return;
        }
        let version = address.version.filter(|version| !version.is_empty()).unwrap_or(VERSION);
        let version = serde_json::to_vec(version).expect("a string always serialises");
        draft.set("anthropic_version", Bytes::from(version));
        draft.remove("model");
    },
    ..anthropic::PROVIDER
};

/// The only one that Google documents.
const VERSION: &str = "vertex-2023-10-16";
