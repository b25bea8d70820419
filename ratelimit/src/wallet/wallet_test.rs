//! The wallet against a ledger of a few lines: tables of steps with their effects, and random walks that check I2 (avail +
//! held + spent = granted - returned, for each lease) after every step.

use std::collections::BTreeMap;

use super::*;
use crate::budget::{BudgetId, Enforcement, Key};
use crate::ledger::command::{Item, Keep, LeaseId, Target};
use crate::ledger::outcome::{BatchVerdict, ItemAnswer, LeaseState, Rejected, Verdict};
use crate::ledger::rows::{Row, RowKey};
use crate::time::{Span, Timestamp};
use crate::unit::{Amount, Unit};

const SESSION: SessionId = SessionId(7);
const START: u64 = 1_700_000_000_000;

/// One lease as the ledger knows it.
#[derive(Clone, Debug, Default)]
struct Lease {
    bucket: Option<(BucketName, Timestamp)>,
    granted: Amount,
    settled: Amount,
    overrun: Amount,
    returned: Amount,
    closed: bool,
}

/// A ledger of a few lines: budgets of one limit, windows of one length, one session.
struct Desk {
    limit: Amount,
    window_ms: u64,
    leases: Vec<Lease>,
    applied: u64,
    last: Option<Answer>,
    rows: BTreeMap<RowKey, Row>,
    recall: bool,
}

impl Desk {
    fn new(limit: Amount, window_ms: u64) -> Self {
        let (leases, rows) = (Vec::new(), BTreeMap::new());
        Self { limit, window_ms, leases, applied: 0, last: None, rows, recall: false }
    }

    fn window(&self, at: Timestamp) -> Span {
        if self.window_ms == 0 {
            return Span::ALWAYS;
        }
        let start = Timestamp(at.0 - at.0 % self.window_ms);
        Span { start, end: start.plus(self.window_ms) }
    }

    fn used(&self, bucket: &(BucketName, Timestamp)) -> Amount {
        let of_bucket = self.leases.iter().filter(|lease| lease.bucket.as_ref() == Some(bucket));
        of_bucket.map(|lease| lease.granted - lease.returned + lease.overrun).sum()
    }

    fn apply(&mut self, batch: &Batch, at: Timestamp) -> Answer {
        let answer =
            |verdict, items| Answer { session: SESSION, sequence: batch.sequence, at, verdict, items };
        if let Some(last) = self.last.as_ref().filter(|last| last.sequence == batch.sequence) {
            return last.clone();
        }
        assert_eq!(batch.sequence, self.applied + 1, "one batch after the other");
        for (key, row) in &batch.rows {
            self.rows.entry(key.clone()).or_default().merge(row);
        }
        let items = batch.items.iter().map(|item| self.item(item, at)).collect();
        self.applied += 1;
        self.last = Some(answer(BatchVerdict::Applied, items));
        self.last.clone().expect("just set")
    }

    fn item(&mut self, item: &Item, at: Timestamp) -> ItemAnswer {
        let slot = match &item.target {
            Target::Lease(id) => id.slot as usize,
            Target::Current(name) => self.lease_of(name, self.window(at).start),
            Target::Next(_) if self.window_ms == 0 => return ItemAnswer::Rejected(Rejected::NoWindow),
            Target::Next(name) => self.lease_of(name, self.window(at).end),
        };
        let is_named = matches!(item.target, Target::Lease(_));
        let lease = &mut self.leases[slot];
        assert!(!lease.closed, "nothing is said of a closed lease: {item:?}");
        if is_named {
            let grows = item.settled >= lease.settled && item.returned >= lease.returned;
            assert!(grows && item.overrun >= lease.overrun, "totals only grow: {item:?} after {lease:?}");
            assert!(item.settled + item.returned <= lease.granted, "no more than was granted: {item:?}");
            (lease.settled, lease.returned, lease.overrun) = (item.settled, item.returned, item.overrun);
        } else {
            assert_eq!((item.settled, item.overrun, item.returned), (0, 0, 0), "a name has no totals");
        }
        if item.keep == Keep::Close {
            assert_eq!(
                lease.settled + lease.returned,
                lease.granted,
                "nothing is held of a lease that closes"
            );
            lease.closed = true;
            return ItemAnswer::Closed;
        }
        self.grant(slot, item, at)
    }

