//! Who may spend what. Pure: no clock, no socket, no disk, no async, no randomness of its own.
//!
//! ```text
//!            a node                                    the cluster
//!  request ──reserve──▶ Wallet ──Batch──▶ (Raft) ──▶ Ledger::apply ──▶ Answer ──▶ Wallet
//!     │                   │ leases                     │ buckets, leases, sessions
//!     └──settle / drop──▶ │ rows ─────────────────────▶│ rows: who spent what
//!                         ▼
//!                      journal: what a restart must know
//! ```
//!
//! Read in this order: [`budget`] and [`window`] (what is promised), [`ledger`] (the replicated state machine), [`wallet`]
//! (a node's leases), [`journal`] (a node's memory across a crash), [`wire`] (all of it as versioned bytes).
//!
//! # Words
//!
//! | word | means |
//! | --- | --- |
//! | budget | a promise: unit, limit, window, whom it covers, what it is divided by |
//! | bucket | one budget for one key in one window |
//! | lease | a part of a bucket that one session may spend; its totals (granted, settled, overrun, returned) only grow |
//! | session | one run of a node's process |
//! | wallet | a node's leases |
//! | hold | what one request may cost at most, taken from leases; settled, released, or forfeited with its node |
//! | overrun | what was spent without having been leased: by bounded and shadow budgets, or by an answer beyond its hold |
//! | settlement, row | usage on its way into the ledger; its sum by consumer, model, backend and hour |
//! | forfeit | what a session that is closed may have spent: counted as spent |
//!
//! # Invariants
//!
//! 1. For each bucket `spent + outstanding + free = limit + adjustments`. All parts are at least 0, but for free after a limit
//!    was lowered, an overrun, or a debit.
//! 2. For each lease, on its node, `available + held + spent = granted - withdrawn`, all at least 0. What a node spends is at
//!    most what it was leased, so no clock, no failure detector and no quorum is needed to never overspend.
//! 3. A node takes value out of its own reach before it reports it as returned.
//! 4. A lease belongs to one window and one session. What it pays for is charged to that window.
//! 5. A batch is applied once; a lease's totals merge, so that saying them again changes nothing.
//! 6. The same commands make the same bytes, and a snapshot restores to the same bytes.
//! 7. A hold ends in exactly one way.
//!
//! [`Ledger::check`] checks what the ledger can know of them; the simulator and the model check of the tests check all, and prove by
//! planted faults ([`fault`]) that they would notice.

pub mod budget;
pub mod cover;
#[cfg(test)]
mod dice;
pub mod fault;
pub mod invalid;
pub mod journal;
pub mod key;
pub mod ledger;
pub mod money;
pub mod price;
pub mod slots;
pub mod time;
pub mod unit;
pub mod usage;
pub mod wallet;
pub mod window;
pub mod wire;

pub use ledger::rows::{Row, RowKey, Rows, Settlement};
pub use ledger::{Ledger, command::Command, outcome::Outcome};
pub use slots::{Need, Refused, Slot, Slots};
pub use usage::{Certainty, Usage};
