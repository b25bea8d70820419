//! The shell around the quota core: where settlements of this node's requests are kept.
//!
//! Requests end on many threads at once, so the ledger is kept in shards, each with a lock of its own that is held for
//! one map update; reading adds the shards up.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use tollgate_ratelimit::{Rows, Settlement};

/// More than there are threads that settle, so that two seldom meet.
const SHARDS: usize = 8;

/// This node's ledger.
#[derive(Default)]
pub(crate) struct Books {
    shards: [Mutex<Rows>; SHARDS],
}

impl Books {
    /// Books one settlement.
    pub(crate) fn settle(&self, settlement: Settlement) {
        let shard = &self.shards[shard_of_this_thread()];
        shard.lock().unwrap_or_else(PoisonError::into_inner).settle(settlement);
    }

    /// The whole ledger as it is now.
    pub(crate) fn ledger(&self) -> Rows {
        let mut whole = Rows::default();
        for shard in &self.shards {
            whole.merge(&shard.lock().unwrap_or_else(PoisonError::into_inner));
        }
        whole
    }
}

/// Each thread keeps to one shard.
pub(crate) fn shard_of_this_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
    }
    MINE.with(|mine| *mine)
}
