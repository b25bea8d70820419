//! Tollgate's nodes as one: consensus, membership, identity, and the store that all of them hold.
//!
//! ```text
//!  transport ──▶ raft ──▶ engine          a proposal is durable on a majority …
//!                  └────▶ state           … and then applied, the same on every node
//!                          └─▶ snapshots    so that the log may end somewhere
//!  gossip ──▶ members ──▶ raft            who is there proposes who should be a voter
//!  identity                               who may speak at all: cluster id, node id, certificates, join token
//!  run                                    all of it put together: one node
//!  wallet ──▶ transport ──▶ raft          what this node's requests spend, told to the leader
//! ```
//!
//! A crate of its own so that openraft's generics are built once, and so that nothing here can depend on requests.

pub mod engine;
pub mod figures;
pub mod gossip;
pub mod identity;
pub mod members;
pub mod raft;
pub mod run;
pub mod snapshots;
pub mod state;
pub mod transport;
pub mod wallet;
