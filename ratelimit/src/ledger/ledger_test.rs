//! The ledger told step by step: each row a command, what it answers, and why.

use super::command::{Batch, BucketAdjustment, Item, Keep, LeaseId, Target};
use super::outcome::{Answer, BatchVerdict, Field, ItemAnswer, LeaseState, Rejected, Verdict, Why};
use super::*;
use crate::budget::{BucketName, Enforcement, Key, OnExhausted};
use crate::cover::Cover;
use crate::unit::Unit;
use crate::window::{Fixed, Period, Rolling, Window};
use crate::wire::snapshot::{Reader, Writer};

pub(crate) fn budget(limit: Amount, window: Window) -> Budget {
    Budget {
        name: "b".to_owned(),
        covers: Cover::default(),
        per: Vec::new(),
        unit: Unit::TotalTokens,
        limit,
        window,
        enforcement: Enforcement::Strict,
        on_exhausted: OnExhausted::Refuse,
    }
}

pub(crate) fn minute() -> Window {
    Window::Fixed(Fixed { every: Period::Minute, zone: "UTC".to_owned(), boundaries: Vec::new() })
}

pub(super) fn name() -> BucketName {
    BucketName { budget: BudgetId(1), key: Key::default() }
}

/// A ledger, and nodes that count their batches.
pub(super) struct Bench {
    pub(super) ledger: Ledger,
    sequences: Vec<u64>,
    pub(super) nudges: Vec<(SessionId, Why)>,
    known: BTreeMap<u32, (Timestamp, Item)>,
}

impl Bench {
    pub(super) fn new(budget: Budget, nodes: u32) -> Self {
        let mut bench = Self {
            ledger: Ledger::new(7),
            sequences: vec![0; nodes as usize + 1],
            nudges: Vec::new(),
            known: BTreeMap::new(),
        };
        bench.apply(0, &Command::SetBudget(Box::new(budget)));
        for node in 1..=nodes {
            bench.apply(0, &Command::OpenSession { node: NodeId(node.into()), incarnation: 1 });
        }
        bench
    }

    pub(super) fn apply(&mut self, at_s: u64, command: &Command) -> Outcome {
        let applied = self.ledger.apply(command, Timestamp(at_s * 1000));
        assert_eq!(self.ledger.check(), Ok(()), "after {command:?}");
        assert_eq!(restored(&self.ledger), written(&self.ledger), "a snapshot gives the same bytes back");
        self.nudges = applied.nudges.iter().map(|nudge| (nudge.session, nudge.why)).collect();
        applied.outcome
    }

    pub(super) fn send(&mut self, at_s: u64, node: u32, item: Item) -> ItemAnswer {
        self.sequences[node as usize] += 1;
        let sequence = self.sequences[node as usize];
        let batch = Batch { session: SessionId(node), sequence, items: vec![item], rows: Vec::new() };
        let said = batch.items[0].clone();
        let mut answer = self.batch(at_s, batch);
        assert_eq!(answer.verdict, BatchVerdict::Applied);
        let answer = answer.items.remove(0);
        self.remember(node, said, &answer);
        answer
    }

    /// The last lease of each node, and what it said of it.
    fn remember(&mut self, node: u32, said: Item, answer: &ItemAnswer) {
        match answer {
            ItemAnswer::Lease(state)
                if !self.known.contains_key(&node) || said.target != Target::Lease(state.lease) =>
            {
                let said = Item { target: Target::Lease(state.lease), ..said };
                self.known.insert(node, (state.window.end, said));
            }
            ItemAnswer::Lease(state) => {
                let known = self.known.get_mut(&node).filter(|(_, known)| known.target == said.target);
                if let Some(known) = known {
                    *known = (state.window.end, said);
                }
            }
            ItemAnswer::Closed => self.known.retain(|_, (_, known)| known.target != said.target),
            ItemAnswer::Rejected(_) => {}
        }
    }

