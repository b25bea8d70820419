//! The same for bodies of Gemini's clients: contents of parts, of which the kind is said by the member that they have.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{IMAGE_TOKENS, MESSAGE_TOKENS, length, list};
use crate::borrowed::Text;

/// A list of contents, or one alone.
pub(super) fn contents(json: &str) -> u64 {
    each(json).iter().map(|one| MESSAGE_TOKENS + content(one)).sum()
}

/// How many answers are asked for.
pub(super) fn answers(json: &str) -> u64 {
    let members = members(json).unwrap_or_default();
    let count = members.iter().filter(|(name, _)| ["candidateCount", "candidate_count"].contains(&&**name));
    count.filter_map(|(_, value)| value.get().parse().ok()).max().unwrap_or(1)
}

fn content(json: &str) -> u64 {
    let Some(members) = members(json) else { return length(json.as_bytes()) };
    let cost = |(name, value): &(Text<'_>, &RawValue)| match &**name {
        "role" => 0,
        "parts" => each(value.get()).iter().map(|one| 2 + part(one)).sum(),
        _ => length(value.get().as_bytes()),
    };
    members.iter().map(cost).sum()
}

fn part(json: &str) -> u64 {
    let Some(members) = members(json) else { return length(json.as_bytes()) };
    let cost = |(name, value): &(Text<'_>, &RawValue)| match &**name {
        "text" => string(value.get()),
        "inlineData" | "inline_data" | "fileData" | "file_data" if is_image(value.get()) => IMAGE_TOKENS,
        _ => length(value.get().as_bytes()),
    };
    members.iter().map(cost).sum()
}

fn is_image(json: &str) -> bool {
    let named = |name: &str| ["mimeType", "mime_type"].contains(&name);
    let members = members(json).unwrap_or_default();
    members.iter().any(|(name, value)| named(name) && value.get().starts_with("\"image/"))
}

/// Google's parser takes one in place of a list.
fn each(json: &str) -> Vec<&str> {
    list(json).map_or_else(|| vec![json], |all| all.into_iter().map(RawValue::get).collect())
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

fn string(json: &str) -> u64 {
    length(json.as_bytes()).saturating_sub(2)
}
