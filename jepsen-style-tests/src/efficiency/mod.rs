//! What leases cost and what they leave unused: real wallets and the real ledger without faults, in one thread and in
//! virtual time, under a load of which a third fits into the organisation's budget.
//!
//! ```text
//!  Load ─▶ Node (wallet) ──way──▶ Leader: gathers for 2 ms ──quorum──▶ Ledger::apply ──way──▶ Node
//!            │ admitted, refused, waited                  │ entries, items
//!            ▼                                            ▼
//!          Truth: what is spent and held really ─────▶ Figures ─▶ Table
//! ```
//!
//! Each request holds of two strict budgets of tokens a minute, its user's and the organisation's. The first minute warms
//! up; the second one is measured, from the rush at its start over the last tenth of the budget to its end.

mod cluster;
mod figures;
mod load;
mod node;
pub mod table;
mod truth;
mod world;

pub use figures::{Figures, Left, Phase};
use world::World;

/// What is measured: how large a cluster, under which load.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Nodes. A request comes to any of them.
    pub nodes: usize,
    /// Users. The second one asks 2^1.1 times less often than the first, the third one 3^1.1 times less.
    pub users: u32,
    /// Requests that all of them send in a second.
    pub rate: u64,
    /// What dice are thrown from.
    pub seed: u64,
}

/// Both budgets start anew so often.
const WINDOW_MS: u64 = 60_000;
/// What the load asks for, in limits of the organisation.
const OFFERED: u64 = 3;
/// The limit of a user is such a part of the organisation's: the first twenty of a thousand users reach it.
const USER_PART: u64 = 50;
/// But a user can pay for some requests in any case.
const LEAST_USER_LIMIT: u64 = 30_000;

impl Setting {
    /// What the organisation may spend in a window.
    pub const fn limit(&self) -> u64 {
        self.rate * WINDOW_MS / 1_000 * load::MEAN_TOKENS / OFFERED
    }

    /// What one user may.
    pub const fn user_limit(&self) -> u64 {
        let part = self.limit() / USER_PART;
        if part < LEAST_USER_LIMIT { LEAST_USER_LIMIT } else { part }
    }

    /// Runs two windows of it, and measures the second one.
    ///
    /// # Panics
    /// If more is spent than a limit: then figures would be of no use.
    pub fn measure(self) -> Figures {
        World::new(self).run()
    }
}
