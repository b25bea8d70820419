//! The log on sled 0.34, made durable and made to notice.
//!
//! What sled lacks, and what stands here instead:
//!
//! | sled 0.34.7 | here |
//! | --- | --- |
//! | `flush` hands pages to the disk and syncs nothing | [`sync`](LogEngine::sync) also calls `fdatasync` on a descriptor of our own |
//! | configuration and folders are never synced | done once, when the log is made |
//! | a file that it can't read may open as an empty store | a [`marker`] beside it, and every entry chained to the one before |
//! | large pages go to files that nobody syncs | bodies are cut into small parts ([`frame`]) |
//! | it panics on some damage | caught when opening; later, by whoever runs the engine |
//!
//! An error is final: what it left on the disk is not known, so everything after it is refused.

mod error;
mod frame;
mod marker;
mod open;
mod scan;

use std::fs::File;
use std::io;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use ::sled::{Batch, Db};

pub use self::error::{OpenError, Owner, Reached};
use self::frame::{Anchor, Parts};
use self::scan::{damage, disk, scan};
use super::{LogEngine, Record, Slot};

/// Entries that one batch removes: sled holds a batch in memory, and locks out readers meanwhile.
const REMOVED_AT_ONCE: u64 = 256;

/// A log in a folder of its own.
pub struct SledEngine {
    db: Db,
    /// The same file that `db` writes: an error of the disk is told to each descriptor once, so ours hears of those too that
    /// came up while sled synced in the background.
    file: File,
    marker: PathBuf,
    owner: Owner,
    held: Held,
    /// What the marker says.
    marked: Reached,
    unsynced: bool,
    failure: Option<(io::ErrorKind, String)>,
}

/// What the store holds, synced or not.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    range: Option<(u64, u64)>,
    /// Of the last entry, or of the anchor: what the next entry is chained to.
    chain: u32,
    anchor: Option<Anchor>,
    votes: u64,
}

impl Held {
    fn reached(&self) -> Reached {
        let purged = self.anchor.map(|anchor| anchor.index);
        Reached { index: self.range.map(|(_, last)| last).max(purged), votes: self.votes }
    }

    /// Without entries, the anchor is all that the next one stands on.
    fn emptied(&mut self) {
        self.range = None;
        self.chain = self.anchor.map_or(0, |anchor| anchor.chain);
    }
}

impl LogEngine for SledEngine {
    fn append(&mut self, entries: &[Record]) -> io::Result<()> {
        self.finally(|engine| engine.insert(entries))
    }

    fn truncate_after(&mut self, last: Option<u64>) -> io::Result<()> {
        self.finally(|engine| engine.cut_tail(last))
    }

    fn purge(&mut self, last: u64) -> io::Result<()> {
        self.finally(|engine| engine.cut_head(last))
    }

    fn put(&mut self, slot: Slot, value: &[u8]) -> io::Result<()> {
        self.finally(|engine| {
            let votes = engine.held.votes + u64::from(slot == Slot::Vote);
            let bytes = frame::slot_value(votes, value);
            engine.db.insert(frame::slot_key(slot), bytes).map_err(disk)?;
            engine.held.votes = votes;
            engine.unsynced = true;
            Ok(())
        })
    }

    fn read(&self, slot: Slot) -> io::Result<Option<Vec<u8>>> {
        self.alive()?;
        Ok(open::slot(&self.db, slot)?.map(|(_, value)| value))
    }

    fn entries(&self, first: u64, end: u64) -> io::Result<Vec<Record>> {
        self.alive()?;
        let Some((lowest, highest)) = self.held.range else { return Ok(Vec::new()) };
        let (first, end) = (first.max(lowest), end.min(highest.saturating_add(1)));
        if first >= end {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for (index, whole) in (first..end).zip(scan(&self.db, first..=end - 1)) {
            let record = whole?.record;
            if record.index != index {
                return Err(damage(format!("entry {index} was expected, {} came", record.index)));
            }
            found.push(record);
        }
        if found.len() as u64 != end - first {
            let missing = first + found.len() as u64;
            return Err(damage(format!("entry {missing} was expected, none came")));
        }
        Ok(found)
    }

    fn range(&self) -> io::Result<Option<(u64, u64)>> {
        self.alive()?;
        Ok(self.held.range)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.finally(|engine| {
            let rests = !engine.unsynced;
            if engine.unsynced {
                engine.db.flush().map_err(disk)?;
                engine.file.sync_data()?;
                engine.unsynced = false;
            }
            if rests || engine.held.votes != engine.marked.votes {
                engine.mark(engine.held.reached())?;
            }
            Ok(())
        })
    }
}

impl SledEngine {
    fn insert(&mut self, entries: &[Record]) -> io::Result<()> {
        let mut batch = Batch::default();
        let mut held = self.held;
        for record in entries {
            if let Some(last) = held.reached().index.filter(|last| last.checked_add(1) != Some(record.index))
            {
                let what = format!("an entry after {last} was expected, {} came", record.index);
                return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
            }
            let (values, chain) = frame::entry_values(record, held.chain).map_err(damage)?;
            for (part, value) in (0..).zip(values) {
                batch.insert(&frame::entry_key(record.index, part), value);
            }
            held.range = Some((held.range.map_or(record.index, |(first, _)| first), record.index));
            held.chain = chain;
        }
        self.db.apply_batch(batch).map_err(disk)?;
        self.held = held;
        self.unsynced = true;
        Ok(())
    }

