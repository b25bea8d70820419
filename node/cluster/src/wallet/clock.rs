//! The clock that leases run on: it does not stop while the machine sleeps, and nobody sets it.

use rustix::time::{ClockId, clock_gettime};
use tollgate_ratelimit::time::{NodeTime, Timestamp};

/// Milliseconds since the machine was started.
pub fn now() -> NodeTime {
    let now = clock_gettime(ClockId::Boottime);
    let (seconds, nanos) = (now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs());
    NodeTime(seconds * 1_000 + nanos / 1_000_000)
}

/// Milliseconds since 1970 by this machine's clock. Where it is the leader's, it is what entries are stamped with; the ledger
/// raises it where it ran backwards.
pub fn stamp() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
