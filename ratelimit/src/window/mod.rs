//! When a budget is whole again. One file a kind of window.

pub mod fixed;
pub mod rolling;

use serde::{Deserialize, Serialize};

use crate::time::{Span, Timestamp};
pub use fixed::{Fixed, Period};
pub use rolling::Rolling;

/// A budget's window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Window {
    /// Starts again with each second … year of a calendar.
    Fixed(Fixed),
    /// A token bucket: what was spent comes back at a steady rate.
    Rolling(Rolling),
    /// Never starts again.
    Lifetime,
}

impl Window {
    /// The span that `at` lies in. None where a calendar's boundaries are not known that far.
    pub fn span_at(&self, at: Timestamp) -> Option<Span> {
        match self {
            Self::Fixed(fixed) => fixed.span_at(at),
            Self::Rolling(_) | Self::Lifetime => Some(Span::ALWAYS),
        }
    }

    /// The span after `span`, where there is one and it is known.
    pub fn span_after(&self, span: Span) -> Option<Span> {
        match self {
            Self::Fixed(fixed) => fixed.span_at(span.end),
            Self::Rolling(_) | Self::Lifetime => None,
        }
    }
}
