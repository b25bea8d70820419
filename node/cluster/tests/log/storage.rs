//! openraft's storage over our log, where its suite does not look: what a crash interrupts, and bytes that are no entry.

use std::io;

use openraft::EntryPayload;
use openraft::alias::{EntryOf, LogIdOf};
use openraft::storage::{IOFlushed, RaftLogReader, RaftLogStorage};
use openraft::testing::{blank_ent, log_id};
use tollgate_cluster::engine::memory::MemoryDisk;
use tollgate_cluster::engine::writer::{self, Log, Writer};
use tollgate_cluster::engine::{LogEngine, Record, Slot};
use tollgate_cluster::raft::log_store::LogStore;
use tollgate_cluster::raft::types::Types;
use tollgate_cluster::state::Proposal;
use tollgate_ratelimit::ledger::command::Command;
use tollgate_ratelimit::time::Timestamp;

/// A store, and a writer that is given a turn when the store asks for one, and else by hand.
struct Opened {
    store: LogStore<Types>,
    log: Log,
    writer: Writer,
}

impl Opened {
    async fn on(disk: &MemoryDisk) -> io::Result<Self> {
        let (log, mut writer) = writer::over(disk.open())?;
        let store = served(&log, &mut writer, LogStore::open(log.clone())).await?;
        Ok(Self { store, log, writer })
    }

    async fn with_entries(disk: &MemoryDisk, last: u64) -> Self {
        let mut opened = Self::on(disk).await.unwrap();
        opened.store.append((1..=last).map(entry), IOFlushed::noop()).await.unwrap();
        opened.writer.turn();
        opened
    }
}

async fn served<T>(log: &Log, writer: &mut Writer, work: impl Future<Output = T>) -> T {
    let turns = async {
        loop {
            log.asked().await;
            writer.turn();
        }
    };
    tokio::select! {
        done = work => done,
        () = turns => unreachable!("it goes on for ever"),
    }
}

fn entry(index: u64) -> EntryOf<Types> {
    blank_ent::<Types>(1, 0, index)
}

fn id(index: u64) -> LogIdOf<Types> {
    log_id::<Types>(1, 0, index)
}

#[tokio::test]
async fn a_purge_that_a_crash_interrupts_is_finished() {
    #[rustfmt::skip]
    let crashes = [
        // purged  kept  last purged  first   last        why
        ( 4,       0,    None,        Some(1), Some(9)),  // nothing of it had reached the disk
        ( 4,       1,    Some(4),     Some(5), Some(9)),  // the id had, the entries were still there
        ( 4,       2,    Some(4),     Some(5), Some(9)),  // both had
        (20,       1,    Some(20),    None,    Some(20)), // beyond the log, for a snapshot that was installed
    ];
    for (purged, kept, last_purged, first, last) in crashes {
        let disk = MemoryDisk::default();
        let Opened { mut store, mut writer, .. } = Opened::with_entries(&disk, 9).await;
        store.purge(id(purged)).await.unwrap();
        writer.turn();
        assert_eq!(disk.unsynced(), 2, "the id, then the entries");
        disk.crash(kept);

        let Opened { mut store, log, mut writer } = Opened::on(&disk).await.unwrap();
        let what = format!("purged {purged}, kept {kept}");
        let state = served(&log, &mut writer, store.get_log_state()).await.unwrap();
        assert_eq!(state.last_purged_log_id, last_purged.map(id), "{what}");
        assert_eq!(state.last_log_id, last.map(id), "{what}");
        let entries = served(&log, &mut writer, store.try_get_log_entries(..)).await.unwrap();
        assert_eq!(entries.first().map(|entry| entry.log_id.index), first, "{what}");
        writer.rest();
        assert_eq!(disk.open().range().unwrap().map(|(first, _)| first), first, "{what}: the engine too");
    }
}

#[tokio::test]
async fn a_log_that_holds_less_than_was_committed_is_refused() {
    let disk = MemoryDisk::default();
    let Opened { mut store, mut writer, .. } = Opened::with_entries(&disk, 9).await;
    store.save_committed(Some(id(9))).await.unwrap();
    writer.rest();
    assert_eq!(Opened::on(&disk).await.unwrap().store.read_committed().await.unwrap(), Some(id(9)));
    disk.open().truncate_after(Some(8)).unwrap();
    let error = Opened::on(&disk).await.err().unwrap();
    let says = format!("entries up to {}, which is committed, were expected, the last is {}", id(9), id(8));
    assert_eq!((error.kind(), error.to_string()), (io::ErrorKind::InvalidData, says));
}

#[tokio::test]
async fn a_message_to_a_follower_stays_below_what_it_may_be() {
    #[rustfmt::skip]
    let messages = [
        // bytes each  fit  why
        (100,          5),  // small ones all do
        (900_000,      2),  // a third would pass 2 MiB
        (3_000_000,    1),  // one must go, however large
    ];
    for (bytes, fit) in messages {
        let disk = MemoryDisk::default();
        let Opened { mut store, writer: _writer, .. } = Opened::on(&disk).await.unwrap();
        let large = |index| {
            let commands = vec![Command::DeleteBudget { name: "b".repeat(bytes) }];
            let payload = EntryPayload::Normal(Proposal::Quota { at: Timestamp(index), commands });
            EntryOf::<Types> { payload, ..entry(index) }
        };
        store.append((1..=5).map(large), IOFlushed::noop()).await.unwrap();
        assert_eq!(store.limited_get_log_entries(1, 6).await.unwrap().len(), fit, "{bytes} bytes each");
    }
}

#[tokio::test]
async fn bytes_that_are_no_entry_are_an_error_that_names_the_index() {
    let disk = MemoryDisk::default();
    let bodies = [
        (postcard::to_stdvec(&entry(8)).unwrap(), "entry 1 was expected, 8 came"),
        (vec![0xff; 3], "entry 1: "),
        (Vec::new(), "entry 1: "),
    ];
    for (body, says) in bodies {
        let mut engine = disk.open();
        engine.truncate_after(None).unwrap();
        engine.append(&[Record { index: 1, body }]).unwrap();
        let error = Opened::on(&disk).await.err().unwrap();
        assert!(error.to_string().contains(says), "{error}");
    }
    let mut engine = disk.open();
    engine.truncate_after(None).unwrap();
    engine.put(Slot::Committed, &[0xff]).unwrap();
    let error = Opened::on(&disk).await.err().unwrap();
    assert!(error.to_string().starts_with("Committed: "), "{error}");
}
