//! The promises, tried: that the house stays tidy (`tests/tidy.rs`), what the quota core promises in every state of small
//! worlds (`model`), and in large ones that run from a seed (`sim`), one promise a file (`properties`). The trials with real
//! processes under faults live here too, as the parts that they try are built.

pub mod efficiency;
pub mod model;
pub mod properties;
pub mod raft_sim;
pub mod sim;
