//! What was spent beyond leases: which of it is a debt, who pays it, and that none of it gets lost.

use super::command::{BucketAdjustment, Command, Item, Keep, Target};
use super::edges_test::{change, close, entry, free, set};
use super::ledger_test::{Bench, ask, budget, minute, name, tell, until};
use super::limits::MOST_BUCKETS;
use super::outcome::{ItemAnswer, Outcome, Rejected};
use super::*;
use crate::budget::{BucketName, Enforcement, Key};
use crate::dice::Dice;
use crate::window::{Fixed, Period, Window};

fn hours(boundaries: &[u64]) -> Window {
    let boundaries = boundaries.iter().map(|hour| Timestamp(hour * 3_600_000)).collect();
    Window::Fixed(Fixed { every: Period::Hour, zone: "UTC".to_owned(), boundaries })
}

fn extended(hours: &[u64]) -> Command {
    let boundaries = hours.iter().map(|hour| Timestamp(hour * 3_600_000)).collect();
    Command::ExtendCalendar { name: "b".to_owned(), boundaries }
}

fn kept(limit: Amount, enforcement: Enforcement) -> Command {
    set(Budget { enforcement, ..budget(limit, minute()) })
}

/// A node that keeps to its allowance, and says so in any order.
#[derive(Clone, Copy, Default)]
struct Honest {
    lease: Option<super::command::LeaseId>,
    granted: Amount,
    settled: Amount,
    overrun: Amount,
    returned: Amount,
    covered: Amount,
}

#[test]
fn an_allowance_is_whole_again_only_by_what_the_budget_paid() {
    const PER_NODE: Amount = 10;
    for seed in 0..100 {
        let mut dice = Dice(seed);
        let enforcement = Enforcement::Bounded { per_node: PER_NODE };
        let mut bench = Bench::new(Budget { enforcement, ..budget(60, Window::Lifetime) }, 3);
        let mut nodes = [Honest::default(); 4];
        for _ in 0..60 {
            let node = [1, 2, 3][usize::try_from(dice.below(3)).unwrap()];
            let one = &mut nodes[node as usize];
            let on_lease = one.granted - one.settled - one.returned;
            let lendable = PER_NODE - (one.overrun - one.covered);
            let (want, amount) = (dice.below(20), dice.below(12));
            match dice.below(5) {
                0 => one.settled += amount.min(on_lease),
                1 => one.returned += amount.min(on_lease),
                2 | 3 => one.overrun += amount.min(lendable),
                _ => {}
            }
            let item = match one.lease {
                Some(lease) => Item { want, ..tell(lease, one.settled, one.overrun, one.returned) },
                None => Item { overrun: one.overrun, ..ask(Target::Current(name()), want, 0) },
            };
            let state = bench.lease(1, node, item);
            (one.lease, one.granted, one.covered) = (Some(state.lease), state.granted, state.covered);
            let spent = bench.ledger.spent_ever(BudgetId(1));
            assert!(spent <= 60 + 3 * PER_NODE, "seed {seed}: {spent} spent");
        }
    }
}

/// Opens buckets of other keys until this many are open.
fn fill(bench: &mut Bench, upto: usize) {
    let open = bench.ledger.buckets().count();
    let other = |at: usize| BucketName { budget: BudgetId(1), key: Key(format!("other-{at}").into()) };
    let ask_for = |at| ask(Target::Current(other(at)), 0, 1);
    bench.send_all(0, 1, (open..upto).map(ask_for).collect());
    assert_eq!(bench.ledger.buckets().count(), upto);
}

#[test]
fn a_debt_waits_for_a_window_that_can_pay_it() {
    let mut bench = Bench::new(budget(100, hours(&[0, 1])), 1);
    let lease = bench.ask(0, 1, 100, 100).lease;
    bench.send(1, 1, close(lease, 100, 250, 0));
    bench.apply(3_600, &Command::Tick);
    bench.apply(3_700, &Command::Tick);
    bench.apply(4_000, &extended(&[2]));
    assert_eq!(free(&bench, 3_600_000), -150, "the window that there is now has the debt at once");
    bench.apply(7_300, &Command::Tick);
    bench.apply(11_000, &extended(&[3, 4]));
    assert_eq!(free(&bench, 3 * 3_600_000), -50, "100 were paid; there was no calendar for a while");
    assert_eq!(bench.ledger.buckets().count(), 1, "those that are over are closed");
}

#[test]
fn what_is_told_once_while_there_is_no_window_waits_for_one() {
    let told = |overrun| Item { overrun, keep: Keep::Close, ..ask(Target::Current(name()), 0, 0) };
    let none = ItemAnswer::Rejected(Rejected::NoWindow);
    let mut bench = Bench::new(budget(100, hours(&[0, 1])), 1);
    assert_eq!(
        bench.send(4_000, 1, told(90)),
        ItemAnswer::Closed,
        "what a restart tells does not come again"
    );
    assert_eq!(bench.send(4_001, 1, told(60)), ItemAnswer::Closed);
    assert_eq!(bench.send(4_002, 1, ask(Target::Current(name()), 0, 1)), none, "nothing is granted of it");
    assert_eq!(bench.ledger.spent_ever(BudgetId(1)), 150);
    bench.apply(5_000, &extended(&[2]));
    assert_eq!(free(&bench, 3_600_000), -50, "the window that there is now");
    bench.apply(7_300, &Command::Tick);
    bench.apply(11_000, &extended(&[3, 4]));
    assert_eq!(free(&bench, 3 * 3_600_000), 50, "its debt went on");
    assert_eq!(bench.ledger.buckets().count(), 1, "it is over, and closed");

    let mut early = Bench::new(budget(100, hours(&[2, 3])), 1);
    assert_eq!(early.send(4_000, 1, told(30)), ItemAnswer::Closed);
    assert_eq!(free(&early, 2 * 3_600_000), 70, "the first one there is");
}

