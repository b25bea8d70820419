//! This node's copy of the state, shared by the one who applies and all who read.
//!
//! Behind a lock for readers and a writer: an entry is applied in microseconds, a reader looks for as long, and neither
//! copies anything. Views that are swapped would have the writer copy what it changes, and it changes ledgers of a million
//! buckets a thousand times a second. Waiting writers go before new readers, so readers can't hold up what is committed; whoever
//! wants to look at much takes shared parts with it ([`Resources`](crate::state::resources::Resources) are) or looks in pieces.

use std::io;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use openraft::EntryPayload;

use super::types::{LogEntry, LogPosition, Memberships, SnapshotHead};
use crate::state::{Applied, Effect, State};

/// A node's copy of the state.
#[derive(Clone)]
pub struct Replica {
    held: Arc<RwLock<Held>>,
}

/// The state and where in the log it is.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) state: State,
    pub(super) head: SnapshotHead,
}

impl Replica {
    pub(super) fn new(held: Held) -> Self {
        Self { held: Arc::new(RwLock::new(held)) }
    }

    /// Looks at the state as of the last entry that was applied here. Be quick: nothing is applied meanwhile.
    pub fn look<T>(&self, at: impl FnOnce(&State) -> T) -> T {
        at(&self.read().state)
    }

    /// The last entry that was applied here, and who was a member as of it.
    pub fn position(&self) -> (Option<LogPosition>, Memberships) {
        let held = self.read();
        (held.head.last_log_id, held.head.last_membership.clone())
    }

    /// Applies an entry. An error is final: it is one that this program does not know.
    pub(super) fn apply(&self, entry: LogEntry) -> io::Result<Effect> {
        let LogEntry { log_id, payload } = entry;
        let mut held = self.write();
        let effect = match payload {
            EntryPayload::Blank => nothing(),
            EntryPayload::Normal(proposal) => {
                held.state.apply(log_id.index, &proposal).map_err(io::Error::other)?
            }
            EntryPayload::Membership(members) => {
                held.head.last_membership = Memberships::new(Some(log_id), members);
                nothing()
            }
        };
        held.head.last_log_id = Some(log_id);
        Ok(effect)
    }

    /// A copy, for a snapshot that is written while more is applied. A quarter of a second for a million buckets, half of what
    /// it takes to write them.
    pub(super) fn copy(&self) -> Held {
        self.read().clone()
    }

    /// Another state in place of this one, whole.
    pub(super) fn replace(&self, held: Held) {
        let before = std::mem::replace(&mut *self.write(), held);
        drop(before); // Outside of the lock: it may be large.
    }

    // `State::apply` panics on nothing. If it did, Raft's task is gone and this node answers no more proposals; who reads may
    // go on to see what led to it.
    fn read(&self) -> RwLockReadGuard<'_, Held> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Held> {
        self.held.write().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn nothing() -> Effect {
    Effect { applied: Applied::Nothing, nudges: Vec::new(), changed: None }
}
