//! Time as the core knows it: numbers that it is handed. Cluster time is stamped by the leader on each command and never
//! runs backwards; a node's own time is a boot-time clock that only measures how long ago something was.

use serde::{Deserialize, Serialize};

/// A moment of cluster time: milliseconds since 1970-01-01, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(pub u64);

/// Milliseconds of one node's boot-time clock, which goes on while the machine sleeps. Of no meaning elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeTime(pub u64);

/// From `start` up to, but without, `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span {
    /// The first moment.
    pub start: Timestamp,
    /// The first moment that is not in it any more.
    pub end: Timestamp,
}

/// Milliseconds of an hour.
pub const HOUR_MS: u64 = 60 * 60 * 1000;
/// Milliseconds of a day of UTC.
pub const DAY_MS: u64 = 24 * HOUR_MS;

impl Timestamp {
    /// The end of windows that never end.
    pub const NEVER: Self = Self(u64::MAX);

    /// `ms` later; `NEVER` at most.
    #[must_use]
    pub const fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// How long after `earlier` this is, in milliseconds; 0 if it is not.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Hours since 1970-01-01, UTC.
    pub fn hour(self) -> u32 {
        u32::try_from(self.0 / HOUR_MS).unwrap_or(u32::MAX)
    }

    /// Days since 1970-01-01, UTC.
    pub fn day(self) -> u32 {
        u32::try_from(self.0 / DAY_MS).unwrap_or(u32::MAX)
    }
}

impl NodeTime {
    /// `ms` later.
    #[must_use]
    pub const fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// How long after `earlier` this is, in milliseconds; 0 if it is not.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Span {
    /// All of time: the window of budgets that never start again.
    pub const ALWAYS: Self = Self { start: Timestamp(0), end: Timestamp::NEVER };

    /// Whether `at` lies in it.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }
}
