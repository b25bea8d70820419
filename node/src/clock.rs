//! The clocks, in one place: everything else is handed the time.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds in an hour.
const HOUR_S: u64 = 3_600;

/// Wall-clock time since 1970-01-01 UTC, in milliseconds. For logs and ledger hours, never for order or time-outs.
pub(crate) fn unix_ms() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

/// The same as a point in time.
pub(crate) fn now() -> jiff::Timestamp {
    let milliseconds = i64::try_from(unix_ms()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(milliseconds).unwrap_or(jiff::Timestamp::MAX)
}

/// The same as API servers write it, to the second.
pub(crate) fn rfc3339() -> String {
    let seconds = i64::try_from(unix_ms() / 1_000).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX).to_string()
}

/// Hours since 1970-01-01 UTC.
pub(crate) fn unix_hour(unix_ms: u64) -> u32 {
    u32::try_from(unix_ms / 1_000 / HOUR_S).unwrap_or(u32::MAX)
}