    /// Many items in one batch, of which nothing is remembered.
    pub(super) fn send_all(&mut self, at_s: u64, node: u32, items: Vec<Item>) {
        self.sequences[node as usize] += 1;
        let sequence = self.sequences[node as usize];
        let batch = Batch { session: SessionId(node), sequence, items, rows: Vec::new() };
        assert_eq!(self.batch(at_s, batch).verdict, BatchVerdict::Applied);
    }

    /// Says something about a lease that goes on.
    pub(super) fn lease(&mut self, at_s: u64, node: u32, item: Item) -> LeaseState {
        let answer = self.send(at_s, node, item);
        let ItemAnswer::Lease(state) = answer else { panic!("a lease was expected, got {answer:?}") };
        state
    }

    pub(super) fn batch(&mut self, at_s: u64, batch: Batch) -> Answer {
        let outcome = self.apply(at_s, &Command::Batches(vec![batch]));
        let Outcome::Answers(mut answers) = outcome else { panic!("answers were expected, got {outcome:?}") };
        answers.remove(0)
    }

    pub(super) fn ask(&mut self, at_s: u64, node: u32, want: Amount, need: Amount) -> LeaseState {
        let now = self.ledger.now().max(Timestamp(at_s * 1000));
        let item = match self.known.get(&node) {
            Some((end, known)) if *end > now => Item { want, need, ..known.clone() },
            Some(_) | None => ask(Target::Current(name()), want, need),
        };
        self.lease(at_s, node, item)
    }
}

pub(super) fn written(ledger: &Ledger) -> Vec<u8> {
    let mut writer = Writer::begin([1; 16], Vec::new()).expect("memory can be written");
    ledger.write(&mut writer).expect("memory can be written");
    writer.finish().expect("memory can be written")
}

fn restored(ledger: &Ledger) -> Vec<u8> {
    let bytes = written(ledger);
    let mut reader = Reader::begin(bytes.as_slice()).expect("a header");
    written(&Ledger::read(&mut reader, 99).expect("what was written"))
}

pub(super) fn ask(target: Target, want: Amount, need: Amount) -> Item {
    Item { target, want, need, settled: 0, overrun: 0, returned: 0, idle: 0, keep: Keep::Open }
}

pub(super) fn tell(lease: LeaseId, settled: Amount, overrun: Amount, returned: Amount) -> Item {
    Item {
        target: Target::Lease(lease),
        want: 0,
        need: 0,
        settled,
        overrun,
        returned,
        idle: 0,
        keep: Keep::Open,
    }
}

pub(super) fn until(at_s: u64) -> Verdict {
    Verdict::Exhausted { until: Timestamp(at_s * 1000) }
}

#[test]
fn leases_are_parts_of_what_is_left() {
    let mut bench = Bench::new(budget(100, minute()), 3);
    #[rustfmt::skip]
    let steps = [
        // at, node, want, need, granted in all, verdict,                         why
        ( 0,  1,      60,   10,  50, Verdict::Granted,                            "half of what is left, not the wish"),
        ( 1,  2,      60,   10,  62, Verdict::Granted,                            "its share is smaller than its need: 12 of 50, then"),
        ( 2,  3,      60,   45,   0, Verdict::Wait,                               "38 are left: the others are asked first"),
        ( 3,  3,       0,   38,  38, Verdict::Granted,                            "the rest"),
        ( 4,  3,       0,  101,  38, Verdict::TooLarge { limit: 100 },            "never, not later"),
    ];
    let mut granted = 0;
    for (at, node, want, need, total, verdict, why) in steps {
        let state = bench.ask(at, node, want, need);
        if node == 2 {
            granted = state.granted;
            assert_eq!((50 + granted, state.verdict), (total, verdict), "{why}");
            continue;
        }
        assert_eq!((state.granted, state.verdict), (total, verdict), "{why}");
    }
    let view = bench.ledger.bucket(&name(), Timestamp(0)).expect("open");
    assert_eq!((view.outstanding, view.free), (100, 0));
    assert_eq!(granted, 12);
}

