//! Every request that went to a provider is in the ledger's rows once: with its cost, or, where nothing is known of its end,
//! with the most that it may have cost. What operators say of rows stands beside them, each entry once.

use std::collections::BTreeMap;

use tollgate_ratelimit::ledger::rows::{Change, GroupBy, Query};
use tollgate_ratelimit::{Row, RowKey};

use super::Violated;
use crate::sim::truth::Known;
use crate::sim::world::World;

/// Requests and tokens of one row: those whose end is known, and those whose end is not.
type Sums = [i64; 4];

pub(super) fn check(world: &World) -> Result<(), Violated> {
    let mut told: BTreeMap<RowKey, Sums> = BTreeMap::new();
    for (key, row) in world.cluster.ledger.rows().rows() {
        add(told.entry(RowKey { hour: 0, ..key }).or_default(), sums(row));
    }
    let (mut least, mut most) = (BTreeMap::new(), BTreeMap::new());
    for request in &world.truth.requests {
        let sums: Sums = match request.known {
            Known::Cost(tokens) => [1, signed(tokens), 0, 0],
            Known::Unknown(tokens) => [0, 0, 1, signed(tokens)],
            Known::Open | Known::Nothing => continue,
        };
        add(most.entry(request.key.clone()).or_default(), sums);
        if !world.truth.silenced.contains(&request.session) {
            add(least.entry(request.key.clone()).or_default(), sums);
        }
    }
    for (key, row) in &world.truth.untold {
        let key = RowKey { hour: 0, ..key.clone() };
        for bound in [&mut least, &mut most] {
            add(bound.entry(key.clone()).or_default(), sums(row).map(|sum| -sum));
        }
    }
    let none = Sums::default();
    for key in told.keys().chain(most.keys()) {
        let of = |from: &BTreeMap<RowKey, Sums>| from.get(key).copied().unwrap_or(none);
        let (told, least, most) = (of(&told), of(&least), of(&most));
        if (0..4).any(|at| told[at] < least[at] || told[at] > most[at]) {
            let what = format!("{key:?}: {told:?}, expected {least:?} to {most:?}");
            return Err(Violated::new("rows are whole", what));
        }
    }
    corrections(world)
}

fn corrections(world: &World) -> Result<(), Violated> {
    let group_by = vec![GroupBy::Consumer, GroupBy::Model, GroupBy::Backend];
    let lines = world.cluster.ledger.rows().query(&Query { group_by, ..Query::default() });
    let named = lines.into_iter().filter_map(|line| {
        let key = RowKey { consumer: line.consumer?, model: line.model?, backend: line.backend?, hour: 0 };
        (line.change != Change::default()).then_some((key, line.change))
    });
    let told: BTreeMap<RowKey, Change> = named.collect();
    let entered = world.truth.corrections.iter().filter(|(_, change)| **change != Change::default());
    if told.iter().eq(entered) {
        return Ok(());
    }
    let what = format!("corrections: {told:?}, entered were {:?}", world.truth.corrections);
    Err(Violated::new("rows are whole", what))
}

fn add(sums: &mut Sums, more: Sums) {
    sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
}

fn sums(row: &Row) -> Sums {
    let Row { requests, usage, unknown_requests, unknown_usage, .. } = row;
    [requests - unknown_requests, usage.total - unknown_usage.total, *unknown_requests, unknown_usage.total]
        .map(signed)
}

fn signed(sum: u64) -> i64 {
    i64::try_from(sum).expect("a run has few tokens")
}
