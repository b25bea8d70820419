//! What the clerk does in its own time: reports, prefetches, and purses that nobody needs.

use super::pair_test::{Pair, budget, minute, row};
use super::*;
use crate::budget::{BudgetId, Enforcement, Key};
use crate::ledger::command::{Command, LeaseId, Target};
use crate::ledger::outcome::{BatchVerdict, ItemAnswer, Rejected};
use crate::time::Timestamp;
use crate::unit::{MOST_AMOUNT, Unit};
use crate::window::Window;

fn named(key: &str) -> BucketName {
    BucketName { budget: BudgetId(1), key: Key(key.into()) }
}

fn terms(enforcement: Enforcement) -> Terms {
    Terms { unit: Unit::TotalTokens, enforcement, limit: 1_000_000 }
}

#[test]
fn what_is_spent_all_the_time_is_told_once_a_period() {
    let mut pair = Pair::new(&budget(1_000_000, Window::Lifetime, Enforcement::Strict), 1);
    let mut before = 0;
    for at in 0..2_000 {
        if at == 1_000 {
            before = pair.batches;
        }
        pair.hold(0, 1).expect("plenty").settle(&[1], row());
        pair.now += 10;
        drop(pair.wallets[0].tick(pair.now()));
        let Some(batch) = pair.wallets[0].poll(pair.now()) else { continue };
        pair.reserve(0, 1).expect("plenty").settle(&[1], row()); // While the batch is on its way.
        let answer = pair.answer(batch);
        drop(pair.wallets[0].handle(&answer, pair.now()));
    }
    let told = pair.batches - before;
    assert!((10..=14).contains(&told), "{told} batches in ten seconds");
}

#[test]
fn a_prefetch_that_was_refused_is_tried_again() {
    let mut pair = Pair::new(&budget(1_000, minute(), Enforcement::Strict), 1);
    let mut refused = 0;
    while pair.now < 59_900 {
        pair.hold(0, 1).expect("plenty").settle(&[1], row());
        pair.now += 100;
        drop(pair.wallets[0].tick(pair.now()));
        let Some(batch) = pair.wallets[0].poll(pair.now()) else { continue };
        let mut answer = pair.answer(batch.clone());
        for (item, said) in batch.items.iter().zip(&mut answer.items) {
            // There is no room for another bucket before five seconds to midnight.
            if matches!(item.target, Target::Next(_)) && pair.now < 55_000 {
                *said = ItemAnswer::Rejected(Rejected::full("buckets", 1));
                refused += 1;
            }
        }
        drop(pair.wallets[0].handle(&answer, pair.now()));
    }
    assert!((1..=2).contains(&refused), "not at every look: {refused}");
    pair.now = 60_000;
    drop(pair.wallets[0].tick(pair.now()));
    pair.reserve(0, 1).expect("nobody waits when the window begins").release();
}

#[test]
fn a_purse_is_not_forgotten_while_its_lease_is_on_the_way() {
    let pair = Pair::new(&budget(1_000, Window::Lifetime, Enforcement::Strict), 1);
    let wallet = Arc::clone(&pair.wallets[0]);
    let first = wallet.purse(&named("first"), &terms(Enforcement::Strict)).unwrap();
    let Asked::Wait(ticket) = wallet.ask(&[Part { purse: &first, amount: 5 }], NodeTime(9_000), pair.now())
    else {
        panic!("nothing is leased yet")
    };
    let mut pair = pair;
    let batch = wallet.poll(pair.now()).expect("somebody waits");
    wallet.cancel(ticket);
    drop(first);
    lock(&wallet.clerk).sweep();
    let second = wallet.purse(&named("second"), &terms(Enforcement::Strict)).unwrap();
    let answer = pair.answer(batch);
    drop(wallet.handle(&answer, pair.now()));
    assert_eq!(second.avail(pair.now()), 0, "what came was the first one's");
    assert_eq!(wallet.stats().leases, 1);
}

