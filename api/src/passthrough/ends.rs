//! A long answer's model and usage, read from its two ends: most of its bytes are one string or one list of numbers in
//! between, and reading those only to find the usage would cost more than all else that the gateway does with them.
//!
//! This is sound because an unescaped `"usage"` cannot stand inside a string, and because an object that closes with
//! the body's last byte is the top-level one. What does not fit is left to the full reading.

use std::fmt;

use memchr::memmem;
use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};

use super::choices::Chunk;
use crate::borrowed::Text;
use crate::seen::Seen;

/// Shorter bodies are read whole: there is little in between.
const LONG: usize = 256;
/// A usage with all its details is a few hundred bytes; whatever stands behind it is short too.
const LONGEST_TAIL: usize = 8 * 1024;

/// Notes model and usage of the answer `body`. False: nothing was noted, and it has to be read whole.
pub(super) fn note(body: &[u8], seen: &mut Seen) -> bool {
    if body.len() < LONG {
        return false;
    }
    let from = body.len() - LONGEST_TAIL.min(body.len());
    let Some(at) = memmem::rfind(&body[from..], b"\"usage\"") else { return false };
    let mut tail = Vec::with_capacity(body.len() - from - at + 1);
    tail.push(b'{');
    tail.extend_from_slice(&body[from + at..]);
    let Some(chunk) = serde_json::from_slice::<Chunk<'_>>(&tail).ok().filter(Chunk::bears_usage) else {
        return false;
    };
    let Some(model) = model(body) else { return false };
    chunk.note(seen);
    seen.answered_by(&model);
    true
}

/// The model, if it stands before what is long.
fn model(body: &[u8]) -> Option<String> {
    let mut head = Head { model: None };
    // The walk is broken off on purpose, with an error, once the model is found.
    let _broken_off = serde_json::Deserializer::from_slice(body).deserialize_map(&mut head);
    head.model
}

struct Head {
    model: Option<String>,
}

impl<'de> Visitor<'de> for &mut Head {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Text<'de>>()? {
            match &*key {
                "model" => {
                    self.model = Some(map.next_value::<Text<'de>>()?.0.into_owned());
                    break;
                }
                "choices" | "data" => break,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_top_level_usage_counts() {
        let long = "x".repeat(LONG);
        let usage = r#""usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}"#;
        #[rustfmt::skip]
        let cases = [
            // body                                                                              input     why
            (format!(r#"{{"model":"m","choices":["{long}"],{usage}}}"#),                         Some(3)), // the usual order
            (format!(r#"{{"model":"m","data":["{long}"],{usage},"system_fingerprint":"f"}} "#),  Some(3)), // something behind it
            (format!(r#"{{"choices":["{long}"],"model":"m",{usage}}}"#),                         None),    // the model is behind the long part
            (format!(r#"{{"model":"m","choices":["{long}",{{{usage}}}]}}"#),                     None),    // not the top level's
            (format!(r#"{{"model":"m","choices":["{long}\"usage\":{{}}"]}}"#),                   None),    // inside a string
            (format!(r#"{{"model":"m",{usage},"choices":["{long}{long}{long}"]}}"#),             None),    // not at the end
            (format!(r#"{{"model":"m","choices":["{long}"],"usage":null}}"#),                    None),    // none at all
            (format!(r#"{{"model":"m","choices":["{long}"],{usage}"#),                           None),    // cut short
            (format!(r#"{{"model":"m",{usage}}}"#),                                              None),    // short: read whole
        ];
        for (body, input) in cases {
            let mut seen = Seen::default();
            let noted = note(body.as_bytes(), &mut seen);
            let shown = format!("{}…{}", &body[..30], &body[body.len() - 30..]);
            assert_eq!(noted, input.is_some(), "{shown}");
            assert_eq!(seen.usage.map(|usage| usage.input), input, "{shown}");
            assert_eq!(seen.response_model.as_deref(), input.map(|_| "m"), "{shown}");
        }
    }
}
