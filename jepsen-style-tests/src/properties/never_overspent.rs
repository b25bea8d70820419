//! What is really spent of a strict budget's bucket, overruns apart, is never more than its limit and its credits. Of a
//! bounded budget's, never more than that and a stated amount for each run of a node.

use tollgate_ratelimit::budget::Enforcement;
use tollgate_ratelimit::time::Timestamp;

use super::Violated;
use crate::sim::truth::{Bucket, Truth};

pub(super) fn check(bucket: &Bucket, truth: &Truth, now: Timestamp) -> Result<(), Violated> {
    let (Some(budget), Some(spent)) = (truth.budgets.get(&bucket.0.budget), truth.spent.get(bucket)) else {
        return Ok(());
    };
    let Some(allowed) = truth.allowed(bucket, now) else { return Ok(()) };
    let runs = truth.spenders.get(bucket).map_or(0, |sessions| sessions.len() as u64);
    let (real, allowed) = match budget.enforcement {
        Enforcement::Strict => (spent.leased + spent.lent, allowed),
        Enforcement::Bounded { per_node } => {
            (spent.leased + spent.lent, allowed + i128::from(runs * per_node))
        }
        Enforcement::Shadow => return Ok(()),
    };
    if i128::from(real) <= allowed {
        return Ok(());
    }
    let what =
        format!("{real} of {bucket:?} were spent by {runs} sessions, at most {allowed} may be: {spent:?}");
    Err(Violated::new("never overspent", what))
}
