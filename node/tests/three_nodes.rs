//! Three nodes, 64 clients and one strict budget: it is used up and never exceeded, whatever happens to a node, and the ledger
//! has what the provider produced.

#![expect(clippy::unwrap_used, reason = "what can't be unwrapped fails the test")]

#[expect(dead_code, reason = "no test file uses all of it")]
mod rust;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;

use rust::cluster::Cluster;
use rust::manifest::{GATEWAY, openai, route, rule};
use rust::{Answer, Ask, Client, Simulator, until};

const LIMIT: u64 = 100_000;
/// Of the budget, what must have been spent when all were refused for good.
const USED: u64 = 99_000;
const CLIENTS: u64 = 64;
const PAUSE: Duration = Duration::from_millis(20);
/// Into the run, something happens.
const SOME: u64 = 100;

fn manifest(simulator: &Simulator) -> String {
    let budget = format!(
        "---\napiVersion: tollgate.dev/v1alpha1\nkind: Budget\nmetadata: {{name: all}}\nspec: {{unit: totalTokens, \
         limit: {LIMIT}, window: {{lifetime: true}}, enforcement: strict}}\n"
    );
    GATEWAY.to_owned()
        + &openai("provider", &simulator.address())
        + &route("all", "", &rule("sim", "{name: provider}", ""))
        + &budget
}

/// A request of some size, streamed or not.
fn ask(number: u64) -> Ask {
    let tokens = 20 + number * 7919 % 380;
    let ask = Ask::chat("sim").with("max_tokens", tokens).simulate(&format!("tokens={tokens}"));
    if number.is_multiple_of(2) { ask.streamed().showing_usage() } else { ask }
}

/// Sends to one node after the other until one says that all is spent. How many were served.
async fn client(number: u64, nodes: Arc<[Client]>, served: Arc<AtomicU64>) {
    for request in 0.. {
        let ask = ask(number * 1_000 + request);
        let node = nodes[usize::try_from(number + request).unwrap() % nodes.len()];
        // A node that is gone or cuts the connection: the client goes to the next one.
        let answer = node.try_send(&ask).await;
        match answer {
            Some(answer) if answer.status == 200 => _ = served.fetch_add(1, Ordering::Relaxed),
            Some(answer) if is_final(&answer) => return,
            Some(_) | None => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Nothing comes any more: the budget is never whole again.
fn is_final(answer: &Answer) -> bool {
    answer.status == 429 && answer.json()["error"]["code"] == "insufficient_quota"
}

/// What happens to a node in the middle of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    LeaderKilled,
    FollowerKilledAndBack,
    Paused,
}

async fn run(fault: Fault) {
    let simulator = Simulator::start(&["--rate", "2000"]).await;
    let mut cluster = Cluster::start(3, &manifest(&simulator)).await;
    for node in cluster.running() {
        until("the node to know the budget", async || {
            let answer = node.send(&ask(1)).await;
            (answer.status == 200).then_some(())
        })
        .await;
    }
    let nodes: Arc<[Client]> = cluster.running().map(|node| node.client).collect();
    let served = Arc::new(AtomicU64::new(0));
    let mut clients = JoinSet::new();
    for number in 1..=CLIENTS {
        clients.spawn(client(number, Arc::clone(&nodes), Arc::clone(&served)));
    }
    until("some requests", async || (served.load(Ordering::Relaxed) > SOME).then_some(())).await;
    let leader = cluster.leader().await;
    match fault {
        Fault::None => {}
        Fault::LeaderKilled => {
            cluster.kill(leader);
            let seen = served.load(Ordering::Relaxed);
            let more = || served.load(Ordering::Relaxed) > seen + SOME;
            until("more requests under another leader", async || more().then_some(())).await;
            cluster.leader().await;
            cluster.restart(leader).await; // What it held comes back with it.
        }
        Fault::FollowerKilledAndBack => {
            let follower = (leader + 1) % 3;
            cluster.kill(follower);
            cluster.restart(follower).await;
        }
        Fault::Paused => {
            let follower = cluster.nodes[(leader + 1) % 3].as_ref().unwrap().process.id();
            signal("-STOP", follower);
            tokio::time::sleep(Duration::from_secs(3)).await;
            signal("-CONT", follower);
        }
    }
    clients.join_all().await;

    let produced = simulator.total().await;
    let produced = number(&produced["input_tokens"]) + number(&produced["output_tokens"]);
    assert!(produced <= LIMIT, "{fault:?}: {produced} of {LIMIT}");
    // What is not known of a request counts in full: with that, the rows of one node may already be more than all produced.
    let told = until("the ledger to have all, and its rows to be what the budget counted", async || {
        let told = told(&cluster).await;
        (told.total >= produced && told.total == told.spent).then_some(told)
    })
    .await;
    assert!(told.total <= LIMIT, "{fault:?}: {told:?}");
    assert!(told.total >= USED, "{fault:?}: {told:?}");
    // What was running on a node that was killed counts in full.
    assert!(told.total - told.unknown <= produced, "{fault:?}: {told:?}, the provider counted {produced}");
    if told.unknown == 0 {
        assert_eq!(told.total, produced, "{fault:?}");
    } else {
        assert!(matches!(fault, Fault::LeaderKilled | Fault::FollowerKilledAndBack), "{fault:?}: {told:?}");
    }
}

fn signal(which: &str, process: u32) {
    assert!(Command::new("kill").args([which, &process.to_string()]).status().unwrap().success());
}

#[derive(Debug)]
struct Told {
    /// By the rows.
    total: u64,
    unknown: u64,
    /// By the budget.
    spent: u64,
}

async fn told(cluster: &Cluster) -> Told {
    let node = cluster.running().next().unwrap();
    let rows = node.shown("/v1/ledger").await["rows"].take();
    let rows = rows.as_array().unwrap();
    let sum = |field: &str| rows.iter().map(|row| number(&row[field]["total"])).sum();
    let budgets = node.shown("/v1/budgets").await;
    let spent = number(&budgets["budgets"][0]["buckets"][0]["spent"]);
    Told { total: sum("usage"), unknown: sum("unknown_usage"), spent }
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

#[tokio::test]
async fn a_budget_over_three_nodes() {
    run(Fault::None).await;
}

#[tokio::test]
async fn the_leader_is_killed() {
    run(Fault::LeaderKilled).await;
}

#[tokio::test]
async fn a_follower_is_killed_and_comes_back() {
    run(Fault::FollowerKilledAndBack).await;
}

#[tokio::test]
async fn a_node_is_paused() {
    run(Fault::Paused).await;
}
