//! Gemini at Google's Vertex AI, called in a project; without one, by a key: Google's Gemini API, where the prefix says
//! which version of it (`v1beta`), or Vertex AI's express mode (`v1/publishers/google`).

use super::{Address, JSON, Project, Provider, encoded};
use crate::endpoint::Endpoint;
use crate::error::Untranslatable;
use crate::wire::Wire;

pub(super) const PROVIDER: Provider = Provider {
    name: "gcp.vertex_ai",
    wire,
    path,
    headers: |_| vec![JSON],
    // The path names the model.
    body: |draft, _| draft.remove("model"),
};

fn wire(endpoint: Endpoint) -> Option<Wire> {
    match endpoint {
        Endpoint::ChatCompletions | Endpoint::Messages | Endpoint::GenerateContent => {
            Some(Wire::GenerateContent)
        }
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

fn path(address: &Address<'_>) -> Result<String, Untranslatable> {
    // Without `alt=sse` a stream is one long list.
    let verb = if address.stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
    match (address.project, address.prefix) {
        (Some(_), _) => model_path(address, "google", verb),
        (None, Some(prefix)) => {
            Ok(format!("{}/models/{}:{verb}", address.root(prefix), encoded(address.model)))
        }
        (None, None) => Err(no_project(address)),
    }
}

/// A publisher's model in the project.
pub(super) fn model_path(
    address: &Address<'_>,
    publisher: &str,
    verb: &str,
) -> Result<String, Untranslatable> {
    let Project { name, region } = address.project.ok_or_else(|| no_project(address))?;
    Ok(format!(
        "{}/projects/{}/locations/{}/publishers/{publisher}/models/{}:{verb}",
        address.root("/v1"),
        encoded(name),
        encoded(region),
        encoded(address.model)
    ))
}

fn no_project(address: &Address<'_>) -> Untranslatable {
    Untranslatable::new(format!(
        "the backend of model {} has no BackendSecurityPolicy of type GCPCredentials, which names the project and \
         region to call it in",
        address.model
    ))
}
