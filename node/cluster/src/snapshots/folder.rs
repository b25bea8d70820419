//! A folder of files, in as few words as snapshots need. One is on a disk; the simulator's forgets, at a crash, what was not
//! synced: contents and names apart, as file systems do.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// Files by name.
pub trait Folder: Send + Sync + 'static {
    /// All names, in any order.
    fn names(&self) -> io::Result<Vec<String>>;

    /// Makes a file, in place of another of that name.
    fn create(&self, name: &str) -> io::Result<Box<dyn File>>;

    /// A file to be read, and how long it is.
    fn open(&self, name: &str) -> io::Result<(Box<dyn Read + Send>, u64)>;

    /// Gives a file another name, in place of another of that name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Takes a file away.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes names survive a power cut.
    fn sync(&self) -> io::Result<()>;
}

/// A file that is being written.
pub trait File: Write + Send {
    /// Makes its contents survive a power cut.
    fn sync(&mut self) -> io::Result<()>;
}

/// A folder on a disk.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
}

impl Disk {
    /// That folder, made where it is missing.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&path)?;
        let disk = Self { path };
        disk.sync()?;
        if let Some(parent) = disk.path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::File::open(parent)?.sync_all()?;
        }
        Ok(disk)
    }
}

impl Folder for Disk {
    fn names(&self) -> io::Result<Vec<String>> {
        let names = fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
        names.filter_map(Result::transpose).collect()
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        let mut options = fs::OpenOptions::new();
        // Key hashes and sealed secrets are in it: for the owner alone.
        options.write(true).create(true).truncate(true).mode(0o600);
        Ok(Box::new(options.open(self.path.join(name))?))
    }

    fn open(&self, name: &str) -> io::Result<(Box<dyn Read + Send>, u64)> {
        let file = fs::File::open(self.path.join(name))?;
        let bytes = file.metadata()?.len();
        Ok((Box::new(file), bytes))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync(&self) -> io::Result<()> {
        fs::File::open(&self.path)?.sync_all()
    }
}

impl File for fs::File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}
