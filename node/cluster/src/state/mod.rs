//! What every node holds: one state machine with a module a part, and the proposals that change it.
//!
//! ```text
//!  Proposal ─▶ State::apply ─▶ cluster     its id, format, and what opens its doors
//!                         ├──▶ nodes       who belongs to it
//!                         ├──▶ quota       who may spend what (tollgate-ratelimit's ledger)
//!                         └──▶ resources   what operators wrote
//! ```
//!
//! Pure: no clock, no disk, no randomness. A proposal is checked, then done: none panics, none leaves half a change, and the
//! same ones make the same bytes on every node ([`snapshot`]).

pub mod cluster;
pub mod nodes;
mod proposal;
pub mod quota;
pub mod refused;
pub mod resources;
pub mod sealed;
pub mod snapshot;

use std::fmt;

use tollgate_ratelimit::Ledger;
use tollgate_ratelimit::ledger::outcome::Nudge;

use self::cluster::{Cluster, Founding};
use self::nodes::{Farewell, Nodes, Registration};
use self::quota::Commands;
use self::resources::Resources;

pub use self::proposal::{Applied, Proposal};
pub use self::refused::Refused;

/// What every node holds.
#[derive(Clone)]
pub struct State {
    cluster: Option<Cluster>,
    nodes: Nodes,
    quota: Ledger,
    resources: Resources,
}

/// What an entry did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// For who proposed it.
    pub applied: Applied,
    /// For sessions, wherever they are. Hints: one that gets lost costs time, never correctness.
    pub nudges: Vec<Nudge>,
    /// What is different now, beside quotas, which always are.
    pub changed: Option<Part>,
}

/// A part of the state that others follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What the cluster is.
    Cluster,
    /// Who belongs to it.
    Nodes,
    /// What operators wrote.
    Resources,
}

/// The cluster uses a format that this program does not know. It must stop: to refuse what others take would make its state
/// another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooNew {
    /// The newest that is known.
    pub known: u32,
    /// The one that came.
    pub got: u32,
}

impl State {
    /// Before the first entry. The seed spreads an index in memory and is not part of the state: each node may take its own.
    pub fn new(seed: u64) -> Self {
        Self {
            cluster: None,
            nodes: Nodes::default(),
            quota: Ledger::new(seed),
            resources: Resources::default(),
        }
    }

    /// Applies the log's entry of that index.
    pub fn apply(&mut self, index: u64, proposal: &Proposal) -> Result<Effect, TooNew> {
        match proposal {
            Proposal::Found(founding) => cluster::expect_known(founding.format)?,
            Proposal::Change(change) => match change.setting {
                cluster::Setting::Format(format) => cluster::expect_known(format)?,
                cluster::Setting::Voters(_)
                | cluster::Setting::JoinToken(_)
                | cluster::Setting::GossipKeys(_)
                | cluster::Setting::Authority(_)
                | cluster::Setting::Preferred(_) => {}
            },
            Proposal::Quota { .. }
            | Proposal::Register(_)
            | Proposal::Arrive(_)
            | Proposal::Forget(_)
            | Proposal::Edit(_) => {}
        }
        Ok(self.decide(index, proposal).unwrap_or_else(|refused| Effect::of(Applied::Refused(refused), None)))
    }

    fn decide(&mut self, index: u64, proposal: &Proposal) -> Result<Effect, Refused> {
        if self.cluster.is_none() && !matches!(proposal, Proposal::Found(_)) {
            return Err(Refused::NotFounded);
        }
        let (applied, part) = match proposal {
            Proposal::Quota { at, commands } => {
                let asked = Commands { at: *at, commands };
                let (outcomes, nudges) = quota::apply(&mut self.quota, &self.nodes, asked)?;
                return Ok(Effect { applied: Applied::Quota(outcomes), nudges, changed: None });
            }
            Proposal::Forget(farewell) => return self.forget(*farewell),
            Proposal::Found(founding) => (self.found(index, founding)?, Part::Cluster),
            Proposal::Change(change) => {
                let cluster = self.cluster.as_mut().ok_or(Refused::NotFounded)?;
                (cluster.change(index, change)?, Part::Cluster)
            }
            Proposal::Register(asked) => (self.nodes.register(index, asked)?, Part::Nodes),
            Proposal::Arrive(arrival) => (self.nodes.arrive(arrival)?, Part::Nodes),
            Proposal::Edit(edits) => (self.resources.edit(index, edits)?, Part::Resources),
        };
        Ok(Effect::of(applied, Some(part)))
    }

    /// Founding it twice is no fault: the answer to the first time got lost.
    fn found(&mut self, index: u64, founding: &Founding) -> Result<Applied, Refused> {
        match &self.cluster {
            Some(known) if known.id == founding.cluster => return Ok(Applied::Founded),
            Some(known) => return Err(Refused::AlreadyFounded { cluster: known.id }),
            None => {}
        }
        let founded = Cluster::found(index, founding)?;
        let first = Registration { request: founding.cluster, member: founding.first.clone() };
        self.nodes.register(nodes::FIRST_NODE, &first)?;
        self.cluster = Some(founded);
        Ok(Applied::Founded)
    }

    fn forget(&mut self, farewell: Farewell) -> Result<Effect, Refused> {
        let applied = self.nodes.forget(farewell)?;
        let nudges = quota::forget(&mut self.quota, farewell.node, farewell.at);
        Ok(Effect { applied, nudges, changed: Some(Part::Nodes) })
    }

    /// The cluster, once it was founded.
    pub const fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()
    }

    /// Who belongs to it.
    pub const fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// Who may spend what, and who spent what.
    pub const fn quota(&self) -> &Ledger {
        &self.quota
    }

    /// What operators wrote.
    pub const fn resources(&self) -> &Resources {
        &self.resources
    }
}

impl Effect {
    const fn of(applied: Applied, changed: Option<Part>) -> Self {
        Self { applied, nudges: Vec::new(), changed }
    }
}

impl fmt::Display for TooNew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { known, got } = self;
        write!(f, "the cluster uses format {got}, this program knows {known}: run a newer one")
    }
}

impl std::error::Error for TooNew {}

#[cfg(test)]
mod state_test;
