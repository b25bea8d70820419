//! A token bucket: `limit` becomes free in each `period_ms`, steadily, and at most `burst` is ever spendable at once.
//!
//! Exact in integers: what is less than one whole unit is carried as a remainder, so that it does not matter how often
//! somebody looks. The remainder is a part of one unit, whatever the limit is: a change of the limit keeps it.

use serde::{Deserialize, Serialize};

use crate::invalid::Invalid;
use crate::time::Timestamp;
use crate::unit::{Amount, MOST_AMOUNT};

/// The longest period: a hundred years.
const MOST_PERIOD_MS: u64 = 100 * 366 * 24 * 60 * 60 * 1000;

/// A rolling window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rolling {
    /// In this time the budget's limit becomes free.
    pub period_ms: u64,
    /// The most that may be spendable at once, leased parts included.
    pub burst: Amount,
}

/// How far a bucket has been filled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Minted {
    /// Up to when.
    pub upto: Timestamp,
    /// What was less than one unit then, in units divided by `period_ms`.
    pub remainder: u64,
}

impl Rolling {
    /// What becomes free between `state.upto` and `at`, if there is `room` for it: burst less what is free and outstanding.
    /// A bucket that is full loses the rest. To be asked before the limit, or what is free, changes.
    pub fn mint(&self, limit: Amount, state: &mut Minted, at: Timestamp, room: Amount) -> Amount {
        let parts = u128::from(limit) * u128::from(at.since(state.upto)) + u128::from(state.remainder);
        let period = u128::from(self.period_ms.max(1));
        state.upto = state.upto.max(at);
        match (Amount::try_from(parts / period), u64::try_from(parts % period)) {
            (Ok(minted), Ok(remainder)) if minted < room => {
                state.remainder = remainder;
                minted
            }
            // A full bucket does not go on filling, not even by less than a unit.
            _ => {
                state.remainder = 0;
                room
            }
        }
    }

    /// The first moment, `at` or later, by which `missing` will have become free since `state`.
    pub fn when(&self, limit: Amount, state: &Minted, at: Timestamp, missing: Amount) -> Timestamp {
        let parts = u128::from(missing) * u128::from(self.period_ms);
        let lacking = parts.saturating_sub(u128::from(state.remainder));
        if lacking == 0 {
            return at;
        }
        if limit == 0 {
            return Timestamp::NEVER;
        }
        let wait_ms = u64::try_from(lacking.div_ceil(u128::from(limit))).unwrap_or(u64::MAX);
        state.upto.plus(wait_ms).max(at)
    }

