//! Passive health of one upstream address: a breaker that opens after failures in a row, lets one probe through when
//! its rest is over, and closes again on the first success. Time is an argument; all state is in atomics, since every
//! request asks.
//!
//! ```text
//!            5 failures                 rest over: one probe
//!   Closed ────────────▶ Open ────────────────────────────▶ HalfOpen ── success ──▶ Closed
//!                         ▲                                     │
//!                         └───────────── failure (twice the rest, up to 60 s) ◀┘
//! ```
//!
//! What other nodes found is a hint: while they say that it fails, one failure of our own is enough to open, and a healthy
//! address of the same kind is taken first. It shuts nothing by itself, since their network is not ours.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// Failures in a row that open the breaker.
const FAILURES_TO_OPEN: u32 = 5;
/// The first rest.
const FIRST_REST_MS: u64 = 2_000;
/// The longest rest, whether for failures or because the upstream asked for it.
const LONGEST_REST_MS: u64 = 60_000;
/// A probe that was never answered for does not block the next for longer than this.
const PROBE_WINDOW_MS: u64 = 10_000;

/// Whether an address should be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// Call it.
    Closed,
    /// It is not known to fail here, but others found that it does.
    Doubted,
    /// Its rest is over: one caller may try, see [`Breaker::probe`].
    HalfOpen,
    /// It failed again and again; not before its rest is over.
    Open,
    /// It asked to be left alone for a while (`Retry-After`).
    Resting,
}

/// The breaker of one address.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    failures: AtomicU32,
    /// How often it opened since the last success.
    trips: AtomicU32,
    /// 0: closed. Otherwise the time when a probe may go.
    open_until_ms: AtomicU64,
    /// A probe was let through and has not ended.
    probing: AtomicBool,
    rest_until_ms: AtomicU64,
    doubted_until_ms: AtomicU64,
}

impl Breaker {
    /// Looks, without changing anything.
    pub(crate) fn check(&self, now_ms: u64) -> Health {
        let open_until_ms = self.open_until_ms.load(Ordering::Relaxed);
        if open_until_ms > now_ms {
            Health::Open
        } else if self.rest_until_ms.load(Ordering::Relaxed) > now_ms {
            Health::Resting
        } else if open_until_ms > 0 {
            Health::HalfOpen
        } else if self.doubted_until_ms.load(Ordering::Relaxed) > now_ms {
            Health::Doubted
        } else {
            Health::Closed
        }
    }