    fn grant(&mut self, slot: usize, item: &Item, at: Timestamp) -> ItemAnswer {
        let bucket = self.leases[slot].bucket.clone().expect("leases have buckets");
        let free = self.limit.saturating_sub(self.used(&bucket));
        let window = self.window(bucket.1);
        let amount = item.want.max(item.need).min(item.need.max(free / 2)).min(free);
        let verdict = if item.need > self.limit {
            Verdict::TooLarge { limit: self.limit }
        } else if item.need > free || item.need > 0 && at >= window.end {
            Verdict::Exhausted { until: window.end }
        } else {
            self.leases[slot].granted += amount;
            Verdict::Granted
        };
        let lease = LeaseId { slot: u32::try_from(slot).unwrap(), generation: 1 };
        let granted = self.leases[slot].granted;
        let (covered, recalled, scarce) = (0, self.recall, false);
        ItemAnswer::Lease(LeaseState { lease, window, granted, covered, verdict, recalled, scarce })
    }

    fn lease_of(&mut self, name: &BucketName, start: Timestamp) -> usize {
        let bucket = Some((name.clone(), start));
        let known = self.leases.iter().position(|lease| lease.bucket == bucket && !lease.closed);
        known.unwrap_or_else(|| {
            self.leases.push(Lease { bucket, ..Lease::default() });
            self.leases.len() - 1
        })
    }
}

/// A wallet, its ledger, and the time.
struct Bench {
    wallet: Arc<Wallet>,
    desk: Desk,
    now: u64,
    woken: Vec<Woken>,
}

impl Bench {
    fn new(limit: Amount, window_ms: u64) -> Self {
        let wallet = Wallet::new(SESSION, Settings::default());
        Self { wallet, desk: Desk::new(limit, window_ms), now: 1_000, woken: Vec::new() }
    }

    fn now(&self) -> NodeTime {
        NodeTime(self.now)
    }

    fn at(&self) -> Timestamp {
        Timestamp(START + self.now)
    }

    /// Time passes, and one batch goes to the ledger and back if there is one.
    fn pass(&mut self, ms: u64) -> Option<Batch> {
        self.now += ms;
        self.woken.extend(self.wallet.tick(self.now()));
        let batch = self.wallet.poll(self.now())?;
        let answer = self.desk.apply(&batch, self.at());
        self.woken.extend(self.wallet.handle(&answer, self.now()));
        Some(batch)
    }

    /// A hold of one part, after a wait if need be.
    fn hold(&mut self, purse: &Arc<Purse>, amount: Amount) -> Result<Hold, Why> {
        let parts = [Part { purse, amount }];
        match self.wallet.reserve(&parts, self.now()) {
            Ok(hold) => return Ok(hold),
            Err(Refused { why: Why::Dry, .. }) => {}
            Err(refused) => return Err(refused.why),
        }
        match self.wallet.ask(&parts, self.now().plus(100), self.now()) {
            Asked::Known(known) => return known.map_err(|refused| refused.why),
            Asked::Wait(_) => {}
        }
        for _ in 0..20 {
            self.pass(5);
            if let Some(woken) = self.woken.pop() {
                return woken.result.map_err(|refused| refused.why);
            }
        }
        panic!("a request waits past its deadline")
    }
}

fn name(key: &str) -> BucketName {
    BucketName { budget: BudgetId(1), key: Key(key.into()) }
}

fn terms(enforcement: Enforcement, limit: Amount) -> Terms {
    Terms { unit: Unit::TotalTokens, enforcement, limit }
}

fn row() -> (RowKey, Row) {
    let text = |text: &str| text.to_owned();
    let key = RowKey { consumer: text("alice"), model: text("gpt"), backend: text("d/o"), hour: 1 };
    (key, Row { requests: 1, ..Row::default() })
}

