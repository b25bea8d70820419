//! The whole ledger as sections of a snapshot, and back. Two members with the same state write the same bytes; what is read
//! back is checked before it counts.

use std::io::{Read, Write};

use serde::{Deserialize, Serialize};

use super::check::Violation;
use super::command::NodeId;
use super::slab::Slab;
use super::{Ledger, Timestamp};
use crate::unit::Amount;
use crate::wire::snapshot::{Chunk, Reader, SnapshotError, Writer};

/// The ledger's sections have lower numbers, and will: the rest is for what else is in the same snapshot.
pub const SECTIONS: u8 = 100;

/// Sections, in the order in which they are written. Numbers are for ever.
const HEAD: u8 = 1;
const BUDGETS: u8 = 2;
const SESSIONS: u8 = 3;
const INCARNATIONS: u8 = 4;
const BUCKETS: u8 = 5;
const EMPTY_BUCKETS: u8 = 6;
const LEASES: u8 = 7;
const EMPTY_LEASES: u8 = 8;
const FORFEITED: u8 = 9;
const OVERRUNS: u8 = 10;
const ADJUSTMENTS: u8 = 11;

/// What is not a list.
#[derive(Serialize, Deserialize)]
struct Head {
    now: Timestamp,
    next_budget: u32,
    next_session: u32,
}

/// A snapshot that can't be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestoreError {
    /// The bytes are not those of a snapshot, or were changed.
    Unreadable(SnapshotError),
    /// They are, and tell of a ledger that can't be.
    Inconsistent(Violation),
}

/// A ledger that is being read back, chunk by chunk: for a snapshot that holds more than a ledger.
pub struct Restoring {
    ledger: Ledger,
    seed: u64,
}

impl Restoring {
    /// Nothing was read yet. The seed is as for [`Ledger::new`].
    pub fn new(seed: u64) -> Self {
        Self { ledger: Ledger::new(seed), seed }
    }

    /// Reads a chunk of one of the ledger's sections.
    pub fn take(&mut self, chunk: &Chunk) -> Result<(), SnapshotError> {
        self.ledger.take(chunk)
    }

    /// The ledger, once the snapshot's end was read.
    pub fn finish(self) -> Result<Ledger, Violation> {
        let Self { mut ledger, seed } = self;
        let named = ledger.budgets.iter().filter(|(_, entry)| !entry.deleted);
        ledger.names = named.map(|(id, entry)| (entry.budget.name.clone(), *id)).collect();
        ledger.derive(seed).and_then(|()| ledger.check())?;
        Ok(ledger)
    }
}

impl Ledger {
    /// Writes every section. Their numbers are below [`SECTIONS`].
    pub fn write<W: Write>(&self, out: &mut Writer<W>) -> Result<(), SnapshotError> {
        let Self {
            now,
            budgets,
            names: _,
            next_budget,
            buckets,
            leases,
            forfeited,
            overruns,
            sessions,
            next_session,
            incarnations,
            rows,
            adjustments,
            due: _,
            index: _,
        } = self;
        out.item(HEAD, &Head { now: *now, next_budget: *next_budget, next_session: *next_session })?;
        all(out, BUDGETS, budgets.iter())?;
        all(out, SESSIONS, sessions.iter())?;
        all(out, INCARNATIONS, incarnations.iter())?;
        all(out, BUCKETS, buckets.places.iter())?;
        all(out, EMPTY_BUCKETS, buckets.empty.iter())?;
        all(out, LEASES, leases.places.iter())?;
        all(out, EMPTY_LEASES, leases.empty.iter())?;
        all(out, FORFEITED, forfeited.iter())?;
        all(out, OVERRUNS, overruns.iter())?;
        all(out, ADJUSTMENTS, adjustments.iter())?;
        rows.write(out)
    }

    /// Reads a ledger back from a snapshot that has nothing else in it. The seed is as for [`Ledger::new`].
    pub fn read<R: Read>(reader: &mut Reader<R>, seed: u64) -> Result<Self, RestoreError> {
        let mut restoring = Restoring::new(seed);
        while let Some(chunk) = reader.chunk().map_err(RestoreError::Unreadable)? {
            restoring.take(&chunk).map_err(RestoreError::Unreadable)?;
        }
        restoring.finish().map_err(RestoreError::Inconsistent)
    }

    fn take(&mut self, chunk: &Chunk) -> Result<(), SnapshotError> {
        match chunk.section {
            HEAD => {
                for Head { now, next_budget, next_session } in chunk.items()? {
                    (self.now, self.next_budget, self.next_session) = (now, next_budget, next_session);
                }
            }
            BUDGETS => self.budgets.extend(chunk.items()?),
            SESSIONS => self.sessions.extend(chunk.items()?),
            INCARNATIONS => self.incarnations.extend(chunk.items::<(NodeId, u64)>()?),
            BUCKETS => self.buckets.places.extend(chunk.items()?),
            EMPTY_BUCKETS => self.buckets.empty.extend(chunk.items::<u32>()?),
            LEASES => self.leases.places.extend(chunk.items()?),
            EMPTY_LEASES => self.leases.empty.extend(chunk.items::<u32>()?),
            FORFEITED => self.forfeited.extend(chunk.items::<(u32, Amount)>()?),
            OVERRUNS => self.overruns.extend(chunk.items::<(u32, Amount)>()?),
            ADJUSTMENTS => self.adjustments.extend(chunk.items()?),
            _ => self.rows.take(chunk)?,
        }
        Ok(())
    }

    /// Makes anew what is derived and therefore not part of a snapshot.
    fn derive(&mut self, seed: u64) -> Result<(), Violation> {
        self.buckets.expect_sound("buckets")?;
        self.leases.expect_sound("leases")?;
        self.index = super::Index::new(seed);
        self.due.clear();
        for (slot, bucket) in self.buckets.iter() {
            self.index.insert(slot, &self.buckets);
            if bucket.due < Timestamp::NEVER {
                self.due.entry(bucket.due).or_default().insert(slot);
            }
        }
        match self.leases.iter().find(|(_, lease)| self.buckets.get(lease.bucket).is_none()) {
            Some((slot, lease)) => Err(Violation(format!("lease {slot} is of no bucket: {lease:?}"))),
            None => Ok(()),
        }
    }
}

fn all<W: Write, T: Serialize>(
    out: &mut Writer<W>,
    section: u8,
    mut items: impl Iterator<Item = T>,
) -> Result<(), SnapshotError> {
    items.try_for_each(|item| out.item(section, &item))
}

impl<T> Slab<T> {
    /// Whether its empty places are those that are empty.
    fn expect_sound(&self, what: &str) -> Result<(), Violation> {
        let holes = self.places.iter().filter(|place| place.value.is_none()).count();
        let mut listed = self.empty.clone();
        listed.sort_unstable();
        listed.dedup();
        let empty = |slot: &u32| self.places.get(*slot as usize).is_some_and(|place| place.value.is_none());
        if listed.len() == holes && self.empty.len() == holes && listed.iter().all(empty) {
            Ok(())
        } else {
            Err(Violation(format!("{what}: {holes} places are empty, {} are listed", self.empty.len())))
        }
    }
}
