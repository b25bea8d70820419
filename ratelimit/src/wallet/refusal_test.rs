//! Refusals that are remembered: what is said to whom, and that nobody is asked for it.

use super::pair_test::{Pair, budget, row};
use super::*;
use crate::budget::Enforcement;
use crate::window::Window;

#[test]
fn others_hold_it_is_told_from_never() {
    let mut pair = Pair::new(&budget(100, Window::Lifetime, Enforcement::Strict), 2);
    let other = pair.hold(1, 80).expect("most of it");
    let held = |why| matches!(why, Why::Held { .. });
    assert!(held(pair.hold(0, 50).unwrap_err()), "what is held by others comes back");
    let asked = pair.batches;
    assert!(held(pair.reserve(0, 50).unwrap_err()), "the same again");
    assert_eq!(pair.hold(0, 101).unwrap_err(), Why::TooLarge { limit: 100 }, "a larger one is told its own");
    assert_eq!(pair.reserve(0, 102).unwrap_err(), Why::TooLarge { limit: 100 }, "and one larger still");
    assert!(held(pair.reserve(0, 50).unwrap_err()), "which changes nothing for smaller ones");
    assert!(pair.batches <= asked + 2, "{} batches", pair.batches - asked);
    pair.hold(0, 20).expect("a smaller one passes").release();
    other.settle(&[80], row());
}

#[test]
fn a_spent_budget_costs_no_round_trip_whatever_the_size() {
    let mut pair = Pair::new(&budget(100, Window::Lifetime, Enforcement::Strict), 1);
    pair.hold(0, 100).expect("all of it").settle(&[100], row());
    for _ in 0..3 {
        pair.pass(1_000);
    }
    for amount in [7, 2_000, 1] {
        assert!(pair.hold(0, amount).is_err(), "spent");
    }
    let before = pair.batches;
    for amount in (1..=100).chain((1..100).rev()) {
        let why = pair.reserve(0, amount).unwrap_err();
        assert!(matches!(why, Why::Exhausted { .. }), "{amount}: {why:?}");
    }
    for amount in [101, 2_000, 1 << 40] {
        assert_eq!(pair.reserve(0, amount).unwrap_err(), Why::TooLarge { limit: 100 }, "{amount}");
    }
    assert_eq!(pair.batches, before, "nobody was asked");
}
