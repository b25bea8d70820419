//! Gossip between real nodes over UDP on loopback: who sees whom, how soon, and what strangers can do about it (nothing).

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use chitchat::transport::UdpTransport;
use chitchat::{ChitchatConfig, ChitchatId, FailureDetectorConfig, ProtocolVersion, spawn_chitchat};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::time::timeout;
use tollgate_cluster::gossip::health::Verdicts;
use tollgate_cluster::gossip::open::Dropped;
use tollgate_cluster::gossip::seal::{Key, Keyring};
use tollgate_cluster::gossip::view::{About, Duty, NodeId, View};
use tollgate_cluster::gossip::{Config, Gossip, StartError, start};
use tollgate_cluster::raft::types::Member;

const CLUSTER: &str = "5f0c";
/// Far more than anything here takes: a bound, so that a failure ends.
const BOUND: Duration = Duration::from_secs(20);
/// How often a number is looked at that nobody announces.
const LOOK: Duration = Duration::from_millis(5);

fn key(number: u8) -> Key {
    Key::derive(&[number; 32], CLUSTER).expect("32 bytes are long enough")
}

fn config(node: NodeId, seeds: &[SocketAddr]) -> Config {
    let member = Member {
        name: format!("n{node}"),
        address: format!("n{node}:1061"),
        region: "eu".into(),
        zone: String::new(),
    };
    Config {
        cluster: CLUSTER.into(),
        node,
        listen: ([127, 0, 0, 1], 0).into(),
        advertise: None,
        seeds: seeds.iter().map(ToString::to_string).collect(),
        keys: Keyring::of(key(1)),
        about: About { member, admin: String::new(), version: "0.1.0".into(), stays_learner: false },
        interval: Config::INTERVAL,
    }
}

/// So many nodes, each of which knows the first one's address.
async fn nodes(count: NodeId) -> Vec<Gossip> {
    let first = start(config(1, &[])).await.expect("the first one starts");
    let seeds = [first.address()];
    let mut nodes = vec![first];
    for node in 2..=count {
        nodes.push(start(config(node, &seeds)).await.expect("the others start"));
    }
    nodes
}

async fn bounded<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(BOUND, future).await.unwrap_or_else(|_| panic!("not within {BOUND:?}: {what}"))
}

async fn until<T>(what: &str, watched: &mut watch::Receiver<T>, condition: impl FnMut(&T) -> bool) {
    bounded(what, watched.wait_for(condition)).await.expect("gossip runs");
}

async fn until_all_see(nodes: &[Gossip], expected: &[NodeId]) {
    for node in nodes {
        let what = format!("a view of {expected:?}");
        until(&what, &mut node.peers(), |view| view.keys().eq(expected.iter())).await;
    }
}

fn count(node: &Gossip, why: Dropped) -> u64 {
    node.dropped().into_iter().find(|(reason, _)| *reason == why).expect("every reason is counted").1
}

/// Waits for a number that is not watched.
async fn until_dropped(node: &Gossip, why: Dropped, at_least: u64) {
    let reached = async {
        while count(node, why) < at_least {
            tokio::time::sleep(LOOK).await;
        }
    };
    bounded(&format!("{at_least} datagrams dropped as {}", why.name()), reached).await;
}

#[tokio::test]
async fn three_nodes_see_each_other_soon() {
    let started = Instant::now();
    let nodes = nodes(3).await;
    until_all_see(&nodes, &[1, 2, 3]).await;
    let took = started.elapsed();
    let view: View = nodes[0].peers().borrow().clone();
    assert_eq!(view[&3].about, config(3, &[]).about);
    assert_eq!(view[&3].gossip, nodes[2].address());
    assert!(took < Duration::from_secs(2), "it took {took:?}");
}

#[tokio::test]
async fn a_death_is_noticed_and_a_new_start_too() {
    let mut nodes = nodes(3).await;
    until_all_see(&nodes, &[1, 2, 3]).await;
    let first_start = nodes[0].peers().borrow()[&3].generation;
    let died = Instant::now();
    drop(nodes.pop());
    until_all_see(&nodes, &[1, 2]).await;
    let took = died.elapsed();
    // A node that starts again before it was forgotten is there at once, as its new start.
    let again = start(config(3, &[nodes[0].address()])).await.unwrap();
    until_all_see(&nodes, &[1, 2, 3]).await;
    assert!(nodes[0].peers().borrow()[&3].generation > first_start);
    assert_eq!(nodes[0].peers().borrow()[&3].gossip, again.address());
    assert!(took < Duration::from_secs(3), "it took {took:?}");
}