#[test]
fn purses_that_nobody_needs_are_forgotten_and_no_others() {
    let mut pair = Pair::new(&budget(1_000, Window::Lifetime, Enforcement::Strict), 1);
    let wallet = Arc::clone(&pair.wallets[0]);
    let known = || wallet.stats().purses;
    let sweep = || (0..3).for_each(|_| lock(&wallet.clerk).sweep());
    let before = known();
    let kept = wallet.purse(&named("kept"), &terms(Enforcement::Strict)).unwrap();
    drop(wallet.purse(&named("unused"), &terms(Enforcement::Strict)).unwrap());
    assert_eq!(known(), before + 2);
    sweep();
    assert_eq!(known(), before + 1, "one that nobody keeps");
    pair.purses[0] = kept;
    pair.hold(0, 5).expect("plenty").settle(&[5], row());
    let name = pair.purses[0].name().clone();
    pair.purses[0] = wallet.purse(&named("other"), &terms(Enforcement::Strict)).unwrap();
    sweep();
    assert_eq!(known(), before + 1, "one with a lease is kept, one without is not");
    for _ in 0..130 {
        pair.pass(1_000);
    }
    sweep();
    assert_eq!((known(), wallet.stats().leases), (before, 0), "its lease went back unused");
    let again = wallet.purse(&name, &terms(Enforcement::Strict)).unwrap();
    assert_eq!(again.avail(pair.now()), 0);
}

#[test]
fn a_lease_that_the_ledger_does_not_know_any_more_takes_no_allowance_along() {
    for enforcement in [Enforcement::Shadow, Enforcement::Bounded { per_node: 50 }] {
        let mut pair = Pair::new(&budget(1_000, Window::Lifetime, enforcement), 1);
        let held = pair.hold(0, 30).expect("lent");
        pair.pass(10);
        pair.pass(10);
        held.settle(&[30], row());
        pair.now += 1_000;
        let batch = pair.wallets[0].poll(pair.now()).expect("a report is due");
        assert!(!batch.items.is_empty());
        let items = batch.items.iter().map(|_| ItemAnswer::Rejected(Rejected::UnknownLease)).collect();
        let (session, sequence, verdict) = (batch.session, batch.sequence, BatchVerdict::Applied);
        let answer = Answer { session, sequence, at: Timestamp(pair.now), verdict, items };
        drop(pair.wallets[0].handle(&answer, pair.now()));
        pair.reserve(0, 20).expect("what was not lent before can be lent still").release();
    }
}

#[test]
fn terms_that_change_again_and_again_leave_a_shadow_its_shade() {
    let pair = Pair::new(&budget(1_000, Window::Lifetime, Enforcement::Shadow), 1);
    let name = pair.purses[0].name().clone();
    for _ in 0..20 {
        for enforcement in [Enforcement::Strict, Enforcement::Shadow] {
            pair.wallets[0].purse(&name, &terms(enforcement)).unwrap();
        }
    }
    assert_eq!(pair.purses[0].avail(pair.now()), MOST_AMOUNT);
}

#[test]
fn a_machine_that_slept_does_not_wait_for_hours_before_it_speaks_again() {
    let mut pair = Pair::new(&budget(1_000, Window::Lifetime, Enforcement::Strict), 1);
    let parts = [Part { purse: &pair.purses[0], amount: 1 }];
    assert!(matches!(pair.wallets[0].ask(&parts, NodeTime(9_000), pair.now()), Asked::Wait(_)));
    let batch = pair.wallets[0].poll(pair.now()).expect("somebody waits");
    let answer = pair.answer(batch);
    pair.now += 8 * 60 * 60 * 1_000;
    drop(pair.wallets[0].handle(&answer, pair.now()));
    let lost = pair.wallets[0].poll(pair.now()).expect("a heartbeat is overdue");
    pair.now += 10_000;
    assert_eq!(pair.wallets[0].poll(pair.now()), Some(lost), "once more");
}

