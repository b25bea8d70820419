//! Figures as Google counts them.

use serde::{Deserialize, Serialize};

use crate::borrowed::Count;
use crate::canonical::Usage;

/// Cached tokens are part of the prompt's; thoughts and what tools of Google's read are counted beside the others.
#[derive(Clone, Copy, Default, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names are Google's")]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct UsageRead {
    prompt_token_count: Count,
    tool_use_prompt_token_count: Count,
    cached_content_token_count: Count,
    candidates_token_count: Count,
    thoughts_token_count: Count,
    total_token_count: Count,
}

impl UsageRead {
    /// None: chunks may tell something else under this name, and no figures.
    pub(crate) fn usage(&self) -> Option<Usage> {
        self.prompt_token_count.0.or(self.total_token_count.0)?;
        let count = |count: Count| count.0.unwrap_or(0);
        let input = count(self.prompt_token_count).saturating_add(count(self.tool_use_prompt_token_count));
        let reasoning = count(self.thoughts_token_count);
        let output = count(self.candidates_token_count).saturating_add(reasoning);
        Some(Usage {
            input,
            cached_input: count(self.cached_content_token_count),
            cache_creation_input: 0,
            output,
            reasoning,
            total: self.total_token_count.0.unwrap_or(input.saturating_add(output)),
        })
    }
}

/// `usageMetadata` as it is written.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are Google's")]
#[serde(rename_all = "camelCase")]
pub(crate) struct UsageWritten {
    prompt_token_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    cached_content_token_count: u64,
    candidates_token_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    thoughts_token_count: u64,
    total_token_count: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl From<Usage> for UsageWritten {
    fn from(usage: Usage) -> Self {
        let Usage { input, cached_input, cache_creation_input: _, output, reasoning, total } = usage;
        Self {
            prompt_token_count: input,
            cached_content_token_count: cached_input,
            candidates_token_count: output.saturating_sub(reasoning),
            thoughts_token_count: reasoning,
            total_token_count: total,
        }
    }
}
