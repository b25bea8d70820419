//! Whether nodes that run do run, and whether they all come to the same end once nothing is broken any more.

use openraft::async_runtime::watch::WatchReceiver;
use tollgate_cluster::state::{Proposal, State};

use super::ask::propose;
use super::editor;
use super::machine::start;
use super::world::{Machine, World, pause};
use crate::properties::Violated;

const ROUND_MS: u64 = 50;
const MOST_ROUNDS: u64 = 1_200;

/// No node stopped by itself.
pub(super) fn check(world: &World) -> Result<(), Violated> {
    for (node, running) in world.all_running() {
        let state = running.raft.metrics().borrow_watched().running_state.clone();
        if let Err(fatal) = state
            && world.is_running(node, running.run)
        {
            return Err(Violated::new("a node goes on", format!("node {node}: {fatal}")));
        }
    }
    Ok(())
}

/// Mends everything.
pub(super) async fn heal(world: &World) {
    world.with(|world| {
        world.wires.cut.clear();
        world.wires.loss_percent = 0;
        world.closing = true;
    });
    let down: Vec<u64> = world.with(|world| {
        let down = world.machines.iter().filter(|(_, machine)| machine.up.is_none() && !machine.gone);
        down.map(|(id, _)| *id).collect()
    });
    for node in down {
        start(world, node).await;
    }
}

/// A last entry, and then all nodes that are members have applied as much, and hold the same.
pub(super) async fn converge(world: &World) -> Result<(), Violated> {
    let Some((last, _)) = propose(world, |at| Proposal::Quota { at, commands: Vec::new() }).await else {
        return Ok(());
    };
    for _ in 0..MOST_ROUNDS {
        check(world)?;
        let reached = reached(world);
        let first = reached.first().map_or(0, |(_, index)| *index);
        if first >= last && reached.iter().all(|(_, index)| *index == first) {
            return compare(world);
        }
        pause(ROUND_MS).await;
    }
    let what = format!("expected all nodes to reach entry {last}, they reached {:?}", reached(world));
    Err(Violated::new("all nodes come to the same end", what))
}

/// The last entry that each node has applied.
fn reached(world: &World) -> Vec<(u64, u64)> {
    let applied = |machine: &Machine| machine.up.as_ref()?.replica.position().0.map(|last| last.index);
    world.with(|world| {
        let there = world.machines.iter().filter(|(_, machine)| !machine.gone);
        there.map(|(id, machine)| (*id, applied(machine).unwrap_or_default())).collect()
    })
}

fn compare(world: &World) -> Result<(), Violated> {
    let written = |state: &State| state.write(Vec::new(), Vec::new()).expect("memory");
    let mut all = world.all_running().into_iter();
    let Some((_, first)) = all.next() else { return Ok(()) };
    let bytes = first.replica.look(written);
    for (node, running) in all {
        if running.replica.look(written) != bytes {
            return Err(Violated::new("one state on all nodes", format!("node {node} holds another one")));
        }
    }
    first.replica.look(|state| {
        editor::compare(world, state)?;
        world.with(|world| world.books.compare(state.quota()))
    })
}
