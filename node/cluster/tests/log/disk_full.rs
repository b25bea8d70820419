//! A disk that takes no more: nothing acknowledged is lost, and the log says so to everyone from then on.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use tollgate_cluster::engine::sled::SledEngine;

use crate::bodies::{OWNER, verify};
use crate::child::{self, Mode, Purge, Store, Told};
use crate::rig::{self, Rig};

const LONGEST: Duration = Duration::from_mins(2);

const DISK_BYTES: u64 = 24 << 20;

/// What lies on the disk beside the log, until room is made.
const BALLAST_BYTES: usize = 4 << 20;

#[test]
fn files_that_may_not_grow_end_the_log_and_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    // Files up to some MiB, and an error instead of a signal for more.
    let told = fill(&log, Some("trap '' XFSZ && ulimit -f 8192"));
    all_is_there(&log, &told);
}

#[test]
fn a_full_disk_ends_the_log_and_loses_nothing() {
    let rig = match Rig::new(DISK_BYTES) {
        Ok(rig) => rig,
        Err(reason) => return rig::skip("a full disk", &reason),
    };
    let log = rig.inner().join("log");
    let ballast = rig.inner().join("ballast");
    fs::write(&ballast, vec![1; BALLAST_BYTES]).unwrap();
    let told = fill(&log, None);
    // sled needs room to open. Without it nothing is lost, and the error says what is missing.
    if let Err(error) = SledEngine::open(&log, OWNER) {
        assert!(error.to_string().contains("No space left"), "{error}");
    }
    fs::remove_file(ballast).unwrap();
    all_is_there(&log, &told);
}

/// Writes until the log fails.
fn fill(log: &Path, limit: Option<&str>) -> Told {
    drop(SledEngine::create(log, OWNER).unwrap());
    let mode = Mode { batch: 16, purge: Purge::Never, store: Store::Log };
    let mut running = child::run(log, mode, limit);
    let begun = Instant::now();
    while !running.has_ended() {
        assert!(begun.elapsed() < LONGEST, "the child has not ended: {:?}", running.told());
        thread::sleep(Duration::from_millis(20));
    }
    let told = running.kill();
    assert!(told.acknowledged > 0 && told.failed.is_some(), "{told:?}");
    assert_eq!(told.refused, told.failed, "the first error is told to whoever comes later");
    told
}

fn all_is_there(log: &Path, told: &Told) {
    let engine = SledEngine::open(log, OWNER).unwrap();
    let last = verify(&engine).map_or(0, |(_, last)| last);
    assert!(last >= told.acknowledged, "{last} is left, {told:?}");
}
