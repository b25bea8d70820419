//! Old rows fold: hours into days, days into months, months into years, by rule and once a day. Whole ones only, so that no
//! day or month is half folded; sums stay the same. What is booked late to an hour that was folded makes a row of that hour
//! again, which folds with the next day.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::term::month_number;
use super::{Change, Grain, MOST_ROWS, Place, Row, Rows, Term};

/// Hours of a day of UTC.
const DAY_HOURS: u32 = 24;

/// How long rows stay as fine as they were booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// For how many days hours stay by themselves, counted from the end of their day. Only today's do in a table that is
    /// more than half full.
    pub days_of_hours: u32,
    /// Days by themselves, counted from the end of their month.
    pub keep_days: u32,
    /// Months by themselves, counted from the end of their year.
    pub keep_months: u32,
}

impl Default for Retention {
    /// Hours for a week; days for more than a year, so that a month can be compared with the same one a year before; months
    /// for five years.
    fn default() -> Self {
        Self { days_of_hours: 7, keep_days: 400, keep_months: 60 }
    }
}

impl Retention {
    /// What a row is kept as.
    fn kept(self, term: Term, today: u32) -> Term {
        let ended = |term: Term, days: u32| {
            let due = (term.end_hour() / DAY_HOURS).checked_add(days);
            due.is_some_and(|due| due <= today)
        };
        let year = term.within(Grain::Year);
        let this_month = month_number(today.saturating_mul(DAY_HOURS));
        let months = this_month.checked_sub(month_number(year.end_hour()));
        if ended(year, self.keep_days) && months.is_some_and(|months| months >= self.keep_months) {
            return year;
        }
        let month = term.within(Grain::Month);
        if ended(month, self.keep_days) {
            return month;
        }
        let day = term.within(Grain::Day);
        if ended(day, self.days_of_hours) { day } else { term }
    }
}

impl Rows {
    /// Folds what is old by `today`. Does nothing when asked again on the same day.
    pub fn fold(&mut self, today: u32, retention: Retention) {
        if today <= self.folded_on {
            return;
        }
        self.folded_on = today;
        let crowded = self.booked.len() > MOST_ROWS / 2;
        let retention =
            Retention { days_of_hours: if crowded { 0 } else { retention.days_of_hours }, ..retention };
        fold(&mut self.booked, Row::merge, |term| retention.kept(term, today));
        fold(&mut self.changes, Change::merge, |term| retention.kept(term, today));
    }
}

fn fold<T: Default>(table: &mut BTreeMap<Place, T>, merge: fn(&mut T, &T), kept: impl Fn(Term) -> Term) {
    let old: Vec<_> = table.extract_if(.., |place, _| kept(place.term) != place.term).collect();
    for (place, entry) in old {
        // Never more than were taken out: the table does not grow.
        merge(table.entry(Place { term: kept(place.term), ..place }).or_default(), &entry);
    }
}
