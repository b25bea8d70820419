//! Where the windows of a calendar begin, in a time zone with all its changes of clocks. Only who proposes a budget asks: the
//! answer goes into the command, so that members with other time zone data still agree.
//!
//! A window begins at the first moment of its hour, day, week, month or year on the zone's clocks, whatever that moment is:
//! where clocks skip midnight, the day begins when they land. An hour also begins wherever clocks are changed, so that no
//! window of an hour is ever longer than an hour, and the hour that autumn repeats is one of its own.

use std::fmt;

use jiff::civil::{Date, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, ToSpan as _};

use super::fixed::{MOST_BOUNDARIES, Period};
use crate::time::Timestamp;

const HOUR_S: i64 = 60 * 60;
const DAY_S: i64 = 24 * HOUR_S;

/// No time zone of that name is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownZone {
    /// The name that was given.
    pub zone: String,
}

impl fmt::Display for UnknownZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected a time zone as IANA names it, such as Europe/Berlin, not {:?}", self.zone)
    }
}

impl std::error::Error for UnknownZone {}

/// The boundary at or before `from` and those after it: `count` in all, fewer only past the year 9999 or
/// [`MOST_BOUNDARIES`]. None for seconds and minutes, which are arithmetic.
pub fn upcoming(
    every: Period,
    zone: &str,
    from: Timestamp,
    count: usize,
) -> Result<Vec<Timestamp>, UnknownZone> {
    let unknown = || UnknownZone { zone: zone.to_owned() };
    let zone =
        TimeZoneDatabase::bundled().get(zone).ok().filter(|found| !found.is_unknown()).ok_or_else(unknown)?;
    let count = count.min(MOST_BOUNDARIES);
    let mut found = Vec::with_capacity(count);
    // Begun early enough that the boundary before `from` is met on the way.
    let mut next = instant(from).and_then(|from| from.checked_sub(look_back(every)?).ok());
    while let Some(at) = next
        && found.len() < count
    {
        next = after(every, &zone, at);
        let Some(boundary) = next.map(timestamp) else { break };
        if boundary <= from {
            found.clear();
        }
        found.push(boundary);
    }
    Ok(found)
}

/// The first boundary later than `at`. None at the end of the calendar, and for periods that need none.
fn after(every: Period, zone: &TimeZone, at: jiff::Timestamp) -> Option<jiff::Timestamp> {
    let step = match every {
        Period::Second | Period::Minute => return None,
        Period::Hour => return hour_after(zone, at),
        Period::Day => 1.day(),
        Period::Week => 7.days(),
        Period::Month => 1.month(),
        Period::Year => 1.year(),
    };
    let today = zone.to_datetime(at).date();
    let mut first = match every {
        Period::Week => today.checked_sub(i64::from(today.weekday().since(Weekday::Monday)).days()).ok()?,
        Period::Month => today.first_of_month(),
        Period::Year => today.first_of_year(),
        Period::Second | Period::Minute | Period::Hour | Period::Day => today,
    };
    // More than one step where a date does not exist, or where clocks went back to the date before.
    loop {
        first = first.checked_add(step).ok()?;
        let start = first_moment(zone, first)?;
        if start > at {
            return Some(start);
        }
    }
}

/// When a date begins: the first of two midnights, or where the clock lands that skips midnight. A date that is skipped
/// begins with the one after it.
fn first_moment(zone: &TimeZone, date: Date) -> Option<jiff::Timestamp> {
    // Moves what is skipped on by the length of the gap, which is where the gap ends: since 1970 each that holds a
    // midnight has begun with it.
    zone.to_ambiguous_timestamp(date.at(0, 0, 0, 0)).compatible().ok()
}

/// The next full hour on the clock, or the next change of the clock.
fn hour_after(zone: &TimeZone, at: jiff::Timestamp) -> Option<jiff::Timestamp> {
    let on_the_clock_s = at.as_second() + i64::from(zone.to_offset(at).seconds());
    let full =
        jiff::Timestamp::from_second(at.as_second() + HOUR_S - on_the_clock_s.rem_euclid(HOUR_S)).ok()?;
    Some(change_after(zone, at).map_or(full, |change| change.min(full)))
}

/// The first moment later than `at` at which the clock is put forward or back.
fn change_after(zone: &TimeZone, at: jiff::Timestamp) -> Option<jiff::Timestamp> {
    let mut offset = zone.to_offset(at);
    zone.following(at)
        .find(|change| std::mem::replace(&mut offset, change.offset()) != change.offset())
        .map(|change| change.timestamp())
}

/// At least two of the longest windows of a kind.
fn look_back(every: Period) -> Option<SignedDuration> {
    Some(SignedDuration::from_secs(match every {
        Period::Second | Period::Minute => return None,
        Period::Hour => 3 * HOUR_S,
        Period::Day => 4 * DAY_S,
        Period::Week => 16 * DAY_S,
        Period::Month => 64 * DAY_S,
        Period::Year => 734 * DAY_S,
    }))
}

fn instant(at: Timestamp) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_millisecond(i64::try_from(at.0).ok()?).ok()
}

/// What began before 1970 began with it, as far as cluster time knows.
fn timestamp(at: jiff::Timestamp) -> Timestamp {
    Timestamp(u64::try_from(at.as_millisecond()).unwrap_or(0))
}

#[cfg(test)]
#[path = "calendar_test.rs"]
mod tests;
