//! A bound on what request bodies may take of this node's memory, all together. A body counts from its first byte,
//! before anything is known of its sender, until its answer begins and it need not be sent again.
//!
//! Bytes count as they come, not as they are announced: announcing costs a client nothing, and would shut out others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The memory for all bodies of this node.
#[derive(Debug)]
pub(crate) struct BodyMemory {
    limit: usize,
    held: AtomicUsize,
}

/// What one body takes. Dropped, it is given back.
#[derive(Debug)]
pub(crate) struct Held {
    memory: Arc<BodyMemory>,
    bytes: usize,
}

/// There is no room; the limit that was reached.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoRoom {
    pub(crate) limit: usize,
}

impl BodyMemory {
    /// For `limit` bytes of bodies.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, held: AtomicUsize::new(0) })
    }

    /// What all bodies may take.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// A body of which nothing has come yet.
    pub(crate) fn hold(self: &Arc<Self>) -> Held {
        Held { memory: Arc::clone(self), bytes: 0 }
    }
}

impl Held {
    /// So many bytes more, or none of them.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), NoRoom> {
        let BodyMemory { limit, held } = &*self.memory;
        // Others that come in between see more than is held, and may be refused a moment too early; never too late.
        let before = held.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > *limit {
            held.fetch_sub(bytes, Ordering::Relaxed);
            return Err(NoRoom { limit: *limit });
        }
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.memory.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_never_passes_the_limit() {
        let memory = BodyMemory::new(100);
        let (mut one, mut two) = (memory.hold(), memory.hold());
        assert_eq!(one.grow(60), Ok(()));
        assert_eq!(two.grow(41), Err(NoRoom { limit: 100 }), "one byte too many");
        assert_eq!(two.grow(40), Ok(()), "what was refused is not counted");
        assert_eq!(one.grow(1), Err(NoRoom { limit: 100 }));
        drop(two);
        assert_eq!(one.grow(40), Ok(()), "what was given back is free");
        drop(one);
        assert_eq!(memory.hold().grow(100), Ok(()), "all of it");
        assert_eq!(memory.held.load(Ordering::Relaxed), 0);
    }
}
