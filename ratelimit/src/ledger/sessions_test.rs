//! Runs of nodes that end: which of them may still speak, and what they may say.

use super::command::{Batch, Command, Item, Keep, Target};
use super::edges_test::free;
use super::ledger_test::{Bench, ask, budget, name, tell};
use super::limits::MOST_SESSIONS;
use super::outcome::{BatchVerdict, ItemAnswer, Outcome, Rejected, Unfinished, Verdict};
use super::*;
use crate::window::Window;

fn open(bench: &mut Bench, node: u64, incarnation: u64) -> (SessionId, Vec<Unfinished>) {
    let outcome = bench.apply(10, &Command::OpenSession { node: NodeId(node), incarnation });
    let Outcome::SessionOpened { session, earlier } = outcome else { panic!("{outcome:?}") };
    (session, earlier)
}

fn row(requests: u64) -> (RowKey, Row) {
    let key = RowKey { consumer: "c".into(), model: "m".into(), backend: "d/b".into(), hour: 0 };
    (key, Row { requests, ..Row::default() })
}

fn requests(bench: &Bench) -> u64 {
    bench.ledger.rows().rows().map(|(_, row)| row.requests).sum()
}

fn batch(session: SessionId, sequence: u64, items: Vec<Item>) -> Batch {
    Batch { session, sequence, items, rows: vec![row(1)] }
}

#[test]
fn a_run_that_another_took_over_from_settles_and_gets_nothing() {
    let mut bench = Bench::new(budget(100, Window::Lifetime), 2);
    let lease = bench.ask(0, 1, 40, 40).lease;
    let (newer, earlier) = open(&mut bench, 1, 2);
    assert_eq!(earlier.len(), 1);

    // On its way since before the restart.
    let late = batch(
        SessionId(1),
        2,
        vec![Item { want: 20, need: 20, ..tell(lease, 30, 0, 0) }, ask(Target::Current(name()), 20, 20)],
    );
    let answer = bench.batch(11, late);
    assert_eq!(answer.verdict, BatchVerdict::Applied);
    for item in &answer.items {
        let ItemAnswer::Lease(state) = item else { panic!("a lease was expected: {item:?}") };
        assert_eq!(state.verdict, Verdict::Exhausted { until: Timestamp::NEVER }, "{state:?}");
    }
    let view = bench.ledger.bucket(&name(), Timestamp(0)).expect("open");
    assert_eq!((view.spent, view.outstanding), (30, 10), "what it spent is spent, and it got no more");
    assert_eq!(requests(&bench), 1, "what it says of finished requests counts");
    let fenced = |session| {
        let one = bench.ledger.sessions().find(|(id, ..)| *id == session);
        one.is_some_and(|(.., fenced)| fenced)
    };
    assert_eq!((fenced(SessionId(1)), fenced(newer)), (true, false), "nobody waits for it again");
    assert_eq!(
        bench.ask(12, 2, 0, 65).verdict,
        Verdict::Exhausted { until: Timestamp(12_000 + 5_000) },
        "the 10 that it held do not come back by waiting, but when the newer run has told of it"
    );
    assert_eq!(
        bench.ask(12, 2, 0, 75).verdict,
        Verdict::Exhausted { until: Timestamp::NEVER },
        "they would not be enough"
    );
}

#[test]
fn a_run_that_another_took_over_from_opens_nothing() {
    let mut bench = Bench::new(budget(100, Window::Lifetime), 1);
    let (newer, _) = open(&mut bench, 1, 2);
    assert_eq!(
        bench.apply(11, &Command::OpenSession { node: NodeId(1), incarnation: 1 }),
        Outcome::Rejected(Rejected::OldIncarnation { newest: 2 }),
        "a question that was long on its way: the newer run is not one of its earlier ones"
    );
    let (same, earlier) = open(&mut bench, 1, 2);
    assert_eq!((same, earlier.len()), (newer, 1), "asked twice, the same is named");
}

