//! Who may spend what. Pure: no clock, no socket, no disk, no async, no randomness of its own.

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
