//! The consensus simulator in CI: the real Raft, log, state machine and snapshots hold every promise over many seeds, and each
//! guard that is taken away is missed soon.

use tollgate_jepsen::raft_sim::campaign::Campaign;
use tollgate_jepsen::raft_sim::{ALL, Planted, run};

const SEEDS: u64 = 300;
const THREADS: u64 = 2;

#[test]
fn three_hundred_seeds_keep_every_promise() {
    let campaign = Campaign { seeds: 0..SEEDS, planted: None, threads: THREADS };
    let found = campaign.run(1);
    if let Some(first) = found.failed.first() {
        panic!("{}", campaign.replay(first));
    }
    assert_eq!(found.seeds, SEEDS);
    let figures = found.figures;
    let often =
        [figures.requests, figures.edits, figures.reads, figures.unknown, figures.crashes, figures.cuts];
    assert!(often.iter().all(|count| *count > 2 * SEEDS), "hardly anything was tried: {figures:?}");
    let seldom = [figures.installed, figures.replaced];
    assert!(seldom.iter().all(|count| *count > SEEDS / 4), "hardly anything was tried: {figures:?}");
}

#[test]
fn a_seed_is_the_same_run_each_time() {
    for seed in [3, 4] {
        let [one, other] = [(); 2].map(|()| run(seed, None));
        assert_eq!((one.entries, one.figures), (other.entries, other.figures), "seed {seed}");
    }
    assert_ne!(run(3, None).entries, run(4, None).entries);
}

/// Each guard, and within how many seeds its absence must be noticed.
#[rustfmt::skip]
const NOTICED_WITHIN: [(Planted, u64); ALL.len()] = [
    (Planted::AcknowledgeBeforeDurable, 20),
    (Planted::SnapshotUnsynced,         10),
    (Planted::NoDeduplication,           3),
    (Planted::IdUsedAgain,              40),
];

#[test]
fn every_planted_fault_is_noticed() {
    for (planted, most) in NOTICED_WITHIN {
        let found = Campaign { seeds: 0..most, planted: Some(planted), threads: THREADS }.run(1);
        assert!(!found.failed.is_empty(), "{planted:?} was not noticed within {most} seeds");
    }
}