/// I2 for every lease, and that open holds are what is held.
fn check(wallet: &Wallet, holds: &[Hold]) {
    let clerk = lock(&wallet.clerk);
    let mut held = clerk.held();
    for part in holds.iter().flat_map(Hold::held).filter(|part| part.leased > 0) {
        let lease = part.lease.expect("what is leased has a number");
        let Some(left) = held.get_mut(&lease) else {
            panic!("{lease:?} is held, and not known any more");
        };
        *left = left.checked_sub(part.leased).expect("no more is held than the cell says");
    }
    assert!(held.values().all(|left| *left == 0), "held, and by nobody: {held:?}");
}

#[test]
fn a_lease_is_asked_for_once_and_then_spent_without_asking() {
    let mut bench = Bench::new(1_000, 0);
    let purse = bench.wallet.purse(&name("a"), &terms(Enforcement::Strict, 1_000)).unwrap();
    let first = bench.hold(&purse, 10).expect("there is plenty");
    assert_eq!(purse.avail(bench.now()), 40, "a first lease is a twentieth of the limit");
    let second = bench.wallet.reserve(&[Part { purse: &purse, amount: 40 }], bench.now());
    let second = second.expect("it lies on the lease");
    assert_eq!(bench.wallet.stats().held, 50);
    first.settle(&[4], row());
    second.release();
    assert_eq!((purse.avail(bench.now()), bench.wallet.stats().held), (46, 0));
    bench.pass(1_000);
    assert_eq!(bench.desk.leases[0].settled, 4);
    assert_eq!(bench.desk.rows.values().map(|row| row.requests).sum::<u64>(), 1);
}

#[test]
fn what_a_settlement_costs_beyond_its_hold() {
    #[rustfmt::skip]
    let cases = [
        // allowance  lease  hold  actual  spent overrun  why
        (  0,         100,   60,   30,     30,   0),   // less: the rest goes back
        (  0,         100,   60,   90,     90,   0),   // more: the lease has it
        (  0,         100,   60,   130,    100,  30),  // more than there is: debt, never forgiven
        (  50,        100,   60,   130,    100,  30),  // the allowance has it
        (  50,        100,   120,  110,    100,  10),  // held from both: the lease pays first
        (  50,        100,   120,  300,    100,  200), // past both
        (  50,        0,     20,   5,      0,    5),   // no lease at all
    ];
    for (allowance, lease, hold, actual, spent, overrun) in cases {
        let cell = cell::Cell::new(allowance);
        cell.lease.grant(lease);
        let taken = cell.take(hold, cell::Usable::Lease).expect("there is enough");
        cell.settle(taken, actual);
        let case = format!("{allowance} {lease} {hold} {actual}");
        assert_eq!((cell.lease.spent(), cell.overrun()), (spent, overrun), "{case}");
        assert_eq!(cell.lease.parts().held(), Some(0), "{case}");
        cell.empty();
        assert!(cell.is_over(), "{case}");
    }
}

#[test]
fn all_parts_or_none() {
    let mut bench = Bench::new(1_000, 0);
    let rich = bench.wallet.purse(&name("rich"), &terms(Enforcement::Strict, 1_000)).unwrap();
    let poor = bench.wallet.purse(&name("poor"), &terms(Enforcement::Strict, 1_000)).unwrap();
    bench.hold(&rich, 10).expect("there is plenty").release();
    let parts = [Part { purse: &rich, amount: 5 }, Part { purse: &poor, amount: 5 }];
    let refused = bench.wallet.reserve(&parts, bench.now()).unwrap_err();
    assert_eq!(refused, Refused { part: 1, why: Why::Dry });
    assert_eq!(
        (bench.wallet.stats().held, rich.avail(bench.now())),
        (0, 50),
        "nothing is held after a refusal"
    );
}

