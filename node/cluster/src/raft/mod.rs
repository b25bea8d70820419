//! openraft, and nothing of it outside this folder: the types of our log, its storage, its network, how it is set up.

pub mod forward;
pub mod log_store;
pub mod membership;
pub mod network;
pub mod replica;
pub mod settings;
pub mod snapshot;
pub mod state_machine;
pub mod types;
