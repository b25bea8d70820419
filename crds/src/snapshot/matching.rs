//! One condition on one request header.

use std::fmt;

use http::{HeaderMap, HeaderName};
use regex::Regex;

/// A header and what its value must be.
#[derive(Clone, Debug)]
pub(crate) struct HeaderMatch {
    pub(crate) name: HeaderName,
    pub(crate) value: ValueMatch,
}

/// What a value must be.
#[derive(Clone, Debug)]
pub(crate) enum ValueMatch {
    Exact(String),
    /// Anchored at both ends, as Envoy matches.
    Pattern(Regex),
}

/// Bound on a compiled pattern, so that one manifest can't take the gateway's memory.
const PATTERN_BYTES: usize = 1 << 18;

impl HeaderMatch {
    /// True when one of the header's values fits. The model's header is read from `model`: the gateway made it.
    pub(crate) fn holds(&self, model: &str, headers: &HeaderMap) -> bool {
        if self.name == super::MODEL_HEADER {
            return self.value.fits(model.as_bytes());
        }
        headers.get_all(&self.name).iter().any(|value| self.value.fits(value.as_bytes()))
    }
}

impl ValueMatch {
    /// A pattern that must fit the whole value.
    pub(crate) fn pattern(text: &str) -> Result<Self, String> {
        Self::anchored(text).map(Self::Pattern)
    }

    /// The pattern itself.
    pub(crate) fn anchored(text: &str) -> Result<Regex, String> {
        // Checked alone first: `a)(b` would be valid only inside the group.
        let build = |text: &str| {
            regex::RegexBuilder::new(text)
                .size_limit(PATTERN_BYTES)
                .nest_limit(32)
                .build()
                .map_err(|error| error.to_string().lines().last().unwrap_or_default().to_owned())
        };
        build(text)?;
        build(&format!("^(?:{text})$"))
    }

    /// The one value that fits, if there is only one.
    pub(crate) fn exact(&self) -> Option<&str> {
        match self {
            Self::Exact(exact) => Some(exact),
            Self::Pattern(_) => None,
        }
    }

    fn fits(&self, value: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => exact.as_bytes() == value,
            Self::Pattern(pattern) => std::str::from_utf8(value).is_ok_and(|value| pattern.is_match(value)),
        }
    }
}

impl fmt::Display for HeaderMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            ValueMatch::Exact(value) => write!(f, "{}={value:?}", self.name),
            ValueMatch::Pattern(pattern) => write!(f, "{}~{:?}", self.name, pattern.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_matched() {
        let mut headers = HeaderMap::new();
        headers.append("x-tier", "gold".parse().unwrap());
        headers.append("x-tier", "vip".parse().unwrap());
        headers.append("x-ai-eg-model", "forged".parse().unwrap());
        let exact = |text: &str| ValueMatch::Exact(text.to_owned());
        let pattern = |text: &str| ValueMatch::pattern(text).unwrap();
        #[rustfmt::skip]
        let rows = [
            ("x-tier",        exact("gold"),   true),  // equal
            ("x-tier",        exact("vip"),    true),  // any of several values
            ("x-tier",        exact("Gold"),   false), // values keep their case
            ("x-team",        exact(""),       false), // absent is not empty
            ("x-tier",        pattern("go.*"), true),  // fits
            ("x-tier",        pattern("o"),    false), // the whole value
            ("x-tier",        pattern("v|ip"), false), // the alternatives are anchored together
            ("x-ai-eg-model", exact("m"),      true),  // what the gateway read
            ("x-ai-eg-model", exact("forged"), false), // never what the client sent
        ];
        for (name, value, want) in rows {
            let matcher = HeaderMatch { name: name.parse().unwrap(), value };
            assert_eq!(matcher.holds("m", &headers), want, "{matcher:?}");
        }
    }

    #[test]
    fn patterns_are_bounded() {
        #[rustfmt::skip]
        let rows = [
            "(",                              // not a pattern
            "a)(b",                           // balanced only by our own group
            "((a{100}){100}){100}",           // too large
        ];
        for text in rows {
            assert!(ValueMatch::pattern(text).is_err(), "{text}");
        }
    }
}
