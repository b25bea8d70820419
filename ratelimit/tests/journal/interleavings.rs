//! Two requests settle while the clerk polls, in every order that threads can take, and the node is killed after every step.

use crate::world::{Seen, Who, World, check, key};
use tollgate_ratelimit::RowKey;

/// Four steps a batch: poll, append `Sent`, deliver, answer.
const MOST_CLERK_STEPS: usize = 8;

/// Every order of steps that goes on from `steps`.
fn explore(keys: &[RowKey; 2], steps: &mut Vec<Who>, seen: &mut Seen) -> usize {
    let mut world = World::new(keys.clone());
    for who in &*steps {
        world.step(*who);
    }
    check(&world, steps, seen);
    let taken = |who| steps.iter().filter(|taken| **taken == who).count();
    let left = [(Who::Request(0), 2), (Who::Request(1), 2), (Who::Clerk, MOST_CLERK_STEPS)]
        .map(|(who, most)| (who, taken(who) < most));
    let mut orders = 1;
    for (who, _) in left.into_iter().filter(|(_, left)| *left) {
        steps.push(who);
        orders += explore(keys, steps, seen);
        steps.pop();
    }
    orders
}

#[test]
fn killed_in_any_order_of_steps_each_request_is_booked_once() {
    for keys in [[key("a"), key("a")], [key("a"), key("b")]] {
        let orders = explore(&keys, &mut Vec::new(), &mut Seen::new());
        assert!(orders > 10_000, "{orders}");
    }
}

#[cfg(feature = "planted-faults")]
#[test]
fn a_planted_fault_is_seen() {
    use tollgate_ratelimit::fault::{Fault, plant};
    for fault in [Fault::JournalForgotten, Fault::RowsSentTwice] {
        plant(Some(fault));
        let tried =
            std::panic::catch_unwind(|| explore(&[key("a"), key("b")], &mut Vec::new(), &mut Seen::new()));
        plant(None);
        assert!(tried.is_err(), "{fault:?} is not seen");
    }
}
