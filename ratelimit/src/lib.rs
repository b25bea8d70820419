//! Who may spend what. Pure: no clock, no socket, no disk, no async, no randomness of its own.
//!
//! ```text
//!   request ── reserve ──▶ Wallet ── Hold ──▶ (the upstream works) ── settle / release
//!                                                     │
//!                                               Settlement ──▶ Ledger: who spent what
//! ```
//!
//! Words: a *need* is what a request may cost at most; a *hold* is the wallet's promise that it may; a *settlement* is
//! what it did cost, on its way into the *ledger*. A *refusal* is a normal no.
//!
//! Invariants, checked by the tests of each module:
//! 1. A hold ends exactly once: settled or released, also when its task is dropped.
//! 2. What is held never exceeds the wallet's limit.
//! 3. The ledger's totals equal the sum of the settlements that it was given.

pub mod ledger;
pub mod usage;
pub mod wallet;

pub use ledger::{Ledger, Row, RowKey, Settlement};
pub use usage::{Certainty, Usage};
pub use wallet::{Hold, Need, Refused, Wallet};
