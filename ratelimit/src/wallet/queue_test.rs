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
