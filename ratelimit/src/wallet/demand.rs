//! How fast a purse is spent, and how large a lease should be. Whole numbers only: a simulation replays to the last bit.
//!
//! `want = r*T + z*sigma*sqrt(T) + backlog - avail` (reference 3.4), with `r` and `sigma` as moving averages.

use crate::time::NodeTime;
use crate::unit::{Amount, MOST_AMOUNT};

/// Old rates count half after this long: a lease follows a change of traffic within seconds, and a pause between two requests
/// does not empty it.
const HALF_LIFE_MS: u64 = 2_000;
/// Standard deviations above the mean that a lease covers: two, so that one horizon in forty runs dry early.
const DEVIATIONS: u128 = 2;
/// No lease is for less: about the longest election that should pass unnoticed.
const SHORTEST_MS: u64 = 250;
/// Nor for more: what is held for longer is missed elsewhere.
const LONGEST_MS: u64 = 10_000;
/// A grant arrives within this many round trips.
const ROUND_TRIPS: u64 = 4;
/// One item to the ledger costs as much as one typical request's amount held for half a second.
const ITEM_COST_MS: u64 = 500;
/// Rates are kept in this part of a unit a second, since many purses see less than one a second.
const FINE: u128 = 1 << 16;
/// Samples over less than this are left to the next: a rate over a millisecond says nothing.
const SHORTEST_SAMPLE_MS: u64 = 20;
/// A first lease is at least this part of the limit: it then serves about twenty requests before the next one.
const FIRST_SHARE: u64 = 20;

/// A purse's moving averages.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Demand {
    /// Units a second, times [`FINE`].
    rate: u128,
    /// Variance of what is taken in a second, in square units.
    variance: u128,
    sampled_at: Option<NodeTime>,
    /// Taken in all at the last sample.
    taken: Amount,
}

/// What the size of a lease depends on beside the averages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizing {
    /// How long an answer takes.
    pub(super) round_trip_ms: u64,
    /// How large a request is.
    pub(super) typical: Amount,
    /// What requests wait for.
    pub(super) backlog: Amount,
    /// What is there.
    pub(super) avail: Amount,
}

impl Demand {
    /// Notes what was taken in all of a lease by now.
    pub(super) fn sample(&mut self, taken: Amount, now: NodeTime) {
        let Some(before) = self.sampled_at else {
            self.sampled_at = Some(now);
            self.taken = taken;
            return;
        };
        let passed_ms = now.since(before);
        if passed_ms < SHORTEST_SAMPLE_MS {
            return;
        }
        let more = u128::from(taken.saturating_sub(self.taken));
        let seen = more * FINE * 1_000 / u128::from(passed_ms);
        let kept = kept(passed_ms);
        let off = seen.abs_diff(self.rate) / FINE;
        // A rate seen over `passed` has the variance of a second times 1000/passed.
        let variance = off.min(1 << 60).pow(2) / 1_000 * u128::from(passed_ms.min(1_000));
        self.rate = blend(self.rate, seen, kept);
        self.variance = blend(self.variance, variance, kept);
        self.sampled_at = Some(now);
        self.taken = taken;
    }

    /// Begins anew with another lease, whose totals start at `taken`. The averages stay.
    pub(super) fn restart(&mut self, taken: Amount) {
        self.taken = taken;
    }

    /// What is taken in `ms` on average.
    pub(super) fn in_ms(&self, ms: u64) -> Amount {
        narrow(self.rate * u128::from(ms) / 1_000 / FINE)
    }

    /// For how long a lease should last.
    pub(super) fn horizon_ms(&self, sizing: Sizing) -> u64 {
        let trips = ROUND_TRIPS.saturating_mul(sizing.round_trip_ms);
        // The economic order: T = sqrt(2c/(h*r)) with requests a second as r.
        let typical = u128::from(sizing.typical.max(1));
        let order = (2 * u128::from(ITEM_COST_MS) * 1_000 * typical * FINE).checked_div(self.rate);
        let order_ms = order.and_then(|order| u64::try_from(order.isqrt()).ok());
        order_ms.unwrap_or(LONGEST_MS).max(trips).clamp(SHORTEST_MS, LONGEST_MS)
    }

    /// How much more should be on the lease.
    pub(super) fn want(&self, sizing: Sizing) -> Amount {
        let horizon_ms = self.horizon_ms(sizing);
        let spread = DEVIATIONS * (self.variance * u128::from(horizon_ms) / 1_000).isqrt();
        let level = u128::from(self.in_ms(horizon_ms)) + spread + u128::from(sizing.backlog);
        narrow(level).saturating_sub(sizing.avail)
    }
}

/// What a purse that has no lease asks for.
pub(super) fn first_want(need: Amount, limit: Amount) -> Amount {
    need.max(limit / FIRST_SHARE).max(1)
}

/// How much of the old average counts after `passed_ms`: 2^(-passed/half-life), times 2^16, straight between halvings.
fn kept(passed_ms: u64) -> u128 {
    let halvings = passed_ms / HALF_LIFE_MS;
    let Some(whole) = u32::try_from(halvings).ok().and_then(|halvings| (1_u64 << 16).checked_shr(halvings))
    else {
        return 0;
    };
    let part = passed_ms % HALF_LIFE_MS;
    u128::from(whole - whole * part / (2 * HALF_LIFE_MS))
}

fn blend(old: u128, new: u128, kept: u128) -> u128 {
    let most = u128::MAX >> 18;
    (old.min(most) * kept + new.min(most) * ((1 << 16) - kept)) >> 16
}

fn narrow(amount: u128) -> Amount {
    Amount::try_from(amount).unwrap_or(MOST_AMOUNT).min(MOST_AMOUNT)
}
