//! The size that each collection of the ledger may have, so that no sequence of commands can fill a member's memory.

/// Budgets. Deleted ones are remembered while there is room.
pub const MOST_BUDGETS: usize = 10_000;
/// Buckets that are open: about a gigabyte. Fewer in tests, which fill them.
pub const MOST_BUCKETS: usize = if cfg!(test) { 1_000 } else { 4_000_000 };
/// Leases that are open.
pub const MOST_LEASES: usize = 8_000_000;
/// Sessions that are open, and those of forgotten nodes, which make room. Fewer in tests.
pub const MOST_SESSIONS: usize = if cfg!(test) { 100 } else { 4_096 };
/// Nodes that ever were: their numbers are not used again.
pub const MOST_NODES: usize = 1_000_000;
/// Items of one batch.
pub const MOST_ITEMS: usize = 4_096;
/// Rows of one batch.
pub const MOST_BATCH_ROWS: usize = 4_096;
/// Operators' entries that are kept one by one; the oldest make room.
pub const MOST_ADJUSTMENTS: usize = 10_000;
/// Buckets and rows that one entry may change.
pub const MOST_ADJUSTED: usize = 1_000;

/// Bytes of a budget's name, an operator's name, and an entry's id.
pub const MOST_NAME_BYTES: usize = 253;
/// Bytes of an entry's reason.
pub const MOST_REASON_BYTES: usize = 1_024;
/// Bytes of an expression that a budget counts.
pub const MOST_EXPRESSION_BYTES: usize = 16 << 10;
/// Closed windows that a budget remembers one by one; older ones are one sum.
pub const MOST_CLOSED_WINDOWS: usize = 400;
/// Buckets that one tick closes: a member is busy with it for some milliseconds at most.
pub const MOST_CLOSED_A_TICK: usize = 20_000;
