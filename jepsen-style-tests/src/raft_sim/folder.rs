//! Snapshot files in memory, on a disk that forgets at a crash: contents that were not synced are cut anywhere, and names that
//! were not synced are as before or as after.

use std::collections::BTreeMap;
use std::io::{self, Cursor, ErrorKind, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tollgate_cluster::snapshots::folder::{File, Folder};

use crate::sim::dice::Dice;

/// A disk that outlives the machines that use it.
#[derive(Clone, Default)]
pub(super) struct MemoryFolder {
    files: Arc<Mutex<Files>>,
}

#[derive(Default)]
struct Files {
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    contents: BTreeMap<u64, Contents>,
    next: u64,
    crashes: u64,
    forgetful: bool,
}

#[derive(Default)]
struct Contents {
    bytes: Vec<u8>,
    durable: usize,
}

/// The disk as one run of a machine uses it: after a crash it refuses everything.
struct Mounted {
    folder: MemoryFolder,
    boot: u64,
}

impl MemoryFolder {
    pub(super) fn mount(&self) -> Arc<dyn Folder> {
        let boot = self.files().crashes;
        Arc::new(Mounted { folder: self.clone(), boot })
    }

    /// Plants a fault: nothing is synced, whoever asks.
    pub(super) fn forget_syncs(&self) {
        self.files().forgetful = true;
    }

    pub(super) fn crash(&self, dice: &mut Dice) {
        let mut files = self.files();
        files.crashes += 1;
        if dice.chance(1, 2) {
            files.names = files.durable_names.clone();
        } else {
            files.durable_names = files.names.clone();
        }
        for contents in files.contents.values_mut() {
            let lost = contents.bytes.len() - contents.durable;
            contents.bytes.truncate(contents.durable + dice.index(lost + 1));
            contents.durable = contents.bytes.len();
        }
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mounted {
    fn files(&self) -> io::Result<MutexGuard<'_, Files>> {
        let files = self.folder.files();
        if files.crashes == self.boot {
            return Ok(files);
        }
        Err(io::Error::new(ErrorKind::BrokenPipe, "this machine has crashed"))
    }
}

impl Folder for Mounted {
    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.files()?.names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        let mut files = self.files()?;
        let number = files.next;
        files.next += 1;
        files.names.insert(name.to_owned(), number);
        files.contents.insert(number, Contents::default());
        Ok(Box::new(Open { folder: self.folder.clone(), boot: self.boot, number }))
    }

    fn open(&self, name: &str) -> io::Result<(Box<dyn Read + Send>, u64)> {
        let files = self.files()?;
        let found = files.names.get(name).and_then(|number| files.contents.get(number));
        let bytes = found.ok_or(ErrorKind::NotFound)?.bytes.clone();
        let length = bytes.len() as u64;
        Ok((Box::new(Cursor::new(bytes)), length))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = self.files()?;
        let number = files.names.remove(from).ok_or(ErrorKind::NotFound)?;
        files.names.insert(to.to_owned(), number);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.files()?.names.remove(name).map(drop).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn sync(&self) -> io::Result<()> {
        let mut files = self.files()?;
        if !files.forgetful {
            files.durable_names = files.names.clone();
        }
        Ok(())
    }
}

/// A file that is being written.
struct Open {
    folder: MemoryFolder,
    boot: u64,
    number: u64,
}

impl Open {
    fn change<T>(&self, change: impl FnOnce(&mut Contents) -> T) -> io::Result<T> {
        let mut files = self.folder.files();
        if files.crashes != self.boot {
            return Err(io::Error::new(ErrorKind::BrokenPipe, "this machine has crashed"));
        }
        let contents = files.contents.get_mut(&self.number).ok_or(ErrorKind::NotFound)?;
        Ok(change(contents))
    }

    fn is_forgetful(&self) -> bool {
        self.folder.files().forgetful
    }
}

impl Write for Open {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.change(|contents| contents.bytes.extend_from_slice(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl File for Open {
    fn sync(&mut self) -> io::Result<()> {
        if self.is_forgetful() {
            return Ok(());
        }
        self.change(|contents| contents.durable = contents.bytes.len())
    }
}
