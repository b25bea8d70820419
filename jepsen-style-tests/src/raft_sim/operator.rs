//! What an operator and the leader's controller do: found the cluster, have nodes join it, and replace a node whose disk is
//! lost by a new one with a new id.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use openraft::async_runtime::watch::WatchReceiver;
use tollgate_cluster::raft::types::Member;
use tollgate_cluster::state::cluster::{FORMAT, Founding, Secrets};
use tollgate_cluster::state::nodes::{FIRST_NODE, Farewell, Registration};
use tollgate_cluster::state::{Applied, Proposal};
use tollgate_ratelimit::Command;
use tollgate_ratelimit::budget::{Budget, Enforcement, OnExhausted};
use tollgate_ratelimit::cover::Cover;
use tollgate_ratelimit::ledger::outcome::Outcome;
use tollgate_ratelimit::unit::{Amount, Unit};
use tollgate_ratelimit::window::{Fixed, Period, Window};

use super::ask::propose;
use super::machine::{place, start};
use super::types::SimRaft;
use super::world::{World, pause, within};

const PATIENCE_MS: u64 = 3_000;

/// A cluster of so many voters, with its budgets. None where something was found already.
pub(super) async fn found(world: &World, voters: usize) -> Option<()> {
    place(world, FIRST_NODE);
    start(world, FIRST_NODE).await;
    let first = member("first");
    let members = BTreeMap::from([(FIRST_NODE, first.clone())]);
    world.running(FIRST_NODE)?.raft.initialize(members).await.ok()?;
    let founding =
        Founding { cluster: [7; 16], format: FORMAT, first, voters: 3, secrets: Secrets::default() };
    propose(world, |_| Proposal::Found(Box::new(founding.clone()))).await?;
    let mut ids = BTreeSet::from([FIRST_NODE]);
    while ids.len() < voters {
        ids.insert(join(world).await?);
    }
    change_voters(world, &ids).await?;
    let minute = Fixed { every: Period::Minute, zone: "UTC".to_owned(), boundaries: Vec::new() };
    let second = Fixed { every: Period::Second, ..minute };
    set_budget(world, "ever", 4_000, Window::Lifetime).await?;
    set_budget(world, "by the second", 300, Window::Fixed(second)).await
}

/// A new node: a new id, an empty disk, first of all a learner.
async fn join(world: &World) -> Option<u64> {
    let number = world.dice(|dice| dice.below(u64::MAX));
    let request = (u128::from(number) << 64 | 1).to_be_bytes();
    let asked = Registration { request, member: member("joined") };
    let (_, applied) = propose(world, |_| Proposal::Register(Box::new(asked.clone()))).await?;
    let Applied::Registered { node } = applied else { return None };
    place(world, node);
    start(world, node).await;
    lead(world, |raft| async move { raft.add_learner(node, member("joined"), false).await.is_ok() }).await?;
    Some(node)
}

/// A node's disk is lost: it never comes back, and another takes its place.
pub(super) async fn replace(world: World, lost: u64) -> Option<()> {
    join(&world).await?;
    let voters = world.with(|world| {
        let there = world.machines.iter().filter(|(_, machine)| !machine.gone);
        there.map(|(id, _)| *id).collect::<BTreeSet<_>>()
    });
    change_voters(&world, &voters).await?;
    propose(&world, |at| Proposal::Forget(Farewell { node: lost, at })).await?;
    world.with(|world| world.figures.replaced += 1);
    Some(())
}

async fn change_voters(world: &World, voters: &BTreeSet<u64>) -> Option<()> {
    lead(world, |raft| {
        let voters = voters.clone();
        async move { raft.change_membership(voters, false).await.is_ok() }
    })
    .await
}

/// Has whoever leads do it, until it is done.
async fn lead<F: Future<Output = bool> + Send>(world: &World, done: impl Fn(SimRaft) -> F) -> Option<()> {
    while !world.has_failed() {
        let known = world.all_running().into_iter().find_map(|(id, running)| {
            let leader = running.raft.metrics().borrow_watched().current_leader;
            (leader == Some(id)).then_some(running.raft)
        });
        if let Some(raft) = known
            && within(PATIENCE_MS, done(raft)).await == Some(true)
        {
            return Some(());
        }
        pause(100).await;
    }
    None
}

async fn set_budget(world: &World, name: &str, limit: Amount, window: Window) -> Option<()> {
    let budget = Budget {
        name: name.to_owned(),
        covers: Cover::default(),
        per: Vec::new(),
        unit: Unit::TotalTokens,
        limit,
        window,
        enforcement: Enforcement::Strict,
        on_exhausted: OnExhausted::Refuse,
    };
    let commands = || vec![Command::SetBudget(Box::new(budget.clone()))];
    let (_, applied) = propose(world, |at| Proposal::Quota { at, commands: commands() }).await?;
    let Applied::Quota(outcomes) = applied else { return None };
    let Some(Outcome::BudgetSet { budget }) = outcomes.first() else { return None };
    world.with(|world| _ = world.books.limits.insert(*budget, limit));
    Some(())
}

fn member(name: &str) -> Member {
    Member { name: name.to_owned(), address: format!("{name}:7000"), ..Member::default() }
}
