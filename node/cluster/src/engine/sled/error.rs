//! Whose log this is, and why one could not be opened.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

pub use super::marker::Reached;

/// Whose log this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The cluster's id.
    pub cluster: u128,
    /// The node's Raft id, which is never used again.
    pub node: u64,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {} of cluster {:032x}", self.node, self.cluster)
    }
}

/// Why a log could not be opened.
#[derive(Debug)]
pub enum OpenError {
    /// The log has lost what it held. This node must not vote under its id again: it joins anew, as a new node.
    Lost {
        /// The log's folder.
        path: PathBuf,
        /// What it held at least; None where the marker that would tell is gone too.
        held: Option<Reached>,
        /// What was found; None where there is no log at all.
        found: Option<Reached>,
    },
    /// What lies there is not what was written.
    Corrupt {
        /// The file or folder.
        path: PathBuf,
        /// Where in it, what was expected, and what came.
        what: String,
    },
    /// A newer Tollgate has written it.
    Newer {
        /// The marker.
        path: PathBuf,
        /// Its format.
        found: u128,
        /// The newest format that is understood here.
        known: u64,
    },
    /// It belongs to another node or another cluster.
    Foreign {
        /// The marker.
        path: PathBuf,
        /// Whose it is.
        found: Owner,
        /// Who asked.
        expected: Owner,
    },
    /// There is a log where a new one was to be made.
    Exists {
        /// The log's folder.
        path: PathBuf,
    },
    /// The disk said no.
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { path, held, found } => {
                let path = path.display();
                let held =
                    held.map_or("its marker is gone".to_owned(), |held| format!("it held {}", what(held)));
                let found = found.map_or("there is none".to_owned(), what);
                write!(
                    f,
                    "{path}: the log was lost: {held}, and now {found}. This node must come back under a new id: "
                )?;
                write!(
                    f,
                    "remove its data folder, start it with --join, and forget the old one (tollgate node forget)"
                )
            }
            Self::Corrupt { path, what } => write!(f, "{}: the log is damaged: {what}", path.display()),
            Self::Newer { path, found, known } => {
                let path = path.display();
                write!(
                    f,
                    "{path}: format {found} was written by a newer Tollgate; this one knows up to {known}"
                )
            }
            Self::Foreign { path, found, expected } => {
                write!(f, "{}: a log of {expected} was expected, it is of {found}", path.display())
            }
            Self::Exists { path } => {
                write!(f, "{}: an empty place for a new log was expected, there is a log", path.display())
            }
            Self::Io { path, source } => write!(f, "{}: {source}", path.display()),
        }
    }
}

fn what(reached: Reached) -> String {
    let entries = reached.index.map_or("no entry".to_owned(), |index| format!("entries up to {index}"));
    format!("{entries} and {} saved votes", reached.votes)
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Lost { .. }
            | Self::Corrupt { .. }
            | Self::Newer { .. }
            | Self::Foreign { .. }
            | Self::Exists { .. } => None,
        }
    }
}
