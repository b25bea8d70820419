//! Whom a budget covers. Which of its buckets a request falls into is told in `key`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::invalid::Invalid;

/// The most conditions of one budget.
const MOST_MATCHERS: usize = 32;
/// The most patterns of one condition.
const MOST_PATTERNS: usize = 256;
/// The longest pattern and the longest name of a label or header, in bytes: longer values can't be told apart in keys either.
const MOST_BYTES: usize = 256;
/// Bytes of all patterns of a cover: a budget is one item of a snapshot, which takes a MiB.
const MOST_PATTERN_BYTES: usize = 256 << 10;
/// The most dimensions that a budget is divided by.
const MOST_DIVISIONS: usize = 8;

/// What a budget can be divided by, and what its matchers look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Dimension {
    /// The consumer's organisation.
    Organization,
    /// The consumer's team.
    Team,
    /// The consumer's user.
    User,
    /// The name of the API key that was used.
    ApiKey,
    /// The model that the client asked for.
    Model,
    /// The route that was taken.
    Route,
    /// The backend that is asked, as `namespace/name`.
    Backend,
    /// One of the consumer's labels.
    Label(String),
    /// One of the request's headers, by its name in lower case.
    Header(String),
    /// The consumer itself, as `namespace/name`.
    Consumer,
    /// The address that the request came from, as text.
    Source,
}

/// All of these must match. Without any, everybody is covered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cover {
    /// Each names a dimension and the patterns of which one must match.
    pub matchers: Vec<Matcher>,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matcher {
    /// What is looked at.
    pub dimension: Dimension,
    /// One of them must match; `*` stands for any run of characters.
    pub patterns: Vec<String>,
}

/// What is known of a request. What it lacks is None: nothing matches that, not even `*`.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The consumer's organisation.
    pub organization: Option<&'a str>,
    /// The consumer's team.
    pub team: Option<&'a str>,
    /// The consumer's user.
    pub user: Option<&'a str>,
    /// The consumer itself, as `namespace/name`.
    pub consumer: Option<&'a str>,
    /// The address that the request came from, as text.
    pub source: Option<&'a str>,
    /// The name of the API key that was used.
    pub api_key: Option<&'a str>,
    /// The model that the client asked for.
    pub model: Option<&'a str>,
    /// The route that was taken.
    pub route: Option<&'a str>,
    /// The backend that is asked, as `namespace/name`.
    pub backend: Option<&'a str>,
    /// The value of one of the consumer's labels.
    pub label: &'a (dyn Fn(&str) -> Option<&'a str> + Sync),
    /// The value of one of the request's headers, by its name in lower case.
    pub header: &'a (dyn Fn(&str) -> Option<&'a str> + Sync),
}

impl Default for Facts<'_> {
    fn default() -> Self {
        Self {
            organization: None,
            team: None,
            user: None,
            consumer: None,
            source: None,
            api_key: None,
            model: None,
            route: None,
            backend: None,
            label: &|_| None,
            header: &|_| None,
        }
    }
}

impl<'a> Facts<'a> {
    /// What the request is in one dimension.
    pub fn value(&self, dimension: &Dimension) -> Option<&'a str> {
        match dimension {
            Dimension::Organization => self.organization,
            Dimension::Team => self.team,
            Dimension::User => self.user,
            Dimension::ApiKey => self.api_key,
            Dimension::Model => self.model,
            Dimension::Route => self.route,
            Dimension::Backend => self.backend,
            Dimension::Label(name) => (self.label)(name),
            Dimension::Header(name) => (self.header)(name),
            Dimension::Consumer => self.consumer,
            Dimension::Source => self.source,
        }
    }
}

impl Cover {
    /// Whether a request is covered.
    pub fn holds(&self, facts: &Facts<'_>) -> bool {
        self.matchers.iter().all(|matcher| matcher.holds(facts))
    }

