//! Snapshots on the shelf: written under another name, synced, renamed, and the folder synced, so that whatever has a
//! snapshot's name is whole. The last two are kept, and what was left unfinished is taken away at the start.
//!
//! ```text
//! begin ─▶ Part ─finish (sync)─▶ SnapshotFile ─keep (rename, sync, take older ones away)─▶ on the shelf ─open─▶ SnapshotFile
//! ```

pub mod folder;

use std::fmt;
use std::io::{self, BufReader, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use self::folder::{File, Folder};

/// A snapshot's bytes may fail to be read later on a worn disk: then there is the one before.
const KEPT: usize = 2;
const UNFINISHED: &str = ".part";
const DAMAGED: &str = ".damaged";
const PREFIX: &str = "snapshot-";

/// The snapshots of one node.
#[derive(Clone)]
pub struct Shelf {
    folder: Arc<dyn Folder>,
    begun: Arc<AtomicU64>,
}

/// Where in the log a snapshot was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The last entry that is in it.
    pub index: u64,
    /// Its term.
    pub term: u64,
}

/// A snapshot that is being written or received. Dropped, it was never there.
pub struct Part {
    /// None once it is finished.
    file: Option<Box<dyn File>>,
    shelf: Shelf,
    name: String,
}

/// A snapshot to be read, once, from its first byte. Where it was never put on the shelf it is gone when this is dropped.
pub struct SnapshotFile {
    input: BufReader<Box<dyn Read + Send>>,
    bytes: u64,
    name: String,
    unkept: Option<Shelf>,
}

impl Shelf {
    /// The shelf in that folder.
    pub fn open(folder: Arc<dyn Folder>) -> io::Result<Self> {
        for name in folder.names()?.iter().filter(|name| name.ends_with(UNFINISHED)) {
            folder.remove(name)?;
        }
        Ok(Self { folder, begun: Arc::default() })
    }

    /// Begins a snapshot.
    pub fn begin(&self) -> io::Result<Part> {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let name = format!("{number}{UNFINISHED}");
        let file = self.folder.create(&name)?;
        Ok(Part { file: Some(file), shelf: self.clone(), name })
    }

    /// Puts a finished snapshot on the shelf, for good once this returns.
    pub fn keep(&self, mut snapshot: SnapshotFile, place: Place) -> io::Result<()> {
        if snapshot.unkept.is_none() {
            return Ok(()); // It came from there.
        }
        self.folder.rename(&snapshot.name, &place.to_string())?;
        snapshot.unkept = None;
        self.folder.sync()?;
        for older in self.places()?.into_iter().skip(KEPT) {
            self.folder.remove(&older.to_string())?;
        }
        Ok(())
    }

    /// What is on the shelf, the newest first.
    pub fn places(&self) -> io::Result<Vec<Place>> {
        let mut places: Vec<_> = self.folder.names()?.iter().filter_map(|name| Place::named(name)).collect();
        places.sort_unstable_by(|one, other| other.cmp(one));
        Ok(places)
    }

    /// Opens a snapshot.
    pub fn snapshot(&self, place: Place) -> io::Result<SnapshotFile> {
        let name = place.to_string();
        let (input, bytes) = self.folder.open(&name)?;
        Ok(SnapshotFile { input: BufReader::new(input), bytes, name, unkept: None })
    }

    /// Takes a snapshot that can't be read off the shelf, for people to look at.
    pub fn set_aside(&self, place: Place) -> io::Result<()> {
        let name = place.to_string();
        self.folder.rename(&name, &format!("{name}{DAMAGED}"))?;
        self.folder.sync()
    }
}

impl Part {
    /// Ends it: it can be read now, and survives a power cut once it was kept.
    pub fn finish(mut self) -> io::Result<SnapshotFile> {
        if let Some(mut file) = self.file.take() {
            file.flush()?;
            file.sync()?;
        }
        let (input, bytes) = self.shelf.folder.open(&self.name)?;
        // What was a part is a file from here on, and takes itself away.
        let name = std::mem::take(&mut self.name);
        Ok(SnapshotFile { input: BufReader::new(input), bytes, name, unkept: Some(self.shelf.clone()) })
    }
}

impl Write for Part {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_mut().map_or(Ok(0), |file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.name.is_empty() {
            _ = self.shelf.folder.remove(&self.name); // If not now, then when the shelf is opened again.
        }
    }
}

impl SnapshotFile {
    /// How long it is.
    pub const fn length(&self) -> u64 {
        self.bytes
    }
}

impl Read for SnapshotFile {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.input.read(into)
    }
}

impl Drop for SnapshotFile {
    fn drop(&mut self) {
        if let Some(shelf) = &self.unkept {
            _ = shelf.folder.remove(&self.name); // If not now, then when the shelf is opened again.
        }
    }
}

impl fmt::Debug for SnapshotFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.name, self.bytes)
    }
}

impl Place {
    fn named(name: &str) -> Option<Self> {
        let (index, term) = name.strip_prefix(PREFIX)?.split_once('-')?;
        Some(Self { index: index.parse().ok()?, term: term.parse().ok()? })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}-{}", self.index, self.term)
    }
}

#[cfg(test)]
mod snapshots_test;
