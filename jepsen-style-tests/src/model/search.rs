//! One search through a scope, and what it found.

use std::time::{Duration, Instant};

use stateright::{Checker, Expectation, HasDiscoveries, Model};
use tollgate_ratelimit::fault::Fault;

use super::{Action, Quota, Scope};

/// What a search found, and what it took.
pub struct Search {
    /// Broken promises, and examples of what should be possible.
    pub found: Vec<Found>,
    /// Examples that there should be.
    pub examples: usize,
    /// Different states.
    pub states: usize,
    /// How long it took.
    pub took: Duration,
}

/// A state that shows something.
pub struct Found {
    /// What it shows.
    pub promise: &'static str,
    /// Which of the two it is.
    pub kind: Kind,
    /// How to get there.
    pub steps: Vec<Action>,
}

/// What a found state is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A promise that is broken.
    Broken,
    /// An example of what should be possible.
    Example,
}

/// Searches the whole scope.
pub fn exhaust(scope: Scope) -> Search {
    // Depth first takes a fraction of the memory; the ways that it finds are long.
    told(Quota { scope, fault: None }.checker().spawn_dfs())
}

/// Searches until a promise is broken, in ever more steps up to `most_steps`, so that no shorter way exists.
pub fn break_with(fault: Fault, scope: Scope, most_steps: usize) -> Option<Search> {
    (1..=most_steps).find_map(|steps| {
        let checker = Quota { scope, fault: Some(fault) }.checker();
        // The checker counts states, the first of them as 1, and does not look at the one that it stops at.
        let checker = checker.finish_when(HasDiscoveries::AnyFailures).target_max_depth(steps + 2);
        let mut search = told(checker.spawn_bfs());
        search.found.retain(|one| one.kind == Kind::Broken);
        (!search.found.is_empty()).then_some(search)
    })
}

/// Searches until one promise is broken, whatever others are on the way.
pub fn break_promise(fault: Fault, scope: Scope, promise: &'static str) -> Search {
    let until = HasDiscoveries::AllOf([promise].into());
    let mut search = told(Quota { scope, fault: Some(fault) }.checker().finish_when(until).spawn_bfs());
    search.found.retain(|one| one.promise == promise);
    search
}

/// Runs a search to its end, on one thread.
fn told(checker: impl Checker<Quota>) -> Search {
    let begun = Instant::now();
    let checker = checker.join();
    let properties = checker.model().properties();
    let examples: Vec<&str> = properties
        .iter()
        .filter(|property| property.expectation == Expectation::Sometimes)
        .map(|property| property.name)
        .collect();
    let found = checker.discoveries().into_iter().map(|(promise, path)| {
        let kind = if examples.contains(&promise) { Kind::Example } else { Kind::Broken };
        Found { promise, kind, steps: path.into_actions() }
    });
    let mut found: Vec<Found> = found.collect();
    found.sort_by_key(|one| one.steps.len());
    let states = checker.unique_state_count();
    Search { found, examples: examples.len(), states, took: begun.elapsed() }
}
