//! The model check: every state of some small worlds is searched for a broken promise, and planted faults show that one
//! would be found.

use std::time::{Duration, Instant};

use stateright::{Checker, Expectation, HasDiscoveries, Model};
use tollgate_jepsen::model::{Action, Quota, Scope, scopes};
use tollgate_ratelimit::fault::Fault;

struct Found {
    promise: &'static str,
    /// Whether it is an example of what should be possible, or of what should not.
    good: bool,
    steps: Vec<Action>,
}

struct Search {
    found: Vec<Found>,
    states: usize,
    took: Duration,
}

/// Searches breadth first: what is found, is found with the fewest steps.
fn search(scope: Scope, fault: Option<Fault>, until: HasDiscoveries) -> Search {
    let begun = Instant::now();
    let checker = Quota { scope, fault }.checker().finish_when(until).spawn_bfs().join();
    let properties = checker.model().properties();
    let good = |name| {
        let one = properties.iter().find(|property| property.name == name);
        one.is_some_and(|property| property.expectation == Expectation::Sometimes)
    };
    let found = checker.discoveries().into_iter();
    let found = found
        .map(|(promise, path)| Found { promise, good: good(promise), steps: path.into_actions() })
        .collect();
    Search { found, states: checker.unique_state_count(), took: begun.elapsed() }
}

/// Every promise holds in every state of the scope, and the scope's examples are among them.
fn holds(name: &str, scope: Scope) {
    let search = search(scope, None, HasDiscoveries::All);
    println!("{name}: {} states in {:.1?}", search.states, search.took);
    for one in &search.found {
        println!("{name}: {}, in {} steps", one.promise, one.steps.len());
        assert!(one.good, "{name}: not so: {}\n{:#?}", one.promise, one.steps);
    }
    assert_eq!(search.found.len(), 2, "{name}: too small to show what it should");
}

#[test]
fn all() {
    for (name, scope) in scopes::ALL {
        if std::env::var("SCOPE").is_ok_and(|one| one != name) { continue; }
        holds(name, scope);
    }
}
