//! In every bucket, spent, outstanding and free are what it has: its limit, what operators entered, and debts that were carried
//! on. Every list of leases is whole.

use std::collections::BTreeMap;

use tollgate_ratelimit::ledger::Ledger;
use tollgate_ratelimit::window::Window;

use super::Violated;
use crate::sim::truth::Truth;

/// Everything is walked through once in so many commands.
const EVERY: u64 = 50;

pub(super) fn check(applied: u64, truth: &Truth, ledger: &Ledger) -> Result<(), Violated> {
    if !applied.is_multiple_of(EVERY) {
        return Ok(());
    }
    ledger.check().map_err(|violation| Violated::new("sums agree", violation.0))?;
    let limits: BTreeMap<_, _> = ledger.budgets().collect();
    for bucket in ledger.buckets() {
        let id = bucket.name.budget;
        let Some(budget) = limits.get(&id).filter(|budget| !matches!(budget.window, Window::Rolling(_)))
        else {
            continue;
        };
        let entered = truth.adjusted.get(&(bucket.name.clone(), bucket.window.start)).copied().unwrap_or(0);
        let carried = entered - bucket.adjusted;
        let is_known = carried == 0 || carried > 0 && truth.overran.contains(&id);
        let sum = i128::from(bucket.spent) + i128::from(bucket.outstanding) + bucket.free;
        if !is_known || sum != i128::from(budget.limit) + i128::from(bucket.adjusted) {
            let what = format!("{bucket:?} of a limit of {}, operators entered {entered}", budget.limit);
            return Err(Violated::new("sums agree", what));
        }
    }
    Ok(())
}
