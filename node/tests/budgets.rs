//! What budgets let through, what they refuse and in which words, and what is booked: against what the provider says that
//! it produced.

#[expect(dead_code, reason = "no test file uses all of it")]
mod rust;

use serde_json::Value;

use rust::canned::{Canned, Then};
use rust::gateway::Settings;
use rust::manifest::{GATEWAY, anthropic, openai, route, rule};
use rust::{Answer, Ask, Gateway, Simulator, until};

const WAIT: &str = "3000";

fn budget(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: tollgate.dev/v1alpha1\nkind: Budget\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"
    )
}

/// Models that begin with `claude` are served by Anthropic's dialect, `cheaper` by two backends in turn, all others by
/// OpenAI's.
fn models(simulator: &Simulator) -> String {
    let by = |pattern: &str, backends: &str| {
        format!(
            "  - {{matches: [{{headers: [{{name: x-ai-eg-model, type: RegularExpression, value: \"{pattern}\"}}]}}], backendRefs: [{backends}]}}\n"
        )
    };
    GATEWAY.to_owned()
        + &openai("openai", &simulator.address())
        + &openai("cheap", &simulator.address())
        + &anthropic("anthropic", &simulator.address())
        + &route("claude", "", &by("claude.*", "{name: anthropic}"))
        + &route("cheaper", "", &rule("cheaper", "{name: openai}, {name: cheap, priority: 1}", ""))
        + &route("others", "", &by("[^c].*", "{name: openai}"))
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

/// A status, the code or type in the dialect's words, headers that are there, and headers that are not.
type Refusal<'a> = (u16, &'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);

#[track_caller]
fn check(answer: &Answer, (status, code, there, not_there): Refusal<'_>, why: &str) {
    assert_eq!(answer.status, status, "{why}: {answer:?}");
    let error = &answer.json()["error"];
    let got = if error["code"].is_null() { &error["type"] } else { &error["code"] };
    assert_eq!(got, code, "{why}: {answer:?}");
    for (name, value) in there {
        assert_eq!(answer.header(name), Some(*value), "{why}: {name}: {answer:?}");
    }
    for name in not_there {
        assert_eq!(answer.header(name), None, "{why}: {name}: {answer:?}");
    }
}

#[tokio::test]
async fn refusals_say_which_budget_and_what_to_do() {
    let on = |model: &str, spec: &str| budget(model, &format!("match: {{models: [{model}]}}, {spec}"));
    let budgets = on("spent", "unit: requests, limit: 1, window: {lifetime: true}")
        + &on("claude-spent", "unit: outputTokens, limit: 20, window: {lifetime: true}")
        + &on("large", "unit: totalTokens, limit: 30, window: {lifetime: true}")
        + &on("unpriced", "unit: cost, limit: \"1.00 USD\", window: {lifetime: true}")
        + &on("shadow", "unit: requests, limit: 1, window: {lifetime: true}, enforcement: shadow")
        + &on("minutely", "unit: requests, limit: 1, window: {every: minute}");
    let (gateway, _simulator) = bed(&budgets).await;
    first(&gateway, &Ask::chat("spent")).await.expect(200);
    gateway.send(&Ask::messages("claude-spent").with("max_tokens", 20)).await.expect(200);
    #[rustfmt::skip]
    let rows: [(Ask, Refusal<'_>, &str, &str); 4] = [
        (Ask::chat("spent"), (429, "insufficient_quota", &[("x-should-retry", "false"), ("x-ratelimit-limit-requests", "1"), ("x-ratelimit-remaining-requests", "0")], &["retry-after", "x-ratelimit-reset-requests"]), "Budget default/spent", "never whole again"),
        (Ask::messages("claude-spent"), (429, "rate_limit_error", &[("x-should-retry", "false"), ("anthropic-ratelimit-output-tokens-limit", "20"), ("anthropic-ratelimit-output-tokens-remaining", "0")], &["retry-after"]), "Budget default/claude-spent", "in Anthropic's words"),
        (Ask::chat("large"), (429, "insufficient_quota", &[("x-should-retry", "false")], &["retry-after"]), "Budget default/large", "more than there ever is"),
        (Ask::chat("unpriced"), (403, "permission_error", &[("x-should-retry", "false")], &[]), "no price is known", "never free"),
    ];
    for (ask, refusal, words, why) in rows {
        let answer = gateway.send(&ask).await;
        check(&answer, refusal, why);
        assert!(answer.text().contains(words), "{why}: {answer:?}");
    }
    for _ in 0..3 {
        gateway.send(&Ask::chat("shadow")).await.expect(200);
    }
    gateway.booked("shadow", 3).await;
    let refused = until("the minute's request to be spent", async || {
        let answer = gateway.send(&Ask::chat("minutely")).await;
        (answer.status == 429).then_some(answer)
    })
    .await;
    check(&refused, (429, "rate_limit_exceeded", &[], &["x-should-retry"]), "a minute is waited for");
    let after: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&after), "{refused:?}");
    assert!(refused.header("x-ratelimit-reset-requests").is_some(), "{refused:?}");
}

#[tokio::test]
async fn an_exhausted_budget_leads_to_the_next_priority() {
    let spec = "match: {backends: [\"default/openai\"]}, unit: requests, limit: 1, window: {lifetime: true}, onExhausted: NextPriority";
    let (gateway, _simulator) = bed(&budget("dear", spec)).await;
    for (backend, why) in
        [("default/openai", "while it lasts"), ("default/cheap", "then"), ("default/cheap", "again")]
    {
        let answer = first(&gateway, &Ask::chat("cheaper")).await.expect(200);
        assert_eq!(gateway.logged(&answer).await["backend"], backend, "{why}");
    }
    let answer = gateway.send(&Ask::chat("gpt")).await;
    check(&answer, (429, "insufficient_quota", &[], &[]), "there is no other backend");
}

