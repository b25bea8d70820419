//! The journal between a real wallet and a real ledger: however a node is killed, the ledger knows each request once.

#![expect(clippy::unwrap_used, reason = "where it failed says what failed")]

mod interleavings;
mod lost_session;
mod world;
