//! Clients that edit one resource together, each going out from what it has seen, and that read what must be current. The
//! resource is a number, and each edit writes one more: so an edit that was lost, or done twice, is a number that is wrong.

use openraft::ReadPolicy;
use openraft::async_runtime::watch::WatchReceiver;
use tollgate_cluster::state::resources::{Edit, Expected, Manifest, ResourceKey};
use tollgate_cluster::state::{Applied, Proposal, Refused, State};

use super::ask::propose;
use super::world::{Running, World, pause, within};
use crate::properties::Violated;

const PATIENCE_MS: u64 = 1_000;

/// Edits the resource of that name until the run closes.
pub(super) async fn live(world: World, name: &'static str) {
    let key = key(name);
    while world.is_open() {
        let idle_ms = world.dice(|dice| dice.delay_ms(150));
        pause(idle_ms).await;
        let Some(running) = read(&world).await else { continue };
        let (expects, count) = running.replica.look(|state| seen(state, &key));
        let edit = Edit { key: key.clone(), expects, manifest: Some(plain(count + 1)) };
        let Some((index, applied)) = propose(&world, |_| Proposal::Edit(vec![edit.clone()])).await else {
            return;
        };
        if applied == (Applied::ResourcesEdited { revision: index }) {
            world.expect(world.with(|world| {
                world.figures.edits += 1;
                world.books.edit(name, count + 1)
            }));
            continue;
        }
        // Somebody was faster, or this edit was done and its answer got lost.
        if !matches!(applied, Applied::Refused(Refused::Conflict { .. })) {
            world.fail(Violated::new("an edit is done or refused", format!("{edit:?}: {applied:?}")));
        }
    }
}

/// A node whose state is current: nothing that anybody was told of before is missing.
async fn read(world: &World) -> Option<Running> {
    let up = world.all_running();
    let (_, running) = up.get(world.dice(|dice| dice.index(up.len())))?.clone();
    let told = world.with(|world| world.witness.last_told);
    let leader = running.raft.metrics().borrow_watched().current_leader;
    let running = world.running(leader?)?;
    let current = running.raft.ensure_linearizable(ReadPolicy::ReadIndex);
    within(PATIENCE_MS, current).await?.ok()?;
    let reached = running.replica.position().0.map_or(0, |last| last.index);
    world.with(|world| world.figures.reads += 1);
    if reached < told {
        let what = format!("entry {told} had been told of, the state read was of {reached}");
        world.fail(Violated::new("a current read misses nothing", what));
    }
    Some(running)
}

/// Once everything came to rest: the number is at least what any editor was told.
pub(super) fn compare(world: &World, state: &State) -> Result<(), Violated> {
    let told = world.with(|world| world.books.edits.clone());
    for (name, told) in told {
        let (_, count) = seen(state, &key(name));
        let told = told.last().copied().unwrap_or_default();
        if count < told {
            let what = format!("{name} is {count}, a client was told that it made it {told}");
            return Err(Violated::new("an edit that was told of stays", what));
        }
    }
    Ok(())
}

fn seen(state: &State, key: &ResourceKey) -> (Expected, u64) {
    let Some(resource) = state.resources().resource(key) else { return (Expected::Absent, 0) };
    let count = match &resource.manifest {
        Manifest::Plain(text) => std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()),
        Manifest::Sealed(_) => None,
    };
    (Expected::Revision(resource.revision), count.unwrap_or_default())
}

fn plain(count: u64) -> Manifest {
    Manifest::Plain(count.to_string().into_bytes())
}

fn key(name: &str) -> ResourceKey {
    let [group, kind, namespace] = ["tollgate.dev", "Consumer", "default"].map(str::to_owned);
    ResourceKey { group, kind, namespace, name: name.to_owned() }
}
