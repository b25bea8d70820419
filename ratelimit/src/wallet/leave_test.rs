//! A node that leaves: nothing stays with it, whatever gets lost on the way.

use super::pair_test::{Pair, budget, row};
use super::*;
use crate::budget::{BudgetId, Enforcement};
use crate::window::Window;

#[test]
fn a_node_has_not_left_while_a_request_has_no_row() {
    let mut pair = Pair::new(&budget(1_000, Window::Lifetime, Enforcement::Strict), 1);
    let wallet = Arc::clone(&pair.wallets[0]);
    let uncovered = wallet.reserve(&[], pair.now()).expect("no budget covers it");
    let spending = pair.hold(0, 10).expect("plenty").spend(&[10]);
    let dropped = pair.hold(0, 10).expect("plenty");
    let mut absorbing = pair.hold(0, 10).expect("plenty");
    absorbing.absorb(pair.hold(0, 10).expect("plenty"));
    let _ = wallet.reserve(&[Part { purse: &pair.purses[0], amount: 5_000 }], pair.now()).unwrap_err();
    drop(wallet.drain(pair.now()));
    let mut pass = || (0..5).for_each(|_| drop(pair.pass(10)));
    dropped.release();
    absorbing.settle(&[20], row());
    pass();
    assert!(!wallet.drained(), "two have no row yet");
    spending.book(row());
    pass();
    assert!(!wallet.drained(), "one has no row yet");
    uncovered.settle(&[], row());
    pass();
    assert!(wallet.drained());
    assert_eq!(pair.ledger.rows().rows().map(|(_, row)| row.requests).sum::<u64>(), 3);
}

#[test]
fn answers_that_get_lost_delay_a_node_that_leaves_and_no_more() {
    for lost_each in 1..=3 {
        for enforcement in [Enforcement::Strict, Enforcement::Bounded { per_node: 50 }] {
            let mut pair = Pair::new(&budget(1_000, Window::Lifetime, enforcement), 1);
            let wallet = Arc::clone(&pair.wallets[0]);
            let open = pair.hold(0, 40).expect("plenty");
            drop(pair.hold(0, 10).expect("plenty").spend(&[10]));
            drop(wallet.drain(pair.now()));
            let mut open = Some(open);
            for at in 0..200 {
                pair.now += 100;
                drop(wallet.tick(pair.now()));
                let Some(batch) = wallet.poll(pair.now()) else { continue };
                let answer = pair.answer(batch);
                if at % (lost_each + 1) == 0 {
                    drop(wallet.handle(&answer, pair.now()));
                    drop(wallet.handle(&answer, pair.now()));
                }
                if at > 20
                    && let Some(open) = open.take()
                {
                    assert!(!wallet.drained(), "a request is running");
                    open.settle(&[35], row());
                }
            }
            let spent = pair.ledger.spent_ever(BudgetId(1));
            assert!(wallet.drained(), "{lost_each} {enforcement:?}: {:?}", wallet.stats());
            assert_eq!(spent, 45, "{lost_each} {enforcement:?}: to the last unit");
            assert!(pair.ledger.buckets().all(|bucket| bucket.outstanding == 0));
        }
    }
}
