//! Where a call goes, and on which connection.

/// Connections to one node. What is large or slow has its own, so that nothing waits behind it that keeps a leader in office.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Entries of the log.
    Log,
    /// Heartbeats and votes.
    Heartbeat,
    /// Snapshots.
    Snapshot,
    /// Proposals, reads and wallets.
    Control,
}

/// A node to call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its Raft id: what its certificate must say.
    pub node: u64,
    /// `host:port`. The host is looked up at each connect.
    pub address: String,
    /// On which connection.
    pub lane: Lane,
}
