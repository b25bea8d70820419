//! Gemini's generated content: chunks that are answers each, with cumulative usage, and no event at the end.

use bytes::Bytes;
use serde::Deserialize;

use super::{Fate, Watch, written};
use crate::borrowed::{Count, Present, Text, TextBytes};
use crate::canonical::Usage;
use crate::dialects::gemini::{AnswerWritten, CandidateWritten, ContentWritten, UsageRead, UsageWritten};
use crate::endpoint::Dialect;
use crate::error::ApiError;
use crate::framing::sse::Event;
use crate::seen::Seen;

/// Watches a stream of generated content.
#[derive(Default)]
pub(crate) struct WatchGenerated {
    id: String,
    /// One bit a candidate: seen at all, seen to finish.
    begun: u128,
    finished: u128,
}

/// Notes what the whole answer `body` says.
pub(super) fn note(body: &[u8], seen: &mut Seen) -> serde_json::Result<()> {
    serde_json::from_slice::<Chunk<'_>>(body).map(|answer| answer.note(seen))
}

impl Watch for WatchGenerated {
    fn observe(&mut self, event: &Event<'_>, seen: &mut Seen) -> Fate {
        let Ok(chunk) = serde_json::from_slice::<Chunk<'_>>(&event.data) else {
            seen.count_unread(&event.data);
            return Fate::Pass;
        };
        if chunk.error.0 {
            seen.fail(|| ApiError::of_event(&event.data));
        }
        if self.id.is_empty() {
            self.id.push_str(&chunk.response_id);
        }
        for candidate in chunk.candidates.iter().flatten() {
            let bit = 1_u128.checked_shl(candidate.index()).unwrap_or(0);
            self.begun |= bit;
            self.finished |= if candidate.finish_reason.0 { bit } else { 0 };
        }
        let declined = chunk.prompt_feedback.as_ref().is_some_and(|feedback| feedback.block_reason.0);
        if declined && chunk.candidates.as_ref().is_none_or(Vec::is_empty) {
            (self.begun, self.finished) = (1, 1);
        }
        chunk.note(seen);
        Fate::Pass
    }

    /// Nothing is missing once every candidate has said why it ended.
    fn missing_end(&self) -> Option<Bytes> {
        (self.begun != 0 && self.begun == self.finished).then(Bytes::new)
    }

    fn error(&self, error: &ApiError, request_id: &str) -> Bytes {
        written("", &error.render(Dialect::Gemini, request_id))
    }

    fn landing(&self, usage: &Usage, seen: &Seen) -> Bytes {
        let open = if self.begun == 0 { 1 } else { self.begun & !self.finished };
        let candidate = |index| CandidateWritten {
            content: ContentWritten::of_model(Vec::new()),
            finish_reason: Some("MAX_TOKENS"),
            index,
        };
        let answer = AnswerWritten {
            candidates: (0..u128::BITS).filter(|index| open >> index & 1 == 1).map(candidate).collect(),
            usage_metadata: Some(UsageWritten::from(*usage)),
            model_version: seen.response_model.as_deref().unwrap_or_default(),
            response_id: &self.id,
        };
        let answer = serde_json::to_vec(&answer).expect("structs of strings and numbers serialise");
        written("", &answer)
    }
}

/// An answer, as far as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chunk<'a> {
    #[serde(borrow, default)]
    response_id: Text<'a>,
    #[serde(borrow, default)]
    model_version: Text<'a>,
    candidates: Option<Vec<Candidate>>,
    prompt_feedback: Option<Feedback>,
    usage_metadata: Option<UsageRead>,
    #[serde(default)]
    error: Present,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    #[serde(default)]
    index: Count,
    content: Option<Content>,
    #[serde(default)]
    finish_reason: Present,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Content {
    parts: Option<Vec<Part>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Part {
    text: TextBytes,
    /// Without its punctuation, since arguments are JSON here.
    function_call: Option<Call>,
    executable_code: TextBytes,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Call {
    args: TextBytes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feedback {
    #[serde(default)]
    block_reason: Present,
}

impl Candidate {
    fn index(&self) -> u32 {
        u32::try_from(self.index.0.unwrap_or(0)).unwrap_or(u32::MAX)
    }

    fn output_bytes(&self) -> u64 {
        let parts = self.content.iter().flat_map(|content| &content.parts).flatten();
        parts.map(Part::output_bytes).sum()
    }
}

impl Part {
    fn output_bytes(&self) -> u64 {
        self.text.0 + self.executable_code.0 + self.function_call.as_ref().map_or(0, |call| call.args.0)
    }
}

impl Chunk<'_> {
    fn note(&self, seen: &mut Seen) {
        seen.answered_by(&self.model_version);
        seen.count(self.candidates.iter().flatten().map(Candidate::output_bytes).sum());
        seen.usage = self.usage_metadata.and_then(|usage| usage.usage()).or(seen.usage);
    }
}
