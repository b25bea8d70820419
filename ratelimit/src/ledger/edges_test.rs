//! What an adversary tries: the largest numbers, the longest texts, odd moments, and what a lost message leaves behind.

use super::command::{Batch, BucketAdjustment, Item, Keep, Target};
use super::ledger_test::{Bench, ask, budget, minute, name, tell, until, written};
use super::limits::MOST_ITEMS;
use super::outcome::{BatchVerdict, ItemAnswer, Rejected, Verdict, Why};
use super::rows::Change;
use super::*;
use crate::unit::{MOST_AMOUNT, Unit};
use crate::window::{Rolling, Window};
use crate::wire::snapshot::{Reader, Writer};

fn rolling(limit: Amount, burst: Amount) -> Budget {
    budget(limit, Window::Rolling(Rolling { period_ms: 60_000, burst }))
}

pub(super) fn set(budget: Budget) -> Command {
    Command::SetBudget(Box::new(budget))
}

pub(super) fn entry(id: &str, buckets: Vec<BucketAdjustment>, rows: Vec<(RowKey, Change)>) -> Command {
    let text = |text: &str| text.to_owned();
    Command::Adjust(Box::new(Adjustment {
        id: text(id),
        by: text("ops"),
        reason: text("why"),
        buckets,
        rows,
    }))
}

pub(super) fn change(window: Option<u64>, amount: i64) -> BucketAdjustment {
    BucketAdjustment { bucket: name(), window: window.map(Timestamp), amount }
}

pub(super) fn close(
    lease: super::command::LeaseId,
    settled: Amount,
    overrun: Amount,
    returned: Amount,
) -> Item {
    Item { keep: Keep::Close, ..tell(lease, settled, overrun, returned) }
}

pub(super) fn free(bench: &Bench, start: u64) -> i128 {
    bench.ledger.bucket(&name(), Timestamp(start)).expect("it is open").free
}

#[test]
fn a_lease_that_went_round_often_is_granted_no_more_than_can_be_counted() {
    let mut bench = Bench::new(budget(MOST_AMOUNT, Window::Lifetime), 1);
    for round in 0..20 {
        let state = bench.ask(round, 1, MOST_AMOUNT, 0);
        assert!(state.granted <= MOST_AMOUNT, "a wallet takes no more: {state:?}");
        bench.send(round, 1, tell(state.lease, 0, 0, state.granted));
    }
    assert_eq!(free(&bench, 0), i128::from(MOST_AMOUNT), "all of it came back");
}

#[test]
fn one_bucket_under_two_names_is_adjusted_within_its_bounds() {
    let mut bench = Bench::new(budget(100, Window::Lifetime), 1);
    let most = i64::try_from(MOST_AMOUNT).unwrap();
    for (id, amount) in [("a", most), ("b", -2 * most), ("c", i64::MAX), ("d", i64::MAX)] {
        bench.apply(1, &entry(id, vec![change(None, amount), change(Some(0), amount)], Vec::new()));
        let adjusted = bench.ledger.bucket(&name(), Timestamp(0)).map_or(0, |view| view.adjusted);
        assert!(adjusted.unsigned_abs() <= MOST_AMOUNT, "{id}: {adjusted}");
    }
}

#[test]
fn debts_of_many_windows_add_up_without_overflow() {
    let mut bench = Bench::new(budget(100, minute()), 1);
    let mut leases = Vec::new();
    for window in 0..6 {
        let lease = bench.ask(window * 60, 1, 1, 1).lease;
        bench.send(window * 60, 1, tell(lease, 0, MOST_AMOUNT, 0));
        leases.push(lease);
    }
    for lease in leases {
        bench.send(400, 1, close(lease, 0, MOST_AMOUNT, 0));
    }
    assert!(free(&bench, 360_000) < 0, "six windows of debt");
}

#[test]
fn a_debt_is_carried_until_it_is_paid() {
    let mut bench = Bench::new(budget(100, minute()), 1);
    let lease = bench.ask(0, 1, 100, 100).lease;
    bench.send(1, 1, close(lease, 100, 250, 0));
    for (at, left, why) in [(60, -150, "250 of debt"), (120, -50, "100 were paid"), (180, 50, "paid in full")]
    {
        bench.apply(at, &Command::Tick);
        assert_eq!(free(&bench, at * 1000), left, "{why}");
    }
    bench.apply(240, &Command::Tick);
    assert_eq!(bench.ledger.buckets().count(), 0, "no debt is left");
}

