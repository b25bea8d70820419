//! The model check: every state of some small worlds is searched for a broken promise. Larger worlds take minutes each:
//! `cargo test -p tollgate-jepsen --test model -- --ignored --nocapture`.

use tollgate_jepsen::model::search::{Kind, exhaust};
use tollgate_jepsen::model::{Scope, scopes};

/// Every promise holds in every state of the scope, and the scope's examples are among them.
fn holds(name: &str, scope: Scope) {
    let search = exhaust(scope);
    println!("{name}: {} states in {:.1?}", search.states, search.took);
    for one in &search.found {
        assert_eq!(one.kind, Kind::Example, "{name}: not so: {}\n{:#?}", one.promise, one.steps);
    }
    assert_eq!(search.found.len(), search.examples, "{name}: too small to show what it should");
}

#[test]
fn sharing() {
    holds("sharing", scopes::SHARING);
}

#[test]
fn sharing_in_larger_parts() {
    holds("sharing in larger parts", scopes::SIXES);
}

#[test]
fn recall() {
    holds("recall", scopes::RECALL);
}

#[test]
fn roll_over() {
    holds("roll-over", scopes::ROLL_OVER);
}

#[test]
fn prefetch() {
    holds("prefetch", scopes::PREFETCH);
}

#[test]
fn crash() {
    holds("crash", scopes::CRASH);
}

#[test]
fn amnesia() {
    holds("amnesia", scopes::AMNESIA);
}

#[test]
fn fence() {
    holds("fence", scopes::FENCE);
}

#[test]
fn limits() {
    holds("limits", scopes::LIMITS);
}

#[test]
fn forgotten() {
    holds("forgotten", scopes::FORGOTTEN);
}

#[test]
fn overrun() {
    holds("overrun", scopes::OVERRUN);
}

#[test]
#[ignore = "minutes"]
fn large_sharing() {
    holds("large: sharing", scopes::LARGE_SHARING);
}

#[test]
#[ignore = "minutes"]
fn large_crash() {
    holds("large: crash", scopes::LARGE_CRASH);
}
