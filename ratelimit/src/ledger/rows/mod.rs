//! Who spent what: totals by consumer, model, backend and hour. Rows are only ever added to; what an operator says of them
//! stands beside them. Old hours fold into days, those into months, those into years (`fold`); any period can be asked for
//! (`query`).
//!
//! Names are kept once (`names`), so that a row takes some two hundred bytes however long its names are. All collections
//! are bounded: what does not fit is booked to [`Rows::OTHER`], so that totals stay right.

mod fold;
mod names;
mod query;
mod snapshot;
mod term;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::unit::Amount;
use crate::usage::{Certainty, Usage, without};
pub use fold::Retention;
use names::{NameId, Names};
pub use query::{GroupBy, Line, Query};
pub use term::{Grain, Term};

/// The most rows, and the most changes, that are kept by name. Past it, what is new goes to the hour's row of
/// [`Rows::OTHER`]. Fewer in tests, which fill the table.
const MOST_ROWS: usize = if cfg!(test) { 20_000 } else { 2_000_000 };
/// How many rows of that kind there may be. Past it, it is the year's: nine thousand more at most.
const MOST_OTHER_ROWS: usize = 4_000;

/// What a row is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RowKey {
    /// Who called.
    pub consumer: String,
    /// The model that the client asked for.
    pub model: String,
    /// The backend that answered, as `namespace/name`.
    pub backend: String,
    /// Hours since 1970-01-01, UTC.
    pub hour: u32,
}

/// What one request did cost.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// The row that it goes to.
    pub key: RowKey,
    /// Its tokens.
    pub usage: Usage,
    /// Whose figures they are.
    pub certainty: Certainty,
}

/// Totals of one row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Settled requests.
    pub requests: u64,
    /// How many of them were estimated.
    pub estimated_requests: u64,
    /// Tokens of all of them.
    pub usage: Usage,
    /// The part of `usage` that was estimated.
    pub estimated_usage: Usage,
    /// How many of them were never heard of again: what they had reserved counts as spent.
    pub unknown_requests: u64,
    /// The part of `usage` that is such a reservation.
    pub unknown_usage: Usage,
    /// What all of them cost, by the price list in force when each was admitted.
    pub cost_nano_usd: Amount,
    /// The newest version of the price list among them; 0 where no price was known.
    pub prices: u32,
}

/// An operator's change to a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Requests more or less.
    pub requests: i64,
    /// Input tokens more or less.
    pub input: i64,
    /// Output tokens more or less.
    pub output: i64,
    /// Tokens in all, more or less.
    pub total: i64,
    /// Nano-dollars more or less.
    pub cost_nano_usd: i64,
}

impl Row {
    fn add(&mut self, usage: Usage, certainty: Certainty) {
        self.requests = self.requests.saturating_add(1);
        self.usage = self.usage.plus(usage);
        match certainty {
            Certainty::Reported => {}
            Certainty::Estimated => {
                self.estimated_requests = self.estimated_requests.saturating_add(1);
                self.estimated_usage = self.estimated_usage.plus(usage);
            }
            Certainty::Unknown => {
                self.unknown_requests = self.unknown_requests.saturating_add(1);
                self.unknown_usage = self.unknown_usage.plus(usage);
            }
        }
    }

    /// Adds another row's totals.
    pub fn merge(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.estimated_requests = self.estimated_requests.saturating_add(other.estimated_requests);
        self.usage = self.usage.plus(other.usage);
        self.estimated_usage = self.estimated_usage.plus(other.estimated_usage);
        self.unknown_requests = self.unknown_requests.saturating_add(other.unknown_requests);
        self.unknown_usage = self.unknown_usage.plus(other.unknown_usage);
        self.cost_nano_usd = self.cost_nano_usd.saturating_add(other.cost_nano_usd);
        self.prices = self.prices.max(other.prices);
    }

    /// What is left without a row that was merged into this one; None where it can't have been. The version of the prices
    /// stays, as it is no sum.
    pub(crate) fn minus(&self, other: &Self) -> Option<Self> {
        Some(Self {
            requests: without(self.requests, other.requests)?,
            estimated_requests: without(self.estimated_requests, other.estimated_requests)?,
            usage: self.usage.minus(other.usage)?,
            estimated_usage: self.estimated_usage.minus(other.estimated_usage)?,
            unknown_requests: without(self.unknown_requests, other.unknown_requests)?,
            unknown_usage: self.unknown_usage.minus(other.unknown_usage)?,
            cost_nano_usd: without(self.cost_nano_usd, other.cost_nano_usd)?,
            prices: self.prices,
        })
    }

