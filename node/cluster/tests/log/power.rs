//! A power cut at any moment: what was acknowledged before it is on the disk, or the trial is skipped out loud.

use std::env;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use tollgate_cluster::engine::sled::SledEngine;
use tollgate_cluster::engine::{LogEngine, Slot};

use crate::bodies::{OWNER, Random, verify};
use crate::child::{self, Mode, Purge, Running, Store, Told};
use crate::rig::{self, Rig, say};

/// Cuts without being asked for more.
const CUTS: usize = 8;
/// Cuts in one life of a child: its log grows.
const CUTS_EACH: usize = 4;
const DISK_BYTES: u64 = 400 << 20;
/// More than a child comes to.
const MOST_ENTRIES: u64 = 100_000_000;
const LONGEST_START: Duration = Duration::from_mins(1);

#[test]
fn nothing_acknowledged_is_lost_by_a_power_cut() {
    let Some(cuts) = Cuts::asked() else { return };
    let modes = [(1, Purge::Never), (4, Purge::Always), (16, Purge::Never), (128, Purge::Always)];
    let mut acknowledged = 0;
    for (life, (batch, purge)) in modes.into_iter().cycle().take(cuts.lives).enumerate() {
        for (number, (told, found)) in
            cuts.life(life, Mode { batch, purge, store: Store::Log }, left).into_iter().enumerate()
        {
            let what = format!("life {life} of {batch} at once, cut {number}: {told:?}, found {found:?}");
            let (last, vote) = found.as_ref().unwrap_or_else(|error| panic!("{what}: {error}"));
            assert!(*last >= told.acknowledged && *vote >= told.voted, "{what}");
            acknowledged += told.acknowledged;
        }
    }
    assert!(acknowledged > 0, "no child came to an acknowledgement");
    say(&format!("power was cut {} times: nothing acknowledged was lost", cuts.lives * CUTS_EACH));
}

/// That the trial above can find something: of 60 cuts, 52 lost something here.
#[test]
fn sled_as_it_is_loses_what_it_acknowledged() {
    let Some(cuts) = Cuts::asked() else { return };
    let mode = Mode { batch: 16, purge: Purge::Never, store: Store::BareSled };
    let mut lost = 0;
    for life in 0..cuts.lives {
        for (told, found) in cuts.life(life, mode, left_bare) {
            lost += usize::from(!found.as_ref().is_ok_and(|(last, _)| *last >= told.acknowledged));
        }
    }
    say(&format!("bare sled, power cut {} times: {lost} lost something", cuts.lives * CUTS_EACH));
    assert!(lost > 0, "the trial can't see a loss");
}

/// The last entry and the last vote.
type Left = Result<(u64, u64), String>;

struct Cuts {
    rig: Rig,
    lives: usize,
}

impl Cuts {
    /// None, said out loud, where this machine has no such disk.
    fn asked() -> Option<Self> {
        let cuts: usize = env::var("TOLLGATE_POWER_CUTS").map_or(CUTS, |cuts| cuts.parse().unwrap());
        match Rig::new(DISK_BYTES) {
            Ok(rig) => Some(Self { rig, lives: cuts.div_ceil(CUTS_EACH) }),
            Err(reason) => {
                rig::skip("power cuts", &reason);
                None
            }
        }
    }

    /// A child writes, power is cut now and then, and it is killed. Returns what it had told before each cut, and what was
    /// left after it.
    fn life(&self, life: usize, mode: Mode, look: fn(&Path) -> Left) -> Vec<(Told, Left)> {
        let folder = self.rig.inner().join("log");
        fs::create_dir(&folder).unwrap();
        if mode.store == Store::Log {
            drop(SledEngine::create(&folder, OWNER).unwrap());
        }
        let mut random = Random(life as u64);
        let running = child::run(&folder, mode, None);
        await_ready(&running);
        let mut images = Vec::new();
        for number in 0..CUTS_EACH {
            thread::sleep(Duration::from_millis(10 + random.below(700)));
            let told = running.told();
            images.push((told, self.rig.cut(number)));
        }
        running.kill();
        let look_at = |(told, image): (Told, _)| (told, self.rig.inspect(image, |at| look(&at.join("log"))));
        let found = images.iter().map(|(told, image)| look_at((told.clone(), image))).collect();
        fs::remove_dir_all(&folder).unwrap();
        found
    }
}

fn await_ready(running: &Running) {
    let begun = Instant::now();
    while !running.told().ready {
        assert!(begun.elapsed() < LONGEST_START, "the child does not start");
        thread::sleep(Duration::from_millis(2));
    }
}

fn left(folder: &Path) -> Left {
    let engine = SledEngine::open(folder, OWNER).map_err(|error| error.to_string())?;
    let last = verify(&engine).map_or(0, |(_, last)| last);
    let vote = engine.read(Slot::Vote).unwrap();
    Ok((last, vote.map_or(0, |vote| u64::from_le_bytes(vote.try_into().unwrap()))))
}

fn left_bare(folder: &Path) -> Left {
    let opened = std::panic::catch_unwind(|| sled::open(folder.join("bare")));
    let db = opened.map_err(|_| "it panicked".to_owned())?.map_err(|error| error.to_string())?;
    // All of them are there, or the first that is not ends it.
    let there = |index: &u64| db.contains_key(index.to_be_bytes()).unwrap_or(false);
    let last = (1..=MOST_ENTRIES).take_while(there).last();
    Ok((last.unwrap_or(0), 0))
}
