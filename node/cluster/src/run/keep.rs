//! What a node does all the time beside its work: as the leader it keeps the membership as it should be, and as any node it
//! knows where the others are, and renews its certificate.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use openraft::async_runtime::WatchReceiver;
use openraft::{ChangeMembers, Raft};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::events::Changes;
use super::reception::authority;
use crate::gossip::view::View;
use crate::identity::home::Home;
use crate::members::history::{History, Patience, Sight};
use crate::members::plan::{Scene, plan};
use crate::raft::membership::{COMMIT_MOST, carry_out, seen};
use crate::raft::replica::Replica;
use crate::raft::state_machine::StateMachine;
use crate::raft::types::{Member, Types};
use crate::transport::{Credentials, Keys, Peers};

/// The controller's beat.
const BEAT: Duration = Duration::from_millis(500);
/// Between two looks at the certificate's age.
const RENEWAL: Duration = Duration::from_hours(1);

/// What the controller acts with.
#[derive(Clone)]
pub(super) struct Controller {
    pub(super) raft: Raft<Types, StateMachine>,
    pub(super) replica: Replica,
    pub(super) view: watch::Receiver<View>,
}

impl Controller {
    /// Goes on for as long as the node runs. While it does not lead, it only looks.
    pub(super) async fn run(self) {
        let begin = Instant::now();
        let mut history = None;
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            let Some((membership, replication)) = seen(&self.raft) else {
                history = None; // A new leader waits as long as any before it calls a node ready or lost.
                continue;
            };
            if self.bring_in().await {
                continue; // The membership is another one now.
            }
            let (gone, wanted, preferred) = self.replica.look(|state| {
                let gone: BTreeSet<u64> = state.nodes().forgotten().map(|(node, _)| node).collect();
                let cluster = state.cluster();
                let wanted = cluster.map_or(1, |cluster| cluster.voters);
                (gone, wanted, cluster.map_or_else(Vec::new, |cluster| cluster.preferred.clone()))
            });
            let leader = replication.leader;
            let history = history.get_or_insert_with(|| History::new(Patience::default()));
            let standings = {
                let view = self.view.borrow();
                let sight =
                    Sight { view: &view, membership: &membership, replication: &replication, leaving: &gone };
                history.observe(sight, begin.elapsed())
            };
            let (membership, standings) = (&membership, &standings);
            let scene = Scene { leader, membership, standings, wanted: wanted.into(), preferred: &preferred };
            let Some(change) = plan(scene) else { continue };
            match carry_out(&self.raft, &change).await {
                Ok(()) => tracing::info!("membership: {}", change.step),
                Err(undone) => tracing::info!("membership: {}: {undone}", change.step),
            }
        }
    }

    /// Registered nodes become learners, and members that moved are known where they are. Whether anything was changed.
    async fn bring_in(&self) -> bool {
        let members: BTreeMap<u64, Member> = {
            let metrics = self.raft.metrics().borrow_watched().clone();
            metrics.membership_config.nodes().map(|(node, member)| (*node, member.clone())).collect()
        };
        let registered: BTreeMap<u64, Member> = self
            .replica
            .look(|state| state.nodes().all().map(|(id, node)| (id, node.member.clone())).collect());
        let mut moved = BTreeMap::new();
        for (node, said) in &registered {
            let seen = self.view.borrow().get(node).map(|peer| peer.about.member.clone());
            let now = seen.as_ref().unwrap_or(said);
            match members.get(node) {
                None => return self.add(*node, now.clone()).await,
                Some(known) if known != now => _ = moved.insert(*node, now.clone()),
                Some(_) => {}
            }
        }
        if moved.is_empty() {
            return false;
        }
        // Whoever answers at the new address has to prove that it is the node.
        let change = self.raft.change_membership(ChangeMembers::SetNodes(moved), true);
        told("addresses", timeout(COMMIT_MOST, change).await)
    }

    async fn add(&self, node: u64, member: Member) -> bool {
        let named = format!("{member} comes in as node {node}");
        let change = self.raft.add_learner(node, member, false);
        told(&named, timeout(COMMIT_MOST, change).await)
    }
}

/// Says what became of a change. Whether it was done.
fn told<T, E: std::fmt::Display>(
    what: &str,
    done: Result<Result<T, E>, tokio::time::error::Elapsed>,
) -> bool {
    match done {
        Ok(Ok(_)) => {
            tracing::info!("membership: {what}");
            true
        }
        Ok(Err(error)) => {
            tracing::info!("membership: {what}: not now: {error}");
            false
        }
        Err(_elapsed) => {
            tracing::info!("membership: {what}: it did not commit within {COMMIT_MOST:?}");
            false
        }
    }
}

/// Tells the connections where the others are seen, or said last that they are: gossip may not hear who was away while its key
/// was replaced.
pub(super) async fn follow_addresses(
    mut view: watch::Receiver<View>,
    (replica, mut changes): (Replica, watch::Receiver<Changes>),
    peers: Peers,
) {
    let here = peers.here();
    loop {
        changes.mark_unchanged();
        let mut known: BTreeMap<u64, String> = replica
            .look(|state| state.nodes().all().map(|(id, node)| (id, node.member.address.clone())).collect());
        known.extend(view.borrow_and_update().iter().map(address));
        known.remove(&here);
        peers.seen_at(known);
        let over = tokio::select! {
            seen = view.changed() => seen.is_err(),
            said = changes.changed() => said.is_err(),
        };
        if over {
            return;
        }
    }
}

fn address((node, peer): (&u64, &crate::gossip::view::Peer)) -> (u64, String) {
    (*node, peer.about.member.address.clone())
}

/// A certificate that is old enough is renewed, by this node itself: each has the cluster's authority.
pub(super) async fn renew(home: Arc<Mutex<Home>>, replica: Replica, keys: Keys) {
    let mut beat = interval(RENEWAL);
    loop {
        beat.tick().await;
        let now = SystemTime::now();
        if !home.lock().unwrap_or_else(PoisonError::into_inner).renewal_is_due(now) {
            continue;
        }
        let renewed = authority(&replica, &home).map_err(|why| why.to_string()).and_then(|authority| {
            let mut home = home.lock().unwrap_or_else(PoisonError::into_inner);
            home.renew(&authority, now).map_err(|why| why.to_string())?;
            keys.replace(&Credentials::of(&home)).map_err(|why| why.to_string())
        });
        match renewed {
            Ok(()) => tracing::info!("this node's certificate was renewed"),
            Err(why) => tracing::warn!("this node's certificate could not be renewed: {why}"),
        }
    }
}
