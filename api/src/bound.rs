//! How many tokens a request can be at most, before anybody counted them.
//!
//! A byte-level tokenizer never makes more tokens of a text than it has bytes, and what stands around texts (roles, the
//! borders of messages, the beginning of the answer) is a few tokens each, whatever template writes it. So texts are bounded by
//! their bytes as JSON has them, where escapes only make them longer; what is neither text nor a setting, such as tools, by
//! all of its bytes. Images are the exception: what they cost has nothing to do with their bytes.

mod gemini;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::borrowed::Text;
use crate::endpoint::Endpoint;

/// What a request may be at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Input tokens.
    pub input: u64,
    /// Answers that the one cap on output tokens counts for: each may be as long as it says.
    pub answers: u64,
}

/// The beginning of a prompt and that of an answer, where a template writes them.
const REQUEST_TOKENS: u64 = 8;
/// A message's role and borders: ChatML takes four or five, Llama 3 five.
const MESSAGE_TOKENS: u64 = 6;
/// What providers say to a model that has tools: some 350 at Anthropic.
const TOOLS_TOKENS: u64 = 500;
/// An image in full detail: 1,445 for OpenAI's tiles, 1,600 for Anthropic's.
const IMAGE_TOKENS: u64 = 2_000;

/// Bounds a body that [`peek`](crate::peek::peek) has let through.
pub fn bound(endpoint: Endpoint, body: &[u8]) -> Bound {
    let of_bytes = Bound { input: REQUEST_TOKENS + length(body), answers: 1 };
    let read = std::str::from_utf8(body).ok().and_then(|text| serde_json::from_str::<Fields>(text).ok());
    let Some(Fields { input, answers, prompts }) = read else { return of_bytes };
    let prompts = match endpoint {
        Endpoint::Completions => prompts,
        Endpoint::ChatCompletions
        | Endpoint::Embeddings
        | Endpoint::Responses
        | Endpoint::Messages
        | Endpoint::GenerateContent => 1,
    };
    Bound { input: REQUEST_TOKENS.saturating_add(input), answers: answers.saturating_mul(prompts).max(1) }
}

/// What a body's fields come to.
struct Fields {
    input: u64,
    answers: u64,
    prompts: u64,
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Fields { input: 0, answers: 1, prompts: 1 };
        while let Some(key) = map.next_key::<Text<'de>>()? {
            let value: &RawValue = map.next_value()?;
            let text = value.get();
            let cost = match &*key {
                "n" | "best_of" => {
                    fields.answers = fields.answers.max(text.parse().unwrap_or(1));
                    0
                }
                "messages" | "system" | "input" | "instructions" => messages(text),
                "prompt" => {
                    fields.prompts = prompts(text);
                    messages(text)
                }
                "contents" | "systemInstruction" | "system_instruction" => gemini::contents(text),
                "generationConfig" | "generation_config" => {
                    fields.answers = fields.answers.max(gemini::answers(text));
                    length(text.as_bytes())
                }
                "tools" | "functions" => TOOLS_TOKENS + length(text.as_bytes()),
                // Settings: what is said to the model is a string that is not the model's name, or has parts.
                "model" | "user" | "service_tier" => 0,
                _ if text.starts_with(['"', '{', '[']) => length(text.as_bytes()),
                _ => 0,
            };
            fields.input = fields.input.saturating_add(cost);
        }
        Ok(fields)
    }
}

/// A text, or a list of texts or messages.
fn messages(json: &str) -> u64 {
    match list(json) {
        Some(all) => all.iter().map(|one| MESSAGE_TOKENS + message(one.get())).sum(),
        None => MESSAGE_TOKENS + length(json.as_bytes()).saturating_sub(2),
    }
}

fn message(json: &str) -> u64 {
    let Some(fields) = members(json) else {
        return length(json.as_bytes()).saturating_sub(if json.starts_with('"') { 2 } else { 0 });
    };
    if is_image(&fields) {
        return IMAGE_TOKENS;
    }
    let cost = |(name, value): &(Text<'_>, &RawValue)| {
        let text = value.get();
        match &**name {
            "role" | "type" => 0,
            "content" | "output" => list(text)
                .map_or_else(|| string(text), |parts| parts.iter().map(|one| 2 + message(one.get())).sum()),
            "text" => string(text),
            _ => length(text.as_bytes()),
        }
    };
    fields.iter().map(cost).sum()
}

/// Parts that show an image, in each dialect's words.
fn is_image(fields: &[(Text<'_>, &RawValue)]) -> bool {
    fields.iter().any(|(name, value)| {
        &**name == "type" && ["\"image_url\"", "\"image\"", "\"input_image\""].contains(&value.get())
    })
}

/// How many answers completions give: one a prompt; a list of numbers is one prompt in tokens.
fn prompts(json: &str) -> u64 {
    let several = list(json).filter(|all| all.iter().all(|one| one.get().starts_with(['"', '['])));
    several.map_or(1, |all| all.len() as u64)
}

fn string(json: &str) -> u64 {
    length(json.as_bytes()).saturating_sub(2)
}

fn list(json: &str) -> Option<Vec<&RawValue>> {
    if json.starts_with('[') { serde_json::from_str(json).ok() } else { None }
}

/// An object's members, in their order.
fn members(json: &str) -> Option<Vec<(Text<'_>, &RawValue)>> {
    struct Members<'a>(Vec<(Text<'a>, &'a RawValue)>);
    struct MembersVisitor;
    impl<'de> Visitor<'de> for MembersVisitor {
        type Value = Members<'de>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
            let mut all = Vec::new();
            while let Some(pair) = map.next_entry()? {
                all.push(pair);
            }
            Ok(Members(all))
        }
    }
    impl<'de> Deserialize<'de> for Members<'de> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_map(MembersVisitor)
        }
    }
    if !json.starts_with('{') {
        return None;
    }
    serde_json::from_str::<Members<'_>>(json).ok().map(|members| members.0)
}

fn length(bytes: &[u8]) -> u64 {
    bytes.len() as u64
}

#[cfg(test)]
#[path = "bound_test.rs"]
mod tests;
