//! Nodes that come and go: five that vote, more than vote, some that are killed, and one whose data are lost.

#[expect(dead_code, reason = "no test file uses all of it")]
mod rust;

use rust::cluster::Cluster;
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
    let cluster = Cluster::start(4, &manifest(&simulator)).await;
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
    assert_eq!(code, 0, "{output}");
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

    let (code, output) = tollgate(any, &["top", "--once"]).await;
    assert!(code == 0 && output.contains("anonymous") && output.contains("default/all"), "{output}");
    let (code, output) = tollgate(any, &["budget", "show", "all"]).await;
    assert!(code == 0 && output.contains("default/all"), "{output}");
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
