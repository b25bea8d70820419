//! The writer: what can be read when, who is told, and that an error is the end. A turn is taken by hand, so nothing here
//! depends on time.

use std::io;
use std::sync::mpsc;

use tollgate_cluster::engine::memory::MemoryDisk;
use tollgate_cluster::engine::writer::{self, Done, Log, Writer};
use tollgate_cluster::engine::{LogEngine, Slot};

use crate::bodies::{record, records};

/// Told into a channel, with a name.
fn told(name: &'static str, to: &mpsc::Sender<(&'static str, bool)>) -> Done {
    let to = to.clone();
    Box::new(move |outcome: io::Result<()>| to.send((name, outcome.is_ok())).unwrap())
}

fn nobody() -> Done {
    Box::new(drop)
}

fn memory() -> (MemoryDisk, Log, Writer) {
    let disk = MemoryDisk::default();
    let (log, writer) = writer::over(disk.open()).unwrap();
    (disk, log, writer)
}

#[tokio::test]
async fn entries_are_read_before_they_are_durable_and_told_of_after() {
    let (disk, log, mut writer) = memory();
    let (to, heard) = mpsc::channel();
    log.append(records(1, 3), told("first", &to)).await.unwrap();
    log.append(records(4, 4), told("second", &to)).await.unwrap();
    assert_eq!(log.entries(2, 9).await.unwrap(), records(2, 4));
    assert_eq!(log.range().unwrap(), Some((1, 4)));
    assert!(heard.try_recv().is_err(), "nothing is durable yet");

    writer.turn();
    assert_eq!(heard.try_iter().collect::<Vec<_>>(), [("first", true), ("second", true)]);
    disk.crash(0);
    assert_eq!(disk.open().range().unwrap(), Some((1, 4)), "both were synced");
}

#[tokio::test]
async fn older_entries_come_from_the_engine_as_they_were_when_asked() {
    let disk = MemoryDisk::default();
    disk.open().append(&records(1, 9)).unwrap();
    let (log, mut writer) = writer::over(disk.open()).unwrap();
    log.append(records(10, 11), nobody()).await.unwrap();

    // The first is in the queue when the second begins.
    let (entries, purged) = tokio::join!(log.entries(7, 12), async {
        log.purge(10).await.unwrap();
        let purged = log.range().unwrap();
        writer.turn();
        purged
    });
    assert_eq!(entries.unwrap(), records(7, 11), "asked for before the purge");
    assert_eq!(purged, Some((11, 11)));
    assert_eq!(log.entries(0, 99).await.unwrap(), records(11, 11));
}

#[tokio::test]
async fn a_log_is_cut_at_both_ends_at_once_for_who_reads() {
    #[rustfmt::skip]
    let cuts = [
        // purged  truncated after   what is left
        (None,     Some(6),          Some((1, 6))),  // entries of another leader go
        (None,     None,             None),          // all of them
        (Some(4),  Some(6),          Some((5, 6))),  // both ends
        (Some(8),  None,             None),          // everything was applied
        (Some(12), None,             None),          // a snapshot goes further than the log
    ];
    for (purged, after, left) in cuts {
        let (disk, log, mut writer) = memory();
        log.append(records(1, 8), nobody()).await.unwrap();
        if purged.is_none() || after.is_some() {
            log.truncate_after(after).await.unwrap();
        }
        if let Some(purged) = purged {
            log.purge(purged).await.unwrap();
        }
        assert_eq!(log.range().unwrap(), left, "purged {purged:?}, after {after:?}");
        let expected = left.map_or(Vec::new(), |(first, last)| records(first, last));
        assert_eq!(log.entries(0, 99).await.unwrap(), expected);
        writer.rest();
        disk.crash(0);
        assert_eq!(disk.open().range().unwrap(), left, "the engine has followed");
    }
}

#[tokio::test]
async fn what_nobody_waits_for_is_durable_with_the_next_group_or_at_rest() {
    let (disk, log, mut writer) = memory();
    log.note(Slot::Committed, b"3".to_vec()).await.unwrap();
    writer.turn();
    assert_eq!(disk.unsynced(), 1, "a note alone costs no sync");
    writer.rest();
    assert_eq!(disk.unsynced(), 0);
    assert_eq!(log.read(Slot::Committed).unwrap().as_deref(), Some(&b"3"[..]));
}

