//! Requests that wait for a lease.

use super::pair_test::{Pair, budget, row};
use super::*;
use crate::budget::Enforcement;
use crate::window::Window;

#[test]
fn a_large_request_is_not_starved_by_small_ones() {
    let mut pair = Pair::new(&budget(2_000, Window::Lifetime, Enforcement::Strict), 1);
    // 100 are on the lease and 700 are free: as much as is needed is granted, and no stock.
    pair.hold(0, 1_300).expect("more than half of it").settle(&[1_200], row());
    let parts = [Part { purse: &pair.purses[0], amount: 500 }];
    let deadline = pair.now().plus(1_000);
    let Asked::Wait(ticket) = pair.wallets[0].ask(&parts, deadline, pair.now()) else {
        panic!("there is too little on the lease")
    };
    let mut small = 0;
    for _ in 0..100 {
        let batch = pair.wallets[0].poll(pair.now());
        // While the answer is on its way, small ones take whatever they can have.
        while let Ok(hold) = pair.reserve(0, 10) {
            hold.settle(&[10], row());
            small += 10;
        }
        pair.now += 10;
        let mut woken = pair.wallets[0].tick(pair.now());
        if let Some(batch) = batch {
            let answer = pair.answer(batch);
            woken.extend(pair.wallets[0].handle(&answer, pair.now()));
        }
        if let Some(woken) = woken.pop() {
            assert_eq!(woken.ticket, ticket);
            woken
                .result
                .unwrap_or_else(|refused| panic!("{refused:?} after {small} for small ones"))
                .release();
            assert!(small < 200, "small ones took {small} first");
            pair.reserve(0, 10).expect("nothing is kept for it any more").release();
            return;
        }
    }
    panic!("a request waits past its deadline");
}

#[test]
fn a_wait_in_vain_ends_with_its_reason() {
    let mut pair = Pair::new(&budget(100, Window::Lifetime, Enforcement::Strict), 2);
    let late = |pair: &Pair| {
        let mut woken = pair.wallets[0].tick(pair.now());
        woken.pop().expect("its time is up").result.unwrap_err().why
    };
    let ask = |pair: &Pair, amount| {
        let parts = [Part { purse: &pair.purses[0], amount }];
        let asked = pair.wallets[0].ask(&parts, pair.now().plus(250), pair.now());
        assert!(matches!(asked, Asked::Wait(_)), "{asked:?}");
    };
    ask(&pair, 60);
    let lost = pair.wallets[0].poll(pair.now()).expect("somebody waits");
    pair.now += 250;
    assert_eq!(late(&pair), Why::Unreachable, "no answer came");
    let answer = pair.answer(lost);
    drop(pair.wallets[0].handle(&answer, pair.now()));
    pair.hold(1, 1).expect("40 are left").settle(&[1], row());
    // The other node has some of the rest and does not hear that it should give it back.
    ask(&pair, 99);
    let batch = pair.wallets[0].poll(pair.now()).expect("somebody waits");
    let answer = pair.answer(batch);
    assert!(pair.wallets[0].handle(&answer, pair.now()).is_empty(), "{answer:?}");
    pair.now += 250;
    assert!(matches!(late(&pair), Why::Held { .. }), "others have it");
}

#[test]
fn whoever_waits_is_known_before_the_answer_comes() {
    let pair = Pair::new(&budget(100, Window::Lifetime, Enforcement::Strict), 1);
    let parts = [Part { purse: &pair.purses[0], amount: 10 }];
    let mut told = None;
    let asked = pair.wallets[0].ask_then(&parts, pair.now().plus(250), pair.now(), |ticket| {
        told = Some(ticket);
        assert!(pair.wallets[0].clerk.try_lock().is_err(), "nobody can be answered yet");
    });
    assert!(matches!(asked, Asked::Wait(ticket) if Some(ticket) == told));
    pair.wallets[0].cancel(told.expect("it waits"));
    assert_eq!(pair.wallets[0].stats().waiting, 0);
    assert!(pair.wallets[0].tick(pair.now().plus(1_000)).is_empty(), "nobody is woken who went away");
}
