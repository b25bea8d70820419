//! Machines that start, crash and lose their disks. What runs on one is what runs in a node: the writer of its log, the log
//! store, the state machine and its shelf of snapshots.

use std::io;
use std::sync::Arc;

use openraft::{AsyncRuntime, Config, SnapshotPolicy};
use openraft_rt_sim::SimRuntime;
use tollgate_cluster::engine::writer::{self, Log, Writer};
use tollgate_cluster::raft::log_store::LogStore;
use tollgate_cluster::raft::settings::{self, Pace};
use tollgate_cluster::raft::state_machine::{Offload, Setup, StateMachine};
use tollgate_cluster::snapshots::Shelf;

use super::Planted;
use super::types::{SimRaft, SimTypes};
use super::wire::Wire;
use super::witness::Witnessed;
use super::world::{Machine, Running, World, pause, within};
use crate::properties::Violated;

/// A log comes to rest after so long.
const REST_MS: u64 = 500;

/// Puts a machine with an empty disk there.
pub(super) fn place(world: &World, node: u64) {
    world.with(|world| {
        let machine = Machine {
            skew_ms: world.dice.pick(&[-2_000, -300, 0, 0, 0, 300, 2_000]),
            sync_ms: world.dice.between(1, 8),
            ..Machine::default()
        };
        match world.planted {
            Some(Planted::AcknowledgeBeforeDurable) => machine.log.acknowledge_before_durable(),
            Some(Planted::SnapshotUnsynced) => machine.snapshots.forget_syncs(),
            Some(Planted::NoDeduplication | Planted::IdUsedAgain) | None => {}
        }
        world.machines.insert(node, machine);
    });
}

/// Starts the node with what its disk has. That it can't is a promise broken, unless it was stopped meanwhile.
pub(super) async fn start(world: &World, node: u64) {
    let Some(run) = world.with(|world| {
        let machine = world.machines.get_mut(&node)?;
        machine.run += 1;
        Some(machine.run)
    }) else {
        return;
    };
    let wire = Wire { world: world.clone(), node, run };
    match boot(wire).await {
        Ok(running) if world.is_running(node, run) => world.with(|world| {
            world.figures.starts += 1;
            if let Some(machine) = world.machines.get_mut(&node) {
                machine.up = Some(running);
            }
        }),
        Ok(running) => _ = SimRuntime::spawn(async move { running.raft.shutdown().await }),
        Err(error) if world.is_running(node, run) => {
            world.fail(Violated::new("a node comes back", format!("node {node}, run {run}: {error}")));
        }
        Err(_) => {}
    }
}

async fn boot(wire: Wire) -> io::Result<Running> {
    let Wire { world, node, run } = wire.clone();
    let (disk, snapshots) = world.with(|world| {
        let machine = world.machines.get(&node).ok_or(io::ErrorKind::NotFound)?;
        io::Result::Ok((machine.log.clone(), machine.snapshots.mount()))
    })?;
    let (log, writer) = writer::over(disk.open())?;
    SimRuntime::spawn(write(wire.clone(), log.clone(), writer));
    let store = LogStore::<SimTypes>::open(log).await?;
    let setup = Setup { seed: node, listener: Arc::new(|_| {}), offload: Offload::Nowhere };
    let (machine, damaged) = StateMachine::open(Shelf::open(snapshots)?, setup)?;
    if let Some(damaged) = damaged.first() {
        return Err(io::Error::other(format!("a snapshot has its name and is not whole: {}", damaged.why)));
    }
    let (replica, shelf) = (machine.replica(), machine.shelf());
    let witnessed = Witnessed { machine, world: world.clone(), node, run };
    let config = Arc::new(config(&world)?);
    let raft = SimRaft::new(node, config, wire, store, witnessed).await.map_err(io::Error::other)?;
    Ok(Running { raft, replica, shelf, run })
}

/// As in a node, but that logs are cut so often that snapshots are needed.
fn config(world: &World) -> io::Result<Config> {
    let config = settings::config(Pace::NEAR).map_err(io::Error::other)?;
    Ok(Config {
        snapshot_policy: SnapshotPolicy::LogsSinceLast(world.snapshot_every()),
        max_in_snapshot_log_to_keep: world.snapshot_every() / 4,
        purge_batch_size: 1,
        ..config
    })
}

/// The thread that owns a node's log, with syncs that take their time.
async fn write(wire: Wire, log: Log, mut writer: Writer) {
    let Wire { world, node, run } = wire;
    while world.is_running(node, run) {
        if within(REST_MS, log.asked()).await.is_none() {
            writer.rest();
            continue;
        }
        let sync_ms = world.with(|world| {
            let most = world.machines.get(&node).map_or(1, |machine| machine.sync_ms);
            world.dice.between(0, most)
        });
        pause(sync_ms).await;
        if world.is_running(node, run) {
            writer.turn();
        }
    }
}

/// Cuts a machine's power: what was not synced is gone, or a part of it.
pub(super) fn crash(world: &World, node: u64) {
    let running = world.with(|world| {
        let machine = world.machines.get_mut(&node)?;
        let running = machine.up.take()?;
        machine.run += 1;
        let unsynced = machine.log.unsynced();
        machine.log.crash(world.dice.index(unsynced + 1));
        machine.snapshots.crash(&mut world.dice);
        world.figures.crashes += 1;
        Some(running)
    });
    if let Some(running) = running {
        // What is left of it in memory is cleared away; nothing that it does reaches anybody.
        SimRuntime::spawn(async move { running.raft.shutdown().await });
    }
}
