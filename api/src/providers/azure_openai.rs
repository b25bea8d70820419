//! Azure's OpenAI service: speaks as OpenAI does, but has the model (its deployment) in the path and asks for a version
//! in the query.

use super::{Address, Provider, encoded, openai};
use crate::error::Untranslatable;
use crate::wire::Wire;

pub(super) const PROVIDER: Provider = Provider {
    name: "azure.openai",
    // Tokens are not shown there.
    wire: |endpoint| (openai::PROVIDER.wire)(endpoint).filter(|wire| *wire != Wire::Tokenize),
    path,
    ..openai::PROVIDER
};

/// The service has no configurable prefix.
fn path(address: &Address<'_>) -> Result<String, Untranslatable> {
    let version = address.version.filter(|version| !version.is_empty()).ok_or_else(|| {
        Untranslatable::new(
            "the backend's schema AzureOpenAI has no `version`, which its api-version is taken from",
        )
    })?;
    let (endpoint, version) = (address.wire.path(), encoded(version));
    Ok(match address.wire {
        Wire::ChatCompletions
        | Wire::Completions
        | Wire::Embeddings
        | Wire::Messages
        | Wire::GenerateContent
        | Wire::ImageGenerations
        | Wire::CountTokens
        | Wire::Tokenize
        | Wire::Rerank
        | Wire::Converse => {
            format!("/openai/deployments/{}{endpoint}?api-version={version}", encoded(address.model))
        }
        Wire::Responses | Wire::InputTokens => format!("/openai{endpoint}?api-version={version}"),
    })
}