#[test]
fn a_member_that_was_restored_does_as_the_others() {
    for adjusted in [0, 5] {
        let mut bench = Bench::new(rolling(60, 60), 2);
        let lease = bench.ask(0, 1, 60, 60).lease;
        bench.send(0, 1, close(lease, 60, 0, 0));
        if adjusted > 0 {
            bench.apply(0, &entry("credit", vec![change(None, adjusted)], Vec::new()));
        } else {
            bench.ask(1, 1, 30, 30);
        }
        bench.apply(100, &Command::Tick);
        if adjusted == 0 {
            bench.ask(101, 2, 60, 60);
            assert_eq!(bench.ask(101, 1, 10, 10).verdict, Verdict::Wait);
        }
        let bytes = written(&bench.ledger);
        let mut other = Ledger::read(&mut Reader::begin(bytes.as_slice()).unwrap(), 5).unwrap();
        for at in [170, 230] {
            let applied = bench.ledger.apply(&Command::Tick, Timestamp(at * 1000));
            assert_eq!(other.apply(&Command::Tick, Timestamp(at * 1000)), applied, "at {at}");
            assert_eq!(written(&other), written(&bench.ledger), "at {at}, adjusted by {adjusted}");
        }
    }
}

#[test]
fn buckets_that_come_and_go_leave_nothing_behind() {
    let mut bench = Bench::new(rolling(1, 100), 1);
    for round in 0..50 {
        let lease = bench.ask(round, 1, 2, 2).lease;
        bench.send(round, 1, close(lease, 1, 0, 1));
    }
    let looks: usize = bench.ledger.due.values().map(BTreeSet::len).sum();
    assert_eq!(looks, 1, "one bucket is looked at once");
}

#[test]
fn whatever_is_accepted_can_be_written() {
    let long = "x".repeat(2 << 20);
    let key = RowKey { consumer: long.clone(), model: String::new(), backend: String::new(), hour: 1 };
    let mut patterns = budget(1, Window::Lifetime);
    let matcher = crate::cover::Matcher {
        dimension: crate::cover::Dimension::User,
        patterns: vec!["x".repeat(256); 256],
    };
    patterns.covers.matchers = vec![matcher; 32];
    let commands = [
        (entry("rows", Vec::new(), vec![(key, Change::default())]), "a row's name"),
        (set(Budget { unit: Unit::Expression(long), ..budget(1, Window::Lifetime) }), "an expression"),
        (set(patterns), "patterns"),
    ];
    for (command, why) in commands {
        let mut ledger = Ledger::new(1);
        ledger.apply(&command, Timestamp(1));
        let mut writer = Writer::begin([1; 16], Vec::new()).unwrap();
        assert_eq!(ledger.write(&mut writer).err().map(|error| error.to_string()), None, "{why}");
    }
}

#[test]
fn who_was_refused_is_told_also_after_a_report() {
    let mut bench = Bench::new(budget(100, Window::Lifetime), 1);
    let lease = bench.ask(0, 1, 100, 100).lease;
    bench.send(1, 1, tell(lease, 90, 0, 0));
    assert_eq!(bench.ask(1, 1, 0, 10).verdict, Verdict::Held);
    bench.send(2, 1, tell(lease, 100, 0, 0));
    bench.apply(3, &set(budget(200, Window::Lifetime)));
    assert_eq!(bench.nudges, [(SessionId(1), Why::Changed)], "the refusal is remembered over there");
}

#[test]
fn a_recall_that_was_lost_is_said_again() {
    let mut bench = Bench::new(budget(100, Window::Lifetime), 2);
    bench.ask(0, 1, 100, 100);
    assert_eq!(bench.ask(1, 2, 10, 10).verdict, Verdict::Wait);
    assert_eq!(bench.nudges, [(SessionId(1), Why::Recalled)]);
    assert_eq!(bench.ask(1, 2, 10, 10).verdict, Verdict::Wait);
    assert_eq!(bench.nudges, [], "not at each question");
    assert_eq!(bench.ask(2, 2, 10, 10).verdict, Verdict::Wait);
    assert_eq!(bench.nudges, [(SessionId(1), Why::Recalled)], "it had time to answer");
}

#[test]
fn a_smaller_burst_is_in_force_at_once() {
    let mut bench = Bench::new(rolling(60, 1_000), 2);
    bench.ask(0, 1, 100, 100);
    bench.apply(1, &set(rolling(60, 10)));
    assert_eq!(free(&bench, 0), -90, "100 are out, and 10 may be");
    let lease = bench.ask(1, 1, 0, 0).lease;
    bench.send(1, 1, tell(lease, 0, 0, 100));
    assert_eq!(free(&bench, 0), 10);
}

#[test]
fn a_rolling_window_in_debt_says_when_and_not_never() {
    let mut bench = Bench::new(rolling(60, 60), 1);
    bench.apply(0, &entry("debit", vec![change(None, -100)], Vec::new()));
    assert_eq!(bench.ask(0, 1, 5, 5).verdict, until(45), "40 of debt and 5, one a second");
    assert_eq!(bench.ask(45, 1, 5, 5).verdict, Verdict::Granted);
}