    /// Whether it says nothing.
    pub(crate) fn is_empty(&self) -> bool {
        Self { prices: 0, ..*self } == Self::default()
    }
}

impl Change {
    /// Adds another change to this one.
    pub fn merge(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.input = self.input.saturating_add(other.input);
        self.output = self.output.saturating_add(other.output);
        self.total = self.total.saturating_add(other.total);
        self.cost_nano_usd = self.cost_nano_usd.saturating_add(other.cost_nano_usd);
    }
}

/// A table of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    names: Names,
    booked: BTreeMap<Place, Row>,
    changes: BTreeMap<Place, Change>,
    /// The last day on which old rows were folded.
    folded_on: u32,
}

/// Where a row stands: a [`RowKey`] by numbers, or what several of them have been folded into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Place {
    consumer: NameId,
    model: NameId,
    backend: NameId,
    term: Term,
}

impl Rows {
    /// Stands for consumer, model and backend once there are too many rows to tell them apart, and for names that are too
    /// long or too many.
    pub const OTHER: &'static str = "_other";

    /// Books one settlement.
    pub fn settle(&mut self, settlement: Settlement) {
        let Settlement { key, usage, certainty } = settlement;
        let place = self.place(&key);
        slot(&mut self.booked, place).add(usage, certainty);
    }

    /// Adds what a batch says of a row.
    pub fn add(&mut self, key: &RowKey, row: &Row) {
        let place = self.place(key);
        slot(&mut self.booked, place).merge(row);
    }

    /// Books an operator's change. It stands beside the row, whose own figures stay what was settled.
    pub fn change(&mut self, key: &RowKey, change: &Change) {
        let place = self.place(key);
        slot(&mut self.changes, place).merge(change);
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (theirs, row) in &other.booked {
            let place = self.place_of(theirs, &other.names);
            slot(&mut self.booked, place).merge(row);
        }
        for (theirs, change) in &other.changes {
            let place = self.place_of(theirs, &other.names);
            slot(&mut self.changes, place).merge(change);
        }
    }

    /// All rows, ordered by consumer, model, backend, hour. Those that were folded are named by their first hour:
    /// [`Rows::query`] tells them apart.
    pub fn rows(&self) -> impl Iterator<Item = (RowKey, &Row)> {
        let mut rows: Vec<_> = self.booked.iter().map(|(place, row)| (self.key(place), row)).collect();
        rows.sort_by(|(one, _), (other, _)| one.cmp(other));
        rows.into_iter()
    }

    fn place(&mut self, key: &RowKey) -> Place {
        Place {
            consumer: self.number(&key.consumer),
            model: self.number(&key.model),
            backend: self.number(&key.backend),
            term: Term::of(Grain::Hour, key.hour),
        }
    }

    fn place_of(&mut self, theirs: &Place, names: &Names) -> Place {
        Place {
            consumer: self.number(names.name(theirs.consumer)),
            model: self.number(names.name(theirs.model)),
            backend: self.number(names.name(theirs.backend)),
            term: theirs.term,
        }
    }

    /// A full table gets no new rows, and so needs no new names.
    fn number(&mut self, name: &str) -> NameId {
        if self.booked.len() < MOST_ROWS {
            self.names.number(name)
        } else {
            self.names.known(name).unwrap_or(NameId::OTHER)
        }
    }

    fn key(&self, place: &Place) -> RowKey {
        let name = |id| self.names.name(id).to_owned();
        RowKey {
            consumer: name(place.consumer),
            model: name(place.model),
            backend: name(place.backend),
            hour: place.term.first_hour,
        }
    }
}

/// What stands at `place`, or where it goes once the table is full.
fn slot<T: Default>(table: &mut BTreeMap<Place, T>, place: Place) -> &mut T {
    let place = if table.len() < MOST_ROWS || table.contains_key(&place) {
        place
    } else {
        let full = table.len() >= MOST_ROWS + MOST_OTHER_ROWS;
        let term = if full { place.term.within(Grain::Year) } else { place.term };
        Place { consumer: NameId::OTHER, model: NameId::OTHER, backend: NameId::OTHER, term }
    };
    table.entry(place).or_default()
}

#[cfg(test)]
#[path = "rows_test.rs"]
mod tests;
