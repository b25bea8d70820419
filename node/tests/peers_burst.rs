//! The burst that breaks other gateways: a strict budget of exactly 20 requests' tokens, and 100 requests at once, of one node and of
//! three. Never more than the budget, and no fewer than 19 served, whatever length the requests ask for.

#[expect(dead_code, reason = "no test file uses all of it")]
mod rust;

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::task::JoinSet;

use rust::cluster::Cluster;
use rust::manifest::{GATEWAY, openai, route};
use rust::{Ask, Simulator, until};

/// What `Ask::chat` takes of the simulator, input and output together.
const WHOLE: u64 = 13 + 20;
const LIMIT: u64 = 20 * WHOLE;

/// The model, what its requests ask for, whether they are streamed, and how the provider takes its time.
type Case = (&'static str, Option<u64>, bool, &'static str);

#[rustfmt::skip]
const CASES: [Case; 8] = [
    ("short",           Some(20),    false, ""),
    ("short-streamed",  Some(20),    true,  ""),
    ("long",            Some(1_000), false, ""),
    ("long-streamed",   Some(1_000), true,  ""),
    ("any",             None,        false, ""),
    ("any-streamed",    None,        true,  ""),
    ("any-slow",        None,        false, "latency=100ms"),
    ("long-slow",       Some(1_000), true,  "slow=5ms"),
];

fn manifest(simulator: &Simulator) -> String {
    let rule = "  - {matches: [{headers: [{name: x-ai-eg-model, type: RegularExpression, value: \".*\"}]}], backendRefs: [{name: openai}]}\n";
    let budget = |(model, ..): &Case| {
        format!(
            "---\napiVersion: tollgate.dev/v1alpha1\nkind: Budget\nmetadata: {{name: {model}}}\nspec: {{match: {{models: [{model}]}}, \
             unit: totalTokens, limit: {LIMIT}, window: {{lifetime: true}}, enforcement: strict}}\n"
        )
    };
    let budgets: String = CASES.iter().map(budget).collect();
    GATEWAY.to_owned() + &openai("openai", &simulator.address()) + &route("all", "", rule) + &budgets
}

#[tokio::test]
async fn on_one_node() {
    bursts(1).await;
}

#[tokio::test]
async fn on_three_nodes() {
    bursts(3).await;
}

async fn bursts(nodes: usize) {
    let simulator = Simulator::start(&[]).await;
    let cluster = Cluster::start(nodes, &manifest(&simulator)).await;
    for case in CASES {
        burst(&cluster, &simulator, case).await;
    }
}

async fn burst(cluster: &Cluster, simulator: &Simulator, case: Case) {
    let (model, max_tokens, streamed, pace) = case;
    let nodes: Vec<_> = cluster.running().collect();
    // Too much input for the budget: refused without having spent anything, once the cluster has heard of the budget.
    let large = Ask::chat(model).with("user_said", "x".repeat(1_000));
    for node in &nodes {
        until("the budget to be kept", async || (node.send(&large).await.status == 429).then_some(())).await;
    }
    let mut ask = Ask::chat(model).with("stream", streamed).simulate(pace);
    if let Some(max_tokens) = max_tokens {
        ask = ask.with("max_tokens", max_tokens);
    }
    let mut asked = JoinSet::new();
    for number in 0..100 {
        let (client, ask) = (nodes[number % nodes.len()].client, ask.clone());
        asked.spawn(async move { client.send(&ask).await });
    }
    let answers = asked.join_all().await;
    let mut ended: BTreeMap<u16, u64> = BTreeMap::new();
    for answer in &answers {
        assert!([200, 429].contains(&answer.status), "{case:?}: {answer:?}");
        *ended.entry(answer.status).or_default() += 1;
    }
    let served = ended.get(&200).copied().unwrap_or(0);
    let produced = simulator.model(model).await;
    let spent = number(&produced["input_tokens"]) + number(&produced["output_tokens"]);
    assert!(spent <= LIMIT, "{case:?}: {spent} of {LIMIT}");
    assert!(served >= 19, "{case:?}: {served} served for {spent} of {LIMIT}: {ended:?}");
    // Any node answers for all.
    let row = nodes[nodes.len() - 1].booked(model, served).await;
    assert_eq!(
        (number(&row["requests"]), number(&row["usage"]["total"])),
        (served, spent),
        "{case:?}: {row}"
    );
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}