#[test]
fn nobody_is_told_of_a_change_that_helps_nobody() {
    let mut bench = Bench::new(budget(100, Window::Lifetime), 2);
    let lease = bench.ask(0, 1, 10, 10).lease;
    bench.apply(1, &Command::DeleteBudget { name: "b".to_owned() });
    let item = Item { want: 5, need: 5, ..tell(lease, 0, 0, 0) };
    assert_eq!(bench.lease(2, 1, item).verdict, Verdict::NotKept);
    assert_eq!(bench.nudges, [], "there is free value, but not to be had");
}

#[test]
fn a_number_that_was_answered_is_used_up() {
    let mut bench = Bench::new(budget(100, Window::Lifetime), 1);
    let batch = |sequence, items| Batch {
        session: SessionId(1),
        sequence,
        items: vec![ask(Target::Current(name()), 0, 0); items],
        rows: Vec::new(),
    };
    let refused = bench.batch(1, batch(1, MOST_ITEMS + 1));
    assert_eq!(refused.verdict, BatchVerdict::TooLarge);
    assert_eq!(bench.batch(1, batch(1, MOST_ITEMS + 1)), refused, "a copy gets the same answer");
    assert_eq!(bench.batch(2, batch(2, 1)).verdict, BatchVerdict::Applied);
}

#[test]
fn an_absurd_cost_is_booked_as_far_as_it_can_be() {
    let mut bench = Bench::new(budget(100, Window::Lifetime), 1);
    let lease = bench.ask(0, 1, 50, 50).lease;
    bench.send(1, 1, tell(lease, 40, 0, 0));
    let answer = bench.send(2, 1, tell(lease, 50, MOST_AMOUNT, 0));
    assert!(matches!(answer, ItemAnswer::Lease(_)), "a refused report would leave 10 unsettled: {answer:?}");
    let answer = bench.send(3, 1, tell(lease, 50, MOST_AMOUNT, 0));
    assert!(matches!(answer, ItemAnswer::Lease(_)), "nor does it stand in the way of later ones: {answer:?}");
}

#[test]
fn a_lease_that_is_asked_for_and_let_go_at_once_is_one_of_its_own() {
    let mut bench = Bench::new(budget(100, minute()), 1);
    let lease = bench.ask(0, 1, 50, 50).lease;
    bench.send(1, 1, tell(lease, 50, 0, 0));
    #[rustfmt::skip]
    let steps = [
        // target,                  overrun, answer,                                                           why
        (Target::Current(name()),        0,  Ok(()),                                                           "nothing was said by it"),
        (Target::Current(name()),       20,  Ok(()),                                                           "spent without a lease"),
        (Target::Next(name()),           0,  Err(Rejected::NoWindow),                                          "too early"),
    ];
    for (target, overrun, answer, why) in steps {
        let item = Item { overrun, keep: Keep::Close, ..ask(target, 30, 30) };
        let expected = answer.map_or_else(ItemAnswer::Rejected, |()| ItemAnswer::Closed);
        assert_eq!(bench.send(2, 1, item), expected, "{why}");
    }
    let leases = bench.ledger.leases(&name(), Timestamp(0));
    let records: Vec<_> = leases.iter().map(|view| (view.record.lease, view.record.settled)).collect();
    assert_eq!(records, [(lease, 50)], "the spent one goes on, and no other is left behind");
    let view = bench.ledger.bucket(&name(), Timestamp(0)).expect("open");
    assert_eq!((view.spent, view.outstanding), (70, 0), "what is closed is granted nothing");

    let item = Item { keep: Keep::Close, ..ask(Target::Next(name()), 30, 30) };
    assert_eq!(bench.send(59, 1, item), ItemAnswer::Closed, "the next window's, too");
    assert_eq!(bench.ledger.buckets().count(), 1, "nothing ever happened in the next window's bucket");
}

#[test]
fn an_item_that_is_refused_leaves_nothing_behind() {
    let mut bench = Bench::new(budget(100, minute()), 1);
    let impossible = [
        Item { settled: 1, ..ask(Target::Current(name()), 1, 1) },
        Item { returned: 1, ..ask(Target::Current(name()), 1, 1) },
        Item { overrun: u64::MAX, ..ask(Target::Current(name()), 1, 1) },
    ];
    for item in impossible {
        assert!(matches!(bench.send(1, 1, item.clone()), ItemAnswer::Rejected(_)), "{item:?}");
        assert_eq!(bench.ledger.buckets().count(), 0, "no bucket was opened for {item:?}");
    }
}

#[test]
fn a_budget_that_is_gone_says_so() {
    let mut bench = Bench::new(budget(100, minute()), 1);
    let lease = bench.ask(0, 1, 50, 50).lease;
    bench.apply(1, &Command::DeleteBudget { name: "b".to_owned() });
    let asks = Item { need: 5, ..tell(lease, 50, 0, 0) };
    assert_eq!(bench.lease(2, 1, asks).verdict, Verdict::NotKept);
    assert_eq!(bench.lease(2, 1, tell(lease, 50, 0, 0)).verdict, Verdict::Granted, "a report is a report");
}
