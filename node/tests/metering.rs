//! What the gateway counted, against what the provider says that it produced: to the token where an answer was whole,
//! marked as estimated where it was not. And where it can be seen: ledger, access log, metrics, and no secret in any.

#![expect(clippy::unwrap_used, reason = "what can't be unwrapped fails the test")]

#[expect(dead_code, reason = "no test file uses all of it")]
mod rust;

use serde_json::{Value, json};

use rust::canned::{Canned, Then};
use rust::client::Event;
use rust::gateway::Settings;
use rust::manifest::{GATEWAY, KeyOf, anthropic, backend, key, openai, route, rule};
use rust::{Answer, Ask, Gateway, Simulator, until};

/// `gpt-…` is served by OpenAI's dialect, `claude-…` by Anthropic's.
async fn bed() -> (Gateway, Simulator) {
    let simulator = Simulator::start(&[]).await;
    let rules = ["gpt", "claude"].map(|family| {
        let backend = if family == "gpt" { "openai" } else { "anthropic" };
        format!("  - {{matches: [{{headers: [{{name: x-ai-eg-model, type: RegularExpression, value: \"{family}-.*\"}}]}}], backendRefs: [{{name: {backend}}}]}}\n")
    });
    let manifest = GATEWAY.to_owned()
        + &openai("openai", &simulator.address())
        + &anthropic("anthropic", &simulator.address())
        + &route("all", "", &rules.concat());
    (Gateway::start(&manifest).await, simulator)
}

/// Checks a ledger row against what the simulator counted for the same model.
#[track_caller]
fn agree(row: &Value, produced: &Value, what: &str) {
    let pairs = [
        ("input", "input_tokens"),
        ("output", "output_tokens"),
        ("cached_input", "cached_tokens"),
        ("cache_creation_input", "cache_written_tokens"),
        ("reasoning", "reasoning_tokens"),
    ];
    for (booked, counted) in pairs {
        assert_eq!(row["usage"][booked], produced[counted], "{what} {booked}: {row} {produced}");
    }
    let number = |name: &str| produced[name].as_u64().unwrap();
    assert_eq!(row["usage"]["total"], number("input_tokens") + number("output_tokens"), "{what}");
    assert_eq!(row["requests"], produced["requests"], "{what}");
    assert_eq!(row["estimated_requests"], 0, "{what}: {row}");
}

#[tokio::test]
async fn the_ledger_is_told_apart_by_hour() {
    let (gateway, _simulator) = bed().await;
    let before = jiff::Timestamp::now();
    gateway.send(&Ask::chat("gpt-5")).await.expect(200);
    gateway.booked("gpt-5", 1).await;
    let hour = |at: jiff::Timestamp| at.strftime("%Y-%m-%dT%H:00Z").to_string();

    let rows = gateway.shown("/v1/ledger?group_by=hour").await["rows"].take();
    let row = &rows[0];
    let began = row["hour"].as_str().unwrap().to_owned();
    assert!(began == hour(before) || began == hour(jiff::Timestamp::now()), "{rows}");
    assert_eq!(row["day"].as_str().unwrap(), &began[..10], "{rows}");
    let ended = row["until"].as_str().unwrap().to_owned();
    let mine = gateway.shown(&format!("/v1/ledger?since={began}&until={ended}")).await;
    assert_eq!(mine["rows"][0]["requests"], 1, "{mine}");
    let later = gateway.shown(&format!("/v1/ledger?since={ended}")).await;
    assert_eq!(later["rows"], json!([]), "the hour is over by then");
    let csv = gateway.admin.send(&Ask::get("/v1/ledger?group_by=model,hour&format=csv")).await;
    let line = csv.text().lines().nth(1).unwrap().to_owned();
    assert!(line.contains(&format!(",gpt-5,,{},{began},1,", &began[..10])), "{line}");
}

