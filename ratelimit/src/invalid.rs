//! A definition that can't be kept: which field of it, and what was expected there. One type for windows, covers and prices,
//! since all of them are checked by whoever proposes them and once more where they are applied.

use std::fmt;

/// Why a definition is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Which field.
    pub field: &'static str,
    /// What was expected there, and what came.
    pub expected: String,
}

impl Invalid {
    pub(crate) fn new(field: &'static str, expected: impl Into<String>) -> Self {
        Self { field, expected: expected.into() }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}", self.field, self.expected)
    }
}

impl std::error::Error for Invalid {}
