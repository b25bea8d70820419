//! A disk that takes no more: nothing acknowledged is lost, and the log says so to everyone from then on.

use std::thread;
use std::time::{Duration, Instant};

use tollgate_cluster::engine::sled::SledEngine;

use crate::bodies::{OWNER, verify};
use crate::child::{self, Mode, Purge};

const LONGEST: Duration = Duration::from_secs(120);

#[test]
fn a_file_that_may_not_grow_ends_the_log_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    drop(SledEngine::create(folder.path(), OWNER).unwrap());
    // Files up to some MiB, and an error instead of a signal for more.
    let limit = "trap '' XFSZ && ulimit -f 8192";
    let mut running = child::run(folder.path(), Mode { batch: 16, purge: Purge::Never }, Some(limit));
    let begun = Instant::now();
    while !running.has_ended() {
        assert!(begun.elapsed() < LONGEST, "the child has not ended: {:?}", running.told());
        thread::sleep(Duration::from_millis(20));
    }
    let told = running.kill();
    assert!(told.acknowledged > 0 && told.failed.is_some(), "{told:?}");
    assert_eq!(told.refused, told.failed, "the first error is told to whoever comes later");

    let engine = SledEngine::open(folder.path(), OWNER).unwrap();
    let last = verify(&engine).map_or(0, |(_, last)| last);
    assert!(last >= told.acknowledged, "{last} is left, {told:?}");
}
