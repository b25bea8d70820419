//! Who spent what: totals by consumer, model, backend and day. Rows are only ever added to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::unit::Amount;
use crate::usage::{Certainty, Usage};

/// The most rows that are kept. Past it, spend is booked to the day's row of [`Rows::OTHER`]: totals stay right.
const MOST_ROWS: usize = 100_000;

/// What a row is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RowKey {
    /// Who called.
    pub consumer: String,
    /// The model that the client asked for.
    pub model: String,
    /// The backend that answered, as `namespace/name`.
    pub backend: String,
    /// Days since 1970-01-01, UTC.
    pub day: u32,
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

    fn merge(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.estimated_requests = self.estimated_requests.saturating_add(other.estimated_requests);
        self.usage = self.usage.plus(other.usage);
        self.estimated_usage = self.estimated_usage.plus(other.estimated_usage);
        self.unknown_requests = self.unknown_requests.saturating_add(other.unknown_requests);
        self.unknown_usage = self.unknown_usage.plus(other.unknown_usage);
        self.cost_nano_usd = self.cost_nano_usd.saturating_add(other.cost_nano_usd);
        self.prices = self.prices.max(other.prices);
    }
}

/// A table of rows.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    rows: BTreeMap<RowKey, Row>,
}

impl Rows {
    /// Stands for consumer, model and backend once there are too many rows to tell them apart.
    pub const OTHER: &'static str = "_other";

    /// Books one settlement.
    pub fn settle(&mut self, settlement: Settlement) {
        let Settlement { key, usage, certainty } = settlement;
        self.row(key).add(usage, certainty);
    }

    /// Adds every row of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (key, row) in &other.rows {
            self.row(key.clone()).merge(row);
        }
    }

    /// All rows, ordered by consumer, model, backend, day.
    pub fn rows(&self) -> impl Iterator<Item = (&RowKey, &Row)> {
        self.rows.iter()
    }

    fn row(&mut self, key: RowKey) -> &mut Row {
        let full = self.rows.len() >= MOST_ROWS && !self.rows.contains_key(&key);
        let key = if full {
            let other = || Self::OTHER.to_owned();
            RowKey { consumer: other(), model: other(), backend: other(), day: key.day }
        } else {
            key
        };
        self.rows.entry(key).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settlement(model: &str, output: u64, certainty: Certainty) -> Settlement {
        let key = RowKey {
            consumer: "alice".to_owned(),
            model: model.to_owned(),
            backend: "default/openai".to_owned(),
            day: 20_000,
        };
        Settlement {
            key,
            usage: Usage { input: 1, output, total: 1 + output, ..Usage::default() },
            certainty,
        }
    }

    #[test]
    fn totals_are_the_sum_of_settlements_and_estimates_are_told_apart() {
        let mut ledger = Rows::default();
        ledger.settle(settlement("a", 10, Certainty::Reported));
        ledger.settle(settlement("a", 5, Certainty::Estimated));
        let mut other = Rows::default();
        other.settle(settlement("a", 2, Certainty::Reported));
        other.settle(settlement("b", 3, Certainty::Reported));
        ledger.merge(&other);

        let rows: Vec<_> = ledger.rows().collect();
        assert_eq!(rows.len(), 2);
        let (key, row) = rows[0];
        assert_eq!((key.model.as_str(), row.requests, row.usage.output), ("a", 3, 17));
        assert_eq!((row.estimated_requests, row.estimated_usage.output), (1, 5));
        assert_eq!(rows[1].1.usage.total, 4);
    }

    #[test]
    fn a_full_ledger_keeps_its_totals() {
        let mut ledger = Rows::default();
        for model in 0..MOST_ROWS + 10 {
            ledger.settle(settlement(&model.to_string(), 1, Certainty::Reported));
        }
        let total: u64 = ledger.rows().map(|(_, row)| row.usage.output).sum();
        assert_eq!(total, MOST_ROWS as u64 + 10);
        assert_eq!(ledger.rows().count(), MOST_ROWS + 1, "one row more for all others of that day");
    }
}
