//! What is told of following an API server. A server that hangs says nothing: the age of the last sign of life tells.

use std::collections::BTreeMap;

use metrics::{Counter, Gauge};

/// All instruments; they stand still on nodes that do not lead.
pub(crate) struct OfKubernetes {
    pub(crate) kinds: BTreeMap<&'static str, OfKind>,
    /// 1 while this node follows.
    pub(crate) watching: Gauge,
    /// Changes that came into the store, in batches.
    pub(crate) proposed: Counter,
    pub(crate) not_proposed: Counter,
    pub(crate) status_written: Counter,
    pub(crate) status_not_written: Counter,
}

/// The instruments of one kind.
pub(crate) struct OfKind {
    /// Seconds since the API server sent anything for the kind: an event, a bookmark, the head of an answer.
    pub(crate) event_age_s: Gauge,
    /// Whole lists that were begun.
    pub(crate) lists: Counter,
    /// Watches that the API server did not remember the beginning of.
    pub(crate) expired: Counter,
    pub(crate) errors: Counter,
}