#[tokio::test]
async fn the_ledger_agrees_with_the_provider_to_the_token() {
    let (gateway, simulator) = bed().await;
    let long = "All work and no play makes a dull gateway. ".repeat(20);
    let cached = json!([{"role": "user", "content": [
        {"type": "text", "text": long, "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "Why?"},
    ]}]);
    let turns = json!([{"role": "user", "content": long}]);
    let post = |path: &str, body: Value| Ask::post(path, body.to_string());
    #[rustfmt::skip]
    let cases = [
        // request                                                                    a kind of tokens that must not be 0
        (Ask::chat("gpt-plain"),                                                      "output_tokens"),
        (Ask::chat("gpt-cached").with("messages", turns.clone()),                     "cached_tokens"),
        (Ask::chat("gpt-thinks").with("reasoning_effort", "low"),                     "reasoning_tokens"),
        (Ask::chat("claude-translated"),                                              "output_tokens"),
        (Ask::chat("claude-thinks").with("reasoning_effort", "low").with("max_completion_tokens", 4_000), "output_tokens"),
        (Ask::messages("claude-plain"),                                               "output_tokens"),
        (Ask::messages("claude-cached").with("messages", cached.clone()),             "cached_tokens"),
        (Ask::messages("claude-written").with("messages", cached),                    "cache_written_tokens"),
        (Ask::messages("gpt-translated"),                                             "output_tokens"),
        (Ask::messages("gpt-cached-too").with("messages", turns),                     "cached_tokens"),
        (post("/v1/completions", json!({"model": "gpt-completes", "prompt": "Once"})), "output_tokens"),
        (post("/v1/responses", json!({"model": "gpt-responds", "input": "Once"})),    "output_tokens"),
    ];
    for (ask, kind) in cases {
        let body: Value = serde_json::from_slice(&ask.body).unwrap();
        let model = body["model"].as_str().unwrap();
        for streamed in [false, true, false, true] {
            gateway.send(&ask.clone().with("stream", streamed)).await.expect(200);
        }
        let row = gateway.booked(model, 4).await;
        let produced = simulator.model(model).await;
        agree(&row, &produced, model);
        assert_ne!(produced[kind], 0, "{model}: {produced}");
    }
    let embedding = post("/v1/embeddings", json!({"model": "gpt-embeds", "input": "Once"}));
    gateway.send(&embedding).await.expect(200);
    agree(&gateway.booked("gpt-embeds", 1).await, &simulator.model("gpt-embeds").await, "embeddings");
}

/// The gateway always asks for usage; a client that did not ask must not see the answer to it.
#[tokio::test]
async fn usage_is_shown_to_those_who_asked() {
    let (gateway, _simulator) = bed().await;
    let with_usage = |answer: &Answer| {
        let events = answer.events();
        let chunks = events[..events.len() - 1].iter().map(Event::json);
        chunks.filter(|chunk| chunk["usage"].is_object()).count()
    };
    let without_choices = |answer: &Answer| answer.text().matches("\"choices\":[]").count();
    for model in ["gpt-a", "claude-a"] {
        let ask = Ask::chat(model).streamed();
        let hidden = gateway.send(&ask).await.expect(200);
        assert_eq!((with_usage(&hidden), without_choices(&hidden)), (0, 0), "{hidden:?}");
        let shown = gateway.send(&ask.showing_usage()).await.expect(200);
        assert_eq!((with_usage(&shown), without_choices(&shown)), (1, 1), "{shown:?}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_pays_for_what_passed() {
    let (gateway, simulator) = bed().await;
    for (ask, model) in [
        (Ask::chat("gpt-left"), "gpt-left"),
        (Ask::messages("claude-left").with("max_tokens", 1_000), "claude-left"),
        (Ask::chat("claude-left-too"), "claude-left-too"),
    ] {
        let ask = ask.streamed().simulate("tokens=1000,slow=5ms");
        let mut flowing = gateway.client.open(&ask).await;
        let mut seen = String::new();
        while seen.matches("data:").count() < 10 {
            let piece = flowing.piece().await.unwrap().unwrap();
            seen += std::str::from_utf8(&piece).unwrap();
        }
        drop(flowing);
        let produced = until("the upstream call to be cancelled", async || {
            let counts = simulator.model(model).await;
            (counts["cancelled"] == 1).then_some(counts)
        })
        .await;
        assert!(produced["output_tokens"].as_u64().unwrap() < 1_000, "{produced}");

        let row = gateway.booked(model, 1).await;
        assert_eq!(row["estimated_requests"], 1, "{row}");
        let output = row["usage"]["output"].as_u64().unwrap();
        // What it saw at least; no more than double of what was produced, since it is counted by bytes too.
        let most = 2 * produced["output_tokens"].as_u64().unwrap();
        assert!((7..=most).contains(&output), "{row} {produced}");
        let line = gateway.logged_where(|line| line["original_model"] == model).await;
        assert_eq!((&line["end"], &line["usage"]), (&json!("client_gone"), &json!("estimated")), "{line}");
    }
}

#[tokio::test]
async fn every_request_has_one_line_in_the_access_log() {
    let (gateway, simulator) = bed().await;
    let answered = gateway.send(&Ask::chat("gpt-x").header("x-stainless-retry-count", "2")).await.expect(200);
    let streamed = gateway.send(&Ask::messages("claude-x").streamed()).await.expect(200);
    let refused = gateway.send(&Ask::chat("nobody")).await.expect(404);
    let declined = gateway.send(&Ask::chat("gpt-x").simulate("401")).await.expect(401);
    let broken = gateway.send(&Ask::chat("gpt-x").streamed().simulate("cut@2")).await;
    let listed = gateway.send(&Ask::get("/v1/models")).await.expect(200);
    let client = gateway.client;
    let left = tokio::spawn(async move { client.send(&Ask::chat("gpt-gone").simulate("hang")).await });
    until("the last to arrive", async || (simulator.asked("gpt-gone").await == 1).then_some(())).await;
    left.abort();
    gateway.logged_where(|line| line["original_model"] == "gpt-gone").await;

    #[rustfmt::skip]
    let expected = [
        // answer    what the line says
        (&answered, json!({"status": 200, "end": "whole", "streamed": false, "backend": "default/openai", "route": "default/all",
                           "operation": "chat", "original_model": "gpt-x", "request_model": "gpt-x", "response_model": "gpt-x", "attempts": 1,
                           "usage": "reported", "client_retry": "2", "method": "POST", "path": "/v1/chat/completions"})),
        (&streamed, json!({"status": 200, "end": "whole", "streamed": true, "backend": "default/anthropic", "usage": "reported"})),
        (&refused,  json!({"status": 404, "end": "unknown_model", "original_model": "nobody", "backend": null, "usage": null})),
        (&declined, json!({"status": 401, "end": "upstream_error", "attempts": 1, "usage": null})),
        (&broken,   json!({"status": 200, "end": "upstream_cut", "streamed": true, "usage": "estimated"})),
        (&listed,   json!({"status": 200, "end": "whole", "method": "GET", "path": "/v1/models", "backend": null})),
    ];
    for (answer, fields) in expected {
        let line = gateway.logged(answer).await;
        for (name, value) in fields.as_object().unwrap() {
            assert_eq!(line[name], *value, "{name}: {line}");
        }
        assert_eq!(line["reply_bytes"].as_u64().unwrap(), answer.body.len() as u64, "{line}");
        assert!(line["duration_ms"].as_f64().unwrap() > 0.0, "{line}");
    }
    let gone = gateway.logged_where(|line| line["original_model"] == "gpt-gone").await;
    assert_eq!((&gone["status"], &gone["end"]), (&json!(499), &json!("client_gone")), "{gone}");
    let ids: std::collections::BTreeSet<_> =
        gateway.log().iter().map(|line| line["request_id"].to_string()).collect();
    assert_eq!((gateway.log().len(), ids.len()), (7, 7), "one line each");
}

/// An answer may be over with its head; nobody left then.
#[tokio::test]
async fn an_answer_of_no_bytes_is_whole() {
    const EMPTY: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 0\r\n\r\n";
    let upstream = Canned::start(EMPTY, Then::Silence).await;
    let manifest = GATEWAY.to_owned()
        + &openai("one", &upstream.address)
        + &route("all", "", &rule("gpt", "{name: one}", ""));
    let gateway = Gateway::start(&manifest).await;
    let answer = gateway.send(&Ask::chat("gpt")).await.expect(200);
    assert_eq!(answer.text(), "");
    assert_eq!(gateway.logged(&answer).await["end"], "whole");
}

#[tokio::test]
async fn costs_are_in_the_access_log() {
    let simulator = Simulator::start(&[]).await;
    let costs = "  llmRequestCosts:
  - {metadataKey: in, type: InputToken}
  - {metadataKey: out, type: OutputToken}
  - {metadataKey: total, type: TotalToken}
  - {metadataKey: weighted, type: CEL, cel: \"model == 'gpt' ? input_tokens + output_tokens * 4u : 0u\"}
  - {metadataKey: trap, type: CEL, cel: \"input_tokens / (output_tokens - 20u)\"}
";
    let manifest = GATEWAY.to_owned()
        + &openai("one", &simulator.address())
        + &route("all", costs, &rule("gpt", "{name: one}", ""));
    let gateway = Gateway::start(&manifest).await;
    for streamed in [false, true] {
        let answer = gateway.send(&Ask::chat("gpt").with("stream", streamed)).await.expect(200);
        let line = gateway.logged(&answer).await;
        let (input, output) =
            (line["input_tokens"].as_u64().unwrap(), line["output_tokens"].as_u64().unwrap());
        assert_eq!(output, 20, "{line}");
        assert_eq!(line["cost.in"], input);
        assert_eq!(line["cost.out"], output);
        assert_eq!(line["cost.total"], input + output);
        assert_eq!(line["cost.weighted"], input + 4 * output);
        assert!(line["cost_error.trap"].is_string() && line.get("cost.trap").is_none(), "{line}");
    }
    let declined = gateway.send(&Ask::chat("gpt").simulate("400")).await.expect(400);
    assert!(gateway.logged(&declined).await.get("cost.in").is_none(), "no answer, no cost");
}

#[tokio::test]
async fn metrics_have_the_names_that_dashboards_look_for() {
    let (gateway, _simulator) = bed().await;
    gateway.send(&Ask::chat("gpt-m").streamed()).await.expect(200);
    gateway.send(&Ask::messages("claude-m")).await.expect(200);
    gateway.send(&Ask::chat("gpt-bad").simulate("400")).await.expect(400);
    gateway.send(&Ask::chat("nobody")).await.expect(404);
    gateway.booked("claude-m", 1).await;
    let labels = |operation: &str, provider: &str, model: &str, response: &str, backend: &str| {
        format!(
            "gen_ai_operation_name=\"{operation}\",gen_ai_provider_name=\"{provider}\",gen_ai_original_model=\"{model}\",gen_ai_request_model=\"{model}\",gen_ai_response_model=\"{response}\",gen_ai_backend=\"default/{backend}\""
        )
    };
    let gpt = labels("chat", "openai", "gpt-m", "gpt-m", "openai");
    let claude = labels("messages", "anthropic", "claude-m", "claude-m", "anthropic");
    let bad = labels("chat", "openai", "gpt-bad", "", "openai");
    let lines = [
        format!("gen_ai_client_token_usage_bucket{{{gpt},gen_ai_token_type=\"output\",le=\"16\"}} 0"),
        format!("gen_ai_client_token_usage_bucket{{{gpt},gen_ai_token_type=\"output\",le=\"64\"}} 1"),
        format!("gen_ai_client_token_usage_bucket{{{gpt},gen_ai_token_type=\"output\",le=\"67108864\"}} 1"),
        format!("gen_ai_client_token_usage_sum{{{gpt},gen_ai_token_type=\"output\"}} 20"),
        format!("gen_ai_client_token_usage_sum{{{gpt},gen_ai_token_type=\"input\"}} 13"),
        format!("gen_ai_server_request_duration_bucket{{{gpt},le=\"0.01\"}}"),
        format!("gen_ai_server_request_duration_bucket{{{gpt},le=\"81.92\"}} 1"),
        format!("gen_ai_server_request_duration_count{{{claude}}} 1"),
        format!("gen_ai_server_request_duration_count{{{bad},error_type=\"_OTHER\"}} 1"),
        format!("gen_ai_server_time_to_first_token_bucket{{{gpt},le=\"0.001\"}}"),
        format!("gen_ai_server_time_to_first_token_bucket{{{gpt},le=\"60\"}} 1"),
        format!("gen_ai_server_time_per_output_token_bucket{{{gpt},le=\"2.5\"}} 1"),
        "tollgate_refusals_total{reason=\"unknown_model\"} 1".to_owned(),
        "tollgate_config_problems 0".to_owned(),
        "tollgate_config_revision 1".to_owned(),
        "tollgate_requests_in_flight 0".to_owned(),
        "# TYPE gen_ai_client_token_usage histogram".to_owned(),
    ];
    for line in lines {
        until(&line, async || gateway.metrics().await.contains(&line).then_some(())).await;
    }
    let of_whole_answer = format!("gen_ai_server_time_to_first_token_count{{{claude}}} ");
    let metrics = gateway.metrics().await;
    let counted = metrics.lines().find_map(|line| line.strip_prefix(&of_whole_answer));
    assert!(counted.is_none_or(|count| count == "0"), "only streams have one: {counted:?}");
}

#[tokio::test]
async fn secrets_are_shown_nowhere() {
    let simulator = Simulator::start(&["--fail", "ok,401,500,drop,ok"]).await;
    let manifest = GATEWAY.to_owned()
        + &backend("one", "{name: OpenAI}", &simulator.address())
        + &key("one", KeyOf::OpenAi, "${ONE_KEY}")
        + &backend("two", "{name: Anthropic}", &simulator.address())
        + &key("two", KeyOf::Anthropic, "hush-two")
        + &backend("broken", "{name: OpenAI}", &simulator.address())
        + &key("broken", KeyOf::OpenAi, "hush\\nbroken")
        + &route(
            "all",
            "",
            &(rule("gpt", "{name: one}, {name: broken, weight: 0}", "") + &rule("claude", "{name: two}", "")),
        );
    let mut gateway = Gateway::with(Settings {
        manifest: &manifest,
        arguments: &["--access-log", "stdout"],
        variables: &[("ONE_KEY", "hush-one"), ("RUST_LOG", "trace"), ("TOLLGATE_ADMIN_TOKEN", "hush-admin")],
    })
    .await;
    for _ in 0..3 {
        for ask in [Ask::chat("gpt"), Ask::messages("claude"), Ask::chat("nobody")] {
            let ask = ask.header("authorization", "Bearer hush-client").header("x-api-key", "hush-client");
            let answer = gateway.send(&ask).await;
            assert!(!answer.text().contains("hush"), "{answer:?}");
        }
    }
    let mut shown = gateway.metrics().await;
    for path in ["/v1/status", "/v1/ledger", "/openapi.json"] {
        shown += &gateway.shown(path).await.to_string();
    }
    gateway.process.terminate();
    gateway.process.ended().await;
    shown += &gateway.process.output();
    assert!(shown.contains("\"original_model\":\"claude\""), "the log is in it: {shown}");
    assert!(!shown.contains("hush"), "{shown}");
}
