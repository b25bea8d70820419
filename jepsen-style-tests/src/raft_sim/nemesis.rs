//! What goes wrong, and when: machines crash, wires are cut one way or both, leadership moves, a disk is lost. Not more at once
//! than what the cluster says it survives without losing anything; it may stand still meanwhile.

use openraft::AsyncRuntime;
use openraft_rt_sim::{SimJoinHandle, SimRuntime};

use super::machine::{crash, place, start};
use super::operator::replace;
use super::world::{World, pause};
use super::{Planted, health};

/// An operator at work: a node is taking another's place.
pub(super) type Replacing = SimJoinHandle<Option<()>>;

/// Breaks something now and then, for so long.
pub(super) async fn run(world: &World, length_ms: u64) -> Option<Replacing> {
    let mut replacing = None;
    let (mean_ms, mut left_ms) = (world.dice(|dice| dice.between(150, 900)), length_ms);
    let calm = world.dice(|dice| dice.chance(1, 10));
    world.with(|world| {
        world.wires.loss_percent = world.dice.pick(&[0, 0, 1, 3, 8]);
        world.wires.most_delay_ms = world.dice.pick(&[2, 12, 12, 40]);
    });
    while left_ms > 0 && !world.has_failed() {
        let next_ms = world.dice(|dice| dice.delay_ms(mean_ms)).clamp(1, left_ms);
        pause(next_ms).await;
        left_ms -= next_ms;
        world.expect(health::check(world));
        if !calm {
            let lost = something(world).await;
            replacing = replacing.or(lost);
        }
    }
    replacing
}

async fn something(world: &World) -> Option<Replacing> {
    let up = world.all_running();
    let (node, running) = up.get(world.dice(|dice| dice.index(up.len())))?.clone();
    let other = up[world.dice(|dice| dice.index(up.len()))].0;
    match world.dice(|dice| dice.below(20)) {
        0..6 => restart_later(world, node),
        6 => up.iter().for_each(|(node, _)| restart_later(world, *node)),
        7..9 => cut(world, &[(node, other)]),
        9 => cut(world, &[(node, other), (other, node)]),
        10..12 => isolate(world, node),
        12..15 => world.with(|world| world.wires.cut.clear()),
        15..17 => _ = running.raft.trigger().transfer_leader(other).await,
        17 => _ = running.raft.trigger().elect(true).await,
        18 => _ = running.raft.trigger().snapshot().await,
        _ => return lose_disk(world, node).await,
    }
    None
}

fn restart_later(world: &World, node: u64) {
    crash(world, node);
    let down_ms = world.dice(|dice| dice.between(10, 2_500));
    let world = world.clone();
    SimRuntime::spawn(async move {
        pause(down_ms).await;
        start(&world, node).await;
    });
}

fn cut(world: &World, wires: &[(u64, u64)]) {
    world.with(|world| {
        world.figures.cuts += 1;
        world.wires.cut.extend(wires);
    });
}

fn isolate(world: &World, node: u64) {
    let others: Vec<u64> = world.all_running().iter().map(|(id, _)| *id).filter(|id| *id != node).collect();
    let wires: Vec<_> = others.iter().flat_map(|other| [(node, *other), (*other, node)]).collect();
    cut(world, &wires);
}

/// A disk may be lost once in a run: what was acknowledged is on a majority, so that one copy is left whatever else happens.
async fn lose_disk(world: &World, node: u64) -> Option<Replacing> {
    let may = world.with(|world| !std::mem::replace(&mut world.a_disk_was_lost, true));
    if !may {
        return None;
    }
    crash(world, node);
    if world.with(|world| world.planted) == Some(Planted::IdUsedAgain) {
        place(world, node);
        start(world, node).await;
        return None;
    }
    world.with(|world| {
        if let Some(machine) = world.machines.get_mut(&node) {
            machine.gone = true;
        }
    });
    Some(SimRuntime::spawn(replace(world.clone(), node)))
}
