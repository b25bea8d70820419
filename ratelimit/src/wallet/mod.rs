//! A node's wallet: the leases that it holds, and who spends them.
//!
//! ```text
//!   requests ──reserve/settle──▶ Purse ─▶ Cell (atomics)          the hot path: no lock, no map, no message
//!                 │ Dry                     │ spent, low
//!                 ▼                         ▼
//!               ask ──▶ Clerk ◀── lists of purses with something to say
//!                         │ poll        ▲ handle, nudge, tick
//!                         ▼             │
//!                       Batch ──────▶ ledger
//! ```
//!
//! A request spends only what the ledger has counted as gone already, so nothing here needs the ledger to be right, in time
//! or reachable to be safe. Time is an argument; the shell moves batches and calls [`Wallet::tick`].

pub mod cell;
mod clerk;
mod demand;
mod denial;
mod hold;
mod outlet;
mod purse;
mod refused;
pub mod sync;

use std::sync::{Arc, Mutex};

pub use cell::Paid;
pub use clerk::{Asked, Stats, Ticket, Woken};
pub use hold::{HeldPart, Hold, PaidPart, Spending};
pub use purse::{Part, Purse, Terms};
pub use refused::{Refused, Why};

use crate::budget::BucketName;
use crate::ledger::command::{Batch, SessionId};
use crate::ledger::outcome::{Answer, Nudge};
use crate::time::NodeTime;
use clerk::Clerk;
use outlet::Outlet;
use purse::Claim;
use sync::lock;

/// Buckets that one wallet knows at once: half a gigabyte. Those that nobody keeps and that have no lease make room.
pub const MOST_PURSES: usize = 1_000_000;

/// How a wallet speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Leases may be spent for this long after the last batch that was applied was sent. As the ledger has it.
    pub validity_ms: u64,
    /// What was spent is told at least this often.
    pub report_ms: u64,
    /// The same where less than a tenth of the bucket is left.
    pub report_soon_ms: u64,
    /// A batch without an answer is sent again after this long.
    pub resend_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { validity_ms: 30_000, report_ms: 1_000, report_soon_ms: 100, resend_ms: 500 }
    }
}

/// No more purses fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// How many there are.
    pub most: usize,
}

/// See the module's purpose.
#[derive(Debug)]
pub struct Wallet {
    outlet: Arc<Outlet>,
    clerk: Mutex<Clerk>,
}

impl Wallet {
    /// A wallet without leases, for one session.
    pub fn new(session: SessionId, settings: Settings) -> Arc<Self> {
        let outlet = Arc::new(Outlet::new());
        let clerk = Clerk::new(session, settings, Arc::clone(&outlet));
        Arc::new(Self { outlet, clerk: Mutex::new(clerk) })
    }

    /// The purse of a bucket. Whoever serves a consumer asks once and keeps it.
    pub fn purse(&self, name: &BucketName, terms: &Terms) -> Result<Arc<Purse>, Full> {
        lock(&self.clerk).purse(name, terms)
    }

    /// Takes all parts or nothing. No lock, no message, and no allocation for up to four parts.
    pub fn reserve(self: &Arc<Self>, parts: &[Part<'_>], now: NodeTime) -> Result<Hold, Refused> {
        hold::reserve(&self.outlet, parts, |_| Claim::New, now)
    }

    /// Asks the ledger on behalf of a request that was refused as [`Why::Dry`], and lets it wait: the answer comes from
    /// [`Wallet::handle`] or [`Wallet::tick`], by the `deadline` at the latest.
    pub fn ask(&self, parts: &[Part<'_>], deadline: NodeTime, now: NodeTime) -> Asked {
        lock(&self.clerk).ask(parts, deadline, now)
    }

    /// The request does not wait any more.
    pub fn cancel(&self, ticket: Ticket) {
        lock(&self.clerk).cancel(ticket);
    }

    /// Whether polling now rather than at the next beat spares somebody a wait. Costs one load.
    pub fn is_urgent(&self) -> bool {
        self.outlet.is_urgent()
    }

    /// What the ledger should hear now. None while a batch is on its way, or when there is nothing to say.
    pub fn poll(&self, now: NodeTime) -> Option<Batch> {
        lock(&self.clerk).poll(now)
    }

    /// Takes the ledger's answer. One that was handled before, or is another session's, changes nothing.
    pub fn handle(&self, answer: &Answer, now: NodeTime) -> Vec<Woken> {
        lock(&self.clerk).handle(answer, now)
    }

    /// Takes a hint of the ledger.
    pub fn nudge(&self, nudge: &Nudge, now: NodeTime) {
        lock(&self.clerk).nudge(nudge, now);
    }

    /// Time has passed: deadlines, windows, idle leases.
    pub fn tick(&self, now: NodeTime) -> Vec<Woken> {
        lock(&self.clerk).tick(now)
    }

    /// Gives out no more holds, and everything back as holds end.
    pub fn drain(&self, now: NodeTime) -> Vec<Woken> {
        lock(&self.clerk).drain(now)
    }

    /// Whether the ledger has all that there is to say: the session may be closed.
    pub fn drained(&self) -> bool {
        lock(&self.clerk).drained()
    }

    /// Whether the ledger does not know the session any more. All leases are gone; start another.
    pub fn session_is_lost(&self) -> bool {
        lock(&self.clerk).is_lost()
    }

    /// Goes on under another session after one was lost, with no leases and with the rows that were not told yet.
    pub fn resume(&self, session: SessionId, now: NodeTime) {
        lock(&self.clerk).resume(session, now);
    }

    /// Figures for metrics and checkers.
    pub fn stats(&self) -> Stats {
        lock(&self.clerk).stats()
    }
}

#[cfg(test)]
mod care_test;
#[cfg(test)]
mod leave_test;
#[cfg(test)]
mod pair_test;
#[cfg(test)]
mod queue_test;
#[cfg(test)]
mod refusal_test;
#[cfg(test)]
#[path = "wallet_test.rs"]
mod tests;
