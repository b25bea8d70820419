//! Rows summed by key, and a batch taken out of them again. What is still to be told is a difference of sums: it hangs on
//! what was settled and what was sent, and on no order of the threads that did it.

use std::collections::BTreeSet;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::record::{Place, Spent};
use crate::ledger::rows::{Row, RowKey, Rows};

/// Every request looks its row up, and what it took from: order is had only where it is asked for, see [`in_order`].
pub(super) type RowsByKey = HashMap<Arc<RowKey>, Row, FixedState>;
/// What was spent from each place.
pub(super) type SpentByPlace = HashMap<Place, Spent, FixedState>;

/// Adds rows.
pub(super) fn merge<'a>(into: &mut RowsByKey, rows: impl IntoIterator<Item = (&'a Arc<RowKey>, &'a Row)>) {
    for (key, row) in rows {
        into.entry_ref(key).or_default().merge(row);
    }
}

/// What a table has by the order of its keys, which is the same in every run.
pub(super) fn in_order<K: Ord, V>(table: &HashMap<K, V, FixedState>) -> Vec<(&K, &V)> {
    let mut all: Vec<_> = table.iter().collect();
    all.sort_unstable_by_key(|(key, _)| *key);
    all
}

/// Takes a batch out of `rows`. None, and nothing is changed, where it has what they have not.
///
/// A wallet of very many rows sums those of an hour as [`Rows::OTHER`]. Whose they were is not known then: until all of the
/// hour is told, only the hour's sum is kept here as well.
pub(super) fn take_out(rows: &mut RowsByKey, batch: &RowsByKey) -> Option<()> {
    let hours: BTreeSet<u32> = batch.keys().map(|key| key.hour).collect();
    let is_summed = |hour: &u32| rows.contains_key(&other(*hour)) || batch.contains_key(&other(*hour));
    let summed: BTreeSet<u32> = hours.into_iter().filter(is_summed).collect();

    let mut taken = RowsByKey::default();
    for (key, row) in batch {
        let key = if summed.contains(&key.hour) { other(key.hour) } else { Arc::clone(key) };
        taken.entry(key).or_default().merge(row);
    }
    let mut left = Vec::with_capacity(taken.len());
    for (key, row) in taken {
        let had = if summed.contains(&key.hour) { of_hour(rows, key.hour) } else { of_key(rows, &key) };
        left.push((key, had.minus(&row)?));
    }
    rows.retain(|key, _| !summed.contains(&key.hour));
    for (key, row) in left {
        if row.is_empty() {
            rows.remove(&key);
        } else {
            rows.insert(key, row);
        }
    }
    Some(())
}

fn of_key(rows: &RowsByKey, key: &RowKey) -> Row {
    rows.get(key).copied().unwrap_or_default()
}

fn of_hour(rows: &RowsByKey, hour: u32) -> Row {
    let mut sum = Row::default();
    rows.iter().filter(|(key, _)| key.hour == hour).for_each(|(_, row)| sum.merge(row));
    sum
}

fn other(hour: u32) -> Arc<RowKey> {
    let name = || Rows::OTHER.to_owned();
    Arc::new(RowKey { consumer: name(), model: name(), backend: name(), hour })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: u64 = u64::MAX;

    /// Rows by what they say: consumer, hour, requests, nano-dollars.
    type Said = &'static [(&'static str, u32, u64, u64)];

    fn rows(said: Said) -> RowsByKey {
        let row = |requests, cost_nano_usd| Row { requests, cost_nano_usd, prices: 3, ..Row::default() };
        let key = |name: &str, hour| match name {
            Rows::OTHER => other(hour),
            _ => Arc::new(RowKey {
                consumer: name.to_owned(),
                model: "gpt".into(),
                backend: "a/b".into(),
                hour,
            }),
        };
        said.iter().map(|&(name, hour, requests, cost)| (key(name, hour), row(requests, cost))).collect()
    }

    #[test]
    fn a_batch_is_taken_out_exactly_or_not_at_all() {
        const OTHER: &str = Rows::OTHER;
        #[rustfmt::skip]
        let cases: [(Said, Said, Option<Said>); 14] = [
            // settled                           batch                       left                              why
            (&[("a", 1, 2, 9)],                  &[],                        Some(&[("a", 1, 2, 9)])),         // nothing was sent
            (&[("a", 1, 2, 9)],                  &[("a", 1, 1, 4)],          Some(&[("a", 1, 1, 5)])),         // one of two requests
            (&[("a", 1, 2, 9), ("b", 1, 1, 1)],  &[("a", 1, 2, 9)],          Some(&[("b", 1, 1, 1)])),         // all of a: no empty row stays
            (&[("a", 1, 1, 9)],                  &[("a", 1, 2, 9)],          None),                            // more requests than were settled
            (&[("a", 1, 1, 9)],                  &[("a", 1, 1, 10)],         None),                            // more money
            (&[("a", 1, 1, 9), ("b", 1, 1, 9)],  &[("a", 1, 1, 9), ("c", 1, 1, 1)], None),                     // one never settled: none is taken
            (&[("a", 1, 1, 9)],                  &[("a", 2, 1, 9)],          None),                            // of another hour
            (&[],                                &[("a", 1, 0, 0)],          Some(&[])),                       // a row that says nothing
            (&[("a", 1, 2, FULL)],               &[("a", 1, 1, 5)],          Some(&[("a", 1, 1, FULL)])),      // how much was behind full is not known
            (&[("a", 1, 1, 4), ("b", 1, 1, 5), ("b", 2, 1, 6)], &[(OTHER, 1, 1, 5)], Some(&[(OTHER, 1, 1, 4), ("b", 2, 1, 6)])), // whose it was is not known
            (&[(OTHER, 1, 1, 4)],                &[("a", 1, 1, 4)],          Some(&[])),                       // nor then, but what is left is told
            (&[(OTHER, 1, 1, 4), ("a", 1, 1, 3)], &[("a", 1, 2, 5)],         Some(&[(OTHER, 1, 0, 2)])),       // settled before and after
            (&[("a", 1, 1, 4), ("b", 1, 1, 5)],  &[(OTHER, 1, 2, 10)],       None),                            // more than the hour has
            (&[("a", 2, 1, 4)],                  &[(OTHER, 1, 1, 4)],        None),                            // of another hour
        ];
        for (case, (settled, batch, expected)) in cases.into_iter().enumerate() {
            let mut left = rows(settled);
            let taken = take_out(&mut left, &rows(batch));
            assert_eq!(taken.is_some(), expected.is_some(), "row {case}");
            assert_eq!(left, rows(expected.unwrap_or(settled)), "row {case}");
        }
    }
}