#[test]
fn what_a_forgotten_node_has_still_to_tell_is_taken_when_it_comes_back() {
    let mut bench = Bench::new(budget(100, Window::Lifetime), 1);
    let lease = bench.ask(0, 1, 40, 40).lease;
    bench.apply(1, &Command::ForgetNode { node: NodeId(1) });
    assert_eq!(free(&bench, 0), 60, "what it held counts as spent");
    assert_eq!(bench.ledger.sessions().count(), 0);
    assert_eq!(bench.ledger.forgotten().collect::<Vec<_>>(), [(SessionId(1), NodeId(1), 1, 1)]);

    let (_, earlier) = open(&mut bench, 1, 2);
    let told: Vec<_> = earlier.iter().map(|one| (one.session, one.last_sequence, one.leases.len())).collect();
    assert_eq!(told, [(SessionId(1), 1, 0)], "the next run settles it");
    let mut items = vec![tell(lease, 30, 0, 10)];
    items.push(Item { overrun: 7, keep: Keep::Close, ..ask(Target::Current(name()), 0, 0) });
    let answer = bench.batch(12, batch(SessionId(1), 2, items.clone()));
    assert_eq!(answer.items, [ItemAnswer::Rejected(Rejected::UnknownLease), ItemAnswer::Closed]);
    assert_eq!(bench.batch(13, batch(SessionId(1), 2, items)), answer, "once");
    assert_eq!((requests(&bench), free(&bench, 0)), (1, 53), "the row, and what was spent without a lease");
    assert_eq!(bench.apply(14, &Command::CloseSession { session: SessionId(1) }), Outcome::Done);
    assert_eq!((bench.ledger.forgotten().count(), open(&mut bench, 1, 2).1.len()), (0, 0));
}

#[test]
fn a_process_that_outlives_its_node_being_forgotten_goes_on_under_another_session_alone() {
    let mut bench = Bench::new(budget(100, Window::Lifetime), 1);
    bench.apply(1, &Command::ForgetNode { node: NodeId(1) });
    let refused = bench.batch(2, batch(SessionId(1), 1, Vec::new()));
    assert_eq!(refused.verdict, BatchVerdict::NoSession, "its process runs on: another session, please");
    let (other, earlier) = open(&mut bench, 1, 2);
    assert!(earlier.is_empty(), "it takes along what it has to tell");
    let copy = bench.batch(3, batch(SessionId(1), 1, Vec::new()));
    assert_eq!(copy.verdict, BatchVerdict::NoSession, "a second copy that was long on its way");
    assert_eq!(requests(&bench), 0);
    assert_eq!(bench.batch(4, batch(other, 1, Vec::new())).verdict, BatchVerdict::Applied);
    assert_eq!(requests(&bench), 1, "the row that was refused, under the new name");
}

#[test]
fn forgotten_runs_make_room() {
    let mut bench = Bench::new(budget(100, Window::Lifetime), 0);
    let mut ledger = std::mem::replace(&mut bench.ledger, Ledger::new(1));
    for node in 0..MOST_SESSIONS as u64 {
        ledger.apply(&Command::OpenSession { node: NodeId(node), incarnation: 1 }, Timestamp(0));
    }
    let another = Command::OpenSession { node: NodeId(u64::MAX), incarnation: 1 };
    let full = Outcome::Rejected(Rejected::full("sessions", MOST_SESSIONS));
    assert_eq!(ledger.apply(&another, Timestamp(1)).outcome, full);
    for node in [7, 5] {
        ledger.apply(&Command::ForgetNode { node: NodeId(node) }, Timestamp(1));
    }
    assert!(matches!(ledger.apply(&another, Timestamp(1)).outcome, Outcome::SessionOpened { .. }));
    let left: Vec<_> = ledger.forgotten().map(|(_, node, ..)| node).collect();
    assert_eq!(left, [NodeId(7)], "the oldest goes first");
}

#[test]
fn leases_are_found_by_their_session() {
    let mut bench = Bench::new(budget(100, Window::Lifetime), 2);
    bench.ask(0, 1, 10, 10);
    bench.ask(0, 2, 10, 10);
    bench.send(0, 1, ask(Target::Current(name()), 0, 5));
    let (_, earlier) = open(&mut bench, 1, 2);
    let granted: Vec<_> = earlier[0].leases.iter().map(|lease| lease.granted).collect();
    assert_eq!(granted, [10, 5]);
    bench.apply(11, &Command::CloseSession { session: SessionId(1) });
    let view = bench.ledger.bucket(&name(), Timestamp(0)).expect("open");
    assert_eq!((view.forfeited, view.outstanding), (15, 10), "and only its own");
}
