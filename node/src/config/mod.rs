//! Configuration as this node serves it: one immutable value, swapped whole.
//!
//! ```text
//! files, admin API ─▶ the cluster's store ─ revise ─▶ compile ─▶ Active ─ swap ─▶ every new request
//! ```
//!
//! What a node was given goes into the store ([`plan`]), and every node serves what is there ([`revision`]). Where nobody
//! wrote anything, the manifests that are made of the environment serve.
//!
//! A request holds the [`Active`] that it began with until it ends; an edit is seen by the next one.

pub(crate) mod budgets;
pub(crate) mod edit;
pub(crate) mod entry;
pub(crate) mod environment;
mod files;
mod follow;
mod keeper;
pub(crate) mod plan;
pub(crate) mod revision;
mod settling;
pub(crate) mod store;
mod watch;

use hashbrown::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tollgate_crds::Problem;
use tollgate_crds::{Candidate, ResourceName, Snapshot};

use crate::upstream::Upstream;

pub(crate) use files::read as read_files;
pub(crate) use follow::{Follower, Given, Setup};
pub(crate) use store::Store;

/// One revision of the configuration, with the live side of its backends.
#[derive(Default)]
pub(crate) struct Active {
    pub(crate) snapshot: Snapshot,
    pub(crate) upstreams: HashMap<ResourceName, Arc<Upstream>>,
    /// Counts up with every change that took effect.
    pub(crate) revision: u64,
    /// The resources that it was made of.
    pub(crate) standing: Arc<store::Standing>,
    /// Seconds since 1970: when the newest manifest was written, or this was made where there are none.
    pub(crate) written_at_s: u64,
    /// What is wrong with what was written last; the last good version of it serves.
    pub(crate) problems: Vec<Problem>,
}

impl Active {
    /// How to reach a candidate's backend.
    pub(crate) fn upstream(&self, candidate: &Candidate) -> Option<&Upstream> {
        self.upstreams.get(&candidate.backend.name).map(Arc::as_ref)
    }
}

/// Where requests find the configuration.
#[derive(Clone, Default)]
pub(crate) struct Config {
    active: Arc<ArcSwap<Active>>,
}

impl Config {
    /// The newest revision.
    pub(crate) fn latest(&self) -> Arc<Active> {
        self.active.load_full()
    }

    fn publish(&self, active: Active) {
        self.active.store(Arc::new(active));
    }
}
