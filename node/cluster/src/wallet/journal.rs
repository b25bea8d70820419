//! The journal on disk: what `tollgate_ratelimit::journal` says, in files of this node's data folder.
//!
//! ```text
//!  <data>/journal/<number>        a session's records; written at once, flushed in groups and before a batch leaves
//!  <data>/journal/<number>.new    a checkpoint that has not taken over
//! ```
//!
//! Written is enough against a killed process, flushed against lost power. A disk that fails stops the node from admitting,
//! and what has ended meanwhile is noted when it works again.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use metrics::histogram;
use tollgate_ratelimit::journal::{Books, BootId, LastBatch, Opened, Record, Replayed, Writer, replay};
use tollgate_ratelimit::ledger::command::SessionId;

use crate::figures;

/// A file that is larger, and twice as large as what it began with, gives way to a checkpoint.
const LONG_BYTES: u64 = 16 << 20;

/// The journal of the session that this process has now.
#[derive(Debug)]
pub(super) struct Journal {
    folder: PathBuf,
    held: Mutex<Held>,
    is_broken: AtomicBool,
    failure: Mutex<Option<String>>,
    pub(super) flushes: AtomicU64,
    pub(super) records: AtomicU64,
}

/// Who holds this is alone with the file.
#[derive(Debug)]
pub(super) struct Held {
    file: Arc<File>,
    number: u64,
    writer: Writer,
    books: Books,
    buffer: Vec<u8>,
    bytes: u64,
    flushed: u64,
    began_with: u64,
}

/// What earlier runs left.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    sessions: BTreeMap<SessionId, Leftover>,
    next_number: u64,
}

/// What one session left.
#[derive(Debug)]
struct Leftover {
    replayed: Replayed,
    paths: Vec<PathBuf>,
}

impl Journal {
    /// Begins the journal of a new session.
    pub(super) fn begin(folder: &Path, number: u64, opened: Opened) -> io::Result<Self> {
        let mut books = Books::default();
        let mut bytes = Vec::new();
        let mut writer = Writer::begin(number, &mut bytes);
        writer.append(&Record::Opened(opened), &mut bytes).map_err(io::Error::other)?;
        books.apply(Record::Opened(opened)).map_err(|error| disorder(&error))?;
        let held = Held::of(folder, number, (writer, books, bytes))?;
        Ok(Self {
            folder: folder.to_owned(),
            held: Mutex::new(held),
            is_broken: AtomicBool::new(false),
            failure: Mutex::default(),
            flushes: AtomicU64::new(0),
            records: AtomicU64::new(0),
        })
    }

    /// Alone with the file, for a moment.
    pub(super) fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a record: it is written when this returns.
    pub(super) fn append(&self, held: &mut Held, record: Record<'_>) -> io::Result<()> {
        if self.is_broken() {
            return Err(io::Error::other("the journal takes no records: its disk fails"));
        }
        held.append(record).inspect_err(|error| self.fail(error))?;
        self.records.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Everything that is written so far survives lost power. Blocks.
    pub(super) fn flush(&self) -> io::Result<()> {
        let (file, bytes, number) = {
            let held = self.lock();
            if held.flushed == held.bytes {
                return Ok(());
            }
            (Arc::clone(&held.file), held.bytes, held.number)
        };
        let begun = Instant::now();
        file.sync_data().inspect_err(|error| self.fail(error))?;
        histogram!(figures::FLUSH).record(begun.elapsed());
        self.flushes.fetch_add(1, Ordering::Relaxed);
        let mut held = self.lock();
        if held.number == number {
            held.flushed = held.flushed.max(bytes);
        }
        Ok(())
    }

    /// Begins a new file if this one is long, or its disk failed. Blocks.
    pub(super) fn keep_short(&self) -> io::Result<()> {
        let mut held = self.lock();
        let is_long = held.bytes > LONG_BYTES.max(2 * held.began_with);
        if !is_long && !self.is_broken() {
            return Ok(());
        }
        let books = held.books.clone();
        self.take_over(&mut held, books)
    }

    /// Goes on under another session: see [`Books::resumed`]. Blocks.
    pub(super) fn resume(&self, opened: Opened, last: LastBatch) -> io::Result<()> {
        let mut held = self.lock();
        let books = held.books.resumed(opened, last);
        self.take_over(&mut held, books)
    }

    fn take_over(&self, held: &mut Held, books: Books) -> io::Result<()> {
        let number = held.number + 1;
        let mut bytes = Vec::new();
        let mut writer = Writer::begin(number, &mut bytes);
        writer.checkpoint(&books, &mut bytes).map_err(io::Error::other)?;
        let new =
            Held::of(&self.folder, number, (writer, books, bytes)).inspect_err(|error| self.fail(error))?;
        let old = path(&self.folder, held.number);
        *held = new;
        self.mend();
        // The new one says all that it said; should it stay, the larger number counts.
        if let Err(error) = fs::remove_file(&old) {
            tracing::warn!("{}: {error}", old.display());
        }
        Ok(())
    }

    /// Takes the file away, after the session was closed.
    pub(super) fn remove(&self) {
        let old = path(&self.folder, self.lock().number);
        if let Err(error) = fs::remove_file(&old) {
            tracing::warn!("{}: {error}", old.display());
        }
    }

    /// Bytes in the file.
    pub(super) fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    /// Whether records are taken. One load.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::Relaxed)
    }

