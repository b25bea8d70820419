//! Old rows fold: days into months, months into years, by rule and once a day. Whole months and whole years only, so that no
//! month is half folded; sums stay the same. What is booked late to a day that was folded makes a row of that day again,
//! which folds with the next day.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::term::month_number;
use super::{Change, Grain, Place, Row, Rows, Term};

/// How long rows stay as fine as they were booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// Days by themselves, counted from the end of their month.
    pub keep_days: u32,
    /// Months by themselves, counted from the end of their year.
    pub keep_months: u32,
}

impl Default for Retention {
    /// Days for more than a year, so that a month can be compared with the same one a year before; months for five years.
    fn default() -> Self {
        Self { keep_days: 400, keep_months: 60 }
    }
}

impl Retention {
    /// What a row is kept as.
    fn kept(self, term: Term, today: u32) -> Term {
        let long_ago =
            |term: Term| term.end_day().checked_add(self.keep_days).is_some_and(|due| due <= today);
        let year = term.within(Grain::Year);
        let months = month_number(today).checked_sub(month_number(year.end_day()));
        if long_ago(year) && months.is_some_and(|months| months >= self.keep_months) {
            return year;
        }
        let month = term.within(Grain::Month);
        if long_ago(month) { month } else { term }
    }
}

impl Rows {
    /// Folds what is old by `today`. Does nothing when asked again on the same day.
    pub fn fold(&mut self, today: u32, retention: Retention) {
        if today <= self.folded_on {
            return;
        }
        self.folded_on = today;
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
