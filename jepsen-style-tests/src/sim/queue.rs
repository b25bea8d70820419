//! What will happen, ordered by time and then by number: two things of one moment happen as they were planned.

use std::collections::BTreeMap;

/// The queue.
#[derive(Debug)]
pub struct Queue<T> {
    waiting: BTreeMap<(u64, u64), T>,
    next: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), next: 0 }
    }
}

impl<T> Queue<T> {
    /// Plans `what`.
    pub fn push(&mut self, at_ms: u64, what: T) {
        self.waiting.insert((at_ms, self.next), what);
        self.next += 1;
    }

    /// How much was planned so far.
    pub const fn pushed(&self) -> u64 {
        self.next
    }

    /// What comes next, and when.
    pub fn pop(&mut self) -> Option<(u64, T)> {
        self.waiting.pop_first().map(|((at_ms, _), what)| (at_ms, what))
    }
}
