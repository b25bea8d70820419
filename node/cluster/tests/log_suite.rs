//! openraft's own suite of what a log store must do, on both engines, with the writer's thread as in a node. The state
//! machine is the least that the suite can run with: it remembers what was applied last.

use std::io;
use std::sync::{Arc, Mutex};

use futures_util::{Stream, TryStreamExt};
use openraft::alias::{LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf};
use openraft::entry::RaftEntry;
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine, Snapshot, SnapshotMeta};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::{OptionalSend, StorageError, StoredMembership};
use tempfile::TempDir;
use tollgate_cluster::engine::memory::MemoryDisk;
use tollgate_cluster::engine::sled::{Owner, SledEngine};
use tollgate_cluster::engine::writer::{self, WriterThread};
use tollgate_cluster::raft::log_store::LogStore;
use tollgate_cluster::raft::types::Types;
use tollgate_cluster::state::Applied;

type Applying = (Option<LogIdOf<Types>>, StoredMembershipOf<Types>);

#[derive(Clone, Default)]
struct Machine {
    applied: Arc<Mutex<Applying>>,
    snapshot: Arc<Mutex<Option<SnapshotMetaOf<Types>>>>,
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = ();
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> Result<Applying, io::Error> {
        Ok(self.applied.lock().expect("no test panicked before").clone())
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            let mut applied = self.applied.lock().expect("no test panicked before");
            applied.0 = Some(entry.log_id());
            if let Some(membership) = entry.get_membership() {
                applied.1 = StoredMembership::new(Some(entry.log_id()), membership);
            }
            if let Some(responder) = responder {
                responder.send(Applied::Nothing);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMetaOf<Types>, (): ()) -> Result<(), io::Error> {
        *self.applied.lock().expect("no test panicked before") =
            (meta.last_log_id, meta.last_membership.clone());
        *self.snapshot.lock().expect("no test panicked before") = Some(meta.clone());
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<SnapshotOf<Types, ()>>, io::Error> {
        let meta = self.snapshot.lock().expect("no test panicked before").clone();
        Ok(meta.map(|meta| Snapshot { meta, snapshot: () }))
    }
}

impl RaftSnapshotBuilder<Types> for Machine {
    type SnapshotData = ();

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<Types, ()>, io::Error> {
        let (last_log_id, last_membership) = self.applied.lock().expect("no test panicked before").clone();
        let meta = SnapshotMeta { last_log_id, last_membership };
        *self.snapshot.lock().expect("no test panicked before") = Some(meta.clone());
        Ok(Snapshot { meta, snapshot: () })
    }
}

struct OnSled;
struct InMemory;

impl StoreBuilder<Types, LogStore<Types>, Machine, (WriterThread, TempDir)> for OnSled {
    async fn build(
        &self,
    ) -> Result<((WriterThread, TempDir), LogStore<Types>, Machine), StorageError<Types>> {
        let folder = tempfile::tempdir().expect("a folder");
        let owner = Owner { cluster: 42, node: 7 };
        let (log, thread) = writer::start(SledEngine::create(folder.path(), owner).expect("an empty folder"))
            .expect("a thread");
        Ok(((thread, folder), LogStore::open(log).await.expect("an empty log"), Machine::default()))
    }
}

impl StoreBuilder<Types, LogStore<Types>, Machine, WriterThread> for InMemory {
    async fn build(&self) -> Result<(WriterThread, LogStore<Types>, Machine), StorageError<Types>> {
        let (log, thread) = writer::start(MemoryDisk::default().open()).expect("a thread");
        Ok((thread, LogStore::open(log).await.expect("an empty log"), Machine::default()))
    }
}

#[tokio::test]
async fn the_suite_passes_on_sled() {
    Suite::test_all(OnSled).await.unwrap();
}

#[tokio::test]
async fn the_suite_passes_in_memory() {
    Suite::test_all(InMemory).await.unwrap();
}
