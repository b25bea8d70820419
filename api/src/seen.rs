//! What the gateway learns from an answer while it passes.

use crate::canonical::Usage;
use crate::error::ApiError;

/// What passed so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Tokens are only counted, and nothing is spent.
    pub free: bool,
    /// The last figures from the provider.
    pub usage: Option<Usage>,
    /// The model that the provider says answered.
    pub response_model: Option<String>,
    /// Bytes of generated text, reasoning and tool arguments that passed, decoded.
    pub output_bytes: u64,
    /// Events that carried some.
    pub output_events: u64,
    /// The protocol's terminal event, or a whole unstreamed body, was seen.
    pub complete: bool,
    /// The upstream itself said `error` inside the stream.
    pub failed: bool,
    /// What it said then, the first time.
    pub failure: Option<Box<ApiError>>,
}

impl Seen {
    /// An event, or a whole body, carried `bytes` of output.
    pub(crate) fn count(&mut self, bytes: u64) {
        self.output_bytes += bytes;
        self.output_events += u64::from(bytes > 0);
    }

    /// An event that could not be read counts as output as a whole, so that no one gets past the meter by oddity.
    pub(crate) fn count_unread(&mut self, data: &[u8]) {
        self.count(data.len() as u64);
    }

    /// The upstream said that it failed.
    pub(crate) fn fail(&mut self, error: impl FnOnce() -> ApiError) {
        self.failed = true;
        self.failure.get_or_insert_with(|| Box::new(error()));
    }

    pub(crate) fn answered_by(&mut self, model: &str) {
        if self.response_model.is_none() && !model.is_empty() {
            self.response_model = Some(model.to_owned());
        }
    }
}
