//! What budgets let through, what they refuse and in which words, and what is booked: against what the provider says that
//! it produced.

#![expect(clippy::unwrap_used, reason = "what can't be unwrapped fails the test")]

#[expect(dead_code, reason = "no test file uses all of it")]
mod rust;

use serde_json::Value;

use rust::gateway::Settings;
use rust::manifest::{GATEWAY, anthropic, openai, route, rule};
use rust::{Answer, Ask, Gateway, Simulator, until};

/// What `Ask::chat` takes of the simulator: input and output tokens.
const INPUT: u64 = 13;
const OUTPUT: u64 = 20;
const WHOLE: u64 = INPUT + OUTPUT;
const WAIT: &str = "3000";

fn budget(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: tollgate.dev/v1alpha1\nkind: Budget\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"
    )
}

fn models(simulator: &Simulator) -> String {
    GATEWAY.to_owned()
        + &openai("openai", &simulator.address())
        + &anthropic("anthropic", &simulator.address())
        + &route("all", "", &(rule("gpt", "{name: openai}", "") + &rule("claude", "{name: anthropic}", "")))
}

async fn bed(budgets: &str) -> (Gateway, Simulator) {
    let simulator = Simulator::start(&[]).await;
    let manifest = models(&simulator) + budgets;
    // What is tried is who is served, not how fast this machine is now.
    let arguments = &["--admission-wait", WAIT];
    let gateway = Gateway::with(Settings { manifest: &manifest, arguments, ..Settings::default() }).await;
    (gateway, simulator)
}

/// Sends when the cluster has heard of the budgets: until then nobody can say what is left of them.
async fn first(gateway: &Gateway, ask: &Ask) -> Answer {
    until("budgets to be kept", async || {
        let answer = gateway.send(ask).await;
        (answer.status != 503).then_some(answer)
    })
    .await
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

/// All that the ledger has.
async fn booked(gateway: &Gateway) -> (u64, u64) {
    let rows = gateway.shown("/v1/ledger").await["rows"].take();
    let rows = rows.as_array().unwrap();
    let sum = |field: &dyn Fn(&Value) -> u64| rows.iter().map(field).sum();
    (sum(&|row| number(&row["requests"])), sum(&|row| number(&row["usage"]["total"])))
}

/// How requests ended, and how often.
fn refusals(gateway: &Gateway) -> String {
    let mut ends = std::collections::BTreeMap::new();
    for line in gateway.log() {
        *ends.entry(line["end"].to_string()).or_insert(0) += 1;
    }
    format!("{ends:?}")
}

/// The peers' burst: a budget of exactly 20 requests' tokens, and 100 requests at once.
async fn burst(max_tokens: Option<u64>, streamed: bool, slow: &str) {
    let limit = 20 * WHOLE;
    let spec = format!("unit: totalTokens, limit: {limit}, window: {{lifetime: true}}, enforcement: strict");
    let (gateway, simulator) = bed(&budget("all", &spec)).await;
    let mut ask = Ask::chat("gpt").with("stream", streamed).simulate(slow);
    if let Some(max_tokens) = max_tokens {
        ask = ask.with("max_tokens", max_tokens);
    }
    // Too much input for the budget: refused without having spent anything.
    let large = Ask::chat("gpt").with("user_said", "x".repeat(1_000));
    assert_eq!(first(&gateway, &large).await.status, 429);
    let mut sent = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (client, ask) = (gateway.client, ask.clone());
        sent.spawn(async move { client.send(&ask).await });
    }
    let answers = sent.join_all().await;
    let what = format!("max_tokens {max_tokens:?}, streamed {streamed}");
    let served = answers.iter().filter(|answer| answer.status == 200).count() as u64;
    for answer in &answers {
        assert!([200, 429].contains(&answer.status), "{what}: {answer:?}");
    }
    let produced = simulator.total().await;
    let spent = number(&produced["input_tokens"]) + number(&produced["output_tokens"]);
    assert!(spent <= limit, "{what}: {spent} of {limit}");
    assert!(served >= 19, "{what}: {served} served for {spent} of {limit}: {}", refusals(&gateway));
    let totals = until("the ledger to have all", async || {
        let booked = booked(&gateway).await;
        (booked.0 >= served).then_some(booked)
    })
    .await;
    assert_eq!(totals, (served, spent), "{what}");
}

#[tokio::test]
async fn a_burst_of_short_answers() {
    burst(Some(20), false, "").await;
    burst(Some(20), true, "").await;
}

#[tokio::test]
async fn a_burst_of_answers_that_might_be_long() {
    burst(Some(1_000), false, "").await;
    burst(Some(1_000), true, "").await;
}

#[tokio::test]
async fn a_burst_of_answers_of_any_length() {
    burst(None, false, "").await;
    burst(None, true, "").await;
}
