//! openraft's state machine over [`State`]: entries are applied to the replica, snapshots written to the shelf and read from
//! it. State lives in memory; what a node starts with is its newest whole snapshot and the log after it.

use std::io;
use std::sync::Arc;

use futures_util::{Stream, TryStreamExt};
use openraft::OptionalSend;
use openraft::storage::{EntryResponder, RaftStateMachine, Snapshot};
use tollgate_ratelimit::ledger::outcome::Nudge;

use super::replica::{Held, Replica};
use super::snapshot::{self, Install, Newest, SnapshotBuilder};
use super::types::{Kind, LogPosition, Memberships, SnapshotHead, SnapshotOfState};
use crate::snapshots::{Place, Shelf, SnapshotFile};
use crate::state::snapshot::RestoreError;
use crate::state::{Part, State};

/// A node's state machine.
pub struct StateMachine {
    replica: Replica,
    shelf: Shelf,
    newest: Newest,
    setup: Setup,
}

/// What a state machine is made with.
#[derive(Clone)]
pub struct Setup {
    /// Spreads an index in memory; each node may take its own.
    pub seed: u64,
    /// Who hears of what entries did, after each, in order. It must not block.
    pub listener: Arc<dyn Fn(Event) + Send + Sync>,
    /// Where snapshots are written and read.
    pub offload: Offload,
}

/// Where work that takes long is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offload {
    /// On threads of its own, so that it holds up nothing.
    Threads,
    /// In place: the simulator has one thread.
    Nowhere,
}

/// What others follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// For sessions, wherever they are: each node hears of all, and tells its own.
    Nudges(Vec<Nudge>),
    /// A part of the state is different.
    Changed(Part),
    /// A snapshot of another node was installed: all of it is different.
    Replaced,
}

/// A snapshot on the shelf that could not be read: an older one was taken, and this one set aside.
#[derive(Debug)]
pub struct Damaged {
    /// Which one.
    pub place: Place,
    /// What is wrong with it.
    pub why: RestoreError,
}

impl StateMachine {
    /// Starts from the newest whole snapshot on the shelf, or from nothing. One of a newer format, or one that the disk failed
    /// to read, is no reason to take an older one: it is an error.
    pub fn open(shelf: Shelf, setup: Setup) -> io::Result<(Self, Vec<Damaged>)> {
        let mut damaged = Vec::new();
        let mut start = None;
        for place in shelf.places()? {
            match snapshot::read(shelf.snapshot(place)?, setup.seed) {
                Ok(held) => {
                    start = Some(held);
                    break;
                }
                Err(why) if why.may_be_whole() => return Err(snapshot::failed(place, &why)),
                Err(why) => {
                    shelf.set_aside(place)?;
                    damaged.push(Damaged { place, why });
                }
            }
        }
        let newest = Newest::new(start.as_ref().map(|held| held.head.clone()));
        let nothing = || Held { state: State::new(setup.seed), head: SnapshotHead::default() };
        let replica = Replica::new(start.unwrap_or_else(nothing));
        Ok((Self { replica, shelf, newest, setup }, damaged))
    }

    /// The state, for everybody else on this node.
    pub fn replica(&self) -> Replica {
        self.replica.clone()
    }

    /// Where snapshots of other nodes are received into: the network fills a part of it and hands it over to be installed.
    pub fn shelf(&self) -> Shelf {
        self.shelf.clone()
    }

    fn tell(&self, event: Event) {
        (self.setup.listener)(event);
    }
}

impl<C: Kind> RaftStateMachine<C> for StateMachine {
    type SnapshotData = SnapshotFile;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogPosition>, Memberships)> {
        Ok(self.replica.position())
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> io::Result<()>
    where
        Strm: Stream<Item = io::Result<EntryResponder<C>>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            let effect = self.replica.apply(entry)?;
            if let Some(responder) = responder {
                responder.send(effect.applied);
            }
            if !effect.nudges.is_empty() {
                self.tell(Event::Nudges(effect.nudges));
            }
            if let Some(part) = effect.changed {
                self.tell(Event::Changed(part));
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        SnapshotBuilder {
            copy: Arc::new(self.replica.copy()),
            shelf: self.shelf.clone(),
            newest: self.newest.clone(),
            offload: self.setup.offload,
        }
    }

    async fn install_snapshot(&mut self, head: &SnapshotHead, file: SnapshotFile) -> io::Result<()> {
        let install = Install {
            head: head.clone(),
            cluster: self.replica.look(State::cluster_id),
            shelf: self.shelf.clone(),
            seed: self.setup.seed,
        };
        let taken = snapshot::offload::<C, _>(self.setup.offload, move || install.take(file)).await?;
        self.newest.raise(&taken.head);
        self.replica.replace(taken);
        self.tell(Event::Replaced);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<SnapshotOfState>> {
        let Some(meta) = self.newest.head() else { return Ok(None) };
        let snapshot = self.shelf.snapshot(snapshot::place(&meta))?;
        Ok(Some(Snapshot { meta, snapshot }))
    }
}

#[cfg(test)]
#[path = "state_machine_test.rs"]
mod tests;