#[test]
fn all_parts_that_lack_something_are_asked_for_in_one_batch() {
    let mut bench = Bench::new(1_000, 0);
    let [other, one, two] = ["other", "one", "two"]
        .map(|key| bench.wallet.purse(&name(key), &terms(Enforcement::Strict, 1_000)).unwrap());
    let deadline = NodeTime(9_000);
    assert!(matches!(
        bench.wallet.ask(&[Part { purse: &other, amount: 5 }], deadline, bench.now()),
        Asked::Wait(_)
    ));
    let in_flight = bench.wallet.poll(bench.now()).expect("somebody waits");
    let parts = [Part { purse: &one, amount: 5 }, Part { purse: &two, amount: 5 }];
    assert!(matches!(bench.wallet.ask(&parts, deadline, bench.now()), Asked::Wait(_)));
    bench.now += 5;
    assert!(bench.wallet.tick(bench.now()).is_empty(), "time alone brings nothing");
    let answer = bench.desk.apply(&in_flight, bench.at());
    bench.wallet.handle(&answer, bench.now());
    let batch = bench.wallet.poll(bench.now()).expect("somebody waits");
    let asked: Vec<_> = batch.items.iter().map(|item| (item.target.clone(), item.need)).collect();
    assert_eq!(asked, [(Target::Current(name("one")), 5), (Target::Current(name("two")), 5)]);
}

#[test]
fn refusals_are_remembered_until_something_changes() {
    let mut bench = Bench::new(100, 0);
    let purse = bench.wallet.purse(&name("a"), &terms(Enforcement::Strict, 100)).unwrap();
    let budget = BudgetId(1);
    assert_eq!(bench.hold(&purse, 101).unwrap_err(), Why::TooLarge { limit: 100 });
    let again = bench.wallet.reserve(&[Part { purse: &purse, amount: 101 }], bench.now()).unwrap_err();
    assert_eq!(again.why, Why::TooLarge { limit: 100 }, "from the cache");
    bench.hold(&purse, 100).expect("all of it").settle(&[100], row());
    assert!(matches!(bench.hold(&purse, 1).unwrap_err(), Why::Exhausted { .. }));
    let before = bench.desk.applied;
    for _ in 0..10 {
        let why = bench.hold(&purse, 1).unwrap_err();
        assert!(matches!(why, Why::Exhausted { budget: of, .. } if of == budget), "{why:?}");
    }
    assert_eq!(bench.desk.applied, before, "nobody was asked");
    bench.desk.limit = 200;
    let lease = LeaseId { slot: 0, generation: 1 };
    let nudge = Nudge { session: SESSION, lease, why: crate::ledger::outcome::Why::Changed };
    bench.wallet.nudge(&nudge, bench.now());
    bench.hold(&purse, 1).expect("the limit was raised").release();
}

#[test]
fn enforcement_beyond_the_lease() {
    let mut bench = Bench::new(100, 0);
    let wallet = Arc::clone(&bench.wallet);
    let bounded = wallet.purse(&name("b"), &terms(Enforcement::Bounded { per_node: 30 }, 100)).unwrap();
    let shadow = wallet.purse(&name("s"), &terms(Enforcement::Shadow, 100)).unwrap();
    let reserve = |purse, amount, now| wallet.reserve(&[Part { purse, amount }], NodeTime(now));
    let first = reserve(&bounded, 30, 1_000).expect("no lease is needed within the allowance");
    assert_eq!(reserve(&bounded, 1, 1_000).unwrap_err().why, Why::Dry, "the allowance is spent");
    reserve(&shadow, 5_000, 1_000).expect("a shadow never refuses").settle(&[5_000], row());
    first.settle(&[30], row());
    bench.pass(1_000);
    bench.pass(1_000);
    bench.pass(1_000);
    let mut overruns: Vec<_> = bench.desk.leases.iter().map(|lease| lease.overrun).collect();
    overruns.sort_unstable();
    assert_eq!(overruns, [30, 5_000]);
    let cut_off = bench.now + 31_000;
    assert_eq!(reserve(&bounded, 1, cut_off).unwrap_err().why, Why::Unreachable);
    reserve(&shadow, 1, cut_off).expect("not even then").release();
}

