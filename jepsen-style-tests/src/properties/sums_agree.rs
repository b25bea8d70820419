//! In every bucket, spent, outstanding and free are what it has; every list of leases is whole.

use tollgate_ratelimit::ledger::Ledger;

use super::Violated;

/// Everything is walked through once in so many commands.
const EVERY: u64 = 50;

pub(super) fn check(applied: u64, ledger: &Ledger) -> Result<(), Violated> {
    if !applied.is_multiple_of(EVERY) {
        return Ok(());
    }
    ledger.check().map_err(|violation| Violated::new("sums agree", violation.0))
}
