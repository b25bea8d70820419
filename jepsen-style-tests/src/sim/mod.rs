//! The whole quota core in one thread, from one seed: real wallets, journals and ledger, behind a network, machines and a
//! Raft that fail as often as the seed has it.
//!
//! ```text
//!  Plan ─▶ World ─▶ step … step ─▶ heal ─▶ step … ─▶ settled?
//!            │ after each step: properties          │ at the end: properties
//!            ▼                                      ▼
//!          Violated ─────────────▶ minimise ─▶ the shortest plan that still fails
//! ```

pub mod campaign;
mod chaos;
pub mod cluster;
mod cost;
pub mod dice;
pub mod ends;
mod entries;
mod journal;
mod leader;
mod learn;
mod lives;
mod looks;
pub mod minimise;
pub mod node;
pub mod plan;
pub(crate) mod queue;
pub mod requests;
pub mod shape;
mod trace;
pub mod truth;
pub mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use tollgate_ratelimit::fault::{self, Fault};

use self::plan::Plan;
use self::world::{Figures, World};
use crate::properties::{self, Violated};

/// After all is healed, everything must have been settled within this many milliseconds…
const MOST_HEALING_MS: u64 = 400_000;
/// …of which the first are for running requests to end.
const QUIET_MS: u64 = 45_000;

/// How a run went.
#[derive(Debug)]
pub struct Report {
    /// Things that happened.
    pub events: u64,
    /// What did not hold.
    pub violated: Option<Violated>,
    /// What became of requests.
    pub figures: Figures,
    /// What happened, if it was asked for.
    pub trace: Vec<String>,
}

/// Whether a run writes down what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracing {
    /// It does.
    On,
    /// It does not.
    Off,
}

/// Runs a plan to its end, or to the first promise that does not hold. A panic is a violation as well.
pub fn run(plan: &Plan, planted: Option<Fault>, tracing: Tracing) -> Report {
    fault::plant(None);
    let mut world = World::new(plan);
    if tracing == Tracing::On {
        world.trace = Some(Vec::new());
    }
    fault::plant(planted);
    let mut events = 0;
    let ran = catch_unwind(AssertUnwindSafe(|| drive(&mut world, &mut events)));
    let violated = match ran {
        Ok(result) => result.err(),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Some(Violated::new("no panic", text.unwrap_or_default()))
        }
    };
    fault::plant(None);
    Report { events, violated, figures: world.figures, trace: world.trace.take().unwrap_or_default() }
}

fn drive(world: &mut World, events: &mut u64) -> Result<(), Violated> {
    let most = world.plan.events;
    while *events < most && world.now_ms < world.plan.shape.length_ms {
        *events += 1;
        if !world.step()? {
            break;
        }
    }
    world.heal();
    let healed_at = world.now_ms;
    while world.now_ms < healed_at + MOST_HEALING_MS && !(world.leaving && world.is_settled()) {
        *events += 1;
        world.step()?;
        world.leaving |= world.now_ms > healed_at + QUIET_MS;
    }
    properties::at_the_end(world)
}
