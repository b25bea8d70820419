//! Both engines are the same log: a long random history gives the same answers on both, also when they are opened again.

use tollgate_cluster::engine::memory::MemoryDisk;
use tollgate_cluster::engine::sled::{OpenError, SledEngine};
use tollgate_cluster::engine::{LogEngine, Record, Slot};

use crate::bodies::{OWNER, Random, record, records};

const STEPS: u64 = 600;

#[test]
fn engines_agree_on_a_random_history() {
    for seed in 0..3 {
        let mut random = Random(seed);
        let folder = tempfile::tempdir().unwrap();
        let disk = MemoryDisk::default();
        let mut memory = disk.open();
        let mut sled = SledEngine::create(folder.path(), OWNER).unwrap();
        for step in 0..STEPS {
            if random.below(50) == 0 {
                // Neither was synced just before: a process that ends loses nothing.
                drop(sled);
                sled = SledEngine::open(folder.path(), OWNER).unwrap();
                memory = disk.open();
            } else {
                let mut same = random.below(u64::MAX);
                change(&mut sled, &mut Random(same));
                change(&mut memory, &mut Random(same));
                same += step;
                assert_eq!(look(&sled, same), look(&memory, same), "seed {seed}, step {step}");
            }
        }
    }
}

fn change(engine: &mut dyn LogEngine, random: &mut Random) {
    let range = engine.range().unwrap();
    let purged =
        engine.read(Slot::Purged).unwrap().map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
    let (first, end) = range.map_or_else(
        || purged.map_or((0, 0), |purged| (purged + 1, purged + 1)),
        |(first, last)| (first, last + 1),
    );
    match random.below(10) {
        0..5 => engine.append(&records(end, end + random.below(40))).unwrap(),
        5 => {
            let length = end - first;
            let last = (first + random.below(length + 1)).checked_sub(1);
            // What was purged stays so.
            engine.truncate_after(last.max(purged)).unwrap();
        }
        6 => {
            let upto = first + random.below(end - first + 3);
            engine.put(Slot::Purged, &upto.max(purged.unwrap_or(0)).to_le_bytes()).unwrap();
            engine.purge(upto).unwrap();
        }
        7 => engine.put(Slot::Vote, &random.below(99).to_le_bytes()).unwrap(),
        8 => engine.put(Slot::Committed, &[]).unwrap(),
        _ => engine.sync().unwrap(),
    }
}

type Look = (Option<(u64, u64)>, Vec<Record>, Vec<Option<Vec<u8>>>);

fn look(engine: &dyn LogEngine, seed: u64) -> Look {
    let mut random = Random(seed);
    let range = engine.range().unwrap();
    let (first, last) = range.unwrap_or_default();
    let begin = (first + random.below(last - first + 2)).saturating_sub(1);
    let slots = Slot::ALL.map(|slot| engine.read(slot).unwrap());
    (range, engine.entries(begin, begin + random.below(50)).unwrap(), slots.to_vec())
}

#[test]
fn a_log_is_opened_again_with_all_that_it_held() {
    let folder = tempfile::tempdir().unwrap();
    let mut engine = SledEngine::create(folder.path(), OWNER).unwrap();
    engine.append(&records(1, 300)).unwrap();
    engine.purge(250).unwrap();
    engine.truncate_after(Some(280)).unwrap();
    engine.put(Slot::Vote, b"me").unwrap();
    drop(engine);

    let engine = SledEngine::open(folder.path(), OWNER).unwrap();
    assert_eq!(engine.range().unwrap(), Some((251, 280)));
    assert_eq!(engine.entries(0, u64::MAX).unwrap(), records(251, 280));
    assert_eq!(engine.read(Slot::Vote).unwrap().as_deref(), Some(&b"me"[..]));
}

#[test]
fn a_log_is_made_once_and_opened_only_where_there_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let nothing = SledEngine::open(folder.path(), OWNER).err();
    assert!(matches!(nothing, Some(OpenError::Lost { held: None, found: None, .. })), "{nothing:?}");
    // One that was made and not used yet is made again: its maker may have died before it wrote down that it exists.
    drop(SledEngine::create(folder.path(), OWNER).unwrap());
    let mut engine = SledEngine::create(folder.path(), OWNER).unwrap();
    engine.append(&[record(1)]).unwrap();
    drop(engine);
    let there = SledEngine::create(folder.path(), OWNER).err();
    assert!(matches!(there, Some(OpenError::Exists { .. })), "{there:?}");
}

