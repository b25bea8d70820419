//! Nodes found a cluster, join it, elect, commit, and lose each other, over real connections.

#![expect(clippy::unwrap_used, reason = "what can't be unwrapped fails the test")]

mod nodes;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nodes::{Node, SOON, found, join_at};
use openraft::async_runtime::WatchReceiver;
use tollgate_cluster::raft::types::Member;
use tollgate_cluster::state::nodes::{Farewell, Registration};
use tollgate_cluster::state::{Applied, Proposal};
use tollgate_cluster::transport::{CallError, Refusal};
use tollgate_ratelimit::time::Timestamp;

/// Three voters: two join, each at another node, and the leader takes them in.
async fn three() -> [Node; 3] {
    let (one, token) = found().await;
    let two = join_at(&one, &token).await;
    one.raft.add_learner(two.id, two.member.clone(), true).await.unwrap();
    // A follower lets the third one in: it knows the authority by the log, and asks the leader for an id.
    two.forward.catch_up(SOON).await.unwrap();
    let three = join_at(&two, &token).await;
    one.raft.add_learner(three.id, three.member.clone(), true).await.unwrap();
    let voters: BTreeSet<u64> = [one.id, two.id, three.id].into();
    assert_eq!(voters.len(), 3, "an id was given twice");
    one.raft.change_membership(voters, false).await.unwrap();
    [one, two, three]
}

/// An entry that counts nodes up by one.
fn registration(request: u8) -> Proposal {
    let address = format!("127.0.0.1:{request}");
    let member = Member { name: address.clone(), address, ..Member::default() };
    Proposal::Register(Box::new(Registration { request: [request; 16], member }))
}

async fn leader_among<'a>(
    nodes: impl IntoIterator<Item = &'a Node>,
    is_one: impl Fn(u64) -> bool + Sync,
) -> u64 {
    let node = nodes.into_iter().next().expect("a node");
    let wait = node.raft.wait(Some(SOON));
    let known = wait.metrics(|metrics| metrics.current_leader.is_some_and(&is_one), "a leader").await;
    known.unwrap().current_leader.expect("as waited for")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_writes_all_nodes_read() {
    let nodes = three().await;
    for (request, node) in (100..).zip(&nodes) {
        let before = nodes[0].replica.look(|state| state.nodes().all().count());
        let written = node.forward.write(registration(request), SOON).await.unwrap();
        assert_eq!(written.applied, Applied::Registered { node: written.index });
        for reader in &nodes {
            reader.forward.catch_up(SOON).await.unwrap();
            assert_eq!(reader.names(), before + 1, "node {} read an old state", reader.id);
        }
    }
    // Asked twice, the same answer.
    let again = nodes[2].forward.write(registration(100), SOON).await.unwrap();
    assert!(matches!(again.applied, Applied::Registered { node } if node < again.index));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_is_lost_and_another_one_serves() {
    let mut nodes = three().await;
    let lost = leader_among(&nodes, |_| true).await;
    let at = nodes.iter().position(|node| node.id == lost).unwrap();
    nodes[at].kill().await;
    let began = Instant::now();
    let left: Vec<_> = nodes.iter().filter(|node| node.id != lost).collect();
    // Whoever is asked finds the new leader, or becomes it. A connection that breaks does not say whether it was written;
    // a registration may be said again.
    for (request, node) in (120..).zip(&left) {
        let written = node.forward.write_again(registration(request), SOON).await.unwrap();
        assert!(matches!(written.applied, Applied::Registered { .. }), "{written:?}");
    }
    println!("served again after {:?}", began.elapsed());
    for node in left {
        node.forward.catch_up(SOON).await.unwrap();
        assert_eq!(node.names(), 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_everybody_is_told_in_time() {
    let mut nodes = three().await;
    let leader = leader_among(&nodes, |_| true).await;
    let (mut leading, mut others): (Vec<_>, Vec<_>) = nodes.iter_mut().partition(|node| node.id == leader);
    // The leader is left, with nobody to lead.
    for node in &mut others {
        node.kill().await;
    }
    let (left, within) = (leading.pop().unwrap(), Duration::from_secs(1));
    for attempt in 0..3 {
        let began = Instant::now();
        let written = left.forward.write(registration(attempt), within).await;
        let read = left.forward.catch_up(within).await;
        assert!(written.is_err() && read.is_err(), "{written:?} {read:?}");
        assert!(began.elapsed() < 5 * within, "told after {:?}: {written:?} {read:?}", began.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leadership_is_handed_over() {
    let nodes = three().await;
    let before = leader_among(&nodes, |_| true).await;
    let leader = nodes.iter().find(|node| node.id == before).unwrap();
    let next = nodes.iter().find(|node| node.id != before).unwrap().id;
    leader.raft.trigger().transfer_leader(next).await.unwrap();
    assert_eq!(leader_among(&nodes, |leader| leader == next).await, next);
    nodes[0].forward.write(registration(140), SOON).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_comes_late_is_sent_a_snapshot() {
    let (one, token) = found().await;
    for request in 0..50 {
        one.forward.write(registration(request), SOON).await.unwrap();
    }
    let last = one.raft.metrics().borrow_watched().last_applied.expect("entries").index;
    one.raft.trigger().snapshot().await.unwrap();
    let built = one.raft.wait(Some(SOON));
    built
        .metrics(|metrics| metrics.snapshot.is_some_and(|snapshot| snapshot.index >= last), "snapshot")
        .await
        .unwrap();
    one.raft.trigger().purge_log(last).await.unwrap();
    one.raft.wait(Some(SOON)).metrics(|metrics| metrics.purged.is_some(), "purged").await.unwrap();

    let late = join_at(&one, &token).await;
    one.raft.add_learner(late.id, late.member.clone(), true).await.unwrap();
    late.forward.catch_up(SOON).await.unwrap();
    assert_eq!(late.names(), one.names());
    let installed = late.raft.metrics().borrow_watched().snapshot;
    assert!(installed.is_some_and(|snapshot| snapshot.index >= last), "it came by entries: {installed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_node_is_told_so() {
    let nodes = three().await;
    let [one, two, three] = &nodes;
    one.raft.change_membership(BTreeSet::from([one.id, two.id]), false).await.unwrap();
    let farewell = Proposal::Forget(Farewell { node: three.id, at: Timestamp(0) });
    assert_eq!(one.forward.write(farewell, SOON).await.unwrap().applied, Applied::Forgotten);
    let refused = three.forward.write(registration(160), SOON).await.unwrap_err();
    assert_eq!(refused, CallError::Refused(Refusal::Forgotten { node: three.id }));
}
