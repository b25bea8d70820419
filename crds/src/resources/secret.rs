//! Secret of the core group.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Resource;
use crate::schema::{Definition, definition_of_content, push_key};
use crate::snapshot::Sensitive;

/// A Secret's content.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretContent {
    /// What the content is for.
    #[serde(rename = "type")]
    pub(crate) secret_type: Option<String>,
    /// Values in base64.
    #[serde(default)]
    pub(crate) data: BTreeMap<String, String>,
    /// Values as they are; they win over `data`.
    #[serde(default)]
    pub(crate) string_data: BTreeMap<String, String>,
    /// Can't be changed, only replaced.
    pub(crate) immutable: Option<bool>,
}

/// Why a key of a Secret gives nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    Missing,
    NotBase64,
    NotText,
    Empty,
}

impl Unusable {
    pub(crate) fn expected(self) -> &'static str {
        match self {
            Self::Missing => "is missing",
            Self::NotBase64 => "is not base64",
            Self::NotText => "is not UTF-8 text",
            Self::Empty => "is empty",
        }
    }
}

impl SecretContent {
    /// True when it has a key, whatever stands there.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.string_data.contains_key(key) || self.data.contains_key(key)
    }

    /// Every key, once, in order.
    pub(crate) fn keys(&self) -> std::collections::BTreeSet<&str> {
        self.data.keys().chain(self.string_data.keys()).map(String::as_str).collect()
    }

    /// Where a key stands, or should.
    pub(crate) fn field(&self, key: &str) -> String {
        let of = if self.string_data.contains_key(key) { "stringData" } else { "data" };
        let mut path = of.to_owned();
        push_key(&mut path, key);
        path
    }

    /// The text of a key. Space around it is cut: keys are often written with `echo`, and none contains space.
    pub(crate) fn text(&self, key: &str) -> Result<Sensitive, Unusable> {
        let text = match (self.string_data.get(key), self.data.get(key)) {
            (Some(text), _) => text.clone(),
            (None, Some(encoded)) => {
                let compact: String = encoded.chars().filter(|c| !c.is_ascii_whitespace()).collect();
                let bytes = BASE64_STANDARD.decode(compact).map_err(|_| Unusable::NotBase64)?;
                String::from_utf8(bytes).map_err(|_| Unusable::NotText)?
            }
            (None, None) => return Err(Unusable::Missing),
        };
        match text.trim() {
            "" => Err(Unusable::Empty),
            trimmed => Ok(Sensitive::new(trimmed)),
        }
    }
}

impl std::fmt::Debug for SecretContent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { secret_type, data, string_data, immutable } = self;
        f.debug_struct("SecretContent")
            .field("type", secret_type)
            .field("data", &data.keys())
            .field("string_data", &string_data.keys())
            .field("immutable", immutable)
            .finish()
    }
}

pub(super) fn definition() -> Definition {
    definition_of_content::<SecretContent>("Secret", |content| Resource::Secret(Box::new(content)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read() {
        let content: SecretContent = serde_json::from_value(serde_json::json!({
            "data": {"a": "c2stMQ==", "b": "c2st\nMQ==", "c": "%%", "d": "/w==", "e": "", "f": "c2stMQ=="},
            "stringData": {"f": " sk-2\n"},
        }))
        .unwrap();
        #[rustfmt::skip]
        let rows = [
            ("a", Ok("sk-1")),                // decoded
            ("b", Ok("sk-1")),                // wrapped lines
            ("c", Err(Unusable::NotBase64)),  // letters that base64 has not
            ("d", Err(Unusable::NotText)),    // bytes that are no text
            ("e", Err(Unusable::Empty)),      // nothing is no key
            ("f", Ok("sk-2")),                // stringData wins, space is cut
            ("g", Err(Unusable::Missing)),    // not there
        ];
        for (key, want) in rows {
            assert_eq!(content.text(key).as_ref().map(Sensitive::expose).map_err(|e| *e), want, "{key}");
        }
        assert!(!format!("{content:?}").contains("c2st"));
    }
}
