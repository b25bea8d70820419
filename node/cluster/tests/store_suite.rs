//! openraft's own suite of what a store must do, with our state machine and its snapshots on a disk. The log is the one in
//! memory; `log_suite.rs` has the other.

use std::path::Path;
use std::sync::Arc;

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use tempfile::TempDir;
use tollgate_cluster::engine::memory::MemoryDisk;
use tollgate_cluster::engine::writer::{self, WriterThread};
use tollgate_cluster::raft::log_store::LogStore;
use tollgate_cluster::raft::state_machine::{Offload, Setup, StateMachine};
use tollgate_cluster::raft::types::Types;
use tollgate_cluster::snapshots::Shelf;
use tollgate_cluster::snapshots::folder::Disk;

struct OnDisk;

impl StoreBuilder<Types, LogStore<Types>, StateMachine, (WriterThread, TempDir)> for OnDisk {
    async fn build(
        &self,
    ) -> Result<((WriterThread, TempDir), LogStore<Types>, StateMachine), StorageError<Types>> {
        let folder = tempfile::tempdir().expect("a folder");
        let (log, thread) = writer::start(MemoryDisk::default().open()).expect("a thread");
        let log = LogStore::open(log).await.expect("an empty log");
        let machine = machine(folder.path());
        Ok(((thread, folder), log, machine))
    }
}

fn machine(folder: &Path) -> StateMachine {
    let shelf = Shelf::open(Arc::new(Disk::open(folder.to_owned()).expect("a folder"))).expect("a shelf");
    let setup = Setup { seed: 1, listener: Arc::new(|_| {}), offload: Offload::Threads };
    StateMachine::open(shelf, setup).expect("an empty shelf").0
}

#[tokio::test]
async fn the_suite_passes_with_our_state_machine() {
    Suite::test_all(OnDisk).await.expect("what openraft asks of a store");
}
