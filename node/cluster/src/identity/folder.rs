//! The data folder: one process at a time, files replaced whole, readable by their owner only.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A folder that is ours as long as this lives.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// The lock goes with the process, however it ends.
    _lock: File,
}

const LOCK: &str = "lock";
/// No file that is read whole is longer; whatever is longer is none of ours.
const MOST_BYTES: u64 = 1 << 20;

impl Folder {
    /// Takes the folder, and makes it if it is not there.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let failed = |what| move |source| FolderError::io(what, path, source);
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("make"))?;
        let file = path.join(LOCK);
        let options =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&file);
        let mut lock = options.map_err(failed("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // Best effort: the pid only helps to find the other one.
                let _unread = lock.read_to_string(&mut pid);
                return Err(FolderError::Used { path: path.to_owned(), pid: pid.trim().parse().ok() });
            }
            Err(TryLockError::Error(source)) => return Err(FolderError::io("lock", path, source)),
        }
        let pid = format!("{}\n", std::process::id());
        lock.set_len(0).and_then(|()| lock.write_all(pid.as_bytes())).map_err(failed("write the lock of"))?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file's content; None if there is none.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, FolderError> {
        let path = self.path.join(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(FolderError::io("read", &path, source)),
        };
        let mut content = Vec::new();
        let read = file.take(MOST_BYTES + 1).read_to_end(&mut content);
        read.map_err(|source| FolderError::io("read", &path, source))?;
        if content.len() as u64 > MOST_BYTES {
            return Err(self.damaged(name, format!("expected at most {MOST_BYTES} bytes, more came")));
        }
        Ok(Some(content))
    }

    /// Replaces a file: after a power cut it is the old one or the new one, and the new one once this has returned.
    pub(crate) fn replace(&self, name: &str, content: &[u8]) -> Result<(), FolderError> {
        let (path, draft) = (self.path.join(name), self.path.join(format!("{name}.new")));
        let write = || {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&draft, &path)?;
            File::open(&self.path)?.sync_all()
        };
        write().map_err(|source| FolderError::io("write", &path, source))
    }

    /// Removes a file, if there is one.
    pub(crate) fn remove(&self, name: &str) -> Result<(), FolderError> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(FolderError::io("remove", &path, source)),
        }
    }

    pub(crate) fn damaged(&self, name: &str, why: impl Into<String>) -> FolderError {
        FolderError::Damaged { path: self.path.join(name), why: why.into() }
    }
}

/// Why a data folder can't be used. Nothing in it was changed.
#[derive(Debug)]
pub enum FolderError {
    /// Another process uses it.
    Used {
        /// Which folder.
        path: PathBuf,
        /// Which process, if it said so.
        pid: Option<u32>,
    },
    /// The operating system refused.
    Io {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file is not what was written.
    Damaged {
        /// Which one.
        path: PathBuf,
        /// What was expected and what came.
        why: String,
    },
    /// A file was written by a newer program.
    Newer {
        /// Which one.
        path: PathBuf,
        /// The newest format that this program knows.
        known: u32,
        /// The file's.
        got: u32,
    },
}

impl FolderError {
    fn io(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { what, path: path.to_owned(), source }
    }
}

impl fmt::Display for FolderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Used { path, pid: Some(pid) } => {
                write!(f, "{}: the data folder is in use by process {pid}", path.display())
            }
            Self::Used { path, pid: None } => {
                write!(f, "{}: the data folder is in use by another process", path.display())
            }
            Self::Io { what, path, source } => write!(f, "can't {what} {}: {source}", path.display()),
            Self::Damaged { path, why } => write!(
                f,
                "{} is damaged: {why}. Restore it from a copy, or start with an empty folder, as a new node",
                path.display()
            ),
            Self::Newer { path, known, got } => write!(
                f,
                "{} has format {got}, this program knows formats up to {known}: use the newer program that wrote it",
                path.display()
            ),
        }
    }
}

impl std::error::Error for FolderError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Used { .. } | Self::Damaged { .. } | Self::Newer { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn one_process_at_a_time() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        let folder = Folder::open(&path).unwrap();
        let error = Folder::open(&path).unwrap_err().to_string();
        assert!(error.contains(&format!("in use by process {}", std::process::id())), "{error}");
        drop(folder);
        Folder::open(&path).unwrap();
    }

    #[test]
    fn only_the_owner_reads() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let folder = Folder::open(&path).unwrap();
        folder.replace("x", b"1").unwrap();
        folder.replace("x", b"2").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&path.join("x")), mode(&path.join(LOCK))), (0o700, 0o600, 0o600));
        assert_eq!(folder.read("x").unwrap().unwrap(), b"2");
        folder.remove("x").unwrap();
        folder.remove("x").unwrap();
        assert_eq!(folder.read("x").unwrap(), None);
    }
}
