//! Nodes that come and go: five that vote, more than vote, some that are killed, and one whose data are lost.

#[expect(dead_code, reason = "no test file uses all of it")]
mod rust;

use rust::cluster::Cluster;
use rust::gateway::Settings;
use rust::manifest::{GATEWAY, openai, route, rule};
use rust::{Ask, Gateway, Process, Simulator, until};

fn manifest(simulator: &Simulator) -> String {
    GATEWAY.to_owned()
        + &openai("provider", &simulator.address())
        + &route("all", "", &rule("sim", "{name: provider}", ""))
        + "---\napiVersion: tollgate.dev/v1alpha1\nkind: Budget\nmetadata: {name: all}\nspec: {unit: totalTokens, limit: 10k, \
           window: {lifetime: true}, enforcement: strict}\n"
}

async fn tollgate(node: &Gateway, arguments: &[&str]) -> (i32, String) {
    let url = format!("http://{}", node.admin.address);
    let arguments: Vec<&str> = arguments.iter().copied().chain(["--admin", &url]).collect();
    Process::run(&arguments, &[]).await
}

async fn id(node: &Gateway) -> u64 {
    node.shown("/v1/status").await["cluster"]["node"].as_u64().expect("it has one")
}

async fn served(node: &Gateway) {
    until("an answer", async || (node.send(&Ask::chat("sim")).await.status == 200).then_some(())).await;
}

/// The number that a metric has, without its labels.
async fn measured(node: &Gateway, name: &str) -> f64 {
    let metrics = node.metrics().await;
    let mut lines = metrics.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    lines.find_map(|number| number.parse().ok()).unwrap_or(-1.0)
}

#[tokio::test]
async fn metrics_tell_of_the_cluster() {
    let simulator = Simulator::start(&[]).await;
    let cluster = Cluster::start(3, &manifest(&simulator)).await;
    let leader = cluster.leader().await;
    for (place, node) in cluster.nodes.iter().flatten().enumerate() {
        served(node).await;
        let leads = f64::from(u8::from(place == leader));
        let rows = [
            ("tollgate_raft_leads", leads..=leads),
            ("tollgate_raft_voters", 3.0..=3.0),
            ("tollgate_raft_term", 1.0..=f64::MAX),
            ("tollgate_raft_lag_entries", 0.0..=1_000.0),
            ("tollgate_gossip_peers", 3.0..=3.0),
            ("tollgate_gossip_missing", 0.0..=0.0),
            ("tollgate_gossip_datagrams_sent_total", 1.0..=f64::MAX),
            ("tollgate_gossip_datagrams_received_total", 1.0..=f64::MAX),
            ("tollgate_leases_granted_total", 1.0..=f64::MAX),
            ("tollgate_leases_wait_seconds_count", 1.0..=f64::MAX),
            ("tollgate_batches_sent_total", 1.0..=f64::MAX),
            ("tollgate_batches_round_trip_seconds_count", 1.0..=f64::MAX),
            ("tollgate_batches_items_rejected_total", 0.0..=0.0),
            ("tollgate_journal_records_total", 1.0..=f64::MAX),
            ("tollgate_journal_flush_seconds_count", 1.0..=f64::MAX),
            ("tollgate_journal_fails", 0.0..=0.0),
        ];
        for (name, range) in rows {
            let got = measured(node, name).await;
            assert!(range.contains(&got), "{name} of node {place}: {got}");
        }
    }
    let of_leader = cluster.nodes[leader].as_ref().expect("it runs");
    assert!(measured(of_leader, "tollgate_raft_commit_seconds_count").await >= 1.0);
    let metrics = of_leader.metrics().await;
    let followers = metrics.lines().filter(|line| line.starts_with("tollgate_raft_follower_lag_entries{"));
    assert!(followers.count() >= 2, "{metrics}");
}