#[tokio::test]
async fn news_reach_all_within_two_rounds() {
    let nodes = nodes(5).await;
    until_all_see(&nodes, &[1, 2, 3, 4, 5]).await;
    let said = Instant::now();
    nodes[1].say_unhealthy("eu/openai", SystemTime::now() + Duration::from_secs(30));
    for node in [0, 2, 3, 4] {
        let mut heard = nodes[node].unhealthy();
        until("the verdict", &mut heard, |all| all.get("eu/openai").is_some_and(|v| v.by == [2].into()))
            .await;
    }
    let took = said.elapsed();
    assert!(nodes[1].unhealthy().borrow().is_empty(), "what a node says itself is no news to it");

    nodes[1].say_duty(Duty::Draining);
    nodes[1].say_applied(42);
    for node in &nodes {
        let told = |view: &View| view[&2].news.duty == Duty::Draining && view[&2].applied == 42;
        until("duty and applied index", &mut node.peers(), told).await;
    }
    nodes[1].say_healthy("eu/openai");
    until("the verdict taken back", &mut nodes[0].unhealthy(), Verdicts::is_empty).await;
    assert!(took < 2 * Config::INTERVAL, "it took {took:?}");
}

#[tokio::test]
async fn a_verdict_ends_by_itself() {
    let nodes = nodes(2).await;
    until_all_see(&nodes, &[1, 2]).await;
    nodes[1].say_unhealthy("eu/openai", SystemTime::now() + Duration::from_millis(700));
    until("the verdict", &mut nodes[0].unhealthy(), |all| all.contains_key("eu/openai")).await;
    until("its end", &mut nodes[0].unhealthy(), Verdicts::is_empty).await;
    let unsaid = |view: &View| view[&2].news.unhealthy.is_empty();
    until("that it is not said any more", &mut nodes[0].peers(), unsaid).await;
}

#[tokio::test]
async fn a_rogue_without_the_key_appears_nowhere() {
    let nodes = nodes(2).await;
    until_all_see(&nodes, &[1, 2]).await;
    let before = nodes[0].peers().borrow().clone();

    // It knows the cluster's name, all addresses, and claims to be a later start of node 2.
    let listen: SocketAddr = ([127, 0, 0, 1], 0).into();
    let address = UdpSocket::bind(listen).await.unwrap().local_addr().unwrap();
    let plain = ChitchatConfig {
        chitchat_id: ChitchatId::new("2", u64::MAX, address),
        cluster_id: CLUSTER.into(),
        gossip_interval: Duration::from_millis(20),
        listen_addr: address,
        seed_nodes: nodes.iter().map(|node| node.address().to_string()).collect(),
        failure_detector_config: FailureDetectorConfig::default(),
        marked_for_deletion_grace_period: Duration::from_mins(1),
        catchup_callback: None,
        extra_liveness_predicate: None,
        protocol_version: ProtocolVersion::V0,
    };
    let said = ["name", "rpc", "admin", "region", "zone", "version"].map(|key| (key.into(), "rogue".into()));
    let rogue = spawn_chitchat(plain, said.into(), &UdpTransport).await.unwrap();
    // The same program with a key of its own: another cluster, or a guess.
    let mut other = config(2, &[nodes[0].address(), nodes[1].address()]);
    other.keys = Keyring::of(key(2));
    let other = start(other).await.unwrap();

    for node in &nodes {
        until_dropped(node, Dropped::Truncated, 20).await;
        until_dropped(node, Dropped::UnknownKey, 5).await;
    }
    let live = rogue.with_chitchat(|chitchat| chitchat.live_nodes().count()).await;
    assert_eq!(live, 1, "the rogue sees nobody but itself");
    until("the other's view", &mut other.peers(), |view| view.keys().eq(&[2])).await;
    for node in &nodes {
        assert_eq!(*node.peers().borrow(), before, "and nobody sees it");
        assert!(node.unhealthy().borrow().is_empty());
    }
}

