//! kill -9 at any moment: what was acknowledged is there, with what it must hold, and the log goes on.

use std::env;
use std::thread;
use std::time::{Duration, Instant};

use tollgate_cluster::engine::sled::SledEngine;
use tollgate_cluster::engine::{LogEngine, Slot};

use crate::bodies::{OWNER, Random, verify};
use crate::child::{self, Mode, Purge, Store};

const KILLS: usize = 24;
const LONGEST_START: Duration = Duration::from_mins(1);

#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    let kills = env::var("TOLLGATE_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let modes = [(1, Purge::Never), (4, Purge::Always), (16, Purge::Always), (128, Purge::Always)];
    let mut random = Random(9);
    let mut acknowledged = 0;
    for (series, (batch, purge)) in modes.into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        drop(SledEngine::create(folder.path(), OWNER).unwrap());
        for kill in 0..kills.div_ceil(modes.len()) {
            let running = child::run(folder.path(), Mode { batch, purge, store: Store::Log }, None);
            let begun = Instant::now();
            while !running.told().ready {
                assert!(begun.elapsed() < LONGEST_START, "the child does not start");
                thread::sleep(Duration::from_millis(2));
            }
            thread::sleep(Duration::from_millis(10 + random.below(390)));
            let told = running.kill();

            let engine = SledEngine::open(folder.path(), OWNER)
                .unwrap_or_else(|error| panic!("series {series}, kill {kill}, {told:?}: {error}"));
            let last = verify(&engine).map_or(0, |(_, last)| last);
            assert!(last >= told.acknowledged, "series {series}, kill {kill}: {last} is left, {told:?}");
            let vote = engine.read(Slot::Vote).unwrap();
            let vote = vote.map_or(0, |vote| u64::from_le_bytes(vote.try_into().unwrap()));
            assert!(vote >= told.voted, "series {series}, kill {kill}: vote {vote} is left, {told:?}");
            acknowledged += told.acknowledged.min(1);
        }
    }
    assert!(acknowledged > kills as u64 / 2, "only {acknowledged} children came to an acknowledgement");
}
