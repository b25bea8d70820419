//! A part of one bucket that one session may spend. All amounts are totals since it began and only grow.

use serde::{Deserialize, Serialize};

use super::command::SessionId;
use super::slab::Slab;
use crate::time::Timestamp;
use crate::unit::Amount;

/// No lease: the end of a bucket's list.
pub(crate) const NONE: u32 = u32::MAX;

/// A lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lease {
    pub(crate) bucket: u32,
    pub(crate) session: SessionId,
    pub(crate) granted: Amount,
    pub(crate) settled: Amount,
    pub(crate) overrun: Amount,
    /// The part of `overrun` that the bucket could pay for after all.
    pub(crate) covered: Amount,
    pub(crate) returned: Amount,
    /// What was last asked in vain: the holder is told when there is as much again. 0 when nothing was.
    pub(crate) denied_need: Amount,
    pub(crate) recall: Recall,
    /// The next lease of the same bucket.
    pub(crate) next: u32,
}

/// Whether the holder was asked to give back what it does not need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Recall {
    /// It was not.
    No,
    /// It was, and has not spoken since.
    Asked(Timestamp),
    /// It has spoken since it was asked: what it kept, it needs.
    Answered(Timestamp),
}

impl Lease {
    pub(crate) const fn new(bucket: u32, session: SessionId, next: u32) -> Self {
        Self {
            bucket,
            session,
            granted: 0,
            settled: 0,
            overrun: 0,
            covered: 0,
            returned: 0,
            denied_need: 0,
            recall: Recall::No,
            next,
        }
    }

    /// What its holder may still spend, as far as the ledger knows.
    pub(crate) const fn outstanding(&self) -> Amount {
        self.granted - self.settled - self.returned
    }
}

/// The leases of one bucket, newest first.
pub(crate) struct Chain<'a> {
    pub(crate) leases: &'a Slab<Lease>,
    pub(crate) at: u32,
}

impl<'a> Iterator for Chain<'a> {
    type Item = (u32, &'a Lease);

    fn next(&mut self) -> Option<Self::Item> {
        let slot = self.at;
        let lease = self.leases.get(slot)?;
        self.at = lease.next;
        Some((slot, lease))
    }
}
