//! What the node tells of itself: one access-log line and one set of metrics a request, written when it is over.

mod access_log;
pub(crate) mod kubernetes;
mod line;
pub(crate) mod metrics;

use std::sync::Arc;

use crate::request::trail::Trail;

pub(crate) use access_log::{AccessLog, Sink};

/// Where a request's trail goes.
pub(crate) struct Telemetry {
    metrics: metrics::Metrics,
    access_log: AccessLog,
}

impl Telemetry {
    pub(crate) fn new(metrics: metrics::Metrics, access_log: AccessLog) -> Arc<Self> {
        Arc::new(Self { metrics, access_log })
    }

    /// A request is over.
    pub(crate) fn record(&self, trail: &Trail) {
        self.metrics.record(trail);
        self.access_log.record(trail);
    }

    /// Writes out what is still buffered.
    pub(crate) fn flush(&self) {
        self.access_log.flush();
    }
}