#[test]
fn a_debt_is_carried_though_no_more_buckets_fit() {
    let mut bench = Bench::new(budget(100, minute()), 1);
    let lease = bench.ask(0, 1, 100, 100).lease;
    fill(&mut bench, MOST_BUCKETS);
    bench.send(61, 1, close(lease, 100, 30, 0));
    assert_eq!(free(&bench, 60_000), 70, "the bucket that was closed makes room for the one that pays");
}

#[test]
fn an_entry_for_which_there_is_no_room_changes_nothing() {
    let mut bench = Bench::new(budget(100, minute()), 1);
    bench.ask(0, 1, 10, 10);
    fill(&mut bench, MOST_BUCKETS - 1);
    let credit = |key: &str| BucketAdjustment {
        bucket: BucketName { budget: BudgetId(1), key: Key(key.into()) },
        window: None,
        amount: 5,
    };
    let before = written_without_rows(&bench);
    let full = Outcome::Rejected(Rejected::full("buckets", MOST_BUCKETS));
    let two = vec![change(None, 5), credit("new"), credit("newer")];
    assert_eq!(bench.apply(1, &entry("two", two, Vec::new())), full, "room for one of two");
    assert_eq!(written_without_rows(&bench), before, "nothing is half done");
    let one = vec![change(None, 5), credit("new"), credit("new")];
    assert_eq!(bench.apply(1, &entry("one", one, Vec::new())), Outcome::Done, "one bucket, named twice");
    assert_eq!(free(&bench, 0), 95);
    let none = vec![credit("newest")];
    assert_eq!(bench.apply(1, &entry("none", none, Vec::new())), full);
}

fn written_without_rows(bench: &Bench) -> Vec<(BucketName, i64, i128)> {
    bench.ledger.buckets().map(|view| (view.name, view.adjusted, view.free)).collect()
}

#[test]
fn what_a_shadow_budget_counted_is_spent_and_no_debt() {
    #[rustfmt::skip]
    let cases = [
        // spent as shadow, then as strict, debt, why
        (500,  0,  0, "it was allowed when it was spent"),
        (500, 20, 20, "what passed the limit since then is owed"),
        ( 90, 25, 15, "10 were left"),
        (  0, 30,  0, "100 were left"),
    ];
    for (shadow, strict, debt, why) in cases {
        let mut bench = Bench::new(Budget { enforcement: Enforcement::Shadow, ..budget(100, minute()) }, 1);
        let lease = bench.ask(0, 1, 0, 0).lease;
        bench.send(1, 1, tell(lease, 0, shadow, 0));
        bench.apply(2, &kept(100, Enforcement::Strict));
        assert_eq!(free(&bench, 0), 100 - i128::from(shadow), "what was spent is spent: {why}");
        if shadow >= 100 {
            let item = Item { need: 1, ..tell(lease, 0, shadow, 0) };
            let state = bench.lease(3, 1, item);
            assert_eq!((state.granted, state.verdict), (0, until(60)), "grants stop: {why}");
        }
        bench.send(4, 1, close(lease, 0, shadow + strict, 0));
        bench.apply(60, &Command::Tick);
        let next = bench.ask(61, 1, 0, 0).window.start.0;
        assert_eq!(free(&bench, next), 100 - i128::from(debt), "{why}");
    }
}

#[test]
fn a_debt_outlives_a_time_in_the_shadow() {
    let mut bench = Bench::new(budget(100, minute()), 1);
    let lease = bench.ask(0, 1, 100, 100).lease;
    bench.send(1, 1, tell(lease, 100, 30, 0));
    bench.apply(2, &kept(100, Enforcement::Shadow));
    bench.send(3, 1, close(lease, 100, 530, 0));
    bench.apply(60, &Command::Tick);
    assert_eq!(free(&bench, 60_000), 70, "the 30 are owed, the 500 are not");
}

#[test]
fn what_a_bucket_could_pay_for_is_paid() {
    let lowered = |bench: &mut Bench| drop(bench.apply(2, &set(budget(50, minute()))));
    let debited =
        |bench: &mut Bench| drop(bench.apply(2, &entry("debit", vec![change(None, -50)], Vec::new())));
    let changes: [(fn(&mut Bench), _); 2] =
        [(lowered, "a limit that is lowered fines nobody"), (debited, "nor does a debit")];
    for (change_it, why) in changes {
        let mut bench = Bench::new(budget(100, minute()), 1);
        let lease = bench.ask(0, 1, 60, 60).lease;
        bench.send(1, 1, tell(lease, 60, 30, 0));
        assert_eq!(free(&bench, 0), 10);
        change_it(&mut bench);
        assert_eq!(free(&bench, 0), -40);
        bench.send(3, 1, close(lease, 60, 30, 0));
        bench.apply(60, &Command::Tick);
        assert_eq!(bench.ledger.buckets().count(), 0, "no debt: {why}");
    }
}
