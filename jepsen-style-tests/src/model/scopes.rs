//! What is explored: each scope is small enough to be searched whole, and big in another direction.

use tollgate_ratelimit::unit::Amount;

use super::node::{Ask, Say};

/// The bounds of a search.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// Nodes.
    pub nodes: usize,
    /// The limit at first.
    pub limit: Amount,
    /// What it is changed to, in this order.
    pub limits: &'static [Amount],
    /// What the leader's clock shows, one after the other. A window is a minute; who is silent for 32 s is fenced.
    pub moments_ms: &'static [u64],
    /// Whether a leader's clock may be a moment behind.
    pub late_stamps: bool,
    /// How late a batch may arrive again.
    pub copies: Copies,
    /// The batches that a run may send.
    pub batches: u64,
    /// What they are for.
    pub says: &'static [Say],
    /// What is asked for.
    pub ask: Ask,
    /// What a request reserves.
    pub hold: Amount,
    /// What requests cost.
    pub costs: &'static [Amount],
    /// Whether a request may cost more than it reserved.
    pub overruns: bool,
    /// Processes that end without a word.
    pub crashes: usize,
    /// What becomes of their journals.
    pub journals: Journals,
    /// Nodes that an operator gives up.
    pub forgotten: usize,
}

/// How late a batch may arrive again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copies {
    /// Until its answer is heard.
    BeforeTheAnswer,
    /// Also after that, until the next one's answer is.
    Late,
}

/// What becomes of the journal of a process that ended without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Journals {
    /// The next process has it.
    Kept,
    /// Nobody has it.
    Lost,
    /// One of the two.
    Either,
}

/// What the others differ from: two nodes in one window, whose leases are reported and ended.
const SMALL: Scope = Scope {
    nodes: 2,
    limit: 2,
    limits: &[],
    moments_ms: &[0],
    late_stamps: false,
    copies: Copies::BeforeTheAnswer,
    batches: 2,
    says: &[Say::Ask, Say::Report, Say::Close],
    ask: Ask { want: 2, need: 1 },
    hold: 1,
    costs: &[1],
    overruns: false,
    crashes: 0,
    journals: Journals::Kept,
    forgotten: 0,
};

/// Three nodes share one bucket, and the last one is short.
pub const SHARING: Scope = Scope { nodes: 3, says: &[Say::Ask, Say::Close], ..SMALL };

/// Three nodes share more, in larger parts.
pub const SIXES: Scope = Scope {
    nodes: 3,
    limit: 6,
    hold: 2,
    costs: &[2],
    says: &[Say::Ask, Say::Close],
    ask: Ask { want: 4, need: 2 },
    ..SMALL
};

/// What one gives back, told to do so or not, another takes.
pub const RECALL: Scope = Scope {
    copies: Copies::Late,
    batches: 3,
    says: &[Say::Ask, Say::TopUp, Say::Return, Say::Close],
    ..SMALL
};

/// A second window begins while leases of the first are out, under leaders whose clocks differ.
pub const ROLL_OVER: Scope = Scope {
    limit: 1,
    moments_ms: &[50_000, 60_000],
    late_stamps: true,
    batches: 3,
    says: &[Say::Ask, Say::Close],
    ..SMALL
};

/// Leases of the second window are had before it begins.
pub const PREFETCH: Scope = Scope {
    nodes: 1,
    moments_ms: &[55_000, 60_000],
    batches: 4,
    says: &[Say::Ask, Say::Prefetch, Say::Report, Say::Close],
    ..SMALL
};

/// A process ends without a word; the next one has its journal.
pub const CRASH: Scope = Scope { crashes: 1, says: &[Say::Ask, Say::Close], ..SMALL };

/// The same, with the journal lost.
pub const AMNESIA: Scope = Scope { journals: Journals::Lost, ..CRASH };

/// Who is silent is fenced, and comes back.
pub const FENCE: Scope =
    Scope { moments_ms: &[0, 32_000], says: &[Say::Ask, Say::Return], batches: 3, ..SMALL };

/// The limit goes down below what is out, and up again.
pub const LIMITS: Scope = Scope { limits: &[1, 2], says: &[Say::Ask, Say::Return, Say::Close], ..SMALL };

/// An operator gives up a node that is alive.
pub const FORGOTTEN: Scope = Scope { forgotten: 1, ..SMALL };

/// Requests cost more than they reserved; the next window pays.
pub const OVERRUN: Scope = Scope { moments_ms: &[50_000, 60_000], costs: &[1, 3], overruns: true, ..SMALL };

/// Three nodes and a limit of six, of which parts come back.
pub const LARGE_SHARING: Scope =
    Scope { costs: &[1, 2], says: &[Say::Ask, Say::Return, Say::Close], ..SIXES };

/// Crashes, journals kept or lost, and silence that lasts over a roll-over: nodes are fenced as the window ends.
pub const LARGE_CRASH: Scope = Scope {
    limit: 1,
    moments_ms: &[28_000, 60_000],
    crashes: 1,
    journals: Journals::Either,
    says: &[Say::Ask, Say::Close],
    ..SMALL
};
