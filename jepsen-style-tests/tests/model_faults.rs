//! The model check can fail: with any one guard taken away, it finds a broken promise, by a shortest way.

use tollgate_jepsen::model::search::{break_promise, break_with};
use tollgate_jepsen::model::{LIMITS_HOLD, Scope, scopes};
use tollgate_ratelimit::fault::{ALL, Fault};

/// Where to look for what a missing guard does.
const fn scope_of(fault: Fault) -> Scope {
    match fault {
        Fault::SequenceUnchecked | Fault::ReturnedTwice | Fault::ReturnStillSpendable => scopes::RECALL,
        Fault::ReclaimedByTimeout => scopes::FENCE,
        Fault::JournalForgotten | Fault::RowsSentTwice => scopes::CRASH,
        Fault::WindowOffByOne | Fault::TimeRunsBack => scopes::ROLL_OVER,
        Fault::GrantUncounted => scopes::SHARING,
        Fault::ForfeitFreed => scopes::FORGOTTEN,
        Fault::OverrunForgotten => scopes::OVERRUN,
        Fault::RaiseGivesAll => scopes::LIMITS,
    }
}

/// More steps than the longest of the shortest ways.
const MOST_STEPS: usize = 12;

/// The ledger's own assertions are one of the promises: what they print is not of interest here.
fn hush() {
    std::panic::set_hook(Box::new(|panic| {
        let from_ledger = panic.location().is_some_and(|place| place.file().contains("ratelimit"));
        if !from_ledger {
            eprintln!("{panic}");
        }
    }));
}

#[test]
fn every_planted_fault_breaks_a_promise() {
    hush();
    for fault in ALL {
        let search = break_with(fault, scope_of(fault), MOST_STEPS);
        let search = search.unwrap_or_else(|| panic!("{fault:?} breaks nothing in {MOST_STEPS} steps"));
        let broken = &search.found[0];
        println!("{fault:?}: {} states: not so: {}: {:?}", search.states, broken.promise, broken.steps);
        println!("{fault:?}: {} steps, the last search took {:.1?}", broken.steps.len(), search.took);
    }
}

/// The tighter promises see most faults before anything is lost. The one that counts sees them, too.
#[test]
fn faults_that_lose_money_are_seen_as_money_lost() {
    hush();
    for fault in [
        Fault::ReturnedTwice,
        Fault::ReclaimedByTimeout,
        Fault::JournalForgotten,
        Fault::ReturnStillSpendable,
        Fault::ForfeitFreed,
        Fault::RaiseGivesAll,
    ] {
        let search = break_promise(fault, scope_of(fault), LIMITS_HOLD);
        let Some(broken) = search.found.first() else { panic!("{fault:?} loses nothing") };
        println!("{fault:?}: {} states in {:.1?}: {:?}", search.states, search.took, broken.steps);
        println!("{fault:?}: loses money in {} steps", broken.steps.len());
    }
}
