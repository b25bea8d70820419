//! What all tasks of a run share: the dice, the network as it is now, the machines, and what was found.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openraft::AsyncRuntime;
use openraft::async_runtime::Instant;
use openraft_rt_sim::{SimInstant, SimRuntime};
use tollgate_cluster::engine::memory::MemoryDisk;
use tollgate_cluster::raft::replica::Replica;
use tollgate_cluster::snapshots::Shelf;
use tollgate_ratelimit::time::Timestamp;

use super::books::Books;
use super::folder::MemoryFolder;
use super::types::SimRaft;
use super::witness::Witness;
use super::{Figures, Planted};
use crate::properties::Violated;
use crate::sim::dice::Dice;

/// Cluster time when a run begins.
const EPOCH_MS: u64 = 1_800_000_000_000;

/// A run's world. Clones are the same world.
#[derive(Clone)]
pub(super) struct World {
    inner: Arc<Mutex<Inner>>,
}

pub(super) struct Inner {
    pub(super) dice: Dice,
    pub(super) planted: Option<Planted>,
    pub(super) wires: Wires,
    pub(super) machines: BTreeMap<u64, Machine>,
    pub(super) witness: Witness,
    pub(super) books: Books,
    pub(super) figures: Figures,
    pub(super) violated: Option<Violated>,
    /// Clients end what they are at, and begin nothing.
    pub(super) closing: bool,
    pub(super) a_disk_was_lost: bool,
    snapshot_every: u64,
}

/// The network between nodes.
#[derive(Default)]
pub(super) struct Wires {
    /// From one to another: nothing arrives.
    pub(super) cut: BTreeSet<(u64, u64)>,
    pub(super) loss_percent: u64,
    pub(super) most_delay_ms: u64,
}

/// A node's machine, and what outlives its crashes.
#[derive(Default)]
pub(super) struct Machine {
    pub(super) log: MemoryDisk,
    pub(super) snapshots: MemoryFolder,
    /// How often it was started.
    pub(super) run: u64,
    pub(super) up: Option<Running>,
    /// How far its clock is off.
    pub(super) skew_ms: i64,
    /// How long a sync takes, at most.
    pub(super) sync_ms: u64,
    /// Its disk was lost, or it was removed: it does not come back.
    pub(super) gone: bool,
}

/// A node that runs.
#[derive(Clone)]
pub(super) struct Running {
    pub(super) raft: SimRaft,
    pub(super) replica: Replica,
    pub(super) shelf: Shelf,
    pub(super) run: u64,
}

impl World {
    pub(super) fn new(seed: u64, planted: Option<Planted>) -> Self {
        let mut dice = Dice::new(seed, 11);
        let snapshot_every = dice.between(20, 150);
        let inner = Inner {
            dice,
            planted,
            wires: Wires { most_delay_ms: 5, ..Wires::default() },
            machines: BTreeMap::new(),
            witness: Witness::default(),
            books: Books::default(),
            figures: Figures::default(),
            violated: None,
            closing: false,
            a_disk_was_lost: false,
            snapshot_every,
        };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    /// Looks at the world, or changes it. No task waits meanwhile.
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn dice<T>(&self, throw: impl FnOnce(&mut Dice) -> T) -> T {
        self.with(|world| throw(&mut world.dice))
    }

    /// The first promise that was found broken is what the run reports.
    pub(super) fn fail(&self, violated: Violated) {
        self.with(|world| _ = world.violated.get_or_insert(violated));
    }

    pub(super) fn expect(&self, found: Result<(), Violated>) {
        if let Err(violated) = found {
            self.fail(violated);
        }
    }

    /// Whether clients should begin something new.
    pub(super) fn is_open(&self) -> bool {
        self.with(|world| !world.closing && world.violated.is_none())
    }

    pub(super) fn has_failed(&self) -> bool {
        self.with(|world| world.violated.is_some())
    }

    pub(super) fn running(&self, node: u64) -> Option<Running> {
        self.with(|world| world.machines.get(&node)?.up.clone())
    }

    /// Whether that run of the machine goes on, started or just starting.
    pub(super) fn is_running(&self, node: u64, run: u64) -> bool {
        self.with(|world| world.machines.get(&node).is_some_and(|machine| machine.run == run))
    }

    /// All nodes that run.
    pub(super) fn all_running(&self) -> Vec<(u64, Running)> {
        self.with(|world| {
            let up = world.machines.iter().filter_map(|(id, machine)| Some((*id, machine.up.clone()?)));
            up.collect()
        })
    }

    /// The clock of a node, as it stamps proposals.
    pub(super) fn clock(&self, node: u64) -> Timestamp {
        let skew_ms = self.with(|world| world.machines.get(&node).map_or(0, |machine| machine.skew_ms));
        let now_ms = u64::try_from(SimInstant::now().elapsed_since_start().as_millis()).unwrap_or(u64::MAX);
        Timestamp((EPOCH_MS + now_ms).saturating_add_signed(skew_ms))
    }

    pub(super) fn snapshot_every(&self) -> u64 {
        self.with(|world| world.snapshot_every)
    }

    /// A message's way; whether it arrives.
    pub(super) async fn travel(&self, from: u64, to: u64) -> bool {
        let (delay_ms, lost) = self.with(|world| {
            let delay_ms = world.dice.between(1, world.wires.most_delay_ms.max(1));
            (delay_ms, world.dice.chance(world.wires.loss_percent, 100))
        });
        pause(delay_ms).await;
        // A cut holds up what is on its way, too.
        !lost && self.with(|world| !world.wires.cut.contains(&(from, to)))
    }
}

/// Waits on the simulated clock.
pub(super) async fn pause(ms: u64) {
    SimRuntime::sleep(Duration::from_millis(ms)).await;
}

/// What comes of it within so long; None if nothing does.
pub(super) async fn within<T>(ms: u64, what: impl Future<Output = T> + Send) -> Option<T> {
    SimRuntime::timeout(Duration::from_millis(ms), what).await.ok()
}
