//! Anthropic's models at Amazon Bedrock (InvokeModel): Anthropic's own bodies, but the model and whether to stream stand
//! in the path, the version and the betas in the body.

use bytes::Bytes;
use http::HeaderMap;

use super::aws_bedrock::{headers, model_path};
use super::{Address, Provider, anthropic};
use crate::edit::Draft;
use crate::wire::Wire;

pub(super) const PROVIDER: Provider = Provider {
    name: "aws.anthropic",
    // Counting is another operation there, of another shape.
    wire: |endpoint| (anthropic::PROVIDER.wire)(endpoint).filter(|wire| *wire != Wire::CountTokens),
    path: |address| Ok(model_path(address, ["invoke", "invoke-with-response-stream"])),
    headers,
    body,
};

/// What Bedrock calls the version where the backend's schema names none.
const VERSION: &str = "bedrock-2023-05-31";

/// The betas that Bedrock knows; it refuses a request that names another. The hints among Anthropic's others only allow
/// what the request then asks for by a field of its own, which is refused by its name.
const BETAS: [&str; 17] = [
    "computer-use-2024-10-22",
    "computer-use-2025-01-24",
    "computer-use-2025-11-24",
    "token-efficient-tools-2025-02-19",
    "interleaved-thinking-2025-05-14",
    "output-128k-2025-02-19",
    "dev-full-thinking-2025-05-14",
    "context-1m-2025-08-07",
    "context-management-2025-06-27",
    "compact-2026-01-12",
    "effort-2025-11-24",
    "fine-grained-tool-streaming-2025-05-14",
    "prompt-caching-2024-07-31",
    "structured-outputs-2025-11-13",
    "tool-examples-2025-10-29",
    "tool-search-tool-2025-10-19",
    "web-search-2025-03-05",
];

/// The same beta under Anthropic's name.
const ADVANCED_TOOL_USE: &str = "advanced-tool-use-2025-11-20";

fn body(draft: &mut Draft, address: &Address<'_>) {
    draft.remove("model");
    draft.remove("stream");
    let version = address.version.filter(|version| !version.is_empty()).unwrap_or(VERSION);
    draft.set("anthropic_version", json(&version));
    let betas = address.client.map(betas).unwrap_or_default();
    if !betas.is_empty() {
        draft.set("anthropic_beta", json(&betas));
    }
}

fn betas(client: &HeaderMap) -> Vec<&str> {
    let named = client.get_all("anthropic-beta").iter().filter_map(|value| value.to_str().ok());
    let mut betas: Vec<&str> = Vec::new();
    for name in named.flat_map(|value| value.split(',')).map(str::trim) {
        let name = if name == ADVANCED_TOOL_USE { "tool-search-tool-2025-10-19" } else { name };
        if BETAS.contains(&name) && !betas.contains(&name) {
            betas.push(name);
        }
    }
    betas
}

fn json(value: &impl serde::Serialize) -> Bytes {
    Bytes::from(serde_json::to_vec(value).expect("texts and lists of texts serialise"))
}
