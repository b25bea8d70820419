//! Making a log and opening one again: nothing is served before all of it was read and fits together.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use ::sled::Db;

use super::super::{LogEngine, Slot};
use super::frame;
use super::scan::{damage, disk, scan};
use super::{Held, OpenError, Owner, Reached, SledEngine, marker};

/// sled's folder, and its file in there.
const STORE: &str = "sled";
const STORE_FILE: &str = "db";
const MARKER: &str = "marker";
/// Pages that sled keeps in memory. The newest entries, which are read most, are kept by the writer.
const CACHE_BYTES: u64 = 16 << 20;
/// A store that was just closed in this process keeps its lock until its last thread is gone.
const LOCK_WAIT: Duration = Duration::from_secs(5);
const LOCK_PAUSE: Duration = Duration::from_millis(5);

impl SledEngine {
    /// Makes the log of a new node. What an interrupted call left is taken over, if it holds nothing.
    pub fn create(folder: &Path, owner: Owner) -> Result<Self, OpenError> {
        make_folder(folder).map_err(|source| OpenError::Io { path: folder.to_owned(), source })?;
        let exists = OpenError::Exists { path: folder.to_owned() };
        let marked = marker::load(&folder.join(MARKER), owner)?;
        if marked.is_some_and(|marked| marked != Reached::default()) {
            return Err(exists);
        }
        let mut engine = start(folder, owner)?;
        if engine.held.reached() != Reached::default() {
            return Err(exists);
        }
        let synced = engine.settle(folder);
        synced.map_err(|source| OpenError::Io { path: folder.to_owned(), source })?;
        Ok(engine)
    }

    /// Opens the log of a node that has one. All of it is read: what is damaged, is of another node, or holds less than it
    /// once did is refused.
    pub fn open(folder: &Path, owner: Owner) -> Result<Self, OpenError> {
        let held = marker::load(&folder.join(MARKER), owner)?;
        let lost = |found| OpenError::Lost { path: folder.to_owned(), held, found };
        // sled would make a new file.
        let Some(marked) = held.filter(|_| folder.join(STORE).join(STORE_FILE).exists()) else {
            return Err(lost(None));
        };
        let mut engine = start(folder, owner)?;
        let found = engine.held.reached();
        if !found.covers(marked) {
            return Err(lost(Some(found)));
        }
        engine.marked = marked;
        // After a crash of the process alone, what was found may lie in the page cache only; it counts as durable from here on.
        engine.sync().map_err(|source| OpenError::Io { path: folder.to_owned(), source })?;
        Ok(engine)
    }

    /// What sled does not sync by itself, then the marker, which says that the log exists.
    fn settle(&mut self, folder: &Path) -> io::Result<()> {
        let store = folder.join(STORE);
        self.db.flush().map_err(disk)?;
        for file in fs::read_dir(&store)? {
            File::open(file?.path())?.sync_all()?;
        }
        for folder in [Some(store.as_path()), Some(folder), folder.parent()].into_iter().flatten() {
            sync_folder(folder)?;
        }
        marker::store(&self.marker, self.owner, Reached::default())?;
        self.unsynced = false;
        Ok(())
    }
}

/// What a slot holds, and how often it was kept.
pub(super) fn slot(db: &Db, slot: Slot) -> io::Result<Option<(u64, Vec<u8>)>> {
    let bytes = db.get(frame::slot_key(slot)).map_err(disk)?;
    bytes.map(|bytes| frame::parse_slot(slot, &bytes).map_err(damage)).transpose()
}

fn start(folder: &Path, owner: Owner) -> Result<SledEngine, OpenError> {
    let store = folder.join(STORE);
    // sled panics on some damage rather than say so.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let db = open_store(&store)?;
        let held = verify(&db)?;
        let file = OpenOptions::new().read(true).write(true).open(store.join(STORE_FILE))?;
        Ok((db, held, file))
    }));
    let opened = opened.unwrap_or_else(|_| Err(damage("sled gave up on it".to_owned())));
    let (db, held, file) = opened.map_err(|source| refused(store.join(STORE_FILE), source))?;
    let marker = folder.join(MARKER);
    Ok(SledEngine {
        db,
        file,
        marker,
        owner,
        held,
        marked: Reached::default(),
        unsynced: true,
        failure: None,
    })
}

fn refused(path: PathBuf, source: io::Error) -> OpenError {
    if source.kind() == io::ErrorKind::InvalidData {
        OpenError::Corrupt { path, what: source.to_string() }
    } else {
        OpenError::Io { path, source }
    }
}

fn open_store(store: &Path) -> io::Result<Db> {
    let config = ::sled::Config::new().path(store).cache_capacity(CACHE_BYTES);
    let begun = Instant::now();
    loop {
        match config.open() {
            Err(::sled::Error::Io(error))
                if error.to_string().contains("lock") && begun.elapsed() < LOCK_WAIT =>
            {
                thread::sleep(LOCK_PAUSE);
            }
            other => return other.map_err(disk),
        }
    }
}

/// Reads everything, and says what it is.
fn verify(db: &Db) -> io::Result<Held> {
    for key in db.iter().keys() {
        frame::Key::parse(&key.map_err(disk)?).map_err(damage)?;
    }
    let anchor = db.get(frame::ANCHOR).map_err(disk)?;
    let anchor = anchor.map(|bytes| frame::parse_anchor(&bytes).map_err(damage)).transpose()?;
    let mut held = Held { anchor, ..Held::default() };
    for kept in Slot::ALL {
        let count = slot(db, kept)?.map_or(0, |(count, _)| count);
        held.votes += if kept == Slot::Vote { count } else { 0 };
    }
    held.emptied();
    for whole in scan(db, 0..=u64::MAX) {
        let whole = whole?;
        let index = whole.record.index;
        let before = held.reached().index;
        let follows = before.is_none_or(|before| before.checked_add(1) == Some(index));
        if !follows || whole.before != held.chain {
            let place = before.map_or("the start".to_owned(), |before| format!("entry {before}"));
            let links = format!("{:08x}, and entry {index} after {:08x}", held.chain, whole.before);
            return Err(damage(format!("what follows {place} with chain {links} came: some are missing")));
        }
        held.range = Some((held.range.map_or(index, |(first, _)| first), index));
        held.chain = whole.chain;
    }
    Ok(held)
}

#[cfg(unix)]
fn make_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    // The log holds hashes of keys and who spends what: for its owner alone.
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).create(folder)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
