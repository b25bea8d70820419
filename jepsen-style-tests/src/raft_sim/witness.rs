//! Who sees every entry that any node applies: each index holds one entry, whoever applies it and however often, the state
//! after it is the same everywhere, and what a client was told is what it holds.

use std::collections::BTreeMap;
use std::io;

use futures_util::{Stream, TryStreamExt, stream};
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend};
use tollgate_cluster::raft::snapshot::SnapshotBuilder;
use tollgate_cluster::raft::state_machine::StateMachine;
use tollgate_cluster::raft::types::{LogPosition, Member, Memberships, SnapshotHead, SnapshotOfState};
use tollgate_cluster::snapshots::SnapshotFile;
use tollgate_cluster::state::{Proposal, State};

use super::types::SimTypes;
use super::world::World;
use crate::properties::Violated;

type Payload = EntryPayload<Proposal, u64, Member>;

/// States are compared after each entry whose index is a multiple of this.
const LOOK_EVERY: u64 = 8;

/// What was seen.
#[derive(Default)]
pub(super) struct Witness {
    /// By index: the entry's checksum.
    entries: BTreeMap<u64, u32>,
    /// By index: the checksum of the state after it.
    states: BTreeMap<u64, u32>,
    /// The last entry that a client was told of.
    pub(super) last_told: u64,
    pub(super) told: u64,
}

impl Witness {
    /// A checksum of all entries.
    pub(super) fn sum(&self) -> u32 {
        crc32fast::hash(&postcard::to_allocvec(&self.entries).expect("memory"))
    }

    fn entry(&mut self, index: u64, sum: u32) -> Result<(), Violated> {
        let seen = *self.entries.entry(index).or_insert(sum);
        if seen == sum {
            return Ok(());
        }
        Err(Violated::new("one entry an index", format!("{index} was applied as two different entries")))
    }

    fn state(&mut self, index: u64, sum: u32) -> Result<(), Violated> {
        let seen = *self.states.entry(index).or_insert(sum);
        if seen == sum {
            return Ok(());
        }
        Err(Violated::new("one state on all nodes", format!("two states after entry {index}")))
    }

    /// A client was told that its proposal is that entry.
    pub(super) fn told(&mut self, at: LogPosition, proposal: &Proposal) -> Result<(), Violated> {
        self.told += 1;
        self.last_told = self.last_told.max(at.index);
        if self.entries.get(&at.index) == Some(&sum_of(at, &EntryPayload::Normal(proposal.clone()))) {
            return Ok(());
        }
        let what = format!("a client was told that entry {at} is its own; another was applied");
        Err(Violated::new("what was acknowledged stays", what))
    }
}

fn sum_of(at: LogPosition, payload: &Payload) -> u32 {
    crc32fast::hash(&postcard::to_allocvec(&(at, payload)).expect("memory"))
}

/// The checksum of a state.
fn sum_of_state(state: &State) -> u32 {
    crc32fast::hash(&state.write(Vec::new(), Vec::new()).expect("memory"))
}

/// A node's state machine, with the witness beside it.
pub(super) struct Witnessed {
    pub(super) machine: StateMachine,
    pub(super) world: World,
    pub(super) node: u64,
    pub(super) run: u64,
}

impl Witnessed {
    /// An error where this run's machine has crashed: nothing that it does counts any more.
    fn expect_running(&self) -> io::Result<()> {
        if self.world.is_running(self.node, self.run) {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::BrokenPipe, "this machine has crashed"))
    }

    fn compare_state(&self) {
        let replica = self.machine.replica();
        let index = replica.position().0.map_or(0, |last| last.index);
        let sum = replica.look(sum_of_state);
        self.world.expect(self.world.with(|world| world.witness.state(index, sum)));
    }
}

impl RaftStateMachine<SimTypes> for Witnessed {
    type SnapshotData = SnapshotFile;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogPosition>, Memberships)> {
        RaftStateMachine::<SimTypes>::applied_state(&mut self.machine).await
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<SimTypes>>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            self.expect_running()?;
            let (at, sum) = (entry.log_id, sum_of(entry.log_id, &entry.payload));
            self.world.expect(self.world.with(|world| world.witness.entry(at.index, sum)));
            let one = stream::iter([Ok((entry, responder))]);
            RaftStateMachine::<SimTypes>::apply(&mut self.machine, one).await?;
            if at.index.is_multiple_of(LOOK_EVERY) {
                self.compare_state();
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        self.compare_state();
        RaftStateMachine::<SimTypes>::get_snapshot_builder(&mut self.machine).await
    }

    async fn install_snapshot(&mut self, head: &SnapshotHead, file: SnapshotFile) -> io::Result<()> {
        RaftStateMachine::<SimTypes>::install_snapshot(&mut self.machine, head, file).await?;
        self.compare_state();
        self.world.with(|world| world.figures.installed += 1);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<SnapshotOfState>> {
        RaftStateMachine::<SimTypes>::get_current_snapshot(&mut self.machine).await
    }
}
