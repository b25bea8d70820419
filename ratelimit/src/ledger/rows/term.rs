//! What stretch of the calendar a row sums up: a day of UTC, or the month or year that old days were folded into.

use std::fmt;

use jiff::ToSpan as _;
use jiff::civil::{Date, date};
use serde::{Deserialize, Serialize};

const EPOCH: Date = date(1970, 1, 1);
/// 9999-12-31. Later days are taken for it.
const LAST_DAY: u32 = 2_932_896;

/// How long a stretch is, the finest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Grain {
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
    /// Its first day, since 1970-01-01.
    pub first_day: u32,
    /// How long it is.
    pub grain: Grain,
}

impl Term {
    /// The one that a day is in.
    pub fn of(grain: Grain, day: u32) -> Self {
        let day = day.min(LAST_DAY);
        let first_day = match grain {
            Grain::Day => day,
            Grain::Month => number(calendar(day).first_of_month()),
            Grain::Year => number(calendar(day).first_of_year()),
        };
        Self { first_day, grain }
    }

    /// The one of that length that it lies in; itself where it is longer already.
    #[must_use]
    pub fn within(self, grain: Grain) -> Self {
        if grain <= self.grain { self } else { Self::of(grain, self.first_day) }
    }

    /// The first day that is not in it any more.
    pub fn end_day(self) -> u32 {
        let first = self.first_day.min(LAST_DAY);
        1 + match self.grain {
            Grain::Day => first,
            Grain::Month => number(calendar(first).last_of_month()),
            Grain::Year => number(calendar(first).last_of_year()),
        }
    }
}

/// Months since the year 0.
pub(super) fn month_number(day: u32) -> u32 {
    let date = calendar(day.min(LAST_DAY));
    u32::from(date.year().unsigned_abs()) * 12 + u32::from(date.month().unsigned_abs()) - 1
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = calendar(self.first_day.min(LAST_DAY));
        match self.grain {
            Grain::Day => write!(f, "{first}"),
            Grain::Month => write!(f, "{:04}-{:02}", first.year(), first.month()),
            Grain::Year => write!(f, "{:04}", first.year()),
        }
    }
}

fn calendar(day: u32) -> Date {
    EPOCH.checked_add(i64::from(day).days()).expect("no day is later than the calendar's last")
}

fn number(date: Date) -> u32 {
    u32::try_from(date.duration_since(EPOCH).as_hours() / 24).expect("no date is before 1970")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[rustfmt::skip]
    fn terms_are_stretches_of_the_calendar() {
        let rows = [
            (Grain::Day,   0,        "1970-01-01", 0,         1,         "the first day"),
            (Grain::Month, 0,        "1970-01",    0,         31,        "January"),
            (Grain::Year,  364,      "1970",       0,         365,       "its last day"),
            (Grain::Day,   19_782,   "2024-02-29", 19_782,    19_783,    "a leap day"),
            (Grain::Month, 19_782,   "2024-02",    19_754,    19_783,    "29 days"),
            (Grain::Year,  19_782,   "2024",       19_723,    20_089,    "366 days"),
            (Grain::Day,   u32::MAX, "9999-12-31", LAST_DAY,  LAST_DAY + 1, "the calendar ends"),
            (Grain::Year,  u32::MAX, "9999",       2_932_532, LAST_DAY + 1, "with its last year"),
        ];
        for (grain, day, shown, first_day, end_day, why) in rows {
            let term = Term::of(grain, day);
            assert_eq!((term.to_string().as_str(), term.first_day, term.end_day()), (shown, first_day, end_day), "{why}");
            assert_eq!(term.within(Grain::Day), term, "a term is never made finer: {why}");
        }
        let damaged = Term { first_day: u32::MAX, grain: Grain::Month };
        assert_eq!(damaged.end_day(), LAST_DAY + 1, "what no one writes is still read");
        assert_eq!(damaged.to_string(), "9999-12");
    }

    #[test]
    fn terms_of_one_length_follow_each_other_without_a_gap() {
        for grain in [Grain::Day, Grain::Month, Grain::Year] {
            let mut day = 0;
            while day < 40_000 {
                let term = Term::of(grain, day);
                assert_eq!((term.first_day, Term::of(grain, term.end_day() - 1)), (day, term), "{term}");
                day = term.end_day();
            }
        }
    }
}
