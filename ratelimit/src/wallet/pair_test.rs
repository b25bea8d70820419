//! Real wallets against the real ledger: what goes wrong between them when time passes, terms change and answers get lost.

use super::*;
use crate::budget::{Budget, BudgetId, Enforcement, Key, OnExhausted};
use crate::cover::Cover;
use crate::dice::Dice;
use crate::ledger::Ledger;
use crate::ledger::command::{Adjustment, BucketAdjustment, Command, NodeId};
use crate::ledger::outcome::{ItemAnswer, Outcome, Rejected};
use crate::ledger::rows::{Row, RowKey};
use crate::time::Timestamp;
use crate::unit::{Amount, Unit};
use crate::window::{Fixed, Period, Window};

pub(super) fn minute() -> Window {
    Window::Fixed(Fixed { every: Period::Minute, zone: "UTC".to_owned(), boundaries: Vec::new() })
}

pub(super) fn budget(limit: Amount, window: Window, enforcement: Enforcement) -> Budget {
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

pub(super) fn row() -> (RowKey, Row) {
    let text = |text: &str| text.to_owned();
    let key = RowKey { consumer: text("alice"), model: text("gpt"), backend: text("d/o"), hour: 0 };
    (key, Row { requests: 1, ..Row::default() })
}

/// Wallets of one bucket, their ledger, and a time that is the same for all.
pub(super) struct Pair {
    pub(super) ledger: Ledger,
    pub(super) wallets: Vec<Arc<Wallet>>,
    pub(super) purses: Vec<Arc<Purse>>,
    /// Hints on their way.
    nudges: Vec<Nudge>,
    pub(super) now: u64,
    /// Cluster time goes no further: there is no leader, or one whose clock is behind.
    stands_at: u64,
    /// That the ledger was told.
    pub(super) batches: u64,
}

impl Pair {
    pub(super) fn new(budget: &Budget, nodes: u32) -> Self {
        let terms = Terms { unit: budget.unit.clone(), enforcement: budget.enforcement, limit: budget.limit };
        let mut pair = Self {
            ledger: Ledger::new(3),
            wallets: vec![],
            purses: vec![],
            nudges: vec![],
            now: 1_000,
            stands_at: u64::MAX,
            batches: 0,
        };
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

    pub(super) fn now(&self) -> NodeTime {
        NodeTime(self.now)
    }

    pub(super) fn apply(&mut self, command: &Command) -> Outcome {
        let applied = self.ledger.apply(command, Timestamp(self.now.min(self.stands_at)));
        assert_eq!(self.ledger.check(), Ok(()), "after {command:?}");
        self.nudges.extend(applied.nudges);
        applied.outcome
    }

    pub(super) fn answer(&mut self, batch: Batch) -> Answer {
        self.batches += 1;
        let Outcome::Answers(mut answers) = self.apply(&Command::Batches(vec![batch])) else {
            panic!("answers were expected")
        };
        let answer = answers.remove(0);
        for item in &answer.items {
            // A node may think that a window is nearly over when it is not.
            let is_taken = !matches!(item, ItemAnswer::Rejected(why) if *why != Rejected::NoWindow);
            assert!(is_taken, "nothing impossible was said: {item:?}");
        }
        answer
    }

    pub(super) fn deliver(&mut self) {
        for nudge in std::mem::take(&mut self.nudges) {
            self.wallets[nudge.session.0 as usize - 1].nudge(&nudge, self.now());
        }
    }

    /// Time passes, and every node has its say.
    pub(super) fn pass(&mut self, ms: u64) -> Vec<Woken> {
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

    pub(super) fn reserve(&self, node: usize, amount: Amount) -> Result<Hold, Why> {
        let parts = [Part { purse: &self.purses[node], amount }];
        self.wallets[node].reserve(&parts, self.now()).map_err(|refused| refused.why)
    }

    /// A hold, after a wait if need be.
    pub(super) fn hold(&mut self, node: usize, amount: Amount) -> Result<Hold, Why> {
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
fn a_budget_that_was_taken_away_is_asked_about_no_more() {
    let mut pair = Pair::new(&budget(100, minute(), Enforcement::Strict), 1);
    let hold = pair.hold(0, 60).unwrap();
    pair.apply(&Command::DeleteBudget { name: "b".to_owned() });
    assert_eq!(pair.hold(0, 30).err(), Some(Why::NotKept { budget: BudgetId(1) }), "not spent: gone");
    for second in 0..70 {
        let known = pair.reserve(0, 30).err();
        assert_eq!(known, Some(Why::NotKept { budget: BudgetId(1) }), "after {second} s, without a question");
        pair.pass(1_000);
    }
    hold.settle(&[60], row());
    pair.pass(1_000);
    pair.pass(121_000);
    pair.pass(1_000);
    assert_eq!((pair.ledger.spent_ever(BudgetId(1)), pair.ledger.buckets().count()), (60, 0), "it settled");
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
fn a_refusal_ends_with_the_window_it_is_about() {
    let mut pair = Pair::new(&budget(100, minute(), Enforcement::Strict), 2);
    let other = pair.hold(0, 80).expect("there is enough");
    pair.hold(1, 20).expect("the rest").settle(&[20], row());
    while pair.now < 59_600 {
        pair.pass(200); // Who is silent for long is not waited for.
    }
    assert!(matches!(pair.hold(1, 20), Err(Why::Held { .. })), "the other one was asked, and needs it");
    pair.now = 59_990;
    let parts = [Part { purse: &pair.purses[1], amount: 20 }];
    let asked = pair.wallets[1].ask(&parts, pair.now().plus(1_000), pair.now());
    assert!(matches!(asked, Asked::Wait(_)), "a refusal is not believed for long: {asked:?}");
    let batch = pair.wallets[1].poll(pair.now()).expect("somebody waits");
    let answer = pair.answer(batch);
    pair.now = 60_010; // On the answer's way the window has ended.
    let mut woken = pair.wallets[1].handle(&answer, pair.now());
    for _ in 0..10 {
        woken.extend(pair.pass(10));
    }
    let result = woken.pop().expect("answered by now").result;
    assert!(result.is_ok(), "a new window is whole: {result:?}");
    other.settle(&[80], row());
}

#[test]
fn what_is_spent_is_told_once_a_period_however_much_is_spent() {
    let mut pair = Pair::new(&budget(1_000_000, Window::Lifetime, Enforcement::Strict), 1);
    pair.hold(0, 10).expect("there is enough").settle(&[10], row());
    let mut items = 0;
    for _ in 0..200 {
        pair.now += 10;
        pair.wallets[0].tick(pair.now());
        let batch = pair.wallets[0].poll(pair.now());
        // Spent while the batch is on its way.
        pair.reserve(0, 10).expect("a twentieth of the limit serves them all").settle(&[10], row());
        if let Some(batch) = batch {
            items += batch.items.len();
            let answer = pair.answer(batch);
            pair.wallets[0].handle(&answer, pair.now());
        }
    }
    assert!((1..=4).contains(&items), "two seconds, and a report in each: {items} items");
}

#[test]
fn what_is_spent_is_told_once_a_period_also_while_a_request_of_the_window_before_runs() {
    let mut pair = Pair::new(&budget(1_000_000, minute(), Enforcement::Strict), 1);
    let long = pair.hold(0, 10).expect("there is enough");
    while pair.now < 60_500 {
        pair.pass(500);
    }
    pair.hold(0, 100_000).expect("a new window").settle(&[10], row());
    let mut items = 0;
    for _ in 0..200 {
        pair.now += 10;
        pair.wallets[0].tick(pair.now());
        let batch = pair.wallets[0].poll(pair.now());
        // Spent while the batch is on its way.
        pair.reserve(0, 10).expect("what was held is there").settle(&[10], row());
        if let Some(batch) = batch {
            items += batch.items.len();
            let answer = pair.answer(batch);
            pair.wallets[0].handle(&answer, pair.now());
        }
    }
    long.settle(&[10], row());
    assert!((1..=5).contains(&items), "two seconds, and a report in each: {items} items");
}

#[test]
fn scraps_that_serve_nobody_where_they_are_serve_somebody_together() {
    let mut pair = Pair::new(&budget(100, Window::Lifetime, Enforcement::Strict), 2);
    for node in [0, 1] {
        pair.hold(node, 50).expect("half each").settle(&[20], row());
    }
    for node in [0, 1] {
        let parts = [Part { purse: &pair.purses[node], amount: 50 }];
        let asked = pair.wallets[node].ask(&parts, pair.now().plus(200), pair.now());
        assert!(matches!(asked, Asked::Wait(_)), "30 are there: {asked:?}");
    }
    let mut woken = Vec::new();
    for _ in 0..30 {
        woken.extend(pair.pass(10));
    }
    let served = woken.iter().filter(|woken| woken.result.is_ok()).count();
    assert_eq!((woken.len(), served), (2, 1), "60 are enough for one: {woken:?}");
}

#[test]
fn what_comes_back_after_a_recall_goes_on_to_who_was_refused() {
    let mut pair = Pair::new(&budget(100, Window::Lifetime, Enforcement::Strict), 2);
    let holds = [0, 1].map(|_| pair.hold(0, 50).expect("all of it"));
    assert!(matches!(pair.hold(1, 50), Err(Why::Held { .. })), "requests hold it");
    for hold in holds {
        hold.settle(&[10], row());
    }
    for _ in 0..10 {
        pair.pass(10);
    }
    pair.hold(1, 50).expect("80 came back, and nobody needs them elsewhere").release();
}

#[test]
fn a_recall_ends_with_its_window() {
    let second = Fixed { every: Period::Second, zone: "UTC".to_owned(), boundaries: Vec::new() };
    let mut pair = Pair::new(&budget(1_000, Window::Fixed(second), Enforcement::Strict), 2);
    pair.now = 1_600;
    pair.hold(0, 10).expect("there is enough").settle(&[10], row());
    pair.hold(1, 960).expect("the other one has 40 to give back").settle(&[960], row());
    pair.now = 2_010;
    pair.hold(0, 10).expect("a new window").settle(&[10], row());
    for _ in 0..10 {
        pair.pass(10);
    }
    let left = pair.purses[0].avail(pair.now());
    assert!(left > 0, "nobody is short of anything in this window, and all was given back");
}

#[test]
fn an_allowance_is_lent_once_a_window_however_often_its_node_comes_back_to_it() {
    let mut pair = Pair::new(&budget(10, minute(), Enforcement::Bounded { per_node: 10 }), 1);
    let name = pair.purses[0].name().clone();
    (pair.now, pair.stands_at) = (50_000, 59_950);
    for tenth in 0..700 {
        // Two a second until nothing is left, then nothing for so long that the next window's lease goes back unused.
        if tenth % 5 == 0
            && !(100..500).contains(&tenth)
            && let Ok(hold) = pair.reserve(0, 1)
        {
            hold.settle(&[1], row());
        }
        pair.pass(100);
    }
    let spent = pair.ledger.bucket(&name, Timestamp(0)).map(|bucket| bucket.spent);
    assert_eq!(spent, Some(20), "all of its limit and its allowance, and no more");
    pair.stands_at = u64::MAX;
    pair.hold(0, 10).expect("this is another minute").release();
}

#[test]
fn what_was_lent_while_no_window_was_open_is_told_once_there_is_one() {
    let boundaries = vec![Timestamp(0), Timestamp(60_000)];
    let calendar =
        Window::Fixed(Fixed { every: Period::Month, zone: "Europe/Berlin".to_owned(), boundaries });
    let mut pair = Pair::new(&budget(100, calendar, Enforcement::Bounded { per_node: 10 }), 1);
    pair.now = 70_000;
    pair.pass(0);
    pair.reserve(0, 10).expect("the allowance has it").settle(&[10], row());
    pair.pass(5_000);
    pair.wallets[0].drain(pair.now());
    pair.pass(5_000);
    assert!(!pair.wallets[0].drained(), "it owes 10");
    let boundaries = vec![Timestamp(120_000)];
    pair.apply(&Command::ExtendCalendar { name: "b".to_owned(), boundaries });
    for _ in 0..20 {
        pair.pass(200);
    }
    let name = pair.purses[0].name().clone();
    assert_eq!(pair.ledger.bucket(&name, Timestamp(60_000)).map(|bucket| bucket.spent), Some(10));
    assert!(pair.wallets[0].drained());
}

#[test]
fn a_lease_that_was_laid_down_while_somebody_took_from_it_stands_in_nobodys_way() {
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
    let taken = leased.take(10, Claim::New, pair.now()).expect("a request that had loaded it before");
    for _ in 0..5 {
        pair.hold(0, 50).expect("900 are free").settle(&[50], row());
    }
    leased.settle(taken, 10);
}

/// Three nodes, one bucket a minute, and everything that may happen to them. `spent` is what truly was, by window.
struct Walk {
    pair: Pair,
    dice: Dice,
    holds: Vec<(usize, Hold)>,
    /// Batches that the ledger got, and answers that did not come yet.
    answers: Vec<(usize, Answer)>,
    limit: Amount,
    /// The largest limit of all.
    most: Amount,
    credits: Amount,
    entries: u64,
    settled: u64,
    requests: u64,
}

impl Walk {
    fn new(seed: u64, window: Window) -> Self {
        let pair = Pair::new(&budget(1_000, window, Enforcement::Strict), 3);
        let (holds, answers) = (Vec::new(), Vec::new());
        let dice = Dice(seed);
        Self {
            pair,
            dice,
            holds,
            answers,
            limit: 1_000,
            most: 1_000,
            credits: 0,
            entries: 0,
            settled: 0,
            requests: 0,
        }
    }

    fn step(&mut self) {
        let node = self.pick(3);
        match self.dice.below(20) {
            0..=5 => self.reserve(node),
            6..=9 if !self.holds.is_empty() => self.settle(),
            10 if !self.holds.is_empty() => {
                let at = self.pick(self.holds.len() as u64);
                self.holds.swap_remove(at).1.release();
            }
            11..=13 => self.send(node),
            14 if !self.answers.is_empty() => {
                let at = self.pick(self.answers.len() as u64);
                let (node, answer) = self.answers[at].clone();
                let woken = self.pair.wallets[node].handle(&answer, self.pair.now());
                self.keep(node, woken);
            }
            15 => self.pair.deliver(),
            16 if self.dice.below(4) == 0 => self.change_limit(),
            17 if self.dice.below(4) == 0 => self.adjust(),
            18 => drop(self.pair.apply(&Command::Tick)),
            _ => {
                self.pair.now += self.dice.below(400);
                let woken = self.pair.wallets[node].tick(self.pair.now());
                self.keep(node, woken);
            }
        }
    }

    fn pick(&mut self, of: u64) -> usize {
        usize::try_from(self.dice.below(of)).unwrap()
    }

    fn keep(&mut self, node: usize, woken: Vec<Woken>) {
        self.holds.extend(woken.into_iter().filter_map(|woken| Some((node, woken.result.ok()?))));
    }

    fn reserve(&mut self, node: usize) {
        let amount = 1 + self.dice.below(120);
        let now = self.pair.now();
        let parts = [Part { purse: &self.pair.purses[node], amount }];
        match self.pair.wallets[node].reserve(&parts, now) {
            Ok(hold) => self.holds.push((node, hold)),
            Err(_) => match self.pair.wallets[node].ask(&parts, now.plus(500), now) {
                Asked::Known(Ok(hold)) => self.holds.push((node, hold)),
                Asked::Known(Err(_)) | Asked::Wait(_) => {}
            },
        }
    }

    fn settle(&mut self) {
        let at = self.pick(self.holds.len() as u64);
        let (_, hold) = self.holds.swap_remove(at);
        let actual = self.dice.below(hold.amount(0) + 1);
        self.settled += actual;
        self.requests += 1;
        hold.settle(&[actual], row());
    }

    /// A batch goes out, perhaps twice; its answers come now, later, or never.
    fn send(&mut self, node: usize) {
        let Some(batch) = self.pair.wallets[node].poll(self.pair.now()) else { return };
        for _ in 0..=self.dice.below(2) {
            let answer = self.pair.answer(batch.clone());
            self.answers.push((node, answer.clone()));
            if self.dice.below(3) > 0 {
                let woken = self.pair.wallets[node].handle(&answer, self.pair.now());
                self.keep(node, woken);
            }
        }
        let old = self.answers.len().saturating_sub(8);
        self.answers.drain(..old);
    }

    fn change_limit(&mut self) {
        self.limit = 200 + self.dice.below(1_500);
        self.most = self.most.max(self.limit);
        let window = self.pair.ledger.budget("b").map(|(_, budget)| budget.window.clone()).unwrap();
        let command = Command::SetBudget(Box::new(budget(self.limit, window, Enforcement::Strict)));
        self.pair.apply(&command);
    }

    fn adjust(&mut self) {
        self.entries += 1;
        let amount = i64::try_from(self.dice.below(200)).unwrap() - 100;
        self.credits += amount.max(0).unsigned_abs();
        let bucket = self.pair.purses[0].name().clone();
        let entry = Adjustment {
            id: self.entries.to_string(),
            by: "ops".to_owned(),
            reason: "a walk".to_owned(),
            buckets: vec![BucketAdjustment { bucket, window: None, amount }],
            rows: Vec::new(),
        };
        self.pair.apply(&Command::Adjust(Box::new(entry)));
    }

    /// No bucket has more leased and spent than it ever could give; nothing held or spendable is beyond that.
    fn check(&self, seed: u64) {
        for bucket in self.pair.ledger.buckets() {
            let gone = bucket.spent + bucket.outstanding;
            let most = self.most + self.credits;
            assert!(gone <= most, "seed {seed}: {gone} of {most}: {bucket:?}");
        }
        let open: Amount = self.pair.ledger.buckets().map(|bucket| bucket.outstanding).sum();
        let stats = self.pair.wallets.iter().map(|wallet| wallet.stats());
        let reach: Amount = stats.map(|stats| stats.avail + stats.held).sum();
        assert!(reach <= open, "seed {seed}: {reach} can be spent, {open} are leased");
    }

    /// All is healed: what the nodes spent is what the ledger has, and nothing is out.
    fn end(mut self, seed: u64) {
        self.holds.clear();
        for wallet in &self.pair.wallets {
            drop(wallet.drain(self.pair.now()));
        }
        for _ in 0..60 {
            drop(self.pair.pass(700));
        }
        for wallet in &self.pair.wallets {
            assert!(wallet.drained(), "seed {seed}: {:?}", wallet.stats());
        }
        assert!(self.pair.ledger.buckets().all(|bucket| bucket.outstanding == 0), "seed {seed}");
        assert_eq!(self.pair.ledger.spent_ever(BudgetId(1)), self.settled, "seed {seed}");
        let requests: u64 = self.pair.ledger.rows().rows().map(|(_, row)| row.requests).sum();
        assert_eq!(requests, self.requests, "seed {seed}");
    }
}

#[test]
fn true_spend_is_what_the_ledger_says_and_never_more_than_it_allows() {
    for seed in 0..150 {
        let window = if seed % 2 == 0 { minute() } else { Window::Lifetime };
        let mut walk = Walk::new(seed, window);
        for _ in 0..1_500 {
            walk.step();
            walk.check(seed);
        }
        assert!(walk.requests > 10, "seed {seed}: the walk did something");
        walk.end(seed);
    }
}
