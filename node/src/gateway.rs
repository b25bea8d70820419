//! Everything that a request needs, in one value that is shared by all of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tollgate_ratelimit::Slots;

use crate::config::Config;
use crate::identity::key_sets::KeySets;
use crate::member::Member;
use crate::request::accept::body_memory::BodyMemory;
use crate::telemetry::Telemetry;
use crate::upstream::retry::RetryBudget;

/// Limits to what one client may make this node hold.
#[derive(Debug)]
pub(crate) struct Limits {
    /// The largest body where no listener says otherwise.
    pub(crate) body_bytes: usize,
    /// All of them together.
    pub(crate) body_memory: Arc<BodyMemory>,
    /// How long a client may leave its connection without a request, or its answer untaken.
    pub(crate) client_timeout: Duration,
    /// How long a request may wait for what its budgets give.
    pub(crate) admission_wait: Duration,
}

impl Limits {
    /// The largest body of a request whose listener says this of it: never more than all of them together may have.
    pub(crate) fn body_bytes(&self, of_listener: Option<u64>) -> usize {
        let wanted = of_listener.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        wanted.unwrap_or(self.body_bytes).min(self.body_memory.limit())
    }
}

/// One node's gateway.
pub(crate) struct Gateway {
    pub(crate) config: Config,
    pub(crate) member: Arc<Member>,
    pub(crate) slots: Arc<Slots>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) retries: RetryBudget,
    pub(crate) limits: Limits,
    pub(crate) key_sets: KeySets,
    pub(crate) started: Instant,
}

impl Gateway {
    /// Milliseconds since this node started: the time of breakers. Never 0, which they read as "not set".
    pub(crate) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }
}
