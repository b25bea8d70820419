//! A rolling upgrade under load: each node of three is stopped as Kubernetes stops a pod, and comes back; no request fails, and
//! the ledger has what the provider produced.

#![expect(clippy::unwrap_used, reason = "what can't be unwrapped fails the test")]

#[expect(dead_code, reason = "no test file uses all of it")]
mod rust;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::Value;
use tokio::sync::RwLock;
use tokio::task::JoinSet;

use rust::cluster::Cluster;
use rust::manifest::{GATEWAY, openai, route, rule};
use rust::{Ask, Client, Simulator, until};

const CLIENTS: u64 = 16;
/// Served while a node is away, and after it is back.
const SOME: u64 = 60;

fn manifest(simulator: &Simulator) -> String {
    GATEWAY.to_owned()
        + &openai("provider", &simulator.address())
        + &route("all", "", &rule("sim", "{name: provider}", ""))
        + "---\napiVersion: tollgate.dev/v1alpha1\nkind: Budget\nmetadata: {name: all}\nspec: {unit: totalTokens, limit: 10M, \
           window: {lifetime: true}, enforcement: strict}\n"
}

/// What a Service is to clients: the nodes that are ready. Who takes one away waits until no request is on its way to it, as
/// the chart's `endpointGraceSeconds` does.
struct Service {
    ready: RwLock<Vec<Client>>,
    served: AtomicU64,
    over: AtomicBool,
}

impl Service {
    async fn without(&self, node: Client) {
        self.ready.write().await.retain(|one| one.address != node.address);
    }

    async fn with(&self, node: Client) {
        self.ready.write().await.push(node);
    }

    /// Waits until so many more were served than now.
    async fn goes_on(&self, what: &str) {
        let before = self.served.load(Ordering::Relaxed);
        until(what, async || (self.served.load(Ordering::Relaxed) >= before + SOME).then_some(())).await;
    }
}

/// Streams and plain answers, some of which are still running when their node is told to stop.
async fn client(number: u64, service: Arc<Service>) {
    for request in 0.. {
        if service.over.load(Ordering::Relaxed) {
            return;
        }
        let tokens = 10 + (number * 31 + request) * 7919 % 190;
        let ask = Ask::chat("sim").with("max_tokens", tokens).simulate(&format!("tokens={tokens}"));
        let ask = if (number + request).is_multiple_of(2) { ask.streamed().showing_usage() } else { ask };
        let flowing = {
            let ready = service.ready.read().await;
            let node = ready[usize::try_from(number + request).unwrap() % ready.len()];
            node.open(&ask).await
        };
        let answer = flowing.rest().await;
        assert!(answer.status == 200 && !answer.cut, "{answer:?}");
        service.served.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn nodes_are_replaced_one_by_one_and_no_request_fails() {
    let simulator = Simulator::start(&["--rate", "400"]).await;
    let mut cluster = Cluster::start(3, &manifest(&simulator)).await;
    for node in cluster.running() {
        served(node.client).await;
    }
    let service = Arc::new(Service {
        ready: RwLock::new(cluster.running().map(|node| node.client).collect()),
        served: AtomicU64::new(0),
        over: AtomicBool::new(false),
    });
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(client(number, Arc::clone(&service)));
    }
    for place in 0..3 {
        service.goes_on("requests over three nodes").await;
        service.without(cluster.nodes[place].as_ref().unwrap().client).await;
        cluster.stop(place).await;
        service.goes_on("requests over two nodes").await;
        cluster.restart(place).await;
        let back = cluster.nodes[place].as_ref().unwrap().client;
        served(back).await;
        service.with(back).await;
        cluster.voters(3).await;
    }
    service.goes_on("requests over three new nodes").await;
    service.over.store(true, Ordering::Relaxed);
    while let Some(client) = clients.join_next().await {
        client.expect("every request was answered whole");
    }

    let produced = simulator.total().await;
    let produced = number(&produced["input_tokens"]) + number(&produced["output_tokens"]);
    let booked = until("the ledger to have all", async || {
        let booked = booked(&cluster).await;
        (booked >= produced).then_some(booked)
    })
    .await;
    assert_eq!(booked, produced, "to the token");
}

async fn served(node: Client) {
    let ask = Ask::chat("sim").with("max_tokens", 5);
    until("the node to serve", async || (node.try_send(&ask).await?.status == 200).then_some(())).await;
}

async fn booked(cluster: &Cluster) -> u64 {
    let node = cluster.running().next().unwrap();
    let rows = node.shown("/v1/ledger").await["rows"].take();
    let rows = rows.as_array().unwrap();
    rows.iter().map(|row| number(&row["usage"]["total"])).sum()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}