#[test]
fn a_refusal_is_final_only_after_a_recall() {
    let mut bench = Bench::new(budget(100, minute()), 2);
    let first = bench.ask(0, 1, 0, 100);
    assert_eq!(bench.ask(1, 2, 0, 30).verdict, Verdict::Wait);
    assert_eq!(bench.nudges, [(SessionId(1), Why::Recalled)], "node 1 is asked for what it does not need");

    bench.send(2, 1, tell(first.lease, 20, 0, 40));
    assert_eq!(bench.nudges, [(SessionId(2), Why::Changed)], "40 came back, 30 were needed");
    assert_eq!(bench.ask(2, 2, 0, 30).granted, 30);
    assert_eq!(bench.ask(2, 2, 0, 30).verdict, Verdict::Held, "node 1 kept what it needs just now");
    bench.send(2, 1, tell(first.lease, 60, 0, 40));
    let second = bench.ask(2, 2, 0, 0).lease;
    bench.send(3, 2, tell(second, 30, 0, 0));
    assert_eq!(bench.ask(3, 2, 0, 30).verdict, until(60), "all but 10 are spent, and nobody holds anything");
    assert_eq!(bench.ask(60, 2, 0, 30).verdict, Verdict::Granted, "a new window is whole again");
    assert_eq!(bench.ask(59, 2, 0, 30).window.start, Timestamp(60_000), "a stamp that is late is read as 60");
}

#[test]
fn a_batch_is_applied_once() {
    let mut bench = Bench::new(budget(100, minute()), 1);
    let row = Row { requests: 1, ..Row::default() };
    let key = RowKey { consumer: "c".into(), model: "m".into(), backend: "d/b".into(), hour: 0 };
    let batch = |sequence| Batch {
        session: SessionId(1),
        sequence,
        items: vec![ask(Target::Current(name()), 0, 10)],
        rows: vec![(key.clone(), row)],
    };
    let first = bench.batch(0, batch(1));
    assert_eq!(bench.batch(5, batch(1)), first, "the same answer, with its old time");
    assert_eq!(bench.batch(6, batch(3)).verdict, BatchVerdict::OutOfSequence { expected: 2 });
    assert_eq!(bench.batch(6, batch(2)).verdict, BatchVerdict::Applied);
    assert_eq!(
        bench.batch(7, batch(1)).verdict,
        BatchVerdict::OutOfSequence { expected: 3 },
        "long answered"
    );
    let requests: u64 = bench.ledger.rows().rows().map(|(_, row)| row.requests).sum();
    assert_eq!(requests, 2);
    let stranger = Batch { session: SessionId(9), sequence: 1, ..Batch::default() };
    assert_eq!(bench.batch(8, stranger).verdict, BatchVerdict::NoSession);
}

#[test]
fn totals_that_can_not_be_are_refused_whole() {
    let mut bench = Bench::new(budget(100, minute()), 2);
    let lease = bench.ask(0, 1, 0, 50).lease;
    bench.send(1, 1, tell(lease, 20, 0, 10));
    let stale = LeaseId { generation: lease.generation + 1, ..lease };
    #[rustfmt::skip]
    let steps = [
        (1, tell(lease, 19, 0, 10), "settled runs backwards"),
        (1, tell(lease, 20, 0, 9),  "returned runs backwards"),
        (1, tell(lease, 41, 0, 10), "more than was granted"),
        (1, tell(lease, u64::MAX, 0, u64::MAX), "sums that overflow"),
        (1, tell(lease, 20, u64::MAX, 10), "an overrun beyond all sense"),
        (2, tell(lease, 20, 0, 10), "another's lease"),
        (1, tell(stale, 20, 0, 10), "a lease of an earlier time"),
    ];
    let before = bench.ledger.bucket(&name(), Timestamp(0));
    for (node, item, why) in steps {
        assert!(matches!(bench.send(2, node, item), ItemAnswer::Rejected(_)), "{why}");
        assert_eq!(bench.ledger.bucket(&name(), Timestamp(0)), before, "{why}");
    }
}

