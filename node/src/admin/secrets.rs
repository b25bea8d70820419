//! Secrets of the cluster that are replaced while it runs: the join token, and the key of gossip.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use serde_json::json;
use tokio::time::{Instant, sleep};
use tollgate_cluster::identity::secret::Purpose;
use tollgate_cluster::state::cluster::{Change, Setting};
use tollgate_cluster::state::sealed::Sealed;
use tollgate_cluster::state::{Applied, Proposal};

use super::Answer;
use super::answers::{problem, value};
use super::nodes::{CATCH_UP, LOOK, caught_up, on};
use super::question;
use crate::member::Member;

/// Every node that is there knows of a step by then; the others hear of it from the log when they come back.
const HEARD: Duration = Duration::from_secs(5);
const HOUR: Duration = Duration::from_hours(1);

/// Another join token: the one before lets nobody in any more.
pub(super) async fn join_token(member: &Member, query: Option<&str>) -> Answer {
    let hours = match question::valid_hours(query) {
        Ok(hours) => hours,
        Err(why) => return problem(StatusCode::BAD_REQUEST, &why),
    };
    let expires = hours.and_then(|hours| SystemTime::now().checked_add(HOUR.checked_mul(hours)?));
    if hours.is_some() && expires.is_none() {
        return problem(
            StatusCode::BAD_REQUEST,
            "valid_hours: expected a number of hours that a clock can hold",
        );
    }
    let token = member.node.home().new_token(expires);
    if let Err(why) = change(member, Setting::JoinToken(Some(token.hash().0))).await {
        return problem(StatusCode::SERVICE_UNAVAILABLE, &why);
    }
    if let Err(why) = member.node.home().keep_token(&token) {
        tracing::warn!(%why, "the new join token is not in this node's folder");
    }
    if let Some(secret) = &member.join_secret {
        member.runtime().spawn(secret.clone().replace(token.clone()));
    }
    value(StatusCode::OK, &json!({"join_token": token.to_string()}))
}

/// Another key of gossip. First all nodes take both, then they send with the new one, then the one before is nothing any more:
/// at each step, every node understands every other.
pub(super) async fn gossip_key(member: &Member) -> Answer {
    let (before, new) = {
        let home = member.node.home();
        let (cluster, secret) = (home.name().cluster, home.secret().clone());
        let sealed = |key: &[u8]| Sealed(secret.seal(cluster, Purpose::GossipKeys, key));
        let fresh: [u8; 32] = rand::random();
        let stored = member.node.replica().look(|state| state.cluster()?.secrets.gossip_keys.last().cloned());
        (stored.unwrap_or_else(|| sealed(&secret.key(cluster, Purpose::GossipKeys))), sealed(&fresh))
    };
    let steps = [vec![new.clone(), before.clone()], vec![before, new.clone()], vec![new]];
    let mut away = Vec::new();
    for keys in steps {
        match change(member, Setting::GossipKeys(keys)).await {
            Ok(entry) => away = heard(member, entry).await,
            Err(why) => return problem(StatusCode::SERVICE_UNAVAILABLE, &why),
        }
    }
    value(StatusCode::OK, &json!({"replaced": "gossip-key", "away": away}))
}

/// Waits until all nodes that are there have applied an entry. Those of the cluster that have not.
async fn heard(member: &Member, entry: u64) -> Vec<u64> {
    let deadline = Instant::now() + HEARD;
    let peers = member.node.gossip().peers();
    while peers.borrow().values().any(|peer| peer.applied < entry) && Instant::now() < deadline {
        sleep(LOOK).await;
    }
    let ids: Vec<u64> = member.node.replica().look(|state| state.nodes().all().map(|(id, _)| id).collect());
    let heard = |id: &u64| peers.borrow().get(id).is_some_and(|peer| peer.applied >= entry);
    ids.into_iter().filter(|id| *id != member.node.id() && !heard(id)).collect()
}

/// The entry of a change, once it is made.
async fn change(member: &Member, setting: Setting) -> Result<u64, String> {
    caught_up(member).await?;
    let expects = member.node.replica().look(|state| state.cluster().map(|cluster| cluster.revision));
    let expects = expects.ok_or("there is no cluster yet")?;
    let proposal = Proposal::Change(Box::new(Change { expects, setting }));
    let forward = member.node.forward().clone();
    match on(member, async move { forward.write(proposal, CATCH_UP).await }).await?.applied {
        Applied::ClusterChanged { revision } => Ok(revision),
        Applied::Refused(why) => Err(why.to_string()),
        Applied::Nothing
        | Applied::Quota(_)
        | Applied::Founded
        | Applied::Registered { .. }
        | Applied::Arrived
        | Applied::Forgotten
        | Applied::ResourcesEdited { .. } => Err("the cluster's answer is to something else".to_owned()),
    }
}
