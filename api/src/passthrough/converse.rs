//! Whole answers of Bedrock's Converse. Its streams are always translated.

use serde::Deserialize;

use crate::borrowed::TextBytes;
use crate::canonical::Usage;
use crate::dialects::bedrock_converse::UsageRead;
use crate::seen::Seen;

/// An answer, as far as the meter reads it.
#[derive(Deserialize)]
pub(super) struct Answer {
    output: Option<Output>,
    usage: Option<UsageRead>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Output {
    message: Option<Message>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Message {
    content: Vec<Block>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Block {
    text: TextBytes,
    reasoning_content: Option<Thought>,
    tool_use: Option<ToolUse>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Thought {
    reasoning_text: Option<Text>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Text {
    text: TextBytes,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ToolUse {
    input: TextBytes,
}

impl Answer {
    pub(super) fn note(&self, seen: &mut Seen) {
        let message = self.output.as_ref().and_then(|output| output.message.as_ref());
        seen.count(message.iter().flat_map(|message| &message.content).map(Block::output_bytes).sum());
        if let Some(usage) = self.usage {
            seen.usage = Some(Usage::from(usage));
        }
    }
}

impl Block {
    fn output_bytes(&self) -> u64 {
        let thought = self.reasoning_content.as_ref().and_then(|thought| thought.reasoning_text.as_ref());
        self.text.0
            + thought.map_or(0, |thought| thought.text.0)
            + self.tool_use.as_ref().map_or(0, |call| call.input.0)
    }
}