#[test]
fn what_a_lease_pays_for_is_charged_to_its_window() {
    let mut bench = Bench::new(budget(100, minute()), 2);
    let old = bench.ask(59, 1, 0, 80);
    let new = bench.ask(60, 1, 0, 80);
    assert_ne!(old.lease, new.lease);
    bench.send(61, 1, tell(old.lease, 80, 0, 0));
    let spent = |bench: &Bench, start| bench.ledger.bucket(&name(), Timestamp(start)).map(|view| view.spent);
    assert_eq!((spent(&bench, 0), spent(&bench, 60_000)), (Some(80), Some(0)));
    bench.apply(61, &Command::Tick);
    assert_eq!(spent(&bench, 0), Some(80), "held open by its lease");
    let last = Item { keep: Keep::Close, ..tell(old.lease, 80, 0, 0) };
    assert_eq!(bench.send(62, 1, last), ItemAnswer::Closed);
    assert_eq!(spent(&bench, 0), None);
    let (_, closed) = bench.ledger.closed(BudgetId(1));
    assert_eq!(closed.iter().map(|one| (one.window.start.0, one.spent)).collect::<Vec<_>>(), [(0, 80)]);
}

#[test]
fn a_silent_node_is_not_waited_for_and_never_robbed() {
    let mut bench = Bench::new(budget(100, Window::Lifetime), 2);
    let lease = bench.ask(0, 1, 0, 70).lease;
    assert_eq!(bench.ask(1, 2, 0, 50).verdict, Verdict::Wait);
    bench.apply(32, &Command::Tick);
    assert_eq!(
        bench.ask(33, 2, 0, 50).verdict,
        Verdict::Exhausted { until: Timestamp(38_000) },
        "what it holds may be spent, or come back with it: look again"
    );
    bench.send(40, 1, tell(lease, 10, 0, 60));
    assert_eq!(bench.nudges, [(SessionId(2), Why::Changed)], "it was only cut off");
    assert_eq!(bench.ask(41, 2, 0, 50).granted, 50);

    bench.apply(50, &Command::ForgetNode { node: NodeId(2) });
    let view = bench.ledger.bucket(&name(), Timestamp(0)).expect("open");
    assert_eq!((view.spent, view.forfeited, view.free), (60, 50, 40), "forfeits count as spent");
    assert_eq!(
        bench.apply(51, &Command::OpenSession { node: NodeId(2), incarnation: 1 }),
        Outcome::Rejected(Rejected::OldIncarnation { newest: 1 })
    );
}

#[test]
fn a_rolling_window_is_seen_as_it_will_be() {
    let mut bench = Bench::new(budget(100, Window::Rolling(Rolling { period_ms: 1_000, burst: 30 })), 1);
    let lease = bench.ask(0, 1, 0, 30).lease;
    bench.send(0, 1, tell(lease, 30, 0, 0));
    #[rustfmt::skip]
    let rows = [
        // at, free, whole, why
        (  0,  0, 300, "all is spent"),
        (105, 10, 300, "10.5 came back"),
        (400, 30, 400, "full: whole already"),
    ];
    for (at, free, whole, why) in rows {
        let view = bench.ledger.bucket_at(&name(), Timestamp(0), Timestamp(at)).expect("open");
        assert_eq!((view.free, view.whole), (free, Timestamp(whole)), "{why}");
    }
}

