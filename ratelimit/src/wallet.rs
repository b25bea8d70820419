//! What one node may have running at once, held in atomics so that no request waits for another.
//!
//! A single node without budgets has one thing to ration: itself. The wallet hands out slots, up to a limit, and the
//! interface is the one that leases need: `reserve` a need, then `settle` or `release` the hold. Dropping a hold
//! releases it, so no path through a request can leak one.

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

/// A node's wallet.
#[derive(Debug)]
pub struct Wallet {
    limit: u64,
    held: AtomicU64,
}

impl Wallet {
    /// A wallet that lets `limit` requests run at once.
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { limit, held: AtomicU64::new(0) })
    }

    /// Holds what `need` asks for, or says why not. Nothing is held after a refusal.
    pub fn reserve(self: &Arc<Self>, need: Need) -> Result<Hold, Refused> {
        let taken = self
            .held
            .try_update(Ordering::AcqRel, Ordering::Acquire, |held| (held < self.limit).then_some(held + 1));
        match taken {
            Ok(_) => Ok(Hold { wallet: Arc::clone(self), need }),
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

/// The wallet's promise to one request. Dropped, it is released.
#[derive(Debug)]
pub struct Hold {
    wallet: Arc<Wallet>,
    need: Need,
}

impl Hold {
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

impl Drop for Hold {
    fn drop(&mut self) {
        self.wallet.held.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_more_than_the_limit_and_every_hold_comes_back() {
        let wallet = Wallet::new(2);
        let first = wallet.reserve(Need::default()).expect("empty wallet");
        let second = wallet.reserve(Need::default()).expect("one left");
        assert_eq!(wallet.reserve(Need::default()).err(), Some(Refused::Busy { limit: 2 }));
        assert_eq!(wallet.held(), 2, "a refusal holds nothing");

        first.settle();
        assert_eq!(wallet.held(), 1);
        second.release();
        drop(wallet.reserve(Need::default()).expect("free again"));
        assert_eq!(wallet.held(), 0, "a dropped hold is released");
    }

    #[test]
    fn holds_are_counted_right_from_many_threads() {
        let wallet = Wallet::new(3);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        if let Ok(hold) = wallet.reserve(Need::default()) {
                            assert!(wallet.held() <= 3);
                            hold.settle();
                        }
                    }
                });
            }
        });
        assert_eq!(wallet.held(), 0);
    }
}
