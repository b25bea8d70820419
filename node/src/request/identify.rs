//! identify: who is calling? Budgets and the ledger are keyed by what this step verified, never by what a client says
//! of itself.

use super::accept::Accepted;
use super::trail::Trail;

/// Who calls, as far as this node could verify it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consumer {
    /// Nobody was asked to prove anything: no consumer is configured.
    Anonymous,
}

impl Consumer {
    /// The name under which the ledger books.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
        }
    }
}

/// Finds the consumer. While no `Consumer` resource exists, every caller is the same anonymous one: whatever key a
/// request carries was not checked by us, so it identifies nobody.
pub(crate) fn consumer(_accepted: &Accepted, trail: &mut Trail) -> Consumer {
    let consumer = Consumer::Anonymous;
    trail.consumer = consumer.name();
    consumer
}
