//! The ledger has closed a node's session while the node goes on. What was not told yet is told under the new session's name,
//! also by a restart that knows nothing but the new session's file.

use tollgate_ratelimit::journal::{Books, BootId, LastBatch, Opened};
use tollgate_ratelimit::ledger::command::Command;
use tollgate_ratelimit::ledger::outcome::BatchVerdict;

use crate::world::{AT, Flight, NODE, Seen, Who, World, check, deliver, key, open_session};

/// The first request is settled, and its batch is sent; then the session is lost, and the node goes on with another.
fn lose_session(world: &mut World, last: LastBatch) {
    for who in [Who::Request(0), Who::Request(0), Who::Clerk, Who::Clerk] {
        world.step(who);
    }
    let Flight::Sent(mut batch) = std::mem::replace(&mut world.flight, Flight::None) else {
        panic!("a batch is sent")
    };
    if last == LastBatch::Unknown {
        deliver(&mut world.ledger, &batch); // The answer is lost.
        world.now = world.now.plus(10_000);
        batch = world.wallet.poll(world.now).unwrap();
        world.append_sent(&batch);
    }
    world.ledger.apply(&Command::CloseSession { session: batch.session }, AT);
    let answer = deliver(&mut world.ledger, &batch);
    assert_eq!(answer.verdict, BatchVerdict::NoSession);
    world.wallet.handle(&answer, world.now);

    let (session, _) = open_session(&mut world.ledger, 2);
    let opened = Opened { session, incarnation: 2, node: NODE, boot: BootId::default() };
    let mut books = Books::default();
    world.records.drain(..).for_each(|record| books.apply(record).unwrap());
    world.begun = Some(books.resumed(opened, last));
    world.wallet.resume(session, world.now);
}

#[test]
fn rows_that_move_to_a_new_session_are_told_once() {
    let (request, clerk) = ([Who::Request(1); 2], [Who::Clerk; 4]);
    let orders = [[&clerk[..], &request, &clerk].concat(), [&request[..], &clerk, &clerk].concat()];
    for last in [LastBatch::Refused, LastBatch::Unknown] {
        for order in &orders {
            let mut world = World::new([key("a"), key("a")]);
            lose_session(&mut world, last);
            let mut seen = Seen::new();
            check(&world, &[], &mut seen);
            for steps in 1..=order.len() {
                world.step(order[steps - 1]);
                check(&world, &order[..steps], &mut seen);
            }
            assert!(seen.len() >= 5, "{}", seen.len());
        }
    }
}
