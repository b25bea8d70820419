//! What must be known of a Gemini client's body: its model and whether it streams stand in the path, its bound on output
//! in `generationConfig`. Google's parser takes names in camel case and with underscores, so both are looked for, and
//! where both are there, or one twice, the body is refused: two readers could read it differently.

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Named, Peek, excerpt};
use crate::borrowed::Text;
use crate::error::Malformed;

/// The spellings of a member.
pub(crate) type Spellings = [&'static str; 2];

/// Where generation is configured.
pub(crate) const CONFIG: Spellings = ["generationConfig", "generation_config"];
/// The bound on output there.
pub(crate) const BOUND: Spellings = ["maxOutputTokens", "max_output_tokens"];

/// The spelling that is there, or the first.
pub(crate) fn spelled(spellings: Spellings, is_there: impl Fn(&str) -> bool) -> &'static str {
    if is_there(spellings[1]) { spellings[1] } else { spellings[0] }
}

/// See [`super::peek_named`].
pub(super) fn peek(Named { model, stream }: &Named, text: &str) -> Result<Peek, Malformed> {
    if model.is_empty() {
        return Err(Malformed::at("model", "the path must name a model"));
    }
    let config = member(text, CONFIG, "")?;
    let bound = match config.filter(|config| config.get() != "null") {
        Some(config) => member(config.get(), BOUND, CONFIG[0])?,
        None => None,
    };
    let output_cap = match bound.filter(|bound| bound.get() != "null") {
        Some(bound) => Some(serde_json::from_str(bound.get()).map_err(|_| {
            let path = format!("{}.{}", CONFIG[0], BOUND[0]);
            let came = excerpt(bound.get());
            let message = format!("`{path}` must be a whole number that is not negative, not `{came}`");
            Malformed::at(path, message)
        })?),
        None => None,
    };
    Ok(Peek { model: model.clone(), stream: *stream, output_cap, asks_usage: false })
}

/// The one member of `object`, which stands at `path`, that is spelled in one of these ways.
fn member<'a>(object: &'a str, names: Spellings, path: &str) -> Result<Option<&'a RawValue>, Malformed> {
    let mut reader = serde_json::Deserializer::from_str(object);
    let read = reader.deserialize_map(Look(names)).and_then(|found| reader.end().map(|()| found));
    let found = read.map_err(|error| {
        let expected = if error.is_data() { "a JSON object" } else { "valid JSON" };
        let what = if path.is_empty() { "the body".to_owned() } else { format!("`{path}`") };
        let message = format!("{what} is not {expected}: {error}");
        Malformed { message, param: Some(path.to_owned()).filter(|path| !path.is_empty()) }
    })?;
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        [_, _, ..] => {
            let dot = if path.is_empty() { "" } else { "." };
            let at = format!("{path}{dot}{}", names[0]);
            Err(Malformed::at(at.clone(), format!("`{at}` is given twice")))
        }
    }
}

/// Finds what stands under any of the spellings.
struct Look(Spellings);

impl<'de> Visitor<'de> for Look {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = Vec::new();
        while let Some(key) = map.next_key::<Text<'de>>()? {
            if self.0.contains(&&*key) {
                found.push(map.next_value()?);
            } else {
                let IgnoredAny = map.next_value()?;
            }
        }
        Ok(found)
    }
}
