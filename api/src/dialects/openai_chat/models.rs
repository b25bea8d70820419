//! What a model's id tells about the parameters that OpenAI's chat completions take for it.

/// From here on functions are refused beside `reasoning_effort`, and reasoning is the default: only an effort of `none`
/// is let through. Both together are for the Responses API.
const FUNCTIONS_OR_REASONING: (u32, u32) = (5, 4);

/// True for a model that calls functions only while it does not reason. Ids of others, also those of another vendor's
/// gateway (`openai/gpt-…`), tell nothing.
pub(super) fn reasons_or_calls(model: &str) -> bool {
    model.strip_prefix("gpt-").and_then(version).is_some_and(|version| version >= FUNCTIONS_OR_REASONING)
}

/// The leading `5` or `5.4`, followed by nothing or by a variant's name.
fn version(id: &str) -> Option<(u32, u32)> {
    let version = id.split('-').next()?;
    let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
    Some((major.parse().ok()?, minor.parse().ok()?))
}
