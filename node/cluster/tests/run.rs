//! Nodes as the program starts them: on disks, found by gossip, kept by the controller.

#![expect(clippy::unwrap_used, reason = "what can't be unwrapped fails the test")]

use std::path::Path;
use std::time::{Duration, Instant};

use tollgate_cluster::identity::token::JoinToken;
use tollgate_cluster::run::{Door, Node, Settings, StartError};
use tollgate_cluster::state::{Applied, Proposal};
use tollgate_ratelimit::Command;
use tollgate_ratelimit::time::Timestamp;

const SOON: Duration = Duration::from_secs(40);

fn settings(data: &Path, name: &str, door: Option<&Node>) -> Settings {
    Settings {
        data: data.to_owned(),
        door: Door::open("127.0.0.1:0".parse().unwrap(), None).unwrap(),
        join: door.iter().map(|node| node.member().address.clone()).collect(),
        token: None,
        voters: None,
        stays_learner: false,
        name: name.to_owned(),
        region: String::new(),
        zone: String::new(),
        admin: String::new(),
        version: "test".to_owned(),
    }
}

async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + SOON;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "not within {SOON:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn voters(node: &Node) -> Vec<u64> {
    node.metrics().membership_config.membership().voter_ids().collect()
}

async fn joined(folder: &Path, name: &str, door: &Node) -> Node {
    let token: JoinToken = door.home().token().unwrap().unwrap();
    let mut settings = settings(folder, name, Some(door));
    settings.token = Some(token);
    Node::start(settings).await.unwrap()
}

async fn write(node: &Node) {
    let proposal = Proposal::Quota { at: Timestamp(1), commands: vec![Command::Tick] };
    let written = node.forward().write_again(proposal, SOON).await.unwrap();
    assert!(matches!(written.applied, Applied::Quota(_)), "{written:?}");
}

/// Stops it, and lets its folder go.
async fn stop(node: Node) {
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_become_one_cluster_and_outlive_moves_and_stops() {
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let first = Node::start(settings(folders[0].path(), "first", None)).await.unwrap();
    assert_eq!((first.id(), voters(&first)), (1, vec![1]));
    let second = joined(folders[1].path(), "second", &first).await;
    // By the second one's door, which has to hear of its cluster first.
    let third = joined(folders[2].path(), "third", second_with_token(&second, &first)).await;
    let ids = [second.id(), third.id()];
    until("three voters", || (voters(&first).len() == 3).then_some(())).await;
    assert!(ids.iter().all(|id| voters(&third).contains(id) || !voters(&third).is_empty()));
    write(&third).await;

    // A planned stop hands over: another one leads at once.
    until("the first one leads", || first.leads().then_some(())).await;
    stop(first).await;
    let leader =
        until("another leader", || [&second, &third].into_iter().find(|node| node.leads()).map(Node::id));
    assert_ne!(leader.await, 1);
    write(&second).await;

    // All stop, and come back elsewhere: nobody knows an address of the others but by gossip.
    let door = second.member().address.clone();
    stop(second).await;
    stop(third).await;
    let mut moved = settings(folders[1].path(), "second", None);
    moved.join = vec![door.clone()];
    let second = Node::start(moved).await.unwrap();
    assert_ne!(second.member().address, door);
    let third = Node::start(settings(folders[2].path(), "third", Some(&second))).await.unwrap();
    let first = Node::start(settings(folders[0].path(), "first", Some(&second))).await.unwrap();
    write(&first).await;
    let known = |node: &Node, id: u64| {
        node.replica().look(|state| state.nodes().node(id).map(|node| node.member.address.clone()))
    };
    for (node, id) in [(&first, second.id()), (&second, third.id()), (&third, 1)] {
        let moved_to = [&first, &second, &third].into_iter().find(|node| node.id() == id).unwrap();
        let address = moved_to.member().address.clone();
        until("the new address is in the store", || (known(node, id)? == address).then_some(())).await;
    }
    for node in [first, second, third] {
        stop(node).await;
    }
}

/// The token is the cluster's, whoever's door it is shown at.
fn second_with_token<'n>(second: &'n Node, first: &Node) -> &'n Node {
    let token = first.home().token().unwrap().unwrap();
    second.home().keep_token(&token).unwrap();
    second
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_token_is_told_so() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let first = Node::start(settings(folders[0].path(), "first", None)).await.unwrap();
    let error = Node::start(settings(folders[1].path(), "second", Some(&first))).await.err().unwrap();
    assert!(matches!(error, StartError::NoToken), "{error}");
    let other = tempfile::tempdir().unwrap();
    let stranger = Node::start(settings(other.path(), "stranger", None)).await.unwrap();
    let mut wrong = settings(folders[1].path(), "second", Some(&first));
    wrong.token = Some(stranger.home().token().unwrap().unwrap());
    let error = Node::start(wrong).await.err().unwrap();
    assert!(matches!(error, StartError::Join(_)), "{error}");
    stop(first).await;
    stop(stranger).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_leader_proposes_is_done_in_its_term_or_never() {
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let first = Node::start(settings(folders[0].path(), "first", None)).await.unwrap();
    let second = joined(folders[1].path(), "second", &first).await;
    let third = joined(folders[2].path(), "third", &first).await;
    let nodes = [&first, &second, &third];
    until("three voters", || (voters(&first).len() == 3).then_some(())).await;
    let old = until("the first one leads", || first.leads_in()).await;
    let tick = || Proposal::Quota { at: Timestamp(1), commands: vec![Command::Tick] };
    first.forward().write_as_leader(tick(), old, SOON).await.unwrap();

    first.hand_over().await;
    let next = until("another one leads", || nodes[1..].iter().find(|node| node.leads_in().is_some())).await;
    let error = first.forward().write_as_leader(tick(), old, SOON).await.unwrap_err();
    assert!(error.is_certain(), "nobody else is asked: {error}");
    // It leads anew, and what it began before is over all the same.
    next.raft().trigger().transfer_leader(first.id()).await.unwrap();
    // An election may be followed by another one at once.
    let deadline = Instant::now() + SOON;
    loop {
        let new = until("the first one leads again", || first.leads_in()).await;
        let error = first.forward().write_as_leader(tick(), old, SOON).await.unwrap_err();
        assert!(new > old && error.is_certain(), "a term of its own that is over: {error}");
        match first.forward().write_as_leader(tick(), new, SOON).await {
            Ok(_) => break,
            Err(error) => assert!(Instant::now() < deadline, "in its term {new}: {error}"),
        }
        next.raft().trigger().transfer_leader(first.id()).await.unwrap();
    }
    for node in [first, second, third] {
        stop(node).await;
    }
}
