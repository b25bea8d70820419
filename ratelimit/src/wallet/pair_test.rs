//! Real wallets against the real ledger: what goes wrong between them when time passes, terms change and answers get lost.

use super::*;
use crate::budget::{Budget, BudgetId, Enforcement, Key, OnExhausted};
use crate::cover::Cover;
use crate::ledger::Ledger;
use crate::ledger::command::{Command, NodeId};
use crate::ledger::outcome::Outcome;
use crate::ledger::rows::{Row, RowKey};
use crate::time::Timestamp;
use crate::unit::{Amount, Unit};
use crate::window::{Fixed, Period, Window};

fn minute() -> Window {
    Window::Fixed(Fixed { every: Period::Minute, zone: "UTC".to_owned(), boundaries: Vec::new() })
}

fn budget(limit: Amount, window: Window, enforcement: Enforcement) -> Budget {
    Budget {
        name: "b".to_owned(),
        covers: Cover::default(),
        per: Vec::new(),
        unit: Unit::TotalTokens,
        limit,
        window,
        enforcement,
        on_exhausted: OnExhausted::Refuse,
    }
}

fn row() -> (RowKey, Row) {
    let text = |text: &str| text.to_owned();
    let key = RowKey { consumer: text("alice"), model: text("gpt"), backend: text("d/o"), day: 0 };
    (key, Row { requests: 1, ..Row::default() })
}

/// Wallets of one bucket, their ledger, and a time that is the same for all.
struct Pair {
    ledger: Ledger,
    wallets: Vec<Arc<Wallet>>,
    purses: Vec<Arc<Purse>>,
    /// Hints on their way.
    nudges: Vec<Nudge>,
    now: u64,
}

impl Pair {
    fn new(budget: &Budget, nodes: u32) -> Self {
        let terms = Terms { unit: budget.unit.clone(), enforcement: budget.enforcement, limit: budget.limit };
        let mut pair =
            Self { ledger: Ledger::new(3), wallets: vec![], purses: vec![], nudges: vec![], now: 1_000 };
        pair.apply(&Command::SetBudget(Box::new(budget.clone())));
        for node in 1..=nodes {
            pair.apply(&Command::OpenSession { node: NodeId(node.into()), incarnation: 1 });
            let wallet = Wallet::new(SessionId(node), Settings::default());
            let name = BucketName { budget: BudgetId(1), key: Key::default() };
            pair.purses.push(wallet.purse(&name, &terms).unwrap());
            pair.wallets.push(wallet);
        }
        pair
    }

    fn now(&self) -> NodeTime {
        NodeTime(self.now)
    }

    fn apply(&mut self, command: &Command) -> Outcome {
        let applied = self.ledger.apply(command, Timestamp(self.now));
        assert_eq!(self.ledger.check(), Ok(()), "after {command:?}");
        self.nudges.extend(applied.nudges);
        applied.outcome
    }

    fn answer(&mut self, batch: Batch) -> Answer {
        let Outcome::Answers(mut answers) = self.apply(&Command::Batches(vec![batch])) else {
            panic!("answers were expected")
        };
        answers.remove(0)
    }

    fn deliver(&mut self) {
        for nudge in std::mem::take(&mut self.nudges) {
            self.wallets[nudge.session.0 as usize - 1].nudge(&nudge, self.now());
        }
    }

    /// Time passes, and every node has its say.
    fn pass(&mut self, ms: u64) -> Vec<Woken> {
        self.now += ms;
        let mut woken = Vec::new();
        for node in 0..self.wallets.len() {
            let wallet = Arc::clone(&self.wallets[node]);
            woken.extend(wallet.tick(self.now()));
            if let Some(batch) = wallet.poll(self.now()) {
                let answer = self.answer(batch);
                woken.extend(wallet.handle(&answer, self.now()));
            }
            self.deliver();
        }
        woken
    }

    fn reserve(&self, node: usize, amount: Amount) -> Result<Hold, Why> {
        let parts = [Part { purse: &self.purses[node], amount }];
        self.wallets[node].reserve(&parts, self.now()).map_err(|refused| refused.why)
    }

    /// A hold, after a wait if need be.
    fn hold(&mut self, node: usize, amount: Amount) -> Result<Hold, Why> {
        match self.reserve(node, amount) {
            Err(Why::Dry) => {}
            known @ (Ok(_) | Err(_)) => return known,
        }
        let parts = [Part { purse: &self.purses[node], amount }];
        match self.wallets[node].ask(&parts, self.now().plus(1_000), self.now()) {
            Asked::Known(known) => return known.map_err(|refused| refused.why),
            Asked::Wait(_) => {}
        }
        for _ in 0..110 {
            if let Some(woken) = self.pass(10).pop() {
                return woken.result.map_err(|refused| refused.why);
            }
        }
        panic!("a request waits past its deadline")
    }
}

