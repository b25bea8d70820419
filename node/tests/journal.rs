//! What a node notes before it spends is there after a sudden end, and a node that can't note anything spends nothing.

#[expect(dead_code, reason = "no test file uses all of it")]
mod rust;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use tokio::task::JoinSet;

use rust::cluster::Cluster;
use rust::manifest::{GATEWAY, openai, route, rule};
use rust::{Ask, Gateway, Simulator, until};

const LIMIT: u64 = 20_000_000;
/// How often a node is killed.
const KILLS: u64 = 6;
/// Answers between two of them.
const SOME: u64 = 60;
const CLIENTS: u64 = 16;

fn manifest(simulator: &Simulator) -> String {
    GATEWAY.to_owned()
        + &openai("provider", &simulator.address())
        + &route("all", "", &rule("sim", "{name: provider}", ""))
        + &format!(
            "---\napiVersion: tollgate.dev/v1alpha1\nkind: Budget\nmetadata: {{name: all}}\nspec: {{unit: totalTokens, limit: \
             {LIMIT}, window: {{lifetime: true}}, enforcement: strict}}\n"
        )
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

/// What clients have whole answers of.
#[derive(Default)]
struct Got {
    answers: AtomicU64,
    tokens: AtomicU64,
}

/// Asks whoever is there, until it is told to stop.
async fn client(nodes: Arc<std::sync::Mutex<Vec<rust::Client>>>, first: u64, got: Arc<Got>) {
    for turn in first.. {
        let node = {
            let nodes = nodes.lock().expect("nobody panics with it");
            nodes[usize::try_from(turn).expect("few") % nodes.len()]
        };
        let tokens = 20 + turn * 7_919 % 180;
        let ask = Ask::chat("sim").with("max_tokens", tokens).simulate(&format!("tokens={tokens}"));
        match node.try_send(&ask).await {
            Some(answer) if answer.status == 200 && !answer.cut => {
                got.tokens.fetch_add(number(&answer.json()["usage"]["total_tokens"]), Ordering::Relaxed);
                got.answers.fetch_add(1, Ordering::Relaxed);
            }
            Some(_) | None => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
        }
    }
}

#[tokio::test]
async fn nodes_that_are_killed_again_and_again_tell_everything() {
    let simulator = Simulator::start(&["--rate", "2000"]).await;
    let mut cluster = Cluster::start(3, &manifest(&simulator)).await;
    for node in cluster.running() {
        until("the budget", async || (node.send(&Ask::chat("sim")).await.status == 200).then_some(())).await;
    }
    let clients_of = |cluster: &Cluster| cluster.running().map(|node| node.client).collect::<Vec<_>>();
    let nodes = Arc::new(std::sync::Mutex::new(clients_of(&cluster)));
    let got = Arc::new(Got::default());
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(client(Arc::clone(&nodes), number, Arc::clone(&got)));
    }
    for kill in 0..KILLS {
        let enough = got.answers.load(Ordering::Relaxed) + SOME;
        until("answers", async || (got.answers.load(Ordering::Relaxed) >= enough).then_some(())).await;
        let place = usize::try_from(kill).expect("few") % 3;
        cluster.kill(place);
        *nodes.lock().expect("nobody panics with it") = clients_of(&cluster);
        cluster.restart(place).await;
        *nodes.lock().expect("nobody panics with it") = clients_of(&cluster);
    }
    clients.shutdown().await;

    let produced = simulator.total().await;
    let produced = number(&produced["input_tokens"]) + number(&produced["output_tokens"]);
    let answered = got.tokens.load(Ordering::Relaxed);
    let any = cluster.running().next().expect("all run");
    // What was running on a node that was killed counts in full, so that the sum alone does not tell that all is there.
    let (total, unknown) = until("the ledger to have all", async || {
        let rows = any.shown("/v1/ledger").await["rows"].take();
        let sum = |field: &str| {
            rows.as_array().into_iter().flatten().map(|row| number(&row[field]["total"])).sum::<u64>()
        };
        let (total, unknown) = (sum("usage"), sum("unknown_usage"));
        (total >= produced && total - unknown >= answered).then_some((total, unknown))
    })
    .await;
    assert!(total <= LIMIT, "{total} of {LIMIT}");
    assert!(total - unknown <= produced, "{total} less {unknown} is more than {produced}");
}

/// `ready` and what it says.
async fn ready(node: &Gateway) -> (u16, String) {
    let answer = node.admin.send(&Ask::get("/readyz")).await;
    (answer.status, answer.text().to_owned())
}

#[tokio::test]
async fn a_node_whose_disk_is_full_admits_nothing_and_others_go_on() {
    let simulator = Simulator::start(&[]).await;
    let mut cluster = Cluster::start(3, &manifest(&simulator)).await;
    for node in cluster.running() {
        until("the budget", async || (node.send(&Ask::chat("sim")).await.status == 200).then_some(())).await;
    }
    let full = (cluster.leader().await + 1) % 3;
    {
        let node = cluster.nodes[full].as_ref().expect("it runs");
        node.process.limit_file_size("1");
        let refused = until("it to notice", async || {
            let answer = node.send(&Ask::chat("sim")).await;
            (answer.status != 200).then_some(answer)
        })
        .await;
        assert_eq!(refused.status, 503, "{refused:?}");
        let (status, why) = ready(node).await;
        assert!(status == 503 && why.contains("fails"), "{status} {why}");
        for other in cluster.nodes.iter().enumerate().filter(|(place, _)| *place != full) {
            let other = other.1.as_ref().expect("it runs");
            for _ in 0..5 {
                other.send(&Ask::chat("sim")).await.expect(200);
            }
        }
        assert_eq!(node.send(&Ask::chat("sim")).await.status, 503, "it stays so");
    }
    // With room again, it is the same node as before.
    cluster.kill(full);
    cluster.restart(full).await;
    let node = cluster.nodes[full].as_ref().expect("it runs");
    until("it to be ready", async || (ready(node).await.0 == 200).then_some(())).await;
    node.send(&Ask::chat("sim")).await.expect(200);
    let produced = simulator.total().await;
    let requests = number(&produced["requests"]);
    let row = node.booked("sim", requests).await;
    let tokens = number(&produced["input_tokens"]) + number(&produced["output_tokens"]);
    let (total, unknown) = (number(&row["usage"]["total"]), number(&row["unknown_usage"]["total"]));
    assert!(total - unknown <= tokens && tokens <= total, "{row}, {produced}");
}