#[test]
fn limits_move_while_leases_are_out() {
    let mut bench = Bench::new(budget(100, Window::Lifetime), 2);
    let lease = bench.ask(0, 1, 0, 90).lease;
    bench.apply(1, &Command::SetBudget(Box::new(budget(50, Window::Lifetime))));
    assert_eq!(bench.nudges, [(SessionId(1), Why::Recalled)]);
    let free = |bench: &Bench| bench.ledger.bucket(&name(), Timestamp(0)).map(|view| view.free);
    assert_eq!(free(&bench), Some(-40));
    assert_eq!(bench.ask(2, 2, 0, 1).verdict, Verdict::Wait, "down below what is out: grants stop");
    bench.send(3, 1, tell(lease, 60, 0, 30));
    assert_eq!(free(&bench), Some(-10), "down below what is spent is legal");
    assert_eq!(bench.ask(4, 2, 0, 1).verdict, Verdict::Exhausted { until: Timestamp::NEVER });
    bench.apply(5, &Command::SetBudget(Box::new(budget(80, Window::Lifetime))));
    assert_eq!(bench.nudges, [(SessionId(2), Why::Changed)], "up: who was refused is told");
    assert_eq!(bench.ask(6, 2, 0, 20).granted, 20);
    let other_unit = Budget { unit: Unit::Cost, ..budget(80, Window::Lifetime) };
    assert!(matches!(bench.apply(7, &Command::SetBudget(Box::new(other_unit))), Outcome::Rejected(_)));
    let week = budget(80, Window::Rolling(Rolling { period_ms: 1, burst: 1 }));
    assert!(matches!(bench.apply(7, &Command::SetBudget(Box::new(week))), Outcome::Rejected(_)));

    bench.apply(8, &Command::DeleteBudget { name: "b".to_owned() });
    let last = Item { keep: Keep::Close, ..tell(lease, 60, 0, 30) };
    assert_eq!(bench.send(9, 1, last), ItemAnswer::Closed, "leases of a deleted budget still settle");
    assert_eq!(
        bench.send(9, 2, ask(Target::Current(name()), 0, 1)),
        ItemAnswer::Rejected(Rejected::UnknownBudget)
    );
    assert_eq!(bench.ledger.spent_ever(BudgetId(1)), 60);
}

#[test]
fn nobody_is_called_for_what_is_not_handed_out_any_more() {
    let cases = [
        (60, false, until(60), "the window is over"),
        (1, true, Verdict::NotKept, "the budget is deleted"),
        (60, true, Verdict::NotKept, "both"),
    ];
    for (at_s, deletes, verdict, why) in cases {
        let mut bench = Bench::new(budget(100, minute()), 1);
        let lease = bench.ask(0, 1, 0, 60).lease;
        if deletes {
            bench.apply(at_s, &Command::DeleteBudget { name: "b".to_owned() });
        }
        let asks = Item { need: 5, ..tell(lease, 60, 0, 0) };
        let ItemAnswer::Lease(state) = bench.send(at_s, 1, asks) else { panic!("a lease") };
        assert_eq!(state.verdict, verdict, "{why}");
        assert_eq!(bench.nudges, [], "40 are free, and stay so: {why}");
    }
}

#[test]
fn overruns_are_booked_covered_where_possible_and_carried() {
    let mut bench = Bench::new(budget(100, minute()), 1);
    let lease = bench.ask(0, 1, 0, 60).lease;
    let ItemAnswer::Lease(state) = bench.send(1, 1, tell(lease, 60, 30, 0)) else { panic!("a lease") };
    assert_eq!(state.covered, 30, "40 were free");
    let ItemAnswer::Lease(state) = bench.send(2, 1, tell(lease, 60, 55, 0)) else { panic!("a lease") };
    assert_eq!(state.covered, 40, "15 are a debt");
    bench.send(3, 1, Item { keep: Keep::Close, ..tell(lease, 60, 55, 0) });
    bench.apply(60, &Command::Tick);
    assert_eq!(bench.ask(61, 1, 0, 86).verdict, Verdict::TooLarge { limit: 85 }, "the next window pays it");
}

#[test]
fn an_allowance_that_was_spent_before_a_lease_came_is_told_by_the_buckets_name() {
    let mut bench = Bench::new(budget(100, minute()), 1);
    let item = |overrun, keep| Item { overrun, keep, ..ask(Target::Current(name()), 0, 0) };
    assert_eq!(bench.send(0, 1, item(30, Keep::Close)), ItemAnswer::Closed);
    assert_eq!(bench.ledger.bucket(&name(), Timestamp(0)).map(|view| view.spent), Some(30));
    let ItemAnswer::Lease(state) = bench.send(1, 1, item(30, Keep::Open)) else { panic!("a lease") };
    assert_eq!(state.covered, 30, "another lease has totals of its own");
    let backwards = bench.send(2, 1, tell(state.lease, 0, 0, 0));
    assert!(matches!(backwards, ItemAnswer::Rejected(Rejected::Impossible { field: Field::Overrun, .. })));
}

