//! Answers that are not streamed: read once, when they are whole, for the meter's sake.

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;

use super::choices::Chunk;
use super::responses::Response;
use super::tokens::AnthropicTokens;
use super::{converse, ends, generated, reranked};
use crate::borrowed::{Text, TextBytes};
use crate::error::Malformed;
use crate::seen::Seen;
use crate::wire::Wire;

/// Notes what the whole answer `body` of the format `wire` says. What is no answer of that format still passes; one
/// that is cut short is an error.
pub(crate) fn note(wire: Wire, body: &[u8], seen: &mut Seen) -> Result<(), Malformed> {
    let read = match wire {
        Wire::ChatCompletions | Wire::Completions | Wire::Embeddings if ends::note(body, seen) => Ok(()),
        Wire::ChatCompletions | Wire::Completions | Wire::Embeddings => {
            serde_json::from_slice::<Chunk<'_>>(body).map(|answer| answer.note(seen))
        }
        Wire::Responses => {
            let output = read_or_default::<ResponseOutput>(body).output;
            seen.count(output.iter().map(OutputItem::output_bytes).sum());
            serde_json::from_slice::<Response<'_>>(body).map(|answer| answer.note(seen))
        }
        Wire::Rerank => serde_json::from_slice::<reranked::Ranking>(body).map(|answer| answer.note(seen)),
        Wire::ImageGenerations => {
            serde_json::from_slice::<Response<'_>>(body).map(|answer| answer.note(seen))
        }
        Wire::InputTokens | Wire::CountTokens | Wire::Tokenize => {
            serde_json::from_slice::<IgnoredAny>(body).map(drop)
        }
        Wire::Messages => serde_json::from_slice::<Message<'_>>(body).map(|answer| answer.note(seen)),
        Wire::GenerateContent => generated::note(body, seen),
        Wire::Converse => serde_json::from_slice::<converse::Answer>(body).map(|answer| answer.note(seen)),
    };
    match read.map_err(|error| error.classify()) {
        Err(Category::Eof) => {
            Err(Malformed::new(format!("the upstream's answer ends early, after {} bytes", body.len())))
        }
        Ok(()) | Err(Category::Data | Category::Syntax | Category::Io) => {
            seen.complete = true;
            Ok(())
        }
    }
}

fn read_or_default<T: DeserializeOwned + Default>(body: &[u8]) -> T {
    serde_json::from_slice(body).unwrap_or_default()
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ResponseOutput {
    output: Vec<OutputItem>,
}

/// A message, reasoning or a call.
#[derive(Default, Deserialize)]
#[serde(default)]
struct OutputItem {
    content: Option<Vec<Part>>,
    summary: Option<Vec<Part>>,
    arguments: TextBytes,
    input: TextBytes,
}

/// A part of an item, or a block of a message.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Part {
    text: TextBytes,
    refusal: TextBytes,
    thinking: TextBytes,
    /// A tool's arguments; without their punctuation, since they are JSON here.
    input: TextBytes,
}

impl OutputItem {
    fn output_bytes(&self) -> u64 {
        let parts = [&self.content, &self.summary].into_iter().flatten().flatten();
        parts.map(Part::output_bytes).sum::<u64>() + self.arguments.0 + self.input.0
    }
}

impl Part {
    fn output_bytes(&self) -> u64 {
        self.text.0 + self.refusal.0 + self.thinking.0 + self.input.0
    }
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    model: Text<'a>,
    content: Option<Vec<Part>>,
    usage: Option<AnthropicTokens>,
}

impl Message<'_> {
    fn note(&self, seen: &mut Seen) {
        seen.answered_by(&self.model);
        seen.count(self.content.iter().flatten().map(Part::output_bytes).sum());
        if let Some(usage) = &self.usage {
            seen.usage = Some(usage.usage());
        }
    }
}
