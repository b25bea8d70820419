//! Whatever was really spent out of leases, the ledger has counted as spent or as leased before.

use tollgate_ratelimit::ledger::Ledger;
use tollgate_ratelimit::ledger::command::{Command, Target};

use super::Violated;
use crate::sim::truth::{Bucket, Truth};

/// The buckets that a command was about.
pub(super) fn check_named(command: &Command, truth: &Truth, ledger: &Ledger) -> Result<(), Violated> {
    let Command::Batches(batches) = command else { return Ok(()) };
    for item in batches.iter().flat_map(|batch| &batch.items) {
        let Target::Lease(lease) = item.target else { continue };
        let Some(home) = truth.leases.get(&lease) else { continue };
        check(&(home.bucket.clone(), home.window.start), truth, ledger)?;
    }
    Ok(())
}

pub(super) fn check(bucket: &Bucket, truth: &Truth, ledger: &Ledger) -> Result<(), Violated> {
    let Some(spent) = truth.spent.get(bucket) else { return Ok(()) };
    // A bucket that is closed is looked at in the end; a rolling one is closed and opened again.
    let Some(view) = ledger.bucket(&bucket.0, bucket.1).filter(|_| bucket.1.0 > 0) else { return Ok(()) };
    let counted = view.spent + view.outstanding;
    if spent.leased <= counted {
        return Ok(());
    }
    let what = format!("{} of {bucket:?} were spent, {counted} are counted", spent.leased);
    Err(Violated::new("leases cover", what))
}
