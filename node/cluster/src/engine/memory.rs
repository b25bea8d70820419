//! The log in memory, over a disk that remembers what was synced: for the simulator, where power is cut.
//!
//! ```text
//!  MemoryEngine ──append, put, …──▶ unsynced changes ──sync──▶ durable
//!                                        │
//!                                      crash(kept): the first `kept` of them reached the disk, the others are gone
//! ```
//!
//! Deterministic: no clock, no thread, no order but the caller's. An engine that was opened before a crash is a part of the
//! machine that is gone, and refuses everything.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{LogEngine, Record, Slot};

/// A disk that outlives the engines on it. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    platter: Arc<Mutex<Platter>>,
}

#[derive(Debug, Default)]
struct Platter {
    durable: Image,
    unsynced: Vec<Change>,
    /// How often power was cut.
    crashes: u64,
    failing: bool,
    #[cfg(feature = "planted-faults")]
    late: Option<usize>,
}

/// What a reader of the disk sees.
#[derive(Clone, Debug, Default)]
struct Image {
    entries: BTreeMap<u64, Vec<u8>>,
    /// Up to where entries were purged.
    purged: Option<u64>,
    slots: BTreeMap<Slot, Vec<u8>>,
}

/// The smallest that reaches a disk whole.
#[derive(Clone, Debug)]
enum Change {
    Append(Record),
    TruncateAfter(Option<u64>),
    Purge(u64),
    Put(Slot, Vec<u8>),
}

impl MemoryDisk {
    /// An engine on what the disk holds. Whoever opens a second one while the first is in use mixes two logs.
    pub fn open(&self) -> MemoryEngine {
        let platter = self.platter();
        let mut now = platter.durable.clone();
        platter.unsynced.iter().for_each(|change| now.apply(change));
        MemoryEngine { now, boot: platter.crashes, disk: self.clone(), failed: false }
    }

    /// How many changes a crash could drop. An entry is a change of its own.
    pub fn unsynced(&self) -> usize {
        self.platter().unsynced.len()
    }

    /// Cuts the power. Of the changes that were not synced, the first `kept` had reached the disk.
    pub fn crash(&self, kept: usize) {
        let mut platter = self.platter();
        platter.make_durable(kept);
        platter.unsynced.clear();
        platter.crashes += 1;
        #[cfg(feature = "planted-faults")]
        if platter.late.is_some() {
            platter.late = Some(0);
        }
    }

    /// From now on every sync fails: the disk is full, or broken. What was not synced stays so.
    pub fn fail(&self) {
        self.platter().failing = true;
    }

    /// Plants a fault: a sync returns before its changes are durable, which they become with the next one.
    #[cfg(feature = "planted-faults")]
    pub fn acknowledge_before_durable(&self) {
        self.platter().late = Some(0);
    }

    fn platter(&self) -> MutexGuard<'_, Platter> {
        self.platter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Platter {
    fn make_durable(&mut self, count: usize) {
        for change in self.unsynced.drain(..count.min(self.unsynced.len())) {
            self.durable.apply(&change);
        }
    }

    #[cfg(not(feature = "planted-faults"))]
    fn sync(&mut self) {
        self.make_durable(usize::MAX);
    }

    #[cfg(feature = "planted-faults")]
    fn sync(&mut self) {
        let count = self.late.unwrap_or(usize::MAX);
        self.make_durable(count);
        if self.late.is_some() {
            self.late = Some(self.unsynced.len());
        }
    }
}

impl Image {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Append(record) => {
                self.entries.insert(record.index, record.body.clone());
            }
            Change::TruncateAfter(None) => self.entries.clear(),
            Change::TruncateAfter(Some(last)) => {
                self.entries.split_off(&last.saturating_add(1));
            }
            Change::Purge(last) => {
                self.entries = self.entries.split_off(&last.saturating_add(1));
                self.purged = self.purged.max(Some(*last));
            }
            Change::Put(slot, value) => {
                self.slots.insert(*slot, value.clone());
            }
        }
    }

    fn last(&self) -> Option<u64> {
        self.entries.last_key_value().map(|(index, _)| *index).max(self.purged)
    }
}

/// A log on a [`MemoryDisk`].
#[derive(Debug)]
pub struct MemoryEngine {
    disk: MemoryDisk,
    /// Durable and unsynced together: what a reader of this engine sees.
    now: Image,
    /// The crash count that this engine knows.
    boot: u64,
    failed: bool,
}

impl MemoryEngine {
    fn change(&mut self, change: &Change) -> io::Result<()> {
        let mut platter = self.alive()?;
        platter.unsynced.push(change.clone());
        drop(platter);
        self.now.apply(change);
        Ok(())
    }

    fn alive(&self) -> io::Result<MutexGuard<'_, Platter>> {
        let platter = self.disk.platter();
        if platter.crashes != self.boot {
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, "the machine of this engine has crashed"));
        }
        if self.failed {
            return Err(io::Error::other("the log has failed before: the disk said no"));
        }
        Ok(platter)
    }
}

impl LogEngine for MemoryEngine {
    fn append(&mut self, entries: &[Record]) -> io::Result<()> {
        for record in entries {
            if let Some(last) = self.now.last().filter(|last| last.checked_add(1) != Some(record.index)) {
                let what = format!("an entry after {last} was expected, {} came", record.index);
                return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
            }
            self.change(&Change::Append(record.clone()))?;
        }
        Ok(())
    }

    fn truncate_after(&mut self, last: Option<u64>) -> io::Result<()> {
        self.change(&Change::TruncateAfter(last))
    }

    fn purge(&mut self, last: u64) -> io::Result<()> {
        self.change(&Change::Purge(last))
    }

    fn put(&mut self, slot: Slot, value: &[u8]) -> io::Result<()> {
        self.change(&Change::Put(slot, value.to_vec()))
    }

    fn read(&self, slot: Slot) -> io::Result<Option<Vec<u8>>> {
        drop(self.alive()?);
        Ok(self.now.slots.get(&slot).cloned())
    }

    fn entries(&self, first: u64, end: u64) -> io::Result<Vec<Record>> {
        drop(self.alive()?);
        if first >= end {
            return Ok(Vec::new());
        }
        let found = self.now.entries.range(first..end);
        Ok(found.map(|(index, body)| Record { index: *index, body: body.clone() }).collect())
    }

    fn range(&self) -> io::Result<Option<(u64, u64)>> {
        drop(self.alive()?);
        let ends = self.now.entries.first_key_value().zip(self.now.entries.last_key_value());
        Ok(ends.map(|((first, _), (last, _))| (*first, *last)))
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut platter = self.alive()?;
        if platter.failing {
            drop(platter);
            self.failed = true;
            return Err(io::Error::new(io::ErrorKind::StorageFull, "the disk is full"));
        }
        platter.sync();
        Ok(())
    }
}
