//! What the admin API tells of the cluster's nodes, and what it has them do. Any node answers.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tollgate_cluster::gossip::view::Duty;
use tollgate_cluster::state::cluster::{Change, MOST_PREFERRED, Setting};
use tollgate_cluster::state::nodes::Farewell;
use tollgate_cluster::state::{Applied, Proposal};
use tollgate_cluster::wallet::clock;

use super::Answer;
use super::answers::{problem, value};
use crate::member::Member;

/// An answer that has to be current waits this long for the leader.
pub(super) const CATCH_UP: Duration = Duration::from_secs(5);
/// The membership changes in two entries; who asks for it waits this long to see it.
const PROMOTION: Duration = Duration::from_secs(5);
/// A large store takes seconds to be written.
const SNAPSHOT: Duration = Duration::from_mins(1);
/// Between two looks whether it is done.
pub(super) const LOOK: Duration = Duration::from_millis(50);

/// This node and the others, as `/v1/status` and `/v1/nodes` have them.
pub(super) fn nodes(member: &Member) -> Value {
    let node = &member.node;
    let metrics = node.metrics();
    let seen = node.gossip().peers().borrow().clone();
    let known: Vec<Value> = node.replica().look(|state| {
        let all = state.nodes().all().map(|(id, known)| {
            let peer = seen.get(&id);
            json!({
                "id": id,
                "name": known.member.name,
                "address": known.member.address,
                "region": known.member.region,
                "zone": known.member.zone,
                "role": if votes(member, id) { "voter" } else { "learner" },
                "leader": metrics.current_leader == Some(id),
                "stays_learner": peer.map(|peer| peer.about.stays_learner),
                "seen": peer.is_some(),
                "duty": peer.map(|peer| peer.news.duty.name()),
                "admin": peer.map(|peer| &peer.about.admin),
                "version": peer.map(|peer| &peer.about.version),
                "applied": peer.map(|peer| peer.applied),
            })
        });
        all.collect()
    });
    json!(known)
}

/// Consensus, leases, journal, as `/v1/status` has them.
pub(super) fn summary(member: &Member) -> Value {
    let (node, till) = (&member.node, member.till.stats());
    let (metrics, desk) = (node.metrics(), node.desk().stats());
    let applied = metrics.last_applied.as_ref().map_or(0, |at| at.index);
    let last = metrics.last_log_index.unwrap_or(0);
    json!({
        "id": node.name().cluster.to_string(),
        "node": node.id(),
        "name": node.member().name,
        "address": node.member().address,
        "leader": metrics.current_leader,
        "term": metrics.current_term,
        "last_entry": last,
        "applied": applied,
        "lag": last.saturating_sub(applied),
        "nodes": nodes(member),
        "wallet": {
            "leases": till.wallet.leases,
            "buckets": till.wallet.purses,
            "held": till.wallet.held,
            "waiting": till.wallet.waiting,
            "waited": till.waits,
            "refused": till.refused,
            "batches": till.batches,
            "items": till.items,
            "round_trip_ms": till.wallet.round_trip_ms,
        },
        "journal": {"bytes": till.journal_bytes, "flushes": till.journal_flushes, "failure": member.till.failure()},
        "desk": {"entries": desk.entries, "batches": desk.batches},
    })
}

/// A node never comes back.
pub(super) async fn forget(member: &Member, id: &str) -> Answer {
    let Ok(node) = id.parse::<u64>() else {
        return problem(StatusCode::BAD_REQUEST, &format!("expected a node's id, `{id}` came"));
    };
    if serves(member, node) {
        let why = format!(
            "node {node} is there and serves: stop it first, or let it leave by itself (tollgate node leave)"
        );
        return problem(StatusCode::CONFLICT, &why);
    }
    let proposal = Proposal::Forget(Farewell { node, at: clock::stamp() });
    let forward = member.node.forward().clone();
    let written = on(member, async move { forward.write_again(proposal, CATCH_UP).await }).await;
    let applied = match written {
        Ok(written) => written.applied,
        Err(why) => return problem(StatusCode::SERVICE_UNAVAILABLE, &why),
    };
    if let Applied::Refused(why) = applied {
        return problem(StatusCode::NOT_FOUND, &why.to_string());
    }
    member.node.peers().forget(node);
    value(StatusCode::OK, &json!({"forgotten": node}))
}

