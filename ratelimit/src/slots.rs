//! What one node may have running at once, held in an atomic so that no request waits for another. A slot is held from
//! admission to the answer's end; dropped, it is given back, so no path through a request can leak one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a request may cost at most, known before it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// An upper bound of the input tokens: a byte-level tokenizer never makes more tokens than there are bytes.
    pub input_tokens_bound: u64,
    /// The client's own bound on output tokens, if it gave one.
    pub output_tokens_bound: Option<u64>,
}

/// A normal no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// As many requests are running as this node takes; one will end soon.
    Busy {
        /// The limit that was reached.
        limit: u64,
    },
}

/// A node's slots.
#[derive(Debug)]
pub struct Slots {
    limit: u64,
    held: AtomicU64,
}

impl Slots {
    /// Slots that let `limit` requests run at once.
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { limit, held: AtomicU64::new(0) })
    }

    /// Holds what `need` asks for, or says why not. Nothing is held after a refusal.
    pub fn reserve(self: &Arc<Self>, need: Need) -> Result<Slot, Refused> {
        let taken = self
            .held
            .try_update(Ordering::AcqRel, Ordering::Acquire, |held| (held < self.limit).then_some(held + 1));
        match taken {
            Ok(_) => Ok(Slot { slots: Arc::clone(self), need }),
            Err(_) => Err(Refused::Busy { limit: self.limit }),
        }
    }

    /// How many holds are open.
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Acquire)
    }

    /// How many may be.
    pub const fn limit(&self) -> u64 {
        self.limit
    }
}

/// One request's slot. Dropped, it is released.
#[derive(Debug)]
pub struct Slot {
    slots: Arc<Slots>,
    need: Need,
}

impl Slot {
    /// The cap on output tokens that the upstream must be told: none, since a slot covers any length of answer.
    pub const fn output_cap(&self) -> Option<u64> {
        None
    }

    /// What was asked for.
    pub const fn need(&self) -> Need {
        self.need
    }

    /// The request ended and its cost is known: the hold is given back.
    pub fn settle(self) {
        drop(self);
    }

    /// The request never reached an upstream: the hold is given back unused.
    pub fn release(self) {
        drop(self);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.held.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_more_than_the_limit_and_every_hold_comes_back() {
        let slots = Slots::new(2);
        let first = slots.reserve(Need::default()).expect("all are free");
        let second = slots.reserve(Need::default()).expect("one left");
        assert_eq!(slots.reserve(Need::default()).err(), Some(Refused::Busy { limit: 2 }));
        assert_eq!(slots.held(), 2, "a refusal holds nothing");

        first.settle();
        assert_eq!(slots.held(), 1);
        second.release();
        drop(slots.reserve(Need::default()).expect("free again"));
        assert_eq!(slots.held(), 0, "a dropped hold is released");
    }

    #[test]
    fn holds_are_counted_right_from_many_threads() {
        let slots = Slots::new(3);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        if let Ok(hold) = slots.reserve(Need::default()) {
                            assert!(slots.held() <= 3);
                            hold.settle();
                        }
                    }
                });
            }
        });
        assert_eq!(slots.held(), 0);
    }
}