#[test]
fn never_and_later_are_told_apart_by_what_lies_idle() {
    let mut bench = Bench::new(budget(100, minute()), 2);
    let lease = bench.ask(0, 1, 0, 60).lease;
    let ask = |need, idle| Item { need, idle, ..tell(lease, 0, 0, 0) };
    #[rustfmt::skip]
    let steps = [
        // need, idle, verdict,                             why
        (    41,   60, Verdict::TooLarge { limit: 100 },    "101 are more than there ever are, though it has 60 of them"),
        (    41,   59, Verdict::Held,                       "100 in all: what its one request holds is lacking"),
        (    60,    0, Verdict::Held,                       "its own requests will end"),
    ];
    for (need, idle, verdict, why) in steps {
        let ItemAnswer::Lease(state) = bench.send(1, 1, ask(need, idle)) else { panic!("{why}") };
        assert_eq!(state.verdict, verdict, "{why}");
    }
    bench.send(2, 1, tell(lease, 30, 0, 0));
    assert_eq!(bench.ask(2, 2, 0, 71).verdict, until(60), "70 are not spent: nobody need be asked for them");
    assert_eq!(bench.nudges, []);
    assert_eq!(bench.ask(2, 2, 0, 70).verdict, Verdict::Wait);
}

#[test]
fn a_bucket_that_nobody_spent_from_is_as_if_it_had_never_been() {
    let mut bench = Bench::new(budget(100, Window::Lifetime), 1);
    let lease = bench.ask(0, 1, 0, 50).lease;
    assert_eq!(bench.send(1, 1, Item { keep: Keep::Close, ..tell(lease, 0, 0, 50) }), ItemAnswer::Closed);
    assert_eq!((bench.ledger.buckets().count(), bench.ledger.closed(BudgetId(1)).1.len()), (0, 0));
}

#[test]
fn an_operators_entry_is_booked_once() {
    let mut bench = Bench::new(budget(100, Window::Lifetime), 1);
    bench.ask(0, 1, 0, 100);
    assert_eq!(bench.ask(1, 1, 0, 5).verdict, Verdict::Held);
    let entry = |amount| {
        Command::Adjust(Box::new(Adjustment {
            id: "credit-1".to_owned(),
            by: "ops".to_owned(),
            reason: "goodwill".to_owned(),
            buckets: vec![BucketAdjustment { bucket: name(), window: None, amount }],
            rows: Vec::new(),
        }))
    };
    assert_eq!(bench.apply(2, &entry(10)), Outcome::Done);
    assert_eq!(bench.nudges, [(SessionId(1), Why::Changed)]);
    assert_eq!(bench.apply(3, &entry(10)), Outcome::Done);
    let view = bench.ledger.bucket(&name(), Timestamp(0)).expect("open");
    assert_eq!((view.allowed, view.adjusted, bench.ledger.adjustments().count()), (110, 10, 1));
    let Command::Adjust(mut wrong) = entry(i64::MAX) else { unreachable!() };
    wrong.id = "credit-2".to_owned();
    assert!(matches!(bench.apply(4, &Command::Adjust(wrong)), Outcome::Rejected(_)), "beyond all sense");
}

#[test]
fn a_rolling_window_gives_back_at_its_rate() {
    let window = Window::Rolling(Rolling { period_ms: 60_000, burst: 60 });
    let mut bench = Bench::new(budget(60, window), 1);
    let lease = bench.ask(0, 1, 0, 60).lease;
    bench.send(0, 1, tell(lease, 60, 0, 0));
    assert_eq!(bench.ask(0, 1, 0, 5).verdict, until(5), "one a second");
    assert_eq!(bench.ask(5, 1, 0, 5).verdict, Verdict::Granted);
    assert_eq!(bench.ask(5, 1, 0, 61).verdict, Verdict::TooLarge { limit: 60 }, "more than the burst");
    bench.send(6, 1, Item { keep: Keep::Close, ..tell(lease, 65, 0, 0) });
    assert_eq!(bench.ledger.buckets().count(), 1);
    bench.apply(100, &Command::Tick);
    assert_eq!(bench.ledger.buckets().count(), 0, "full again: as if it had never been opened");
    assert_eq!(bench.ledger.spent_ever(BudgetId(1)), 65);
}