#[tokio::test]
async fn keys_are_exchanged_without_a_gap() {
    let nodes = nodes(3).await;
    until_all_see(&nodes, &[1, 2, 3]).await;
    let (old, new) = (key(1), key(2));
    let steps = [
        Keyring { send: old.clone(), also: Some(new.clone()) },
        Keyring { send: new.clone(), also: Some(old) },
        Keyring::of(new),
    ];
    let mut applied = 0;
    for (step, ring) in steps.into_iter().enumerate() {
        for rotated in &nodes {
            rotated.rotate(ring.clone());
            // What each node says with this mixture of keys is heard by each other one.
            applied += 1;
            for (node, id) in nodes.iter().zip(1_u64..) {
                node.say_applied(applied * 10 + id);
            }
            for node in &nodes {
                let heard = |view: &View| {
                    assert!(view.keys().eq(&[1, 2, 3]), "nobody goes missing: step {step}, {view:?}");
                    view.iter().all(|(id, peer)| peer.applied == applied * 10 + id)
                };
                until("what is said meanwhile", &mut node.peers(), heard).await;
            }
        }
    }
    for node in &nodes {
        assert_eq!(count(node, Dropped::UnknownKey), 0, "no datagram was lost on the way");
    }
    // Who comes with the new key is let in; who comes with the old one is not.
    let mut late = config(4, &[nodes[0].address()]);
    late.keys = Keyring::of(key(1));
    let late = start(late).await.unwrap();
    until_dropped(&nodes[0], Dropped::UnknownKey, 3).await;
    assert!(nodes[0].peers().borrow().keys().eq(&[1, 2, 3]));
    late.rotate(Keyring::of(key(2)));
    until_all_see(&nodes, &[1, 2, 3, 4]).await;
}

#[tokio::test]
async fn junk_does_no_harm() {
    const JUNK: usize = 10_000;
    let nodes = nodes(3).await;
    until_all_see(&nodes, &[1, 2, 3]).await;
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let fewest = Arc::new(AtomicUsize::new(3));
    let (mut views, seen) = (nodes[1].peers(), Arc::clone(&fewest));
    tokio::spawn(async move {
        while views.changed().await.is_ok() {
            seen.fetch_min(views.borrow_and_update().len(), Ordering::Relaxed);
        }
    });
    for number in 0..JUNK {
        let mut junk = vec![0; number % 1_400];
        rand::fill(&mut junk[..]);
        stranger.send_to(&junk, nodes[0].address()).await.unwrap();
    }
    let dropped = || nodes[0].dropped().iter().map(|(_, count)| count).sum::<u64>();
    let most = async {
        while dropped() < JUNK as u64 / 10 {
            tokio::time::sleep(LOOK).await;
        }
    };
    bounded("junk is dropped", most).await;
    nodes[0].say_unhealthy("eu/openai", SystemTime::now() + Duration::from_secs(30));
    for node in &nodes[1..] {
        until("news after junk", &mut node.unhealthy(), |all| all.contains_key("eu/openai")).await;
    }
    nodes[2].say_applied(7);
    until("what others say", &mut nodes[0].peers(), |view| view[&3].applied == 7).await;
    assert_eq!(fewest.load(Ordering::Relaxed), 3, "nobody was taken for dead meanwhile");
}

#[tokio::test]
async fn what_cannot_work_is_refused_at_the_start() {
    let mut everywhere = config(1, &[]);
    everywhere.listen = ([0, 0, 0, 0], 0).into();
    assert!(matches!(start(everywhere.clone()).await, Err(StartError::NoAddress(_))));
    everywhere.advertise = Some(([127, 0, 0, 1], 9).into());
    let node = start(everywhere).await.unwrap();
    assert_eq!(node.address().port(), 9);
    node.stop().await;

    let mut long = config(1, &[]);
    long.about.member.name = "n".repeat(1_000);
    assert!(matches!(start(long).await, Err(StartError::TooMuch(_))));

    let node = start(config(1, &[])).await.unwrap();
    let mut taken = config(2, &[]);
    taken.listen = node.address();
    let refused = start(taken).await.expect_err("the port is taken");
    assert!(refused.to_string().contains(&node.address().to_string()), "{refused}");
}

#[tokio::test]
async fn names_of_seeds_are_resolved() {
    let first = start(config(1, &[])).await.unwrap();
    let mut second = config(2, &[]);
    second.seeds = vec![format!("localhost:{}", first.address().port()), "no.such.host.invalid:1".into()];
    let second = start(second).await.unwrap();
    until_all_see(&[first, second], &[1, 2]).await;
}
