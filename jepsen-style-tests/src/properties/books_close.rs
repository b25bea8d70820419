//! In the end nobody holds anything, and the ledger has counted what was really spent, window by window: exactly, unless a
//! journal was lost, and then never too little.

use std::collections::BTreeMap;

use tollgate_ratelimit::budget::{BudgetId, Enforcement};
use tollgate_ratelimit::time::Timestamp;

use super::Violated;
use crate::sim::truth::Spent;
use crate::sim::world::World;

/// What the ledger says of one window of a budget, all its buckets together.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    spent: u64,
    forfeited: u64,
}

pub(super) fn check(world: &World) -> Result<(), Violated> {
    let ledger = &world.cluster.ledger;
    let failed = |what| Err(Violated::new("books close", what));
    if !world.is_settled() {
        let sessions: Vec<_> = ledger.sessions().collect();
        return failed(format!("long after all was healed there are sessions: {sessions:?}"));
    }
    ledger.check().or_else(|violation| failed(violation.0))?;
    if let Some(bucket) = ledger.buckets().find(|bucket| bucket.outstanding > 0) {
        return failed(format!("nobody is left, but something is outstanding: {bucket:?}"));
    }
    let told = told(world);
    for (id, budget) in &world.truth.budgets {
        let is_strict = budget.enforcement == Enforcement::Strict;
        for (what, told, real) in windows(world, *id, &told) {
            let Spent { leased, unproven, unknown, .. } = real;
            let is_whole = world.truth.lost.is_empty() && !world.truth.deleted.contains(id);
            let least = if is_whole {
                real.real() + unknown
            } else if is_strict {
                leased
            } else {
                0
            };
            let most = real.real() + unproven + unknown + told.forfeited;
            if !(least..=most).contains(&told.spent) {
                return failed(format!(
                    "{} {what}: {told:?}, expected {least} to {most}: {real:?}",
                    budget.name
                ));
            }
        }
    }
    Ok(())
}

fn told(world: &World) -> BTreeMap<(BudgetId, Timestamp), Told> {
    let ledger = &world.cluster.ledger;
    let mut told: BTreeMap<(BudgetId, Timestamp), Told> = BTreeMap::new();
    for bucket in ledger.buckets() {
        let one = told.entry((bucket.name.budget, bucket.window.start)).or_default();
        one.spent += bucket.spent;
        one.forfeited += bucket.forfeited;
    }
    for id in world.truth.budgets.keys() {
        for closed in ledger.closed(*id).1 {
            let one = told.entry((*id, closed.window.start)).or_default();
            one.spent += closed.spent;
            one.forfeited += closed.forfeited;
        }
    }
    told
}

/// A budget's windows, or all of them as one where something was spent that belongs to none.
fn windows(
    world: &World,
    id: BudgetId,
    told: &BTreeMap<(BudgetId, Timestamp), Told>,
) -> Vec<(String, Told, Spent)> {
    let mut all: BTreeMap<Timestamp, (Told, Spent)> = BTreeMap::new();
    for ((_, start), one) in told.range((id, Timestamp(0))..=(id, Timestamp::NEVER)) {
        all.entry(*start).or_default().0 = *one;
    }
    for ((name, start), spent) in &world.truth.spent {
        if name.budget == id {
            all.entry(*start).or_default().1.add(*spent);
        }
    }
    let Some(homeless) = world.truth.homeless.get(&id) else {
        return all
            .into_iter()
            .map(|(start, (told, real))| (format!("from {}", start.0), told, real))
            .collect();
    };
    let mut sum = (Told::default(), *homeless);
    for (told, real) in all.into_values() {
        sum.0.spent += told.spent;
        sum.0.forfeited += told.forfeited;
        sum.1.add(real);
    }
    vec![("in all".to_owned(), sum.0, sum.1)]
}