    /// Why not.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn fail(&self, error: &io::Error) {
        if !self.is_broken.swap(true, Ordering::Relaxed) {
            tracing::error!("the journal in {} fails: {error}; nothing is admitted", self.folder.display());
        }
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
    }

    fn mend(&self) {
        if self.is_broken.swap(false, Ordering::Relaxed) {
            tracing::info!("the journal in {} takes records again", self.folder.display());
        }
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Held {
    /// A file with these bytes, flushed under its name.
    fn of(folder: &Path, number: u64, (writer, books, bytes): (Writer, Books, Vec<u8>)) -> io::Result<Self> {
        let (draft, path) = (folder.join(format!("{number:016}.new")), path(folder, number));
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&draft, &path)?;
        File::open(folder)?.sync_all()?;
        let file = Arc::new(OpenOptions::new().append(true).open(&path)?);
        let bytes = bytes.len() as u64;
        Ok(Self { file, number, writer, books, buffer: Vec::new(), bytes, flushed: bytes, began_with: bytes })
    }

    fn append(&mut self, record: Record<'_>) -> io::Result<()> {
        let before = self.writer.clone();
        self.buffer.clear();
        self.writer.append(&record, &mut self.buffer).map_err(io::Error::other)?;
        if let Err(error) = (&*self.file).write_all(&self.buffer) {
            // A part of it may be there. Where it can't be cut off, the file is not written to before a new one took over.
            self.writer = before;
            let _cut = self.file.set_len(self.bytes);
            return Err(error);
        }
        self.bytes += self.buffer.len() as u64;
        self.books.apply(record).map_err(|error| disorder(&error))
    }
}

impl Leftovers {
    /// Reads what is there, and makes the folder if there is none. What can't be read is set aside: what it held is forfeited.
    pub(super) fn read(folder: &Path, boot: BootId) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let mut found = Self { sessions: BTreeMap::new(), next_number: 1 };
        let mut numbered = BTreeMap::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Ok(number) = name.parse::<u64>() {
                numbered.insert(number, entry.path());
            } else if entry.path().extension().is_some_and(|extension| extension == "new") {
                fs::remove_file(entry.path())?; // A checkpoint that never took over.
            }
        }
        for (number, path) in numbered {
            found.next_number = number + 1;
            // Nothing is told of it before it is sure to be read the same by the next run.
            File::open(&path)?.sync_all()?;
            match replay(&fs::read(&path)?, boot) {
                Ok(replayed) => found.add(replayed, path),
                Err(error) => {
                    let aside = path.with_extension("damaged");
                    tracing::error!(
                        "the journal {} can't be read, and is kept as {}: {error}; what it held counts as spent",
                        path.display(),
                        aside.display()
                    );
                    fs::rename(&path, &aside)?;
                }
            }
        }
        Ok(found)
    }

    fn add(&mut self, replayed: Replayed, path: PathBuf) {
        if let Some(cut) = &replayed.cut {
            tracing::warn!("the journal {} ends early: {cut:?}", path.display());
        }
        let session = replayed.opened().session;
        match self.sessions.get_mut(&session) {
            Some(known) => {
                known.replayed = replayed; // In the order of numbers: the larger one took over.
                known.paths.push(path);
            }
            None => _ = self.sessions.insert(session, Leftover { replayed, paths: vec![path] }),
        }
    }

    /// Larger than that of every file.
    pub(super) const fn next_number(&self) -> u64 {
        self.next_number
    }

    /// What is known of a session.
    pub(super) fn replayed(&self, session: SessionId) -> Option<&Replayed> {
        self.sessions.get(&session).map(|left| &left.replayed)
    }

    /// The ledger has everything of it.
    pub(super) fn remove(&mut self, session: SessionId) {
        for path in self.sessions.remove(&session).into_iter().flat_map(|left| left.paths) {
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!("{}: {error}", path.display());
            }
        }
    }

    /// Sessions that are left.
    pub(super) fn sessions(&self) -> Vec<SessionId> {
        self.sessions.keys().copied().collect()
    }
}

fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:016}"))
}

fn disorder(error: &tollgate_ratelimit::journal::Disorder) -> io::Error {
    io::Error::other(format!("a record out of order, which is a fault of this program: {error:?}"))
}