#[test]
fn what_was_spent_before_the_first_lease_is_named_by_it_once_it_is_there() {
    let mut bench = Bench::new(100, 0);
    let bounded = terms(Enforcement::Bounded { per_node: 30 }, 100);
    let purse = bench.wallet.purse(&name("b"), &bounded).unwrap();
    let hold = bench.wallet.reserve(&[Part { purse: &purse, amount: 30 }], bench.now());
    let spending = hold.expect("no lease is needed within the allowance").spend(&[20]);
    let leases = |spending: &Spending| spending.parts().map(|part| part.lease).collect::<Vec<_>>();
    assert_eq!(leases(&spending), [None]);
    bench.pass(1_000);
    assert!(leases(&spending)[0].is_some(), "the journal would count it under both names");
    spending.book(row());
}

#[test]
fn leases_are_not_spent_when_the_ledger_is_silent_for_too_long() {
    let mut bench = Bench::new(1_000, 0);
    let purse = bench.wallet.purse(&name("a"), &terms(Enforcement::Strict, 1_000)).unwrap();
    bench.hold(&purse, 1).expect("there is plenty").release();
    let sent = bench.now;
    let reserve = |at| bench.wallet.reserve(&[Part { purse: &purse, amount: 1 }], NodeTime(at));
    reserve(sent + 29_999).expect("still valid").release();
    assert_eq!(reserve(sent + 30_000).unwrap_err().why, Why::Unreachable);
}

#[test]
fn a_lost_answer_is_asked_for_again_with_the_same_words() {
    let mut bench = Bench::new(1_000, 0);
    let purse = bench.wallet.purse(&name("a"), &terms(Enforcement::Strict, 1_000)).unwrap();
    let asked = bench.wallet.ask(&[Part { purse: &purse, amount: 5 }], NodeTime(9_000), bench.now());
    assert!(matches!(asked, Asked::Wait(Ticket(1))));
    let first = bench.wallet.poll(bench.now()).expect("somebody waits");
    let lost = bench.desk.apply(&first, bench.at());
    assert_eq!(bench.wallet.poll(bench.now().plus(10)), None, "not yet");
    let again = bench.wallet.poll(bench.now().plus(500)).expect("no answer came");
    assert_eq!(again, first);
    let answer = bench.desk.apply(&again, bench.at());
    assert_eq!(answer, lost);
    let woken = bench.wallet.handle(&answer, bench.now().plus(500));
    assert!(woken[0].result.is_ok());
    assert_eq!(bench.wallet.handle(&lost, bench.now().plus(500)).len(), 0, "handled once");
    let next = bench.wallet.poll(bench.now().plus(20_000)).expect("a heartbeat is due");
    bench.wallet.handle(&lost, bench.now().plus(20_000));
    let again = bench.wallet.poll(bench.now().plus(21_000));
    assert_eq!(again, Some(next), "the answer to an earlier batch is none to this one");
    assert_eq!(purse.avail(bench.now().plus(500)), 45);
}

#[test]
fn waiters_are_served_in_their_order_and_let_go_at_their_deadlines() {
    let mut bench = Bench::new(100, 0);
    let purse = bench.wallet.purse(&name("a"), &terms(Enforcement::Strict, 100)).unwrap();
    let ask = |amount, deadline| {
        bench.wallet.ask(&[Part { purse: &purse, amount }], NodeTime(deadline), NodeTime(1_000))
    };
    for (amount, deadline) in [(60, 1_050), (30, 1_020), (10, 1_050)] {
        assert!(matches!(ask(amount, deadline), Asked::Wait(_)));
    }
    let late = bench.wallet.tick(NodeTime(1_020));
    assert_eq!((late[0].ticket, late[0].result.as_ref().unwrap_err().why), (Ticket(2), Why::Unreachable));
    assert_eq!(bench.wallet.stats().waiting, 2);
    bench.pass(25);
    bench.pass(1);
    let served: Vec<_> = bench.woken.iter().map(|woken| (woken.ticket.0, woken.result.is_ok())).collect();
    assert_eq!(served, [(1, true), (3, true)]);
    assert_eq!(bench.wallet.stats().waiting, 0);
}