    /// Takes the one probe of a half-open breaker. False: somebody else has it.
    pub(crate) fn probe(&self, now_ms: u64) -> bool {
        let due_ms = self.open_until_ms.load(Ordering::Relaxed);
        let next_ms = now_ms + PROBE_WINDOW_MS;
        let taken = due_ms > 0
            && due_ms <= now_ms
            && self
                .open_until_ms
                .compare_exchange(due_ms, next_ms, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok();
        if taken {
            self.probing.store(true, Ordering::Relaxed);
        }
        taken
    }

    /// It answered.
    pub(crate) fn succeeded(&self) {
        // Read before writing: in good times nobody dirties the cache line.
        let set = |what: &AtomicU64| what.load(Ordering::Relaxed) > 0;
        if self.failures.load(Ordering::Relaxed) > 0
            || set(&self.open_until_ms)
            || set(&self.doubted_until_ms)
        {
            self.doubted_until_ms.store(0, Ordering::Relaxed);
            self.failures.store(0, Ordering::Relaxed);
            self.trips.store(0, Ordering::Relaxed);
            self.open_until_ms.store(0, Ordering::Relaxed);
            self.probing.store(false, Ordering::Relaxed);
        }
    }

    /// It could not be reached, timed out, or said that it is broken.
    pub(crate) fn failed(&self, now_ms: u64) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let was_open = self.open_until_ms.load(Ordering::Relaxed) > 0;
        if was_open && !self.probing.swap(false, Ordering::Relaxed) {
            return; // A straggler from before it opened says nothing new.
        }
        let is_doubted = self.doubted_until_ms.load(Ordering::Relaxed) > now_ms;
        if failures >= FAILURES_TO_OPEN || was_open || is_doubted {
            let trips = self.trips.fetch_add(1, Ordering::Relaxed).min(5);
            let rest_ms = (FIRST_REST_MS << trips).min(LONGEST_REST_MS);
            self.open_until_ms.store(now_ms + rest_ms, Ordering::Relaxed);
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// Until when it is open, if it opened here and no success has come since.
    pub(crate) fn open_until(&self) -> Option<u64> {
        Some(self.open_until_ms.load(Ordering::Relaxed)).filter(|until_ms| *until_ms > 0)
    }

    /// Others found that it fails.
    pub(crate) fn doubt(&self, until_ms: u64) {
        self.doubted_until_ms.store(until_ms, Ordering::Relaxed);
    }

    /// It asked for a pause.
    pub(crate) fn rest(&self, now_ms: u64, pause_ms: u64) {
        self.rest_until_ms.fetch_max(now_ms + pause_ms.min(LONGEST_REST_MS), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    enum Do {
        Fail(u32),
        Succeed,
        Rest(u64),
        Probe(bool),
        Doubt(u64),
    }
    use Do::{Doubt, Fail, Probe, Rest, Succeed};

    #[test]
    #[rustfmt::skip]
    fn opens_rests_probes_and_closes() {
        let steps = [
            // at    what         health after        why
            (     0, Fail(4),     Health::Closed),   // four in a row may be chance
            (     1, Succeed,     Health::Closed),
            (     2, Fail(4),     Health::Closed),   // a success in between starts the count anew
            (     3, Fail(1),     Health::Open),     // the fifth in a row
            ( 2_002, Probe(false),Health::Open),     // still resting
            ( 2_003, Probe(true), Health::Open),     // one probe, and nobody else while it runs
            ( 2_004, Probe(false),Health::Open),
            ( 2_005, Fail(1),     Health::Open),     // a failed probe doubles the rest
            ( 6_004, Probe(false),Health::Open),
            ( 6_005, Probe(true), Health::Open),
            ( 6_006, Succeed,     Health::Closed),
            ( 6_007, Fail(30),    Health::Open),     // the rest is short again after a success, however many fail at once
            ( 8_006, Probe(false),Health::Open),
            ( 8_007, Succeed,     Health::Closed),   // a late answer from before closes too
            ( 8_008, Rest(500),   Health::Resting),
            ( 8_508, Rest(0),     Health::Closed),
            ( 8_510, Doubt(9_000), Health::Doubted),  // others say so: it may be called
            ( 8_511, Succeed,     Health::Closed),   // and answers
            ( 8_512, Doubt(9_000), Health::Doubted),
            ( 8_513, Fail(1),     Health::Open),     // one failure confirms it
            (10_513, Probe(true), Health::Open),
            (10_514, Succeed,     Health::Closed),
            (10_515, Doubt(11_000), Health::Doubted),
            (11_000, Fail(4),     Health::Closed),   // a hint that is over counts no more
        ];
        let breaker = Breaker::default();
        for (row, (at_ms, what, health)) in steps.into_iter().enumerate() {
            match what {
                Fail(times) => (0..times).for_each(|_| breaker.failed(at_ms)),
                Succeed => breaker.succeeded(),
                Rest(pause_ms) => breaker.rest(at_ms, pause_ms),
                Doubt(until_ms) => breaker.doubt(until_ms),
                Probe(got) => assert_eq!(breaker.probe(at_ms), got, "row {row}"),
            }
            assert_eq!(breaker.check(at_ms), health, "row {row}");
        }
    }

    #[test]
    fn rests_are_bounded() {
        let breaker = Breaker::default();
        breaker.rest(0, u64::MAX / 2);
        assert_eq!(breaker.check(LONGEST_REST_MS - 1), Health::Resting);
        assert_eq!(breaker.check(LONGEST_REST_MS), Health::Closed, "no upstream closes itself for ever");
        for _ in 0..100 {
            breaker.failed(0);
        }
        assert_eq!(breaker.check(LONGEST_REST_MS), Health::HalfOpen);
    }
}
