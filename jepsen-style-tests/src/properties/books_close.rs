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
pub(super) struct Told {
    spent: u64,
    pub(super) forfeited: u64,
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
    for (budget, told, real) in sums(world) {
        // Of a budget that is gone nobody is told but by its leases.
        let is_heard = !world.truth.deleted.contains(&budget);
        let [placed, homeless] = [real.placed, real.homeless].map(|spent| spent.real() + spent.unknown);
        let budget = &world.truth.budgets[&budget];
        let least = match budget.enforcement {
            _ if real.is_known && is_heard => placed + homeless,
            _ if real.is_known => placed,
            Enforcement::Strict => real.placed.leased,
            Enforcement::Bounded { .. } | Enforcement::Shadow => 0,
        };
        let most = placed + homeless + real.placed.unsure() + real.homeless.unsure() + told.forfeited;
        if !(least..=most).contains(&told.spent) {
            let what =
                format!("{} {:?}: {told:?}, expected {least} to {most}: {real:?}", budget.name, real.from);
            return failed(what);
        }
    }
    Ok(())
}

pub(super) fn told(world: &World) -> BTreeMap<(BudgetId, Timestamp), Told> {
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

/// What was really spent in one window of a budget, all its buckets together.
#[derive(Debug)]
struct Real {
    /// The start of the window; none for all windows together.
    from: Option<Timestamp>,
    placed: Spent,
    /// Without a lease: in which window it is told is the ledger's to say.
    homeless: Spent,
    /// Whether every session that spent of it kept its journal, and could say all of it.
    is_known: bool,
}

/// Each window of each budget; or all windows of one as one, where something was spent that belongs to none.
fn sums(world: &World) -> Vec<(BudgetId, Told, Real)> {
    let mut windows: BTreeMap<(BudgetId, Timestamp), (Told, Real)> = BTreeMap::new();
    let truth = &world.truth;
    let place = |budget: BudgetId, start| {
        if truth.homeless.contains_key(&budget) { (budget, Timestamp(0)) } else { (budget, start) }
    };
    let nothing = |(budget, start): (BudgetId, Timestamp)| {
        let homeless = truth.homeless.get(&budget).copied();
        let from = homeless.is_none().then_some(start);
        let homeless = homeless.unwrap_or_default();
        (Told::default(), Real { from, placed: Spent::default(), homeless, is_known: true })
    };
    for budget in truth.homeless.keys() {
        let at = place(*budget, Timestamp(0));
        let (_, real) = windows.entry(at).or_insert_with(|| nothing(at));
        real.is_known &= truth.lost.is_empty();
    }
    for ((budget, start), one) in told(world) {
        let at = place(budget, start);
        let (told, _) = windows.entry(at).or_insert_with(|| nothing(at));
        told.spent += one.spent;
        told.forfeited += one.forfeited;
    }
    for (bucket, spent) in &truth.spent {
        let at = place(bucket.0.budget, bucket.1);
        let (_, real) = windows.entry(at).or_insert_with(|| nothing(at));
        real.placed.add(*spent);
        real.is_known &= truth.spenders.get(bucket).is_none_or(|all| all.is_disjoint(&truth.lost));
    }
    windows.into_iter().map(|((budget, _), (told, real))| (budget, told, real)).collect()
}