#[test]
fn a_window_ends_and_holds_settle_into_the_old_one() {
    let mut bench = Bench::new(1_000, 60_000);
    let start = bench.desk.window(bench.at()).end.0 - START;
    let purse = bench.wallet.purse(&name("a"), &terms(Enforcement::Strict, 1_000)).unwrap();
    let old = bench.hold(&purse, 30).expect("there is plenty");
    while bench.now < start - 1_000 {
        bench.hold(&purse, 1).expect("there is plenty").settle(&[1], row());
        bench.pass(500);
    }
    assert_eq!(bench.desk.leases.len(), 2, "the next window's lease is there before it begins");
    bench.pass(start - bench.now);
    let applied = bench.desk.applied;
    let new = bench.wallet.reserve(&[Part { purse: &purse, amount: 1 }], bench.now());
    let new = new.expect("the new window's lease is spent from the first moment on, without asking");
    assert_eq!(bench.desk.applied, applied);
    old.settle(&[20], row());
    new.settle(&[1], row());
    for _ in 0..5 {
        bench.pass(1_000);
    }
    assert!(bench.desk.leases[0].closed, "and nothing is left of the old one");
    assert!(bench.desk.leases[0].settled >= 20);
    assert_eq!(bench.desk.leases[1].settled, 1);
}

#[test]
fn a_window_that_ended_is_not_spent_from_unless_the_ledger_says_that_it_goes_on() {
    let mut bench = Bench::new(1_000, 60_000);
    let end = bench.desk.window(bench.at()).end.0 - START;
    bench.now = end - 10_000;
    let purse = bench.wallet.purse(&name("a"), &terms(Enforcement::Strict, 1_000)).unwrap();
    bench.hold(&purse, 1).expect("there is plenty").release();
    let parts = [Part { purse: &purse, amount: 1 }];
    let reserve = |at| bench.wallet.reserve(&parts, NodeTime(at));
    reserve(end - 1).expect("the window's last moment").release();
    assert_eq!(reserve(end).unwrap_err().why, Why::Dry);
    bench.now = end;
    assert!(matches!(bench.wallet.ask(&parts, NodeTime(end + 1_000), bench.now()), Asked::Wait(_)));
    let batch = bench.wallet.poll(bench.now()).expect("somebody waits");
    // The leader's clock is 40 ms behind what this node made of it.
    let answer = bench.desk.apply(&batch, Timestamp(bench.at().0 - 40));
    let woken = bench.wallet.handle(&answer, bench.now());
    assert!(woken[0].result.is_ok(), "the old window goes on: {woken:?}");
    assert_eq!(bench.desk.leases.len(), 1);
    assert_eq!(reserve(end + 40).unwrap_err().why, Why::Dry);
}

#[test]
fn idle_leases_go_back_and_recalled_ones_at_once() {
    let mut bench = Bench::new(1_000, 0);
    let purse = bench.wallet.purse(&name("a"), &terms(Enforcement::Strict, 1_000)).unwrap();
    bench.hold(&purse, 5).expect("there is plenty").settle(&[5], row());
    let lease = LeaseId { slot: 0, generation: 1 };
    let nudge = Nudge { session: SESSION, lease, why: crate::ledger::outcome::Why::Recalled };
    bench.wallet.nudge(&nudge, bench.now());
    assert!(bench.wallet.is_urgent());
    bench.pass(1);
    assert_eq!((bench.desk.leases[0].returned, bench.desk.leases[0].closed), (45, false));
    bench.hold(&purse, 5).expect("there is plenty").settle(&[5], row());
    for _ in 0..110 {
        bench.pass(1_000);
    }
    assert!(!bench.desk.leases[0].closed, "who calls again within two minutes finds it");
    for _ in 0..20 {
        bench.pass(1_000);
    }
    assert!(bench.desk.leases[0].closed, "nobody used it for two minutes");
    assert_eq!(bench.wallet.stats().leases, 0);
    bench.hold(&purse, 5).expect("and it is had again").release();
}