    fn cut_tail(&mut self, last: Option<u64>) -> io::Result<()> {
        let Some((first, mut end)) = self.held.range.filter(|(_, end)| last < Some(*end)) else {
            return Ok(());
        };
        let kept = last.filter(|last| *last >= first);
        let anchored = self.held.anchor.map(|anchor| anchor.index);
        // Before anything is gone, or a crash between the two would look like a loss.
        if self.marked.index > kept.max(anchored) {
            self.mark(Reached { index: kept.max(anchored), ..self.marked })?;
        }
        let lowest = kept.map_or(first, |kept| kept + 1);
        // From the end, so that a crash between two batches leaves no hole.
        loop {
            let from = lowest.max((end + 1).saturating_sub(REMOVED_AT_ONCE));
            self.remove(from..=end, None)?;
            if from == lowest {
                break;
            }
            end = from - 1;
        }
        match kept {
            Some(kept) => {
                self.held.chain = self.chain_of(kept)?;
                self.held.range = Some((first, kept));
            }
            None => self.held.emptied(),
        }
        Ok(())
    }

    fn cut_head(&mut self, last: u64) -> io::Result<()> {
        let Some((mut first, end)) = self.held.range else {
            return if self.held.reached().index < Some(last) { self.stand_on(last) } else { Ok(()) };
        };
        while first <= last.min(end) {
            let upto = last.min(end).min(first + (REMOVED_AT_ONCE - 1));
            let anchor = Anchor { index: upto, chain: self.chain_of(upto)? };
            self.remove(first..=upto, Some(anchor))?;
            self.held.anchor = Some(anchor);
            if upto == end {
                self.held.emptied();
                return if last > end { self.stand_on(last) } else { Ok(()) };
            }
            first = upto + 1;
            self.held.range = Some((first, end));
        }
        Ok(())
    }

    /// The log goes on after an index that was never here: a snapshot brought it.
    fn stand_on(&mut self, index: u64) -> io::Result<()> {
        let anchor = Anchor { index, chain: 0 };
        self.db.insert(frame::ANCHOR, frame::anchor_value(anchor)).map_err(disk)?;
        self.held.anchor = Some(anchor);
        self.held.emptied();
        self.unsynced = true;
        Ok(())
    }

    fn remove(&mut self, range: RangeInclusive<u64>, anchor: Option<Anchor>) -> io::Result<()> {
        let mut batch = Batch::default();
        let keys = frame::entry_key(*range.start(), 0)..=frame::entry_key(*range.end(), u16::MAX);
        for key in self.db.range(keys).keys() {
            batch.remove(key.map_err(disk)?);
        }
        if let Some(anchor) = anchor {
            batch.insert(&frame::ANCHOR, frame::anchor_value(anchor));
        }
        self.db.apply_batch(batch).map_err(disk)?;
        self.unsynced = true;
        Ok(())
    }

    /// What an entry says its chain is.
    fn chain_of(&self, index: u64) -> io::Result<u32> {
        let head = self.db.get(frame::entry_key(index, 0)).map_err(disk)?;
        let head = head.ok_or_else(|| damage(format!("entry {index} was expected, none came")))?;
        Parts::begin(index, &head).map(|parts| parts.chain()).map_err(damage)
    }

    fn mark(&mut self, reached: Reached) -> io::Result<()> {
        if reached != self.marked {
            marker::store(&self.marker, self.owner, reached)?;
            self.marked = reached;
        }
        Ok(())
    }

    /// Does something whose failure is the end.
    fn finally<T>(&mut self, work: impl FnOnce(&mut Self) -> io::Result<T>) -> io::Result<T> {
        self.alive()?;
        let result = work(self);
        if let Err(error) = &result {
            self.failure = Some((error.kind(), error.to_string()));
        }
        result
    }

    fn alive(&self) -> io::Result<()> {
        match &self.failure {
            None => Ok(()),
            Some((kind, what)) => Err(io::Error::new(*kind, format!("the log has failed before: {what}"))),
        }
    }
}
