//! When a budget is whole again. One file a kind of window.

pub mod calendar;
pub mod fixed;
pub mod rolling;

use serde::{Deserialize, Serialize};

use crate::invalid::Invalid;
use crate::time::{Span, Timestamp};
pub use calendar::{UnknownZone, upcoming};
pub use fixed::{Fixed, MOST_BOUNDARIES, Period};
pub use rolling::{Minted, Rolling};

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

    /// The span that pays for what was spent at `at`: the one that `at` lies in or, outside of the known boundaries, the nearest
    /// after it. The end of one that begins with the last boundary is not known.
    pub fn span_to_pay(&self, at: Timestamp) -> Option<Span> {
        match self {
            Self::Fixed(fixed) => fixed.span_to_pay(at),
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

    /// Whether it is a calendar whose known boundaries end before `at`.
    pub fn runs_out_before(&self, at: Timestamp) -> bool {
        match self {
            Self::Fixed(fixed) => fixed.runs_out_before(at),
            Self::Rolling(_) | Self::Lifetime => false,
        }
    }

    /// Whether a budget may have it. What a time zone says is not looked at: members whose data differ must agree.
    pub fn check(&self) -> Result<(), Invalid> {
        match self {
            Self::Fixed(fixed) => fixed.check(),
            Self::Rolling(rolling) => rolling.check(),
            Self::Lifetime => Ok(()),
        }
    }
}
