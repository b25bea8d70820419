//! How many tokens a request can be at most, before anybody counted them.
//!
//! A byte-level tokenizer never makes more tokens of a text than it has bytes, and what stands around texts (roles, the
//! borders of messages, the beginning of the answer) is a few tokens each, whatever template writes it. So texts are bounded by
//! their bytes; what is neither text nor a setting, such as tools, by all of its bytes as JSON has them, where escapes only make
//! them longer. Images are the exception: what they cost has nothing to do with their bytes.

mod gemini;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
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

/// What an image of the largest size and best quality counts as output: gpt-image-1 says 6,240.
const MADE_IMAGE_TOKENS: u64 = 8_000;

/// Bounds a body that [`peek`](crate::peek::peek) has let through.
pub fn bound(endpoint: Endpoint, body: &[u8]) -> Bound {
    if endpoint.only_counts() {
        return Bound { input: 0, answers: 1 };
    }
    let of_bytes = Bound { input: REQUEST_TOKENS + length(body), answers: 1 };
    let read = std::str::from_utf8(body).ok().and_then(|text| serde_json::from_str::<Fields>(text).ok());
    let Some(Fields { input, answers, prompts }) = read else { return of_bytes };
    let prompts = match endpoint {
        Endpoint::Completions => prompts,
        Endpoint::ImageGenerations => {
            let made = answers.max(1).saturating_mul(MADE_IMAGE_TOKENS);
            let input = REQUEST_TOKENS.saturating_add(input).saturating_add(made);
            return Bound { input, answers: 1 };
        }
        Endpoint::ChatCompletions
        | Endpoint::Embeddings
        | Endpoint::Responses
        | Endpoint::Messages
        | Endpoint::GenerateContent
        | Endpoint::InputTokens
        | Endpoint::CountTokens
        | Endpoint::Tokenize
        | Endpoint::Rerank => 1,
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
            if matches!(&*key, "messages" | "system" | "input" | "instructions") {
                fields.input = fields.input.saturating_add(map.next_value_seed(Said::Messages)?);
                continue;
            }
            let value: &RawValue = map.next_value()?;
            let text = value.get();
            let cost = match &*key {
                "n" | "best_of" => {
                    fields.answers = fields.answers.max(text.parse().unwrap_or(1));
                    0
                }
                "prompt" => {
                    fields.prompts = prompts(text);
                    let mut prompt = serde_json::Deserializer::from_str(text);
                    Said::Messages.deserialize(&mut prompt).map_err(serde::de::Error::custom)?
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

/// What is said to the model, added up in the one pass that reads it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    /// A text, or a list of texts or messages.
    Messages,
    /// A message, or a part of one.
    Message,
    /// A message's text, or its parts.
    Content,
}

impl Said {
    /// What is written around a text of this kind.
    const fn around(self) -> u64 {
        match self {
            Self::Messages => MESSAGE_TOKENS,
            Self::Message | Self::Content => 0,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Said {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Said {
    type Value = u64;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("text, or a list of texts or messages")
    }

    fn visit_str<E>(self, text: &str) -> Result<u64, E> {
        Ok(self.around() + length(text.as_bytes()))
    }

    fn visit_u64<E>(self, token: u64) -> Result<u64, E> {
        Ok(self.around() + 1 + u64::from(token.checked_ilog10().unwrap_or(0)))
    }

    fn visit_i64<E: serde::de::Error>(self, token: i64) -> Result<u64, E> {
        self.visit_u64(token.unsigned_abs())
    }

    fn visit_f64<E: serde::de::Error>(self, _odd: f64) -> Result<u64, E> {
        self.visit_u64(u64::MAX) // As many digits as a number has.
    }

    fn visit_bool<E>(self, _odd: bool) -> Result<u64, E> {
        Ok(self.around() + length(b"false"))
    }

    fn visit_unit<E>(self) -> Result<u64, E> {
        Ok(0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<u64, A::Error> {
        let (mut sum, each) = match self {
            Self::Messages => (0, MESSAGE_TOKENS),
            Self::Content => (0, 2),
            Self::Message => (1, 1), // As it is written: a prompt in tokens.
        };
        while let Some(one) = list.next_element_seed(Self::Message)? {
            sum += each + one;
        }
        Ok(sum)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<u64, A::Error> {
        let (mut sum, mut is_image) = (0, false);
        while let Some(key) = map.next_key::<Text<'de>>()? {
            sum += match &*key {
                "role" => map.next_value::<IgnoredAny>().map(|_| 0)?,
                "type" => {
                    is_image |= IMAGES.contains(&&*map.next_value::<Text<'de>>()?);
                    0
                }
                "content" | "output" => map.next_value_seed(Self::Content)?,
                "text" => map.next_value_seed(Self::Message)?,
                _ => length(map.next_value::<&RawValue>()?.get().as_bytes()),
            };
        }
        Ok(self.around() + if is_image { IMAGE_TOKENS } else { sum })
    }
}

/// Types of parts that show an image, in each dialect's words.
const IMAGES: [&str; 3] = ["image_url", "image", "input_image"];

/// How many answers completions give: one a prompt; a list of numbers is one prompt in tokens.
fn prompts(json: &str) -> u64 {
    let several = list(json).filter(|all| all.iter().all(|one| one.get().starts_with(['"', '['])));
    several.map_or(1, |all| all.len() as u64)
}

fn list(json: &str) -> Option<Vec<&RawValue>> {
    if json.starts_with('[') { serde_json::from_str(json).ok() } else { None }
}

fn length(bytes: &[u8]) -> u64 {
    bytes.len() as u64
}

#[cfg(test)]
#[path = "bound_test.rs"]
mod tests;
