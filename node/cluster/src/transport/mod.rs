//! How nodes speak: gRPC over mutual TLS 1.3 on the cluster's port, with bodies of our own.
//!
//! ```text
//!           ┌ ALPN tollgate-join/1 ─▶ reception ─▶ Join               no certificate yet: a token, and nothing but this
//!  accept ──┤
//!           └ ALPN tollgate/1 ──────▶ gate ─▶ handler of the call     a node's certificate, checked against what the call
//!                                                                     claims: cluster, from, to
//! ```
//!
//! 1. Nobody without a certificate of this cluster reaches a handler.
//! 2. Every call names the cluster, its sender and its target, and is refused if one of them is wrong: addresses change hands.
//! 3. Everything has a bound: connections, streams on one, the size of messages, the time of handshakes and answers. What a
//!    silent partition leaves open, pings close.
//! 4. A call that failed says whether it may have been done: a refusal and a failed dial mean no.
//!
//! What is carried is bytes here; the folder `raft` knows what they mean.

pub mod call;
mod client;
mod codec;
mod connect;
pub(crate) mod envelope;
mod gate;
pub mod handlers;
mod incoming;
pub mod join;
mod lane;
mod method;
mod reception;
pub mod refusal;
mod server;
#[cfg(test)]
pub(crate) mod testing;
pub mod tls;
mod verify;
pub mod wallet;

pub use self::call::CallError;
pub use self::client::Peers;
pub use self::handlers::{Caller, Handlers};
pub use self::lane::{Lane, Target};
pub use self::method::Method;
pub use self::reception::{Applicant, Desk, Reception};
pub use self::refusal::Refusal;
pub use self::server::{Server, Setup};
pub use self::tls::{Credentials, Keys};
