//! What stretch of the calendar a row sums up: an hour of UTC, or the day, month or year that old hours were folded into.

use std::fmt;

use jiff::ToSpan as _;
use jiff::civil::{Date, date};
use serde::{Deserialize, Serialize};

const EPOCH: Date = date(1970, 1, 1);
const DAY_HOURS: u32 = 24;
/// The last of 9999-12-31. Later hours are taken for it.
const LAST_HOUR: u32 = 2_932_897 * DAY_HOURS - 1;

/// How long a stretch is, the finest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Grain {
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// From the first of a month on.
    Month,
    /// From the first of January on.
    Year,
}

/// A stretch of the calendar, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Term {
    /// Its first hour, since 1970-01-01.
    pub first_hour: u32,
    /// How long it is.
    pub grain: Grain,
}

impl Term {
    /// The one that an hour is in.
    pub fn of(grain: Grain, hour: u32) -> Self {
        let hour = hour.min(LAST_HOUR);
        let first_hour = match grain {
            Grain::Hour => hour,
            Grain::Day => hour - hour % DAY_HOURS,
            Grain::Month => first_hour_of(calendar(hour).first_of_month()),
            Grain::Year => first_hour_of(calendar(hour).first_of_year()),
        };
        Self { first_hour, grain }
    }

    /// The one of that length that it lies in; itself where it is longer already.
    #[must_use]
    pub fn within(self, grain: Grain) -> Self {
        if grain <= self.grain { self } else { Self::of(grain, self.first_hour) }
    }

    /// The first hour that is not in it any more.
    pub fn end_hour(self) -> u32 {
        let first = self.first_hour.min(LAST_HOUR);
        match self.grain {
            Grain::Hour => first + 1,
            Grain::Day => first - first % DAY_HOURS + DAY_HOURS,
            Grain::Month => first_hour_of(calendar(first).last_of_month()) + DAY_HOURS,
            Grain::Year => first_hour_of(calendar(first).last_of_year()) + DAY_HOURS,
        }
    }
}

/// Months since the year 0.
pub(super) fn month_number(hour: u32) -> u32 {
    let date = calendar(hour.min(LAST_HOUR));
    u32::from(date.year().unsigned_abs()) * 12 + u32::from(date.month().unsigned_abs()) - 1
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.first_hour.min(LAST_HOUR);
        let day = calendar(first);
        match self.grain {
            Grain::Hour => write!(f, "{day}T{:02}:00Z", first % DAY_HOURS),
            Grain::Day => write!(f, "{day}"),
            Grain::Month => write!(f, "{:04}-{:02}", day.year(), day.month()),
            Grain::Year => write!(f, "{:04}", day.year()),
        }
    }
}

/// The day that an hour is in.
fn calendar(hour: u32) -> Date {
    EPOCH.checked_add(i64::from(hour / DAY_HOURS).days()).expect("no hour is later than the calendar's last")
}

fn first_hour_of(day: Date) -> u32 {
    u32::try_from(day.duration_since(EPOCH).as_hours()).expect("no date is before 1970")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[rustfmt::skip]
    fn terms_are_stretches_of_the_calendar() {
        let rows = [
            (Grain::Hour,  0,             "1970-01-01T00:00Z", 0,              1,              "the first hour"),
            (Grain::Hour,  19_782 * 24 + 13, "2024-02-29T13:00Z", 19_782 * 24 + 13, 19_782 * 24 + 14, "any other"),
            (Grain::Day,   23,            "1970-01-01",        0,              24,             "the first day's last"),
            (Grain::Month, 0,             "1970-01",           0,              31 * 24,        "January"),
            (Grain::Year,  365 * 24 - 1,  "1970",              0,              365 * 24,       "its last hour"),
            (Grain::Day,   19_782 * 24,   "2024-02-29",        19_782 * 24,    19_783 * 24,    "a leap day"),
            (Grain::Month, 19_782 * 24,   "2024-02",           19_754 * 24,    19_783 * 24,    "29 days"),
            (Grain::Year,  19_782 * 24,   "2024",              19_723 * 24,    20_089 * 24,    "366 days"),
            (Grain::Hour,  u32::MAX,      "9999-12-31T23:00Z", LAST_HOUR,      LAST_HOUR + 1,  "the calendar ends"),
            (Grain::Day,   u32::MAX,      "9999-12-31",        LAST_HOUR - 23, LAST_HOUR + 1,  "with its last day"),
            (Grain::Year,  u32::MAX,      "9999",              2_932_532 * 24, LAST_HOUR + 1,  "and its last year"),
        ];
        for (grain, hour, shown, first_hour, end_hour, why) in rows {
            let term = Term::of(grain, hour);
            assert_eq!((term.to_string().as_str(), term.first_hour, term.end_hour()), (shown, first_hour, end_hour), "{why}");
            assert_eq!(term.within(Grain::Hour), term, "a term is never made finer: {why}");
        }
        let damaged = Term { first_hour: u32::MAX, grain: Grain::Month };
        assert_eq!(damaged.end_hour(), LAST_HOUR + 1, "what no one writes is still read");
        assert_eq!(damaged.to_string(), "9999-12");
    }

    #[test]
    fn terms_of_one_length_follow_each_other_without_a_gap() {
        for grain in [Grain::Hour, Grain::Day, Grain::Month, Grain::Year] {
            let mut hour = 0;
            while hour < 40_000 * DAY_HOURS {
                let term = Term::of(grain, hour);
                assert_eq!((term.first_hour, Term::of(grain, term.end_hour() - 1)), (hour, term), "{term}");
                hour = term.end_hour();
            }
        }
    }
}