/// Who knows where the cluster is, and what it is called, but not its key.
#[tokio::test]
async fn strangers_change_nothing() {
    let simulator = Simulator::start(&[]).await;
    let cluster = Cluster::start(3, &manifest(&simulator)).await;
    let node = cluster.nodes[0].as_ref().expect("it runs");
    let before = node.shown("/v1/nodes").await;
    let ids = |nodes: &serde_json::Value| {
        nodes.as_array().into_iter().flatten().map(|node| node["id"].clone()).collect::<Vec<_>>()
    };

    // A web page that a browser on this machine shows.
    for (name, value) in [("origin", "https://evil.example"), ("host", "evil.example")] {
        let ask = Ask::post("/v1/nodes/leave", String::new()).header(name, value);
        assert_eq!(node.admin.send(&ask).await.status, 403, "{name}");
    }

    // A newcomer without a token, with none that anybody gave, and with that of another cluster.
    let data = tempfile::tempdir().expect("a folder");
    let variables = [("TOLLGATE_DATA", text(data.path()))];
    let mut other = Gateway::with(Settings { variables: &variables, ..Settings::default() }).await;
    let foreign = std::fs::read_to_string(data.path().join("join-token")).expect("it founded a cluster");
    let join =
        ["run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--cluster", "127.0.0.1:0", "--join"];
    let join: Vec<&str> = join.into_iter().chain([cluster.door()]).collect();
    for (token, says) in [("", "token"), ("made-up", "token"), (foreign.trim(), "cluster")] {
        let (code, output) = Process::run(&join, &[("TOLLGATE_JOIN_TOKEN", token)]).await;
        assert!(code != 0 && output.contains(says), "{token}: {output}");
    }

    // A node of another cluster that is told to look for its own here.
    other.process.terminate();
    assert!(other.process.ended().await.success());
    let mut rogue = Gateway::with(Settings {
        variables: &variables,
        arguments: &["--join", cluster.door()],
        ..Settings::default()
    })
    .await;
    // And somebody who sends whatever comes to mind.
    let (udp, door) = (std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket"), cluster.door());
    for length in [0, 1, 100, 1_400] {
        udp.send_to(&vec![0x5a; length], door).expect("sent");
        let mut tcp = std::net::TcpStream::connect(door).expect("the door is open");
        let _it_may_be_closed_already = std::io::Write::write_all(&mut tcp, &vec![0x5a; length]);
    }
    until("what they sent to be thrown away", async || {
        let metrics = node.metrics().await;
        let thrown = |reason: &str| {
            let line = format!("tollgate_gossip_datagrams_dropped_total{{reason=\"{reason}\"}}");
            metrics.contains(&line)
        };
        (thrown("unknown_key") && thrown("garbage")).then_some(())
    })
    .await;
    assert_eq!(ids(&node.shown("/v1/nodes").await), ids(&before), "nobody came in");
    assert_eq!(cluster.voting_now().await.len(), 3);
    assert_eq!(rogue.shown("/v1/nodes").await.as_array().map(Vec::len), Some(1), "nor does it see anybody");
    rogue.process.terminate();
    assert!(rogue.process.ended().await.success());
    served(node).await;
}

fn text(path: &std::path::Path) -> &str {
    path.to_str().expect("of letters")
}

/// What one node found of a backend, the others need not find out by themselves.
#[tokio::test]
async fn a_backend_that_fails_on_one_node_is_passed_over_on_others() {
    let (good, bad) = (Simulator::start(&[]).await, Simulator::start(&[]).await);
    let manifest = GATEWAY.to_owned()
        + &openai("good", &good.address())
        + &openai("bad", &bad.address())
        + &route("all", "", &rule("sim", "{name: bad}, {name: good}", ""));
    let cluster = Cluster::start(2, &manifest).await;
    let nodes: Vec<&Gateway> = cluster.running().collect();
    served(nodes[1]).await;
    bad.play("500").await;
    let doubted = async || {
        let status = nodes[1].shown("/v1/status").await;
        let backends = status["backends"].as_array().cloned().unwrap_or_default();
        backends.iter().any(|one| one["name"] == "default/bad" && one["health"] == "doubted")
    };
    until("requests while it is doubted", async || {
        for _ in 0..16 {
            nodes[0].send(&Ask::chat("sim")).await.expect(200);
        }
        until("gossip", async || (doubted().await || bad.asked("sim").await > 1_000).then_some(())).await;
        let before = bad.asked("sim").await;
        for _ in 0..4 {
            nodes[1].send(&Ask::chat("sim")).await.expect(200);
        }
        let after = bad.asked("sim").await;
        // Where it was doubted all the time, nobody asked.
        doubted().await.then(|| assert_eq!(after, before))
    })
    .await;
}

#[tokio::test]
async fn a_node_that_is_promoted_votes() {
    let simulator = Simulator::start(&[]).await;
    let mut cluster = Cluster::start(4, &manifest(&simulator)).await;
    let any = cluster.nodes[0].as_ref().expect("it runs");
    let voters = cluster.voting_now().await;
    let mut learner = None;
    for node in cluster.running() {
        served(node).await;
        let id = id(node).await;
        learner = learner.or((!voters.contains(&id)).then_some(id));
    }
    let learner = learner.expect("three of four vote");
    let (code, output) = tollgate(any, &["node", "promote", &learner.to_string()]).await;
    assert!(code == 0 && output.contains("promoted"), "{output}");
    let now = until("it to vote", async || {
        let now = cluster.voting_now().await;
        (now.contains(&learner) && now.len() == 3).then_some(now)
    })
    .await;
    assert_eq!(
        now.iter().filter(|id| voters.contains(id)).count(),
        2,
        "instead of one of {voters:?}: {now:?}"
    );
    let (code, output) = tollgate(any, &["node", "promote", "4711"]).await;
    assert!(code != 0 && output.contains("4711"), "{output}");
    let (code, output) = tollgate(any, &["snapshot"]).await;
    assert!(code == 0 && output.contains("\"entry\""), "{output}");
    let applied = measured(any, "tollgate_raft_snapshot_entry").await;
    assert!(applied >= 1.0, "nothing was in a snapshot of so young a cluster before: {applied}");

    let stopped = id(cluster.nodes[3].as_ref().expect("it runs")).await;
    cluster.kill(3);
    let any = cluster.nodes[0].as_ref().expect("it runs");
    until("it not to be seen", async || {
        let nodes = any.shown("/v1/nodes").await;
        let all = nodes.as_array().expect("a list");
        all.iter().any(|one| one["id"] == stopped && one["seen"] == false).then_some(())
    })
    .await;
    let (code, output) = tollgate(any, &["node", "promote", &stopped.to_string()]).await;
    assert!(code != 0 && output.contains("not there"), "{output}");

    let (code, output) = tollgate(any, &["top", "--once"]).await;
    assert!(code == 0 && output.contains("anonymous") && output.contains("default/all"), "{output}");
    let (code, output) = tollgate(any, &["budget", "show", "all"]).await;
    assert!(code == 0 && output.contains("default/all"), "{output}");
}

#[tokio::test]
async fn a_node_that_stays_a_learner_never_votes() {
    let simulator = Simulator::start(&[]).await;
    let mut cluster = Cluster::start(1, &manifest(&simulator)).await;
    cluster.add_learner().await;
    cluster.add().await;
    let learner = cluster.nodes[1].as_ref().expect("it runs");
    served(learner).await;
    let learner = id(learner).await;

    let any = cluster.nodes[0].as_ref().expect("it runs");
    let number = learner.to_string();
    let (code, output) = tollgate(any, &["node", "promote", &number]).await;
    assert!(code != 0 && output.contains("--learner"), "{output}");
    assert_eq!(cluster.voting_now().await.len(), 1, "of two that may, neither is enough for three");

    cluster.add().await;
    cluster.voters(3).await;
    assert!(!cluster.voting_now().await.contains(&learner), "it was there before the others");
    let (code, output) = Process::run(&["run", "--learner"], &[]).await;
    assert!(code == 2 && output.contains("--join"), "a cluster needs somebody who votes: {output}");
}

#[tokio::test]
async fn the_cluster_s_secrets_are_replaced_while_it_runs() {
    let simulator = Simulator::start(&[]).await;
    let mut cluster = Cluster::start(3, &manifest(&simulator)).await;
    let folder = cluster.data(0).to_owned();
    let kept = || std::fs::read_to_string(folder.join("join-token")).unwrap_or_default();
    let first = kept();
    // One node misses all of it.
    cluster.kill(2);
    let other = cluster.nodes[1].as_ref().expect("it runs");

    let (code, output) = tollgate(other, &["rotate", "join-token", "--valid-hours", "1"]).await;
    assert!(code == 0 && output.contains("tollgate-join-v1."), "{output}");
    until("the old token to be gone", async || kept().is_empty().then_some(())).await;
    let join =
        ["run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--cluster", "127.0.0.1:0", "--join"];
    let join: Vec<&str> = join.into_iter().chain([cluster.door()]).collect();
    let (code, refused) = Process::run(&join, &[("TOLLGATE_JOIN_TOKEN", first.trim())]).await;
    assert!(code != 0 && refused.contains("token"), "{refused}");

    let any = cluster.nodes[0].as_ref().expect("it runs");
    let (code, output) = tollgate(any, &["rotate", "join-token"]).await;
    assert!(code == 0 && output.contains(kept().trim()) && !kept().is_empty(), "{output}");
    let (code, output) = tollgate(any, &["rotate", "gossip-key"]).await;
    assert!(code == 0 && output.contains("away"), "{output}");

    // The one that missed it comes back, and a new one comes in: all see all.
    cluster.restart(2).await;
    cluster.add().await;
    for node in cluster.running() {
        until("all four to be seen", async || {
            let nodes = node.shown("/v1/nodes").await;
            let seen = nodes.as_array().into_iter().flatten().filter(|node| node["seen"] == true).count();
            (seen == 4).then_some(())
        })
        .await;
        served(node).await;
    }
    let ask = Ask::post("/v1/cluster/join-token?hours=1", String::new());
    let answer = cluster.running().next().expect("one runs").admin.send(&ask).await;
    assert!(answer.status == 400 && answer.text().contains("valid_hours"), "{answer:?}");
}

#[tokio::test]
async fn five_that_vote_outlive_two() {
    let simulator = Simulator::start(&[]).await;
    let mut cluster = Cluster::voting(5, 5, &manifest(&simulator)).await;
    for node in cluster.running() {
        served(node).await;
    }
    let leader = cluster.leader().await;
    let other = (leader + 1) % 5;
    let lost = id(cluster.nodes[other].as_ref().expect("it runs")).await;
    cluster.kill(leader);
    cluster.kill(other);
    for node in cluster.running() {
        served(node).await;
    }
    assert_ne!(cluster.leader().await, leader);

    // One comes back with its data. Those of the other one are lost: another node comes, and the old one is forgotten.
    cluster.restart(leader).await;
    cluster.add().await;
    cluster.voters(5).await;
    let any = cluster.running().next().expect("some run");
    let (code, output) = tollgate(any, &["node", "forget", &lost.to_string()]).await;
    assert_eq!(code, 0, "{output}");
    until("the lost one to be gone", async || {
        let nodes = any.shown("/v1/nodes").await;
        let ids: Vec<u64> = nodes.as_array()?.iter().filter_map(|node| node["id"].as_u64()).collect();
        (ids.len() == 5 && !ids.contains(&lost) && !cluster.voting_now().await.contains(&lost)).then_some(())
    })
    .await;
    cluster.voters(5).await;
    for node in cluster.running() {
        served(node).await;
    }
    // What the lost one held counts as spent, and nothing else is missing.
    let row = any.booked("sim", 1).await;
    let produced = simulator.model("sim").await;
    assert!(row["requests"].as_u64() <= produced["requests"].as_u64(), "{row}, {produced}");
}