#[test]
fn a_node_that_leaves_gives_everything_back() {
    let mut bench = Bench::new(1_000, 0);
    let purse = bench.wallet.purse(&name("a"), &terms(Enforcement::Strict, 1_000)).unwrap();
    let open = bench.hold(&purse, 5).expect("there is plenty");
    let _ = bench.wallet.ask(&[Part { purse: &purse, amount: 900 }], NodeTime(9_000_000), bench.now());
    let woken = bench.wallet.drain(bench.now());
    assert_eq!(woken[0].result.as_ref().unwrap_err().why, Why::Draining);
    bench.pass(10);
    bench.pass(10);
    assert!(!bench.wallet.drained(), "a request is running");
    open.settle(&[3], row());
    for _ in 0..3 {
        bench.pass(10);
    }
    assert!(bench.wallet.drained());
    assert_eq!((bench.desk.leases[0].settled, bench.desk.leases[0].returned), (3, 47));
    assert!(bench.desk.leases[0].closed);
    assert_eq!(bench.desk.rows.len(), 1);
}

#[test]
fn a_session_that_is_gone_is_left_behind() {
    let mut bench = Bench::new(1_000, 0);
    let purse = bench.wallet.purse(&name("a"), &terms(Enforcement::Strict, 1_000)).unwrap();
    let open = bench.hold(&purse, 5).expect("there is plenty");
    let mut other = bench.hold(&purse, 5).expect("there is plenty");
    bench.now += 20_000;
    let batch = bench.wallet.poll(bench.now()).expect("a heartbeat is due");
    let verdict = BatchVerdict::NoSession;
    let answer =
        Answer { session: SESSION, sequence: batch.sequence, at: bench.at(), verdict, items: vec![] };
    bench.wallet.handle(&answer, bench.now());
    assert!(bench.wallet.session_is_lost());
    let refused = bench.wallet.reserve(&[Part { purse: &purse, amount: 1 }], bench.now()).unwrap_err();
    assert_eq!(refused.why, Why::Unreachable);
    open.settle(&[5], row());
    bench.wallet.resume(SessionId(8), bench.now());
    let batch = bench.wallet.poll(bench.now().plus(1_000)).expect("it speaks again");
    assert_eq!((batch.session, batch.sequence, batch.rows.len()), (SessionId(8), 1, 1));
    let verdict = BatchVerdict::Applied;
    let answer = Answer { session: SessionId(8), sequence: 1, at: bench.at(), verdict, items: vec![] };
    bench.wallet.handle(&answer, bench.now().plus(1_000));
    let refused = other.extend(&[1], bench.now().plus(1_000)).unwrap_err();
    assert_eq!(refused.why, Why::Dry, "what was leased to the old session is gone");
}

#[test]
fn random_walks_keep_every_lease_whole() {
    for seed in 1..=200 {
        walk(seed);
    }
}

#[test]
fn many_threads_spend_what_was_granted_and_not_one_more() {
    let mut bench = Bench::new(50_000, 0);
    let strict = terms(Enforcement::Strict, 50_000);
    let purses = ["team", "user"].map(|key| bench.wallet.purse(&name(key), &strict).unwrap());
    let wallet = Arc::clone(&bench.wallet);
    let worker = |seed| {
        let mut dice = Dice(seed);
        let parts: Vec<_> = purses.iter().map(|purse| Part { purse, amount: 20 }).collect();
        let (mut spent, mut done) = (0, 0);
        for _ in 0..200_000 {
            match wallet.reserve(&parts, NodeTime(1_000)) {
                Ok(hold) if dice.below(3) == 0 => hold.release(),
                Ok(hold) => {
                    let actual = dice.below(20);
                    spent += actual;
                    done += 1;
                    hold.settle(&[actual, actual], row());
                }
                Err(refused) if refused.why.is_dry() => {
                    let _ = wallet.ask(&parts, NodeTime(1_000), NodeTime(1_000));
                    std::thread::yield_now();
                }
                // Spent, at the end. Before, another thread holds what this one needs.
                Err(_) if done > 1_000 => break,
                Err(_) => std::thread::yield_now(),
            }
        }
        spent
    };
    let spent: Amount = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..=4).map(|seed| scope.spawn(move || worker(seed))).collect();
        while threads.iter().any(|thread| !thread.is_finished()) {
            bench.pass(0);
            bench.woken.clear();
        }
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    bench.woken.clear();
    bench.wallet.drain(bench.now());
    for _ in 0..10 {
        bench.pass(1_000);
    }
    assert!(spent > 0, "something was done");
    assert!(bench.wallet.drained());
    for purse in ["team", "user"] {
        let of_purse = bench
            .desk
            .leases
            .iter()
            .filter(|lease| lease.bucket.as_ref().is_some_and(|(bucket, _)| *bucket == name(purse)));
        assert_eq!(of_purse.map(|lease| lease.settled + lease.overrun).sum::<Amount>(), spent, "{purse}");
    }
}

