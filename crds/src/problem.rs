//! A fault in configuration, as data: which resource and field, what came, what was expected, and where it stands.
//!
//! Nothing in this crate fails as a whole; everything that goes wrong becomes a [`Problem`], and the rest is served.

use std::fmt;

/// One fault. Shown on one line, fit for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `AIGatewayRoute default/basic`, or `document 3` where no name could be read.
    pub resource: String,
    /// `spec.rules[0].backendRefs[0].name`; empty for the whole resource.
    pub field: String,
    /// The offending value, cut short, and never the content of a Secret; empty where none was given.
    pub value: String,
    /// What should have been there: `at most 16 entries`.
    pub expected: String,
    /// What follows from it.
    pub severity: Severity,
    /// Where it was read, if it came from a text.
    pub at: Option<Place>,
}

/// What follows from a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Severity {
    /// The resource, or a part that needs the field, is not served.
    Rejected,
    /// Understood, but the field is not honoured here; the resource serves.
    NotHonoured,
}

/// A line of a text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file's name as the caller gave it.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
}

/// How much of an offending value is shown.
const SHOWN_VALUE_CHARS: usize = 80;

/// A value as a problem shows it: one line, cut short.
pub(crate) fn shown(value: &str) -> String {
    let mut text: String =
        value.chars().take(SHOWN_VALUE_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if value.chars().nth(SHOWN_VALUE_CHARS).is_some() {
        text.push('…');
    }
    text
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rejected => "rejected",
            Self::NotHonoured => "not honoured",
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.at {
            write!(f, "{place}: ")?;
        }
        write!(f, "{}: ", self.resource)?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        if self.severity == Severity::NotHonoured {
            f.write_str("not honoured: ")?;
        }
        write!(f, "expected {}", self.expected)?;
        if !self.value.is_empty() {
            write!(f, ", got {}", self.value)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_one_line() {
        let mut problem = Problem {
            resource: "AIGatewayRoute default/basic".into(),
            field: "spec.rules[0].backendRefs".into(),
            value: shown("a\nb"),
            expected: "at most 128 entries".into(),
            severity: Severity::Rejected,
            at: Some(Place { file: "in.yaml".into(), line: 12 }),
        };
        let text = "in.yaml:12: AIGatewayRoute default/basic: spec.rules[0].backendRefs: expected at most 128 entries, got a b";
        assert_eq!(problem.to_string(), text);
        problem = Problem {
            field: String::new(),
            value: String::new(),
            severity: Severity::NotHonoured,
            at: None,
            ..problem
        };
        assert_eq!(
            problem.to_string(),
            "AIGatewayRoute default/basic: not honoured: expected at most 128 entries"
        );
    }

    #[test]
    fn long_values_are_cut() {
        let value = shown(&"Ä".repeat(500));
        assert_eq!(value, format!("{}…", "Ä".repeat(SHOWN_VALUE_CHARS)));
    }
}
