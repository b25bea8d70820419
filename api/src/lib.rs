//! One request's exchange with one upstream, without a socket: what to send, and how to read what comes back.
//!
//! ```text
//! client body ─ prepare ─▶ UpstreamRequest ─(node sends)─▶ upstream
//! client      ◀─ Reply::feed / finish / fail ◀─(node reads)─┘      Reply::seen: usage, model, progress
//! ```
//!
//! When client and upstream speak the same dialect, bytes pass untouched but for the fields that must change.
//! Otherwise a request is read into the canonical model and written in the other dialect, and so is its answer.
//!
//! Read `endpoint`, `peek` and `exchange` first; `providers` says who speaks what, `dialects` how it is translated,
//! `passthrough` how an answer is metered that needs no translation.

pub mod bound;
pub mod canonical;
pub mod edit;
pub mod endpoint;
pub mod error;
pub mod exchange;
pub mod models;
pub mod peek;
pub mod providers;

mod borrowed;
mod dialects;
mod framing;
mod passthrough;
mod seen;
mod wire;
