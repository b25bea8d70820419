//! What a model call consumed, in tokens by kind, whoever served it.

/// Tokens by kind. `input` includes cached and cache-creation tokens; `output` includes reasoning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All tokens read, also those that came from or went into a cache.
    pub input: u64,
    /// The part of `input` that a cache served.
    pub cached_input: u64,
    /// The part of `input` that was written to a cache.
    pub cache_creation_input: u64,
    /// All tokens produced, reasoning included.
    pub output: u64,
    /// The part of `output` that was reasoning.
    pub reasoning: u64,
    /// What the provider called the total; `input + output` where it named none.
    pub total: u64,
}
