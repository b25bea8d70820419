//! Cluster time never runs backwards, whatever the clocks of leaders say.

use tollgate_ratelimit::ledger::Ledger;
use tollgate_ratelimit::time::Timestamp;

use super::Violated;

pub(super) fn check(before: Timestamp, ledger: &Ledger) -> Result<(), Violated> {
    let now = ledger.now();
    if now >= before {
        return Ok(());
    }
    Err(Violated::new("time goes on", format!("it was {} and is {}", before.0, now.0)))
}