#[test]
fn what_the_budget_could_pay_for_may_be_lent_again() {
    let mut pair = Pair::new(&budget(1_000, Window::Lifetime, Enforcement::Bounded { per_node: 50 }), 1);
    pair.apply(&Command::SetBudget(Box::new(budget(
        60,
        Window::Lifetime,
        Enforcement::Bounded { per_node: 50 },
    ))));
    let allowance = |pair: &Pair| pair.purses[0].current.load().cell.allowance.avail();
    // All 60 are spent by leases, then 50 are lent: nothing can pay for them.
    let mut spent = 0;
    while let Ok(hold) = pair.hold(0, 10) {
        hold.settle(&[10], row());
        spent += 10;
        pair.pass(1_000);
    }
    assert_eq!((spent, allowance(&pair)), (110, 0), "60 and the allowance, to the last");
    pair.pass(1_000);
    assert_eq!(allowance(&pair), 0, "nothing made it whole");
    // The limit is raised: 30 of the 50 can be paid for now.
    let raised = budget(90, Window::Lifetime, Enforcement::Bounded { per_node: 50 });
    pair.apply(&Command::SetBudget(Box::new(raised)));
    pair.deliver();
    let asked = |pair: &mut Pair| {
        for _ in 0..24 {
            let parts = [Part { purse: &pair.purses[0], amount: 50 }];
            drop(pair.wallets[0].ask(&parts, pair.now().plus(100), pair.now()));
            drop(pair.pass(500));
        }
    };
    asked(&mut pair);
    assert_eq!(allowance(&pair), 30, "as much as was covered, and no more");
    asked(&mut pair);
    assert_eq!(allowance(&pair), 30, "and only once");
    pair.hold(0, 30).expect("it may be lent again").settle(&[30], row());
    assert!(pair.hold(0, 1).is_err(), "never more than 50 beyond the limit");
}

#[test]
fn a_hint_about_a_lease_that_nobody_knows_is_nothing() {
    let pair = Pair::new(&budget(1_000, Window::Lifetime, Enforcement::Strict), 1);
    let lease = LeaseId { slot: 9, generation: 9 };
    for why in [crate::ledger::outcome::Why::Recalled, crate::ledger::outcome::Why::Changed] {
        pair.wallets[0].nudge(&Nudge { session: SessionId(1), lease, why }, pair.now());
    }
    assert!(!pair.wallets[0].is_urgent());
}

#[test]
fn what_is_nearly_spent_is_told_sooner() {
    #[rustfmt::skip]
    let cases = [
        // enforcement                           spent  told   why
        (Enforcement::Strict,                    500,   1..=2, "half is left"),
        (Enforcement::Strict,                    880,   1..=2, "12 % are left"),
        (Enforcement::Strict,                    910,   9..=11, "9 % are left"),
        (Enforcement::Bounded { per_node: 1 },   910,   9..=11, "the same"),
        (Enforcement::Shadow,                    910,   1..=2, "nobody waits for it"),
    ];
    for (enforcement, spent, told, why) in cases {
        let mut pair = Pair::new(&budget(1_000, Window::Lifetime, enforcement), 1);
        // All of it is leased, so that nothing but reports is said.
        let all = pair.hold(0, 1_000).expect("all of it");
        all.settle(&[spent], row());
        for _ in 0..30 {
            drop(pair.pass(100));
        }
        let mut reports = 0;
        for _ in 0..100 {
            if pair.now.is_multiple_of(50) {
                pair.hold(0, 1).expect("on the lease").settle(&[1], row());
            }
            pair.now += 10;
            drop(pair.wallets[0].tick(pair.now()));
            let Some(batch) = pair.wallets[0].poll(pair.now()) else { continue };
            reports += usize::from(batch.items.iter().any(|item| item.settled + item.overrun > 0));
            let answer = pair.answer(batch);
            drop(pair.wallets[0].handle(&answer, pair.now()));
        }
        assert!(told.contains(&reports), "{why}: told {reports} times in a second");
    }
}