/// Numbers that look random and are the same each time (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % most
    }
}

fn walk(seed: u64) {
    let mut dice = Dice(seed);
    let window_ms = [0, 2_000, 60_000][usize::try_from(dice.below(3)).unwrap()];
    let mut bench = Bench::new(2_000, window_ms);
    let enforcements = [Enforcement::Strict, Enforcement::Bounded { per_node: 50 }, Enforcement::Shadow];
    let purses: Vec<_> = (0..3)
        .map(|at| bench.wallet.purse(&name(&at.to_string()), &terms(enforcements[at], 2_000)).unwrap())
        .collect();
    let (mut holds, mut spent, mut settled) = (Vec::new(), [0; 3], 0);
    let mut lost: Option<Answer> = None;
    for _ in 0..600 {
        match dice.below(10) {
            0..=3 => {
                let amount = 1 + dice.below(60);
                let parts: Vec<_> = purses.iter().map(|purse| Part { purse, amount }).collect();
                match bench.wallet.reserve(&parts, bench.now()) {
                    Ok(hold) => holds.push(hold),
                    Err(_) => match bench.wallet.ask(&parts, bench.now().plus(50), bench.now()) {
                        Asked::Known(Ok(hold)) => holds.push(hold),
                        Asked::Known(Err(_)) | Asked::Wait(_) => {}
                    },
                }
            }
            4..=5 if !holds.is_empty() => {
                let hold = holds.swap_remove(usize::try_from(dice.below(holds.len() as u64)).unwrap());
                let actual = [0, 1, 2].map(|part| dice.below(2 * hold.amount(part)));
                (0..3).for_each(|part| spent[part] += actual[part]);
                hold.settle(&actual, row());
                settled += 1;
            }
            6 if !holds.is_empty() => drop(holds.pop()),
            7 if !holds.is_empty() => {
                let more = [dice.below(20), dice.below(20), dice.below(20)];
                let _ = holds[0].extend(&more, bench.now());
            }
            8 => {
                bench.desk.recall = dice.below(4) == 0;
                if let Some(answer) = lost.take() {
                    bench.woken.extend(bench.wallet.handle(&answer, NodeTime(bench.now)));
                }
                if let Some(batch) = bench.wallet.poll(bench.now()) {
                    lost = Some(bench.desk.apply(&batch, bench.at()));
                }
            }
            _ => {
                bench.pass(dice.below(300));
            }
        }
        holds.extend(bench.woken.drain(..).filter_map(|woken| woken.result.ok()));
        check(&bench.wallet, &holds);
    }
    holds.clear();
    bench.wallet.drain(bench.now());
    for _ in 0..40 {
        bench.pass(600);
        bench.woken.clear();
    }
    assert!(bench.wallet.drained(), "seed {seed}: {:?}", bench.wallet.stats());
    assert_eq!(bench.wallet.stats().rejected, 0, "seed {seed}: nothing impossible was said");
    for (part, spent) in spent.into_iter().enumerate() {
        let of_purse =
            |lease: &&Lease| lease.bucket.as_ref().map(|bucket| &bucket.0) == Some(purses[part].name());
        let told: Amount =
            bench.desk.leases.iter().filter(of_purse).map(|lease| lease.settled + lease.overrun).sum();
        assert_eq!(told, spent, "seed {seed}: every unit of part {part} is in the ledger once");
    }
    assert!(bench.desk.leases.iter().all(|lease| lease.closed), "seed {seed}: nothing is stranded");
    assert_eq!(bench.desk.rows.values().map(|row| row.requests).sum::<u64>(), settled, "seed {seed}");
}