    /// Whether a budget may have it.
    pub(super) fn check(&self) -> Result<(), Invalid> {
        if !(1..=MOST_PERIOD_MS).contains(&self.period_ms) {
            return Err(Invalid::new("period", format!("1 to {MOST_PERIOD_MS} ms, not {}", self.period_ms)));
        }
        if !(1..=MOST_AMOUNT).contains(&self.burst) {
            return Err(Invalid::new("burst", format!("1 to {MOST_AMOUNT}, not {}", self.burst)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Dice;

    /// 100 in a second, at most 30 at once.
    const ROLLING: Rolling = Rolling { period_ms: 1_000, burst: 30 };

    #[test]
    #[rustfmt::skip]
    fn it_fills_steadily_and_not_beyond_its_room() {
        let rows = [
            // limit, remainder, after_ms, room, minted, left, why
            (    100,         0,        0,   30,      0,    0, "no time, nothing"),
            (    100,         0,        9,   30,      0,  900, "less than one is carried"),
            (    100,       900,        1,   30,      1,    0, "until it is one"),
            (    100,         0,      155,   30,     15,  500, "15.5"),
            (    100,         0,      305,   30,     30,    0, "full: the half is lost"),
            (    100,         0,      300,   30,     30,    0, "full to the moment"),
            (    100,       500,      900,    0,      0,    0, "a full bucket carries nothing"),
            (      0,       500,      900,   30,      0,  500, "no rate, nothing; what was carried stays"),
            (MOST_AMOUNT,   999, u64::MAX,   30,     30,    0, "the largest numbers fit"),
            (u64::MAX,      999, u64::MAX, u64::MAX, u64::MAX, 0, "whatever comes"),
        ];
        for (limit, remainder, after_ms, room, minted, left, why) in rows {
            let mut state = Minted { upto: Timestamp(0), remainder };
            assert_eq!(ROLLING.mint(limit, &mut state, Timestamp(after_ms), room), minted, "{why}");
            assert_eq!(state, Minted { upto: Timestamp(after_ms), remainder: left }, "{why}");
        }
        let mut state = Minted { upto: Timestamp(70), remainder: 5 };
        assert_eq!(ROLLING.mint(100, &mut state, Timestamp(60), 30), 0, "time does not run backwards");
        assert_eq!(state, Minted { upto: Timestamp(70), remainder: 5 }, "nor is it taken back");
    }

    #[test]
    #[rustfmt::skip]
    fn when_is_the_first_moment_and_not_one_before() {
        let rows = [
            // limit, remainder, missing, when, why
            (    100,         0,       0,    5, "nothing is missing"),
            (    100,         0,       1,   10, "10 ms each"),
            (    100,       900,       1,    5, "already there by now"),
            (      3,         0,       1,  334, "rounded up: 333 ms make 0.999"),
            (      3,         2,       1,  333, "which a carried part makes good"),
            (      0,         0,       1, u64::MAX, "never"),
            (      1,         0, u64::MAX, u64::MAX, "not in any time that can be told"),
        ];
        for (limit, remainder, missing, when, why) in rows {
            let state = Minted { upto: Timestamp(0), remainder };
            let got = ROLLING.when(limit, &state, Timestamp(5), missing);
            assert_eq!(got, Timestamp(when), "{why}");
            if got > Timestamp(5) && got < Timestamp::NEVER {
                let minted = |at: u64| ROLLING.mint(limit, &mut state.clone(), Timestamp(at), u64::MAX);
                assert!(minted(got.0) >= missing && minted(got.0 - 1) < missing, "{why}");
            }
        }
    }

    #[test]
    fn looking_often_or_seldom_mints_the_same() {
        let mut dice = Dice(1);
        for round in 0..300 {
            let rolling = Rolling { period_ms: 1 + dice.below(100_000), burst: MOST_AMOUNT };
            let limit = 1 + dice.below(1 << (round % 40));
            let (mut often, mut once) = (Minted::default(), Minted::default());
            let (mut at, mut minted) = (0, 0);
            for _ in 0..50 {
                at += dice.below(2_000);
                minted += rolling.mint(limit, &mut often, Timestamp(at), u64::MAX);
            }
            assert_eq!(minted, rolling.mint(limit, &mut once, Timestamp(at), u64::MAX), "round {round}");
            assert_eq!(often, once, "round {round}");
            assert_eq!(
                u128::from(minted),
                u128::from(limit) * u128::from(at) / u128::from(rolling.period_ms)
            );
        }
    }

    /// The promise of a token bucket, for every pair of moments: at most the burst and what the rate gives meanwhile.
    #[test]
    fn in_any_interval_no_more_is_spent_than_burst_and_rate_allow() {
        let mut dice = Dice(2);
        for round in 0..200 {
            let rolling = Rolling { period_ms: 1 + dice.below(5_000), burst: 1 + dice.below(50) };
            let limit = 1 + dice.below(200);
            let (mut at, mut free, mut state) = (0, rolling.burst, Minted::default());
            let mut spends = Vec::new();
            for _ in 0..60 {
                at += dice.below(400);
                free += rolling.mint(limit, &mut state, Timestamp(at), rolling.burst - free);
                let spent = dice.below(free + 1);
                free -= spent;
                spends.push((at, spent));
            }
            for from in 0..spends.len() {
                let mut sum = 0;
                for (until, spent) in &spends[from..] {
                    sum += spent;
                    let allowed = u128::from(rolling.burst) * u128::from(rolling.period_ms)
                        + u128::from(limit) * u128::from(until - spends[from].0);
                    assert!(u128::from(sum) * u128::from(rolling.period_ms) <= allowed, "round {round}");
                }
            }
        }
    }

    #[test]
    fn a_change_of_the_limit_keeps_what_was_minted() {
        let mut state = Minted::default();
        assert_eq!(ROLLING.mint(100, &mut state, Timestamp(155), 1_000), 15, "15.5 by the old limit");
        assert_eq!(
            ROLLING.mint(10, &mut state, Timestamp(205), 1_000),
            1,
            "the half and another by the new one"
        );
        assert_eq!(state.remainder, 0);
    }
}
