//! The whole state as sections of one snapshot, and back. Two nodes that applied the same entries write the same bytes, and
//! what is read back counts only once all of it was read and checked.
//!
//! ```text
//! tollsnap header (cluster id) · head: format, where in the log · cluster · nodes · resources · the ledger's sections · end
//! ```

use std::fmt;
use std::io::{Read, Write};

use serde::{Deserialize, Serialize};
use tollgate_ratelimit::ledger::{Restoring, SECTIONS, Violation};
use tollgate_ratelimit::wire::snapshot::{Chunk, Reader, SnapshotError, Why, Writer};

use super::cluster::{self, Cluster, FORMAT};
use super::nodes::{Forgotten, Node};
use super::resources::{Resource, ResourceKey};
use super::{State, TooNew};

/// Sections, in the order in which they are written. Numbers are for ever; those below are the ledger's.
const HEAD: u8 = SECTIONS;
const CLUSTER: u8 = 101;
const NODES: u8 = 102;
const FORGOTTEN: u8 = 103;
const RESOURCES: u8 = 104;
const REVISION: u8 = 105;

/// What comes first, so that a newer format is told before anything is made of the rest.
#[derive(Serialize, Deserialize)]
struct Head {
    format: u32,
    position: Vec<u8>,
}

/// A state as it was read.
pub struct Restored {
    /// The state.
    pub state: State,
    /// Where in the log it was written, as the writer said it.
    pub position: Vec<u8>,
}

/// A snapshot that can't be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestoreError {
    /// The bytes are not those of a snapshot, or were changed.
    Unreadable(SnapshotError),
    /// It is one of a newer format.
    TooNew(TooNew),
    /// It has no head, or more than one.
    NoHead,
    /// Its header says another cluster than its contents.
    OtherCluster,
    /// It is whole, and tells of a ledger that can't be.
    Inconsistent(Violation),
}

impl RestoreError {
    /// Whether another program, or a working disk, could read it: a reason to stop rather than to take an older one.
    pub const fn may_be_whole(&self) -> bool {
        match self {
            Self::TooNew(_) => true,
            Self::Unreadable(error) => matches!(error.why, Why::Io(_) | Why::Version { .. }),
            Self::NoHead | Self::OtherCluster | Self::Inconsistent(_) => false,
        }
    }
}

impl State {
    /// Writes all of it. The position is where in the log this state is, in the caller's own words.
    pub fn write<W: Write>(&self, position: Vec<u8>, output: W) -> Result<W, SnapshotError> {
        let Self { cluster, nodes, quota, resources } = self;
        let mut out = Writer::begin(self.cluster_id(), output)?;
        let format = cluster.as_ref().map_or(FORMAT, |cluster| cluster.format);
        out.item(HEAD, &Head { format, position })?;
        cluster.iter().try_for_each(|cluster| out.item(CLUSTER, cluster))?;
        nodes.all().try_for_each(|node| out.item(NODES, &node))?;
        nodes.forgotten().try_for_each(|node| out.item(FORGOTTEN, &node))?;
        resources.all().try_for_each(|(key, resource)| out.item(RESOURCES, &(key, resource.as_ref())))?;
        out.item(REVISION, &resources.revision())?;
        quota.write(&mut out)?;
        out.finish()
    }

    /// Reads a state back, all of it or nothing. The seed is as for [`State::new`].
    pub fn read<R: Read>(input: R, seed: u64) -> Result<Restored, RestoreError> {
        let mut reader = Reader::begin(input)?;
        let mut state = Self::new(seed);
        let mut quota = Restoring::new(seed);
        let head = reader.chunk()?.filter(|chunk| chunk.section == HEAD).ok_or(RestoreError::NoHead)?;
        let [Head { format, position }] =
            <[Head; 1]>::try_from(head.items()?).map_err(|_| RestoreError::NoHead)?;
        cluster::expect_known(format).map_err(RestoreError::TooNew)?;
        while let Some(chunk) = reader.chunk()? {
            if chunk.section < SECTIONS { quota.take(&chunk)? } else { state.take(&chunk)? }
        }
        state.quota = quota.finish().map_err(RestoreError::Inconsistent)?;
        if reader.cluster() == state.cluster_id() {
            Ok(Restored { state, position })
        } else {
            Err(RestoreError::OtherCluster)
        }
    }

    fn take(&mut self, chunk: &Chunk) -> Result<(), SnapshotError> {
        match chunk.section {
            CLUSTER => self.cluster = chunk.items::<Cluster>()?.pop(),
            NODES => {
                chunk.items::<(u64, Node)>()?.into_iter().for_each(|(id, node)| self.nodes.restore(id, node));
            }
            FORGOTTEN => {
                let forgotten = chunk.items::<(u64, Forgotten)>()?.into_iter();
                forgotten.for_each(|(id, node)| self.nodes.restore_forgotten(id, node));
            }
            RESOURCES => {
                let resources = chunk.items::<(ResourceKey, Resource)>()?.into_iter();
                resources.for_each(|(key, resource)| self.resources.restore(key, resource));
            }
            REVISION => {
                let revision = chunk.items::<u64>()?.pop().unwrap_or_default();
                self.resources.restore_revision(revision);
            }
            _ => return Err(chunk.unknown()),
        }
        Ok(())
    }

    /// The cluster's id; zeros before it was founded.
    pub fn cluster_id(&self) -> [u8; 16] {
        self.cluster.as_ref().map_or([0; 16], |cluster| cluster.id)
    }
}

impl From<SnapshotError> for RestoreError {
    fn from(error: SnapshotError) -> Self {
        Self::Unreadable(error)
    }
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "{error}"),
            Self::TooNew(error) => write!(f, "{error}"),
            Self::NoHead => f.write_str("expected a snapshot to begin with one head"),
            Self::OtherCluster => f.write_str("the header says another cluster than the contents"),
            Self::Inconsistent(Violation(what)) => write!(f, "a ledger that can't be: {what}"),
        }
    }
}

impl std::error::Error for RestoreError {}
