//! The log on the disk: what openraft asks of it, what it does with garbage, and what is left of it after a crash.
//!
//! `TOLLGATE_POWER_CUTS=100` makes the trial of power cuts a long one and tries bare sled beside it; `TOLLGATE_KILLS=600`
//! that of kill -9.

#![expect(clippy::unwrap_used, reason = "what can't be unwrapped fails the test")]

mod bodies;
mod child;
mod disk_full;
mod engines;
mod garbage;
mod kills;
mod power;
mod rig;
mod storage;
mod suite;
mod writing;
