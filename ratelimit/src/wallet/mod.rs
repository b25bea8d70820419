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
//!
//! # Waiting
//!
//! A request that finds too little gets a ticket, and its hold or its refusal comes from whatever call of the one task that
//! talks to the ledger brings it. That task calls `tick` and `poll` at each beat (some 10 ms), and at once when
//! [`Wallet::is_urgent`] says so after a `reserve` or an `ask`. A client that goes away drops its receiver and calls
//! [`Wallet::cancel`]; a hold that nobody receives is dropped, and so given back.
//!
//! | refusal | to the client |
//! | --- | --- |
//! | [`Why::Exhausted`] | spent: 429, with the reset time |
//! | [`Why::Held`] | others hold it now: 429, soon again |
//! | [`Why::TooLarge`] | never: 429 without a time |
//! | [`Why::Unreachable`], [`Why::NotKept`], [`Why::Draining`], [`Why::Crowded`] | not the budget's fault: 503 |
//! | [`Why::Dry`] | nothing yet: it asks and waits |
//!
//! ```
//! # use std::{collections::BTreeMap, sync::{Mutex, mpsc}};
//! # use tollgate_ratelimit::budget::{Budget, BudgetId, BucketName, Enforcement, Key, OnExhausted};
//! # use tollgate_ratelimit::ledger::command::{NodeId, SessionId};
//! # use tollgate_ratelimit::time::{NodeTime, Timestamp};
//! # use tollgate_ratelimit::{Command, Ledger, Outcome, cover::Cover, unit::Unit, window::Window};
//! use tollgate_ratelimit::wallet::{Asked, Part, Settings, Terms, Wallet};
//! # let (limit, enforcement, at, now) = (1_000, Enforcement::Strict, Timestamp(1), NodeTime(1));
//! # let budget = Budget { name: "b".to_owned(), covers: Cover::default(), per: vec![], unit: Unit::TotalTokens, limit,
//! #     window: Window::Lifetime, enforcement, on_exhausted: OnExhausted::Refuse };
//! # let mut ledger = Ledger::new(1);
//! # ledger.apply(&Command::SetBudget(Box::new(budget)), at);
//! # ledger.apply(&Command::OpenSession { node: NodeId(1), incarnation: 1 }, at);
//! # let name = BucketName { budget: BudgetId(1), key: Key::default() };
//! let wallet = Wallet::new(SessionId(1), Settings::default());
//! let purse = wallet.purse(&name, &Terms { unit: Unit::TotalTokens, enforcement, limit }).expect("few purses");
//! let waiting = Mutex::new(BTreeMap::new()); // Who waits, by ticket.
//!
//! // A request: nothing is leased yet, so it asks, and waits for 250 ms at most.
//! let parts = [Part { purse: &purse, amount: 10 }];
//! let (sender, receiver) = mpsc::channel(); // Of one message; an asynchronous one in a server.
//! assert!(wallet.reserve(&parts, now).is_err_and(|refused| refused.why.is_dry()));
//! let asked = wallet.ask_then(&parts, now.plus(250), now, |ticket| {
//!     waiting.lock().expect("no panic").insert(ticket, sender);
//! });
//! assert!(matches!(asked, Asked::Wait(_)));
//!
//! // The task that talks to the ledger.
//! let mut woken = wallet.tick(now);
//! if let Some(batch) = wallet.poll(now) {
//!     let answered = ledger.apply(&Command::Batches(vec![batch]), at).outcome;
//!     let Outcome::Answers(answers) = answered else { panic!("batches get answers") };
//!     answers.iter().for_each(|answer| woken.extend(wallet.handle(answer, now)));
//! }
//! for one in woken {
//!     if let Some(sender) = waiting.lock().expect("no panic").remove(&one.ticket) {
//!         let _ = sender.send(one.result); // Nobody receives it: a hold goes back.
//!     }
//! }
//!
//! let hold = receiver.recv().expect("answered").expect("1,000 are there");
//! assert_eq!(hold.amount(0), 10);
//! ```

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
    /// [`Wallet::handle`], [`Wallet::tick`] or [`Wallet::drain`], by the `deadline` at the latest.
    pub fn ask(&self, parts: &[Part<'_>], deadline: NodeTime, now: NodeTime) -> Asked {
        self.ask_then(parts, deadline, now, |_| {})
    }

    /// The same for who shares the wallet with another thread that hands out answers: `ticketed` is called before any answer
    /// to the ticket can come, so that it finds who waits. It must not call the wallet.
    pub fn ask_then(
        &self,
        parts: &[Part<'_>],
        deadline: NodeTime,
        now: NodeTime,
        ticketed: impl FnOnce(Ticket),
    ) -> Asked {
        lock(&self.clerk).ask(parts, deadline, now, ticketed)
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
