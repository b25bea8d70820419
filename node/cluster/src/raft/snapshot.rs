//! Snapshots made and taken: a copy of the state is written while more is applied; what comes from another node is read,
//! checked and on the shelf for good before it becomes the state.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use openraft::RaftSnapshotBuilder;
use openraft::storage::Snapshot;
use openraft::type_config::TypeConfigExt;

use super::replica::Held;
use super::state_machine::Offload;
use super::types::{Kind, SnapshotHead, SnapshotOfState};
use crate::snapshots::{Place, Shelf, SnapshotFile};
use crate::state::State;
use crate::state::snapshot::{RestoreError, Restored};

/// Writes a snapshot of the state as it was when this was made.
pub struct SnapshotBuilder {
    pub(super) copy: Arc<Held>,
    pub(super) shelf: Shelf,
    pub(super) newest: Newest,
    pub(super) offload: Offload,
}

impl<C: Kind> RaftSnapshotBuilder<C> for SnapshotBuilder {
    type SnapshotData = SnapshotFile;

    async fn build_snapshot(&mut self) -> io::Result<SnapshotOfState> {
        let (copy, onto) = (Arc::clone(&self.copy), self.shelf.clone());
        let (meta, snapshot) = offload::<C, _>(self.offload, move || write(&copy, &onto)).await?;
        self.newest.raise(&meta);
        Ok(Snapshot { meta, snapshot })
    }
}

fn write(held: &Held, shelf: &Shelf) -> io::Result<(SnapshotHead, SnapshotFile)> {
    let position = postcard::to_stdvec(&held.head).map_err(io::Error::other)?;
    let part = held.state.write(position, shelf.begin()?).map_err(io::Error::other)?;
    let at = place(&held.head);
    shelf.keep(part.finish()?, at)?;
    Ok((held.head.clone(), shelf.snapshot(at)?))
}

/// A snapshot of another node, to be taken.
pub(super) struct Install {
    /// What it is said to be.
    pub(super) head: SnapshotHead,
    /// Whose it must be; zeros for any.
    pub(super) cluster: [u8; 16],
    pub(super) shelf: Shelf,
    pub(super) seed: u64,
}

impl Install {
    /// The state that it is. An error leaves everything as it was.
    pub(super) fn take(self, mut file: SnapshotFile) -> io::Result<Held> {
        let at = place(&self.head);
        let held = read(&mut file, self.seed).map_err(|why| failed(at, &why))?;
        let cluster = held.state.cluster_id();
        if self.cluster != [0; 16] && self.cluster != cluster {
            let [ours, theirs] = [self.cluster, cluster].map(u128::from_be_bytes);
            let text = format!("expected a snapshot of cluster {ours:032x}, one of {theirs:032x} came");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        if held.head != self.head {
            let text = format!("expected a snapshot of {}, one of {} came", self.head, held.head);
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        self.shelf.keep(file, at)?;
        Ok(held)
    }
}

/// Reads a snapshot, all of it.
pub(super) fn read(file: impl io::Read, seed: u64) -> Result<Held, RestoreError> {
    let Restored { state, position } = State::read(file, seed)?;
    let head = postcard::from_bytes(&position).map_err(|_| RestoreError::NoHead)?;
    Ok(Held { state, head })
}

/// The newest snapshot on the shelf.
#[derive(Clone)]
pub(super) struct Newest(Arc<Mutex<Option<SnapshotHead>>>);

impl Newest {
    pub(super) fn new(head: Option<SnapshotHead>) -> Self {
        Self(Arc::new(Mutex::new(head)))
    }

    pub(super) fn head(&self) -> Option<SnapshotHead> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One that was built while a newer one was installed is not the newest.
    pub(super) fn raise(&self, head: &SnapshotHead) {
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.as_ref().is_none_or(|newest| newest.last_log_id <= head.last_log_id) {
            *newest = Some(head.clone());
        }
    }
}

/// Where a snapshot lies on the shelf. One of nothing at all lies before all others.
pub(super) fn place(head: &SnapshotHead) -> Place {
    let term = |position: &super::types::LogPosition| position.committed_leader_id().term;
    head.last_log_id
        .as_ref()
        .map_or(Place { index: 0, term: 0 }, |last| Place { index: last.index, term: term(last) })
}

pub(super) fn failed(at: Place, why: &RestoreError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{at}: {why}"))
}

/// Does what takes long where it holds up nothing.
pub(super) async fn offload<C: Kind, T: Send + 'static>(
    offload: Offload,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match offload {
        Offload::Threads => C::spawn_blocking(work).await?,
        Offload::Nowhere => work(),
    }
}