#[tokio::test]
async fn cost_is_held_and_booked_by_the_price_list() {
    let prices = "---
apiVersion: tollgate.dev/v1alpha1
kind: PriceList
metadata: {name: house}
spec: {prices: [{models: [priced], perMillionTokens: {input: \"1000\", output: \"2000\"}}]}
";
    // 13 and 20 tokens are 0.053 USD; at most 35 and 20 are 0.075.
    let spec = "unit: cost, limit: \"0.13 USD\", window: {lifetime: true}";
    let (gateway, _simulator) = bed(&(budget("money", spec) + prices)).await;
    let ask = Ask::chat("priced").with("max_tokens", 20);
    first(&gateway, &ask).await.expect(200);
    gateway.send(&ask).await.expect(200);
    let answer = gateway.send(&ask).await;
    check(&answer, (429, "insufficient_quota", &[], &["x-ratelimit-limit-tokens"]), "0.024 USD are left");
    assert!(answer.text().contains("0.13 USD"), "{answer:?}");
    let row = gateway.booked("priced", 2).await;
    assert_eq!(row["cost_nano_usd"], 106_000_000, "{row}");
}

#[tokio::test]
async fn each_user_has_a_bucket_and_hears_what_is_left() {
    let consumers = ["alice", "bob"].map(|name| {
        format!(
            "---
apiVersion: v1
kind: Secret
metadata: {{name: {name}}}
stringData: {{k: sk-{name}}}
---
apiVersion: tollgate.dev/v1alpha1
kind: Consumer
metadata: {{name: {name}}}
spec: {{user: {name}, apiKeys: [{{name: k, secretRef: {{name: {name}, key: k}}}}]}}
"
        )
    });
    let spec = "per: [user], unit: requests, limit: 2, window: {lifetime: true}";
    let tokens = "unit: totalTokens, limit: 1000000, window: {lifetime: true}";
    let (gateway, _simulator) =
        bed(&(consumers.concat() + &budget("each", spec) + &budget("all", tokens))).await;
    let ask = |name: &str| Ask::chat("gpt").header("authorization", &format!("Bearer sk-{name}"));
    #[rustfmt::skip]
    let rows = [
        ("alice", 200, Some("1"), "the first of two"),
        ("alice", 200, Some("0"), "the second"),
        ("alice", 429, Some("0"), "spent"),
        ("bob",   200, Some("1"), "has a bucket of his own"),
    ];
    for (name, status, left, why) in rows {
        let answer = first(&gateway, &ask(name)).await;
        assert_eq!(answer.status, status, "{why}: {answer:?}");
        assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("2"), "{why}: {answer:?}");
        assert_eq!(answer.header("x-ratelimit-remaining-requests"), left, "{why}: {answer:?}");
        if status == 200 {
            assert_eq!(answer.header("x-ratelimit-limit-tokens"), Some("1000000"), "{why}: {answer:?}");
        }
    }
}

/// An upstream that does not keep to the cap that it was told.
#[tokio::test]
async fn an_answer_that_passes_its_cap_is_landed() {
    let chunk = r#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"gpt","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}"#;
    let body = format!("{chunk}\n\n").repeat(1_000);
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    let canned = Canned::start((head.to_owned() + &body).leak(), Then::Silence).await;
    let manifest = GATEWAY.to_owned()
        + &openai("openai", &canned.address)
        + &route("all", "", &rule("gpt", "{name: openai}", ""))
        + &budget("all", "unit: outputTokens, limit: 100, window: {lifetime: true}");
    let gateway = Gateway::start(&manifest).await;
    let answer = first(&gateway, &Ask::chat("gpt").streamed().showing_usage()).await.expect(200);
    let events = answer.events();
    assert_eq!(events.last().unwrap().data, "[DONE]", "{answer:?}");
    let reasons = events.iter().map(|event| event.json()["choices"][0]["finish_reason"].clone());
    assert_eq!(reasons.filter(Value::is_string).collect::<Vec<_>>(), ["length"], "{answer:?}");
    assert_eq!(gateway.logged(&answer).await["end"], "landed");
    let row = gateway.booked("gpt", 1).await;
    assert!(
        number(&row["usage"]["output"]) >= 100,
        "what passed is booked, though nobody paid for it: {row}"
    );
    until("the ledger to know that it is spent", async || {
        let answer = gateway.send(&Ask::chat("gpt").with("max_tokens", 1)).await;
        (answer.status == 429).then_some(())
    })
    .await;
}

/// What the provider does for a client that has left is not known, and a strict budget does not hope for the best.
#[tokio::test]
async fn a_client_that_leaves_before_its_answer_pays_what_was_held() {
    let (gateway, simulator) =
        bed(&budget("all", "unit: outputTokens, limit: 100, window: {lifetime: true}")).await;
    let ask = Ask::chat("gpt").with("max_tokens", 60).simulate("latency=60s");
    let client = gateway.client;
    let waiting = tokio::spawn(async move { client.send(&ask).await });
    until("the provider to have it", async || (simulator.asked("gpt").await == 1).then_some(())).await;
    waiting.abort();
    let row = gateway.booked("gpt", 1).await;
    assert_eq!((&row["unknown_requests"], &row["unknown_usage"]["output"]), (&1.into(), &60.into()), "{row}");
    let answer = gateway.send(&Ask::chat("gpt").with("max_tokens", 60)).await.expect(200);
    let left: u64 = answer.header("x-ratelimit-remaining-tokens").unwrap().parse().unwrap();
    let took = answer.json()["usage"]["completion_tokens"].as_u64().unwrap();
    assert!(took <= 40 - left, "40 were left: {answer:?}");
}