#[tokio::test]
async fn a_vote_is_durable_when_it_is_saved_and_nothing_overtakes_it() {
    let disk = MemoryDisk::default();
    let (log, thread) = writer::start(disk.open()).unwrap();
    let (to, heard) = mpsc::channel();
    log.append(records(1, 2), told("before", &to)).await.unwrap();
    log.save(Slot::Vote, b"you".to_vec()).await.unwrap();
    assert_eq!(heard.try_recv(), Ok(("before", true)), "what was asked before is durable too");
    disk.crash(0);
    assert_eq!(disk.open().read(Slot::Vote).unwrap().as_deref(), Some(&b"you"[..]));
    drop(thread);
}

#[tokio::test]
async fn a_failed_sync_is_told_to_all_and_is_the_end() {
    let (disk, log, mut writer) = memory();
    let (to, heard) = mpsc::channel();
    log.append(records(1, 2), told("durable", &to)).await.unwrap();
    writer.turn();
    disk.fail();
    log.append(records(3, 4), told("failed", &to)).await.unwrap();
    log.append(records(5, 5), told("with it", &to)).await.unwrap();
    writer.turn();
    assert_eq!(
        heard.try_iter().collect::<Vec<_>>(),
        [("durable", true), ("failed", false), ("with it", false)]
    );
    let refused = log.append(vec![record(6)], told("later", &to)).await.unwrap_err();
    assert_eq!(
        (refused.kind(), refused.to_string()),
        (io::ErrorKind::StorageFull, "the disk is full".to_owned())
    );
    assert!(log.entries(1, 2).await.is_err() && log.save(Slot::Vote, Vec::new()).await.is_err());
    assert!(log.failure().is_some());
    disk.crash(0);
    assert_eq!(disk.open().range().unwrap(), Some((1, 2)), "what was told of is there");
}

#[tokio::test]
async fn an_engine_that_panics_has_failed() {
    struct Panics;
    #[rustfmt::skip]
    impl LogEngine for Panics {
        fn append(&mut self, _: &[tollgate_cluster::engine::Record]) -> io::Result<()> { panic!("on purpose") }
        fn truncate_after(&mut self, _: Option<u64>) -> io::Result<()> { Ok(()) }
        fn purge(&mut self, _: u64) -> io::Result<()> { Ok(()) }
        fn put(&mut self, _: Slot, _: &[u8]) -> io::Result<()> { Ok(()) }
        fn read(&self, _: Slot) -> io::Result<Option<Vec<u8>>> { Ok(None) }
        fn entries(&self, _: u64, _: u64) -> io::Result<Vec<tollgate_cluster::engine::Record>> { Ok(Vec::new()) }
        fn range(&self) -> io::Result<Option<(u64, u64)>> { Ok(None) }
        fn sync(&mut self) -> io::Result<()> { Ok(()) }
    }
    let (log, mut writer) = writer::over(Panics).unwrap();
    let (to, heard) = mpsc::channel();
    log.append(records(1, 1), told("panicked", &to)).await.unwrap();
    writer.turn();
    assert_eq!(heard.try_recv(), Ok(("panicked", false)));
    assert_eq!(log.failure().unwrap().to_string(), "the log's engine panicked");
}

#[tokio::test]
async fn a_full_queue_makes_who_asks_wait() {
    let (_disk, log, mut writer) = memory();
    let large = |index| tollgate_cluster::engine::Record { index, body: vec![0; 40 << 20] };
    log.append(vec![large(1)], nobody()).await.unwrap();
    let (second, waited) = tokio::join!(log.append(vec![large(2)], nobody()), async {
        let waited = log.range().unwrap() == Some((1, 1));
        writer.turn();
        waited
    });
    second.unwrap();
    assert!(waited, "there was no room");
    assert_eq!(log.range().unwrap(), Some((1, 2)));
}

#[tokio::test]
async fn a_stopped_log_has_written_all_and_takes_nothing() {
    let disk = MemoryDisk::default();
    let (log, thread) = writer::start(disk.open()).unwrap();
    log.note(Slot::Committed, b"9".to_vec()).await.unwrap();
    drop(thread);
    assert_eq!(disk.unsynced(), 0);
    let refused = log.append(records(1, 1), nobody()).await.unwrap_err();
    assert_eq!(refused.to_string(), "the log is closed");
}
