//! Makes a failing plan shorter: leaves out ever smaller parts of it for as long as what is left still fails.

use tollgate_ratelimit::fault::Fault;

use super::plan::{Action, Plan};
use super::{Tracing, run};

/// A plan that still breaks the same promise, after at most `tries` runs.
pub fn minimise(plan: &Plan, planted: Option<Fault>, tries: usize) -> Plan {
    let Some(violated) = run(plan, planted, Tracing::Off).violated else { return plan.clone() };
    let mut shortest = plan.clone();
    let mut left = tries;
    let mut part = shortest.actions.len().div_ceil(2);
    while part > 0 && left > 0 {
        let before = shortest.actions.len();
        let mut start = 0;
        while start < shortest.actions.len() && left > 0 {
            left -= 1;
            let shorter = without(&shortest, start, part);
            let fails = run(&shorter, planted, Tracing::Off).violated;
            if fails.is_some_and(|other| other.promise == violated.promise) {
                shortest = shorter;
            } else {
                start += part;
            }
        }
        if part > 1 || shortest.actions.len() == before {
            part /= 2;
        }
    }
    shortest
}

fn without(plan: &Plan, start: usize, part: usize) -> Plan {
    let kept = |(at, _): &(usize, &Action)| !(start..start + part).contains(at);
    let actions = plan.actions.iter().enumerate().filter(kept).map(|(_, action)| action.clone()).collect();
    Plan { actions, ..plan.clone() }
}