    /// Whether a budget may have it.
    pub fn check(&self) -> Result<(), Invalid> {
        if self.matchers.len() > MOST_MATCHERS {
            return Err(Invalid::new(
                "match",
                format!("at most {MOST_MATCHERS} conditions, not {}", self.matchers.len()),
            ));
        }
        self.matchers.iter().try_for_each(Matcher::check)?;
        let patterns = self.matchers.iter().flat_map(|matcher| &matcher.patterns);
        match patterns.map(String::len).sum::<usize>() {
            bytes if bytes > MOST_PATTERN_BYTES => Err(Invalid::new(
                "match",
                format!("at most {MOST_PATTERN_BYTES} bytes of patterns in all, not {bytes}"),
            )),
            _ => Ok(()),
        }
    }
}

/// Whether a budget may be divided by these.
pub fn check_divisions(per: &[Dimension]) -> Result<(), Invalid> {
    if per.len() > MOST_DIVISIONS {
        return Err(Invalid::new("per", format!("at most {MOST_DIVISIONS} dimensions, not {}", per.len())));
    }
    for (place, dimension) in per.iter().enumerate() {
        if per[..place].contains(dimension) {
            return Err(Invalid::new("per", format!("each dimension once, not {dimension} again")));
        }
        dimension.check("per")?;
    }
    Ok(())
}

impl Matcher {
    fn holds(&self, facts: &Facts<'_>) -> bool {
        let value = facts.value(&self.dimension);
        value.is_some_and(|value| self.patterns.iter().any(|pattern| matches(pattern, value)))
    }

    fn check(&self) -> Result<(), Invalid> {
        self.dimension.check("match")?;
        if !(1..=MOST_PATTERNS).contains(&self.patterns.len()) {
            let expected =
                format!("1 to {MOST_PATTERNS} patterns for {}, not {}", self.dimension, self.patterns.len());
            return Err(Invalid::new("match", expected));
        }
        match self.patterns.iter().find(|pattern| !(1..=MOST_BYTES).contains(&pattern.len())) {
            Some(pattern) => {
                let expected = format!(
                    "patterns of 1 to {MOST_BYTES} bytes for {}, not {}",
                    self.dimension,
                    pattern.len()
                );
                Err(Invalid::new("match", expected))
            }
            None => Ok(()),
        }
    }
}

impl Dimension {
    fn check(&self, field: &'static str) -> Result<(), Invalid> {
        let (what, name, fits): (_, _, fn(u8) -> bool) = match self {
            Self::Organization
            | Self::Team
            | Self::User
            | Self::ApiKey
            | Self::Model
            | Self::Route
            | Self::Backend
            | Self::Consumer
            | Self::Source => {
                return Ok(());
            }
            Self::Label(name) => ("a label's name: visible letters", name, |byte| byte.is_ascii_graphic()),
            Self::Header(name) => {
                ("a header's name: lower case letters, digits and signs", name, is_header_letter)
            }
        };
        if !(1..=MOST_BYTES).contains(&name.len()) || !name.bytes().all(fits) {
            return Err(Invalid::new(field, format!("{what}, 1 to {MOST_BYTES} of them, not {name:?}")));
        }
        Ok(())
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Organization => "organization",
            Self::Team => "team",
            Self::User => "user",
            Self::ApiKey => "apiKey",
            Self::Model => "model",
            Self::Route => "route",
            Self::Backend => "backend",
            Self::Consumer => "consumer",
            Self::Source => "source",
            Self::Label(name) => return write!(f, "label:{name}"),
            Self::Header(name) => return write!(f, "header:{name}"),
        };
        f.write_str(name)
    }
}

/// A token of RFC 9110, section 5.6.2, without upper case.
fn is_header_letter(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether all of `value` is what `pattern` says. The parts between stars are taken where they are first found, which is
/// never worse than later: nothing is tried twice.
pub fn matches(pattern: &str, value: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == value };
    let Some(mut rest) = value.strip_prefix(head) else { return false };
    let mut parts = tail.split('*');
    let last = parts.next_back().unwrap_or_default();
    for part in parts {
        let Some(found) = rest.find(part) else { return false };
        rest = &rest[found + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
#[path = "cover_test.rs"]
mod tests;
