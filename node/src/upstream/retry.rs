//! The retry budget: second tries at the same backend may be a share of the requests of late, never a multiple, so that a
//! struggling upstream is not finished off by its own clients. And how long an upstream asked to wait.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use http::HeaderMap;

/// Tenths of a retry that each request earns: one retry for five requests.
const EARNED_TENTHS: i64 = 2;
/// Tenths that one retry costs.
const COST_TENTHS: i64 = 10;
/// What a node may retry before it earned anything, in tenths.
const START_TENTHS: i64 = 500;
/// The most that can be saved up, in tenths: a burst of 200 retries.
const MOST_TENTHS: i64 = 2_000;

/// A token bucket that fills by requests, not by time.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    tenths: AtomicI64,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { tenths: AtomicI64::new(START_TENTHS) }
    }
}

impl RetryBudget {
    /// A request came in.
    pub(crate) fn earn(&self) {
        if self.tenths.load(Ordering::Relaxed) < MOST_TENTHS {
            self.tenths.fetch_add(EARNED_TENTHS, Ordering::Relaxed);
        }
    }

    /// Takes one retry, if there is one.
    pub(crate) fn spend(&self) -> bool {
        let spent = self.tenths.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |tenths| {
            (tenths >= COST_TENTHS).then_some(tenths - COST_TENTHS)
        });
        spent.is_ok()
    }
}

/// The pause that an answer asks for: `retry-after-ms` (OpenAI), or `Retry-After` in seconds (RFC 9110, 10.2.3). A date
/// is not read: no provider sends one, and it would make us trust its clock.
pub(crate) fn pause_asked(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let seconds = match number("retry-after-ms") {
        Some(milliseconds) => milliseconds / 1_000.0,
        None => number("retry-after")?,
    };
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_a_share_of_requests() {
        let budget = RetryBudget::default();
        let mut at_start = 0;
        while budget.spend() {
            at_start += 1;
        }
        assert_eq!(at_start, START_TENTHS / COST_TENTHS);
        (0..5).for_each(|_| budget.earn());
        assert!(budget.spend(), "five requests earn one retry");
        assert!(!budget.spend(), "and no more");
    }

    #[test]
    fn pauses_are_read_as_clients_read_them() {
        let cases: [(&str, &str, Option<u64>); 6] = [
            ("retry-after", "2", Some(2_000)),
            ("retry-after-ms", "250", Some(250)),
            ("retry-after", "0.5", Some(500)),
            ("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT", None),
            ("retry-after", "-1", None),
            ("retry-after", "NaN", None),
        ];
        for (name, value, expected_ms) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            assert_eq!(pause_asked(&headers), expected_ms.map(Duration::from_millis), "{name}: {value}");
        }
    }
}
