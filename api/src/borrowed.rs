//! Reading a few members of a JSON text without copying it and without trusting it.
//!
//! Every event of every stream is read with these types, so they neither allocate for the usual case nor fail for a
//! member that is not of the usual type: an answer that we understand in part still passes and still counts.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A string, borrowed where it has no escapes. (serde borrows no `Cow` inside an `Option`.) Other types read as empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// How many bytes of text a value holds: a string's length, or the sum over what is nested in it.
///
/// Some providers send content and reasoning as lists of parts where others send one string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TextBytes(pub(crate) u64);

/// A token count: whole numbers as they are, fractions cut, anything else absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count(pub(crate) Option<u64>);

/// Whether a value is there and not null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Present(pub(crate) bool);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Loose(Self::default(), |read| match read {
            Read::Borrowed(text) => Self(Cow::Borrowed(text)),
            Read::Passing(text) => Self(Cow::Owned(text.to_owned())),
            Read::Number(_) | Read::Other => Self::default(),
        }))
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Loose(Self::default(), |read| match read {
            Read::Number(number) => Self(Some(number)),
            Read::Borrowed(_) | Read::Passing(_) | Read::Other => Self::default(),
        }))
    }
}

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The default is what null reads as.
        deserializer.deserialize_any(Loose(Self(false), |_| Self(true)))
    }
}

/// What `Loose` came across; lists and objects are skipped and are `Other`.
enum Read<'de, 'p> {
    Borrowed(&'de str),
    Passing(&'p str),
    Number(u64),
    Other,
}

/// Reads any value: null as the given default, everything else through the given function.
struct Loose<'de, T>(T, fn(Read<'de, '_>) -> T);

impl<'de, T> Visitor<'de> for Loose<'de, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(self.0)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<T, E> {
        Ok((self.1)(Read::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<T, E> {
        Ok((self.1)(Read::Passing(text)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<T, E> {
        Ok((self.1)(Read::Number(number)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<T, E> {
        Ok((self.1)(Read::Number(u64::try_from(number).unwrap_or(0))))
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, which is what a nonsense count deserves"
    )]
    fn visit_f64<E>(self, number: f64) -> Result<T, E> {
        Ok((self.1)(Read::Number(number as u64)))
    }

    fn visit_bool<E>(self, _: bool) -> Result<T, E> {
        Ok((self.1)(Read::Other))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<T, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok((self.1)(Read::Other))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok((self.1)(Read::Other))
    }
}

impl<'de> Deserialize<'de> for TextBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Weigh)
    }
}

/// Sums the lengths of all strings that are values, at any depth.
struct Weigh;

impl<'de> Visitor<'de> for Weigh {
    type Value = TextBytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<TextBytes, E> {
        Ok(TextBytes(text.len() as u64))
    }

    fn visit_unit<E>(self) -> Result<TextBytes, E> {
        Ok(TextBytes(0))
    }

    fn visit_bool<E>(self, _: bool) -> Result<TextBytes, E> {
        Ok(TextBytes(0))
    }

    fn visit_u64<E>(self, _: u64) -> Result<TextBytes, E> {
        Ok(TextBytes(0))
    }

    fn visit_i64<E>(self, _: i64) -> Result<TextBytes, E> {
        Ok(TextBytes(0))
    }

    fn visit_f64<E>(self, _: f64) -> Result<TextBytes, E> {
        Ok(TextBytes(0))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<TextBytes, A::Error> {
        let mut sum = 0;
        while let Some(TextBytes(bytes)) = seq.next_element()? {
            sum += bytes;
        }
        Ok(TextBytes(sum))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TextBytes, A::Error> {
        let mut sum = 0;
        while let Some((_, TextBytes(bytes))) = map.next_entry::<IgnoredAny, _>()? {
            sum += bytes;
        }
        Ok(TextBytes(sum))
    }
}

#[cfg(test)]
mod tests {
    use super::{Count, Present, Text, TextBytes};

    #[test]
    fn nothing_is_refused_and_little_is_copied() {
        #[rustfmt::skip]
        let cases = [
            // json                                     text     count       present  bytes  why
            ("null",                                    "",      None,       false,   0),  // absent
            (r#""abc""#,                                "abc",   None,       true,    3),
            (r#""a\u00e9""#,                            "aé",    None,       true,    3),  // decoded, in UTF-8
            ("12",                                      "",      Some(12),   true,    0),
            ("12.9",                                    "",      Some(12),   true,    0),  // some providers send fractions
            ("-3",                                      "",      Some(0),    true,    0),
            ("true",                                    "",      None,       true,    0),
            (r#"[{"text":"ab","n":1},null,"c"]"#,       "",      None,       true,    3),  // parts
            ("{}",                                      "",      None,       true,    0),
        ];
        for (json, text, count, present, bytes) in cases {
            assert_eq!(&*serde_json::from_str::<Text<'_>>(json).unwrap(), text, "{json}");
            assert_eq!(serde_json::from_str::<Count>(json).unwrap(), Count(count), "{json}");
            assert_eq!(serde_json::from_str::<Present>(json).unwrap(), Present(present), "{json}");
            assert_eq!(serde_json::from_str::<TextBytes>(json).unwrap(), TextBytes(bytes), "{json}");
        }
    }
}
