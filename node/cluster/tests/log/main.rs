//! The log on the disk: what openraft asks of it, what it does with garbage, and what is left of it after a crash.
//!
//! `TOLLGATE_KILLS=600` makes the kill -9 trial a long one.

#![expect(clippy::unwrap_used, reason = "what can't be unwrapped fails the test")]

mod bodies;
mod child;
mod disk_full;
mod engines;
mod garbage;
mod kills;
mod suite;
mod writing;
