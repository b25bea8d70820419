//! Windows that follow a calendar. Seconds and minutes are arithmetic, since zones differ by whole minutes; everything longer
//! is a list of boundaries, worked out from the time zone by whoever proposes the budget and carried by the command: members
//! whose time zone data differ still agree.

use serde::{Deserialize, Serialize};

use crate::time::{Span, Timestamp};

/// How often a fixed window starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Period {
    /// Each second.
    Second,
    /// Each minute.
    Minute,
    /// Each hour of the zone's clock.
    Hour,
    /// Each day of the zone's calendar, 23 or 25 hours long where clocks change.
    Day,
    /// From Monday on.
    Week,
    /// From the first of the month on.
    Month,
    /// From the first of January on.
    Year,
}

/// A window that follows a calendar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fixed {
    /// How often it starts again.
    pub every: Period,
    /// The time zone, as IANA names it.
    pub zone: String,
    /// Where windows begin, in order: at least two of them. Empty for seconds and minutes.
    pub boundaries: Vec<Timestamp>,
}

impl Fixed {
    /// The span that `at` lies in. None where it lies outside of the known boundaries.
    pub fn span_at(&self, at: Timestamp) -> Option<Span> {
        let length_ms = match self.every {
            Period::Second => 1_000,
            Period::Minute => 60_000,
            Period::Hour | Period::Day | Period::Week | Period::Month | Period::Year => {
                let after = self.boundaries.partition_point(|boundary| *boundary <= at);
                let start = *self.boundaries.get(after.checked_sub(1)?)?;
                return Some(Span { start, end: *self.boundaries.get(after)? });
            }
        };
        let start = Timestamp(at.0 - at.0 % length_ms);
        Some(Span { start, end: start.plus(length_ms) })
    }
}