#[test]
fn the_marker_moves_with_each_vote_and_else_at_rest() {
    let folder = tempfile::tempdir().unwrap();
    let mut engine = SledEngine::create(folder.path(), OWNER).unwrap();
    let marked = || std::fs::read_to_string(folder.path().join("marker")).unwrap();
    let group = |engine: &mut SledEngine, index| {
        engine.append(&[record(index)]).unwrap();
        engine.sync().unwrap();
    };
    group(&mut engine, 1);
    assert!(marked().contains("reached nothing\nvotes 0\n"), "not with each group");
    engine.put(Slot::Vote, b"me").unwrap();
    group(&mut engine, 2);
    assert!(marked().contains("reached 2\nvotes 1\n"), "a vote must not be forgotten");
    group(&mut engine, 3);
    engine.sync().unwrap();
    assert!(marked().contains("reached 3\n"), "nothing has changed since the last sync: the log rests");
    engine.truncate_after(Some(2)).unwrap();
    assert!(marked().contains("reached 2\n"), "before the entry is gone");
    engine.purge(2).unwrap();
    engine.sync().unwrap();
    engine.sync().unwrap();
    assert!(marked().contains("reached 2\n"), "what was purged was reached");
}

#[test]
fn a_gap_is_refused_and_ends_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let engines: [Box<dyn LogEngine>; 2] =
        [Box::new(SledEngine::create(folder.path(), OWNER).unwrap()), Box::new(MemoryDisk::default().open())];
    for mut engine in engines {
        engine.append(&records(5, 6)).unwrap();
        let error = engine.append(&[record(8)]).unwrap_err();
        assert_eq!(error.to_string(), "an entry after 6 was expected, 8 came");
        let error = engine.append(&[record(7)]).unwrap_err();
        assert!(error.to_string().starts_with("the log has failed before"), "{error}");
        assert!(engine.sync().is_err() && engine.entries(5, 7).is_err(), "nothing more is served");
    }
}

#[test]
fn no_page_goes_to_a_file_that_nobody_syncs() {
    let folder = tempfile::tempdir().unwrap();
    let mut engine = SledEngine::create(folder.path(), OWNER).unwrap();
    for index in 1..100 {
        engine.append(&[Record { index, body: vec![7; 200_000] }]).unwrap();
    }
    engine.sync().unwrap();
    assert_eq!(engine.entries(50, 51).unwrap()[0].body.len(), 200_000);
    let blobs = std::fs::read_dir(folder.path().join("sled").join("blobs")).unwrap().count();
    assert_eq!(blobs, 0, "sled has moved pages to files of their own");
}

#[test]
fn a_crash_drops_what_was_not_synced_but_for_a_part() {
    #[rustfmt::skip]
    let crashes = [
        // kept  last       why
        (  0,    Some(3)),  // nothing of it had reached the disk
        (  2,    Some(5)),  // a group is torn between two entries
        (  9,    Some(6)),  // all of it had, although nobody was told
    ];
    for (kept, last) in crashes {
        let disk = MemoryDisk::default();
        let mut engine = disk.open();
        engine.append(&records(1, 3)).unwrap();
        engine.sync().unwrap();
        engine.append(&records(4, 6)).unwrap();
        assert_eq!(disk.unsynced(), 3);
        disk.crash(kept);
        assert!(engine.sync().is_err(), "an engine of before the crash is gone");
        assert_eq!(disk.open().range().unwrap().map(|(_, last)| last), last, "{kept} kept");
    }
}

#[cfg(feature = "planted-faults")]
#[test]
fn a_planted_fault_acknowledges_what_a_crash_drops() {
    let disk = MemoryDisk::default();
    disk.acknowledge_before_durable();
    let mut engine = disk.open();
    engine.append(&records(1, 3)).unwrap();
    engine.sync().unwrap();
    engine.append(&records(4, 6)).unwrap();
    engine.sync().unwrap();
    disk.crash(0);
    assert_eq!(disk.open().range().unwrap(), Some((1, 3)));
}
