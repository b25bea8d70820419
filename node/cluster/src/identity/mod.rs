//! Who a node is, and who may speak to it: cluster id, node id, certificates, join token, and the folder that remembers them.
//!
//! ```text
//!  data folder (0700, one process)
//!    lock        held while a process runs; says its pid
//!    identity    cluster, node, incarnation, the cluster's secret, certificate and key: one file, replaced whole
//!    joining     what a newcomer asks with, until it was let in: asked twice, it is the same newcomer
//!    join-token  what lets others in
//! ```
//!
//! **The authority.** The first node makes the cluster's certificate authority. Whoever is asked must be able to let a
//! newcomer in, so its key is on every node: in the replicated state, sealed under a key that is derived from the cluster's
//! secret, which a newcomer is given as it joins. A node can therefore renew its own certificate without asking anybody,
//! and a node that was broken into can speak for all of them, which, holding the replica, it could anyway.
//!
//! **The operator's own certificates.** They are trusted beside the cluster's authority, not in its place, since a node's
//! name (`node-<id>.<cluster>`) is known only after it has joined. They must carry that name.

pub mod authority;
mod cluster_id;
pub mod files;
pub mod folder;
mod hex;
pub mod home;
mod name;
mod newcomer;
mod record;
pub mod secret;
pub mod token;

pub use self::cluster_id::ClusterId;
pub use self::name::NodeName;
pub(crate) use self::name::{cluster_asked_for, reception};
pub use self::newcomer::{Admission, Admitted, Newcomer};
