//! The promises, one a file. Each looks at the ledger from outside and at what really happened.

mod books_close;
mod current_window;
mod leases_cover;
mod members_agree;
mod never_overspent;
mod nobody_is_forfeited;
mod rows_are_whole;
mod sums_agree;
mod time_goes_on;
mod totals_are_taken;

use tollgate_ratelimit::ledger::Ledger;
use tollgate_ratelimit::ledger::command::Command;
use tollgate_ratelimit::ledger::outcome::Applied;
use tollgate_ratelimit::time::Timestamp;

use crate::sim::truth::Truth;
use crate::sim::world::World;

/// A promise that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violated {
    /// Which one, in a few words.
    pub promise: &'static str,
    /// What was found.
    pub what: String,
}

impl Violated {
    /// A promise that does not hold.
    pub fn new(promise: &'static str, what: String) -> Self {
        Self { promise, what }
    }
}

impl std::fmt::Display for Violated {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "{}: {}", self.promise, self.what)
    }
}

/// What some promises must know of the ledger before a command.
#[derive(Debug)]
pub struct Before {
    now: Timestamp,
}

impl Before {
    /// To be made before the command is applied.
    pub fn new(ledger: &Ledger, _command: &Command) -> Self {
        Self { now: ledger.now() }
    }
}

/// Looked at after each command.
pub fn after_command(
    before: &Before,
    command: &Command,
    applied: &Applied,
    world: &World,
) -> Result<(), Violated> {
    let ledger = &world.cluster.ledger;
    time_goes_on::check(before.now, ledger)?;
    current_window::check(command, &applied.outcome)?;
    totals_are_taken::check(command, &applied.outcome)?;
    leases_cover::check_named(command, &world.truth, ledger)?;
    sums_agree::check(world.cluster.applied, &world.truth, ledger)
}

/// Looked at after each thing that happened.
pub fn after_event(truth: &mut Truth, ledger: &Ledger) -> Result<(), Violated> {
    for bucket in std::mem::take(&mut truth.touched) {
        never_overspent::check(&bucket, truth, ledger.now())?;
        leases_cover::check(&bucket, truth, ledger)?;
    }
    Ok(())
}

/// Looked at once everything is healed.
pub fn at_the_end(world: &mut World) -> Result<(), Violated> {
    books_close::check(world)?;
    nobody_is_forfeited::check(world)?;
    rows_are_whole::check(world)?;
    members_agree::check(world)
}