#[test]
fn a_lease_is_not_laid_down_under_a_request_that_only_borrowed() {
    let mut pair = Pair::new(&budget(1_000, Window::Lifetime, Enforcement::Bounded { per_node: 50 }), 1);
    let stream = pair.hold(0, 50).expect("the allowance has it");
    pair.hold(0, 10).expect("a lease").release();
    for _ in 0..60 {
        pair.pass(1_000);
    }
    for _ in 0..3 {
        pair.hold(0, 50).expect("950 are free, whatever else is running").settle(&[50], row());
    }
    stream.settle(&[50], row());
}

#[test]
fn a_budget_that_became_strict_lends_nothing_in_the_next_window() {
    let mut pair = Pair::new(&budget(100, minute(), Enforcement::Bounded { per_node: 50 }), 1);
    pair.now = 50_000;
    for _ in 0..40 {
        pair.hold(0, 1).expect("plenty").settle(&[1], row());
        pair.pass(200);
    }
    let terms = Terms { unit: Unit::TotalTokens, enforcement: Enforcement::Strict, limit: 100 };
    let name = pair.purses[0].name().clone();
    pair.wallets[0].purse(&name, &terms).unwrap();
    pair.apply(&Command::SetBudget(Box::new(budget(100, minute(), Enforcement::Strict))));
    pair.now = 60_500;
    pair.pass(1);
    let mut spent = 0;
    while let Ok(hold) = pair.hold(0, 10) {
        hold.settle(&[10], row());
        spent += 10;
    }
    assert!(spent <= 100, "{spent} of 100");
}

#[test]
fn an_allowance_that_shrank_and_grew_is_no_larger_than_it_was() {
    let pair = Pair::new(&budget(1_000, Window::Lifetime, Enforcement::Bounded { per_node: 10 }), 1);
    let name = pair.purses[0].name().clone();
    let mut lent = 0;
    for per_node in [10, 1, 10, 1, 10] {
        let enforcement = Enforcement::Bounded { per_node };
        let terms = Terms { unit: Unit::TotalTokens, enforcement, limit: 1_000 };
        pair.wallets[0].purse(&name, &terms).unwrap();
        while let Ok(hold) = pair.reserve(0, 1) {
            hold.settle(&[1], row());
            lent += 1;
        }
    }
    assert_eq!(lent, 10);
}

#[test]
fn a_refusal_is_not_believed_past_a_change_that_overtook_it() {
    for first in [0, 10] {
        let mut pair = Pair::new(&budget(100, Window::Lifetime, Enforcement::Strict), 2);
        pair.hold(1, 100).expect("all of it").settle(&[100], row());
        pair.pass(2_000);
        if first > 0 {
            assert!(pair.hold(0, first).is_err(), "spent");
            pair.now += 10_100; // Past what a refusal is believed for.
        }
        let parts = [Part { purse: &pair.purses[0], amount: 10 }];
        let asked = pair.wallets[0].ask(&parts, pair.now().plus(20_000), pair.now());
        assert!(matches!(asked, Asked::Wait(_)), "{asked:?}");
        let batch = pair.wallets[0].poll(pair.now()).expect("somebody waits");
        pair.answer(batch); // Lost.
        pair.apply(&Command::SetBudget(Box::new(budget(200, Window::Lifetime, Enforcement::Strict))));
        pair.deliver();
        let mut woken = Vec::new();
        for _ in 0..60 {
            woken.extend(pair.pass(20));
        }
        let result = woken.pop().expect("answered by now").result;
        assert!(result.is_ok(), "100 are free: {result:?}");
    }
}

#[test]
fn a_refusal_is_forgotten_with_the_lease_that_would_be_told() {
    let mut pair = Pair::new(&budget(6_000, Window::Lifetime, Enforcement::Strict), 1);
    while let Ok(hold) = pair.hold(0, 10) {
        hold.settle(&[10], row());
        pair.pass(10);
    }
    let before = pair.now;
    while pair.wallets[0].stats().leases > 0 {
        pair.pass(100);
    }
    assert!(pair.now < before + 9_000, "a refusal is believed for ten seconds: {}", pair.now - before);
    pair.apply(&Command::SetBudget(Box::new(budget(7_000, Window::Lifetime, Enforcement::Strict))));
    pair.deliver();
    pair.hold(0, 10).expect("there is more now").release();
}

#[test]
fn a_lease_that_was_laid_down_while_somebody_took_from_it_is_taken_up_again() {
    let mut pair = Pair::new(&budget(1_000, Window::Lifetime, Enforcement::Strict), 1);
    pair.hold(0, 10).expect("plenty").release();
    let leased = pair.purses[0].current.load();
    for _ in 0..60 {
        pair.now += 1_000;
        pair.wallets[0].tick(pair.now());
        if !Arc::ptr_eq(&pair.purses[0].current.load(), &leased) {
            break;
        }
        pair.pass(0);
    }
    let taken = leased.take(10, pair.now()).expect("a request that had loaded it before");
    for _ in 0..5 {
        pair.hold(0, 50).expect("900 are free").settle(&[50], row());
    }
    leased.settle(taken, 10);
}
