//! Windows that follow a calendar. Seconds and minutes are arithmetic, since zones differ by whole minutes; everything longer
//! is a list of boundaries, worked out from the time zone by whoever proposes the budget and carried by the command: members
//! whose time zone data differ still agree.

use serde::{Deserialize, Serialize};

use crate::invalid::Invalid;
use crate::time::{Span, Timestamp};

/// The most boundaries that a budget carries: more than a year of hours, some decades of days.
pub const MOST_BOUNDARIES: usize = 10_000;
/// The longest name of a time zone, in bytes. The longest that IANA has is 32.
const MOST_ZONE_BYTES: usize = 64;

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
        let length_ms = match self.every.length() {
            Length::Ms(length_ms) => length_ms,
            Length::Calendar => {
                let after = self.boundaries.partition_point(|boundary| *boundary <= at);
                let start = *self.boundaries.get(after.checked_sub(1)?)?;
                return Some(Span { start, end: *self.boundaries.get(after)? });
            }
        };
        let start = Timestamp(at.0 - at.0 % length_ms);
        Some(Span { start, end: start.plus(length_ms) })
    }

    /// The span that `at` lies in, or the nearest after it. After the last boundary it has no end until another one is known.
    pub fn span_to_pay(&self, at: Timestamp) -> Option<Span> {
        let nearest = self.boundaries.first().map_or(at, |first| at.max(*first));
        let last = self.boundaries.last().map(|last| Span { start: *last, end: Timestamp::NEVER });
        self.span_at(nearest).or(last)
    }

    /// Whether the known windows end at or before `at`.
    pub fn runs_out_before(&self, at: Timestamp) -> bool {
        match self.every.length() {
            Length::Ms(_) => false,
            Length::Calendar => self.boundaries.last().is_none_or(|last| *last <= at),
        }
    }

    /// Takes those of `later` that come after what is known, and forgets windows that ended before `at`, but for the last
    /// of them, which late settlements still name. Changes nothing if it fails.
    pub fn extend(&mut self, later: &[Timestamp], at: Timestamp) -> Result<(), Invalid> {
        if let Length::Ms(_) = self.every.length() {
            return Err(self.boundaries_of_arithmetic(later.len()));
        }
        in_order(later)?;
        let current = self.boundaries.partition_point(|boundary| *boundary <= at).saturating_sub(1);
        // At least one window stays, so that the list never ends before it begins.
        let forgotten = current.saturating_sub(1).min(self.boundaries.len().saturating_sub(2));
        let known = self.boundaries.last().copied();
        let first_new = later.partition_point(|boundary| Some(*boundary) <= known);
        let new = later.get(first_new..).unwrap_or_default();
        if self.boundaries.len() - forgotten + new.len() > MOST_BOUNDARIES {
            return Err(Invalid::new("boundaries", format!("at most {MOST_BOUNDARIES} in all")));
        }
        self.boundaries.drain(..forgotten);
        self.boundaries.extend_from_slice(new);
        Ok(())
    }

    /// Whether a budget may have it.
    pub(super) fn check(&self) -> Result<(), Invalid> {
        let zone = self.zone.as_str();
        if zone.is_empty()
            || zone.len() > MOST_ZONE_BYTES
            || !zone.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(Invalid::new(
                "zone",
                format!("a time zone's name of 1 to {MOST_ZONE_BYTES} letters"),
            ));
        }
        let count = self.boundaries.len();
        match self.every.length() {
            Length::Ms(_) if count > 0 => Err(self.boundaries_of_arithmetic(count)),
            Length::Calendar if !(2..=MOST_BOUNDARIES).contains(&count) => {
                Err(Invalid::new("boundaries", format!("2 to {MOST_BOUNDARIES} of them, not {count}")))
            }
            Length::Ms(_) | Length::Calendar => in_order(&self.boundaries),
        }
    }

    fn boundaries_of_arithmetic(&self, count: usize) -> Invalid {
        Invalid::new("boundaries", format!("none for a window of a {:?}, not {count}", self.every))
    }
}

/// How a period's windows are found.
enum Length {
    /// They all have this length.
    Ms(u64),
    /// By boundaries.
    Calendar,
}

impl Period {
    fn length(self) -> Length {
        match self {
            Self::Second => Length::Ms(1_000),
            Self::Minute => Length::Ms(60_000),
            Self::Hour | Self::Day | Self::Week | Self::Month | Self::Year => Length::Calendar,
        }
    }
}

fn in_order(boundaries: &[Timestamp]) -> Result<(), Invalid> {
    match boundaries.windows(2).find(|pair| pair[0] >= pair[1]) {
        Some(pair) => Err(Invalid::new(
            "boundaries",
            format!("each after the one before, not {} after {}", pair[1].0, pair[0].0),
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
#[path = "fixed_test.rs"]
mod tests;