/// A node votes from now on, instead of another one if need be.
pub(super) async fn promote(member: &Member, id: &str) -> Answer {
    let Ok(node) = id.parse::<u64>() else {
        return problem(StatusCode::BAD_REQUEST, &format!("expected a node's id, `{id}` came"));
    };
    if let Err(why) = caught_up(member).await {
        return problem(StatusCode::SERVICE_UNAVAILABLE, &why);
    }
    let known = member.node.replica().look(|state| {
        state.nodes().expect_known(node).map_err(|refused| refused.to_string())?;
        let cluster = state.cluster().ok_or("there is no cluster yet")?;
        let others = cluster.preferred.iter().filter(|one| **one != node);
        let preferred: Vec<u64> = std::iter::once(node).chain(others.copied()).take(MOST_PREFERRED).collect();
        Ok::<_, String>(Change { expects: cluster.revision, setting: Setting::Preferred(preferred) })
    });
    let change = match known {
        Ok(change) => Proposal::Change(Box::new(change)),
        Err(why) => return problem(StatusCode::NOT_FOUND, &why),
    };
    if !serves(member, node) {
        let why = format!("node {node} is not there, or is leaving: it can't vote until it serves");
        return problem(StatusCode::CONFLICT, &why);
    }
    if stays_learner(member, node) {
        let why = format!("node {node} was started with --learner: it never votes");
        return problem(StatusCode::CONFLICT, &why);
    }
    let forward = member.node.forward().clone();
    match on(member, async move { forward.write(change, CATCH_UP).await })
        .await
        .map(|written| written.applied)
    {
        Ok(Applied::Refused(why)) => problem(StatusCode::CONFLICT, &why.to_string()),
        Ok(_) => promoted(member, node).await,
        Err(why) => problem(StatusCode::SERVICE_UNAVAILABLE, &why),
    }
}

/// The leader sees to it step by step; where it can't now, it will as soon as it can.
async fn promoted(member: &Member, node: u64) -> Answer {
    let deadline = Instant::now() + PROMOTION;
    while !votes(member, node) && Instant::now() < deadline {
        sleep(LOOK).await;
    }
    if votes(member, node) {
        return value(StatusCode::OK, &json!({"promoted": node}));
    }
    let why = "it does not vote yet: it will once it has the whole log and an odd number of nodes can vote";
    value(StatusCode::ACCEPTED, &json!({"preferred": node, "waits": why}))
}

/// This node leaves for good.
pub(super) fn leave(member: &Member) -> Answer {
    match member.ask_to_leave() {
        Ok(()) => value(StatusCode::ACCEPTED, &json!({"leaving": member.node.id()})),
        Err(why) => problem(StatusCode::CONFLICT, &why),
    }
}

/// Writes all that this node has applied to a file, from which it starts the next time.
pub(super) async fn snapshot(member: &Member) -> Answer {
    let written = || member.node.metrics().snapshot.as_ref().map_or(0, |at| at.index);
    let applied = member.node.metrics().last_applied.as_ref().map_or(0, |at| at.index);
    let raft = member.node.raft().clone();
    if let Err(why) = on(member, async move { raft.trigger().snapshot().await }).await {
        return problem(StatusCode::SERVICE_UNAVAILABLE, &why);
    }
    let deadline = Instant::now() + SNAPSHOT;
    while written() < applied && Instant::now() < deadline {
        sleep(LOOK).await;
    }
    if written() < applied {
        let why =
            format!("entry {applied} was not in a snapshot after {} s: see the log", SNAPSHOT.as_secs());
        return problem(StatusCode::SERVICE_UNAVAILABLE, &why);
    }
    value(StatusCode::OK, &json!({"node": member.node.id(), "entry": written()}))
}

/// Whether it votes, before and after a change that is under way: until that is over, those who voted before it decide.
fn votes(member: &Member, node: u64) -> bool {
    let metrics = member.node.metrics();
    let mut sets = metrics.membership_config.membership().get_joint_config().iter();
    sets.all(|voters| voters.contains(&node))
}

/// Whether it is there and takes requests.
fn serves(member: &Member, node: u64) -> bool {
    let peers = member.node.gossip().peers();
    peers.borrow().get(&node).is_some_and(|peer| peer.news.duty == Duty::Serving)
}

fn stays_learner(member: &Member, node: u64) -> bool {
    member.node.gossip().peers().borrow().get(&node).is_some_and(|peer| peer.about.stays_learner)
}

/// Waits until this node has what any node was told before.
pub(super) async fn caught_up(member: &Member) -> Result<(), String> {
    let forward = member.node.forward().clone();
    on(member, async move { forward.catch_up(CATCH_UP).await }).await
}

/// On the cluster's own runtime, where its connections live.
pub(super) async fn on<T: Send + 'static, E: std::fmt::Display + Send + 'static>(
    member: &Member,
    task: impl Future<Output = Result<T, E>> + Send + 'static,
) -> Result<T, String> {
    let done = member.runtime().spawn(task).await.map_err(|error| error.to_string())?;
    done.map_err(|error| error.to_string())
}
