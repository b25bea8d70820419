//! The way of a good request: which rule and backend it finds, what arrives there, and what comes back.

#![expect(clippy::unwrap_used, reason = "what can't be unwrapped fails the test")]

#[expect(dead_code, reason = "no test file uses all of it")]
mod rust;

use serde_json::{Value, json};

use rust::canned::{Canned, Then};
use rust::manifest::{GATEWAY, KeyOf, anthropic, backend, backend_with, key, key_with, openai, route, rule};
use rust::{Answer, Ask, Gateway, Simulator};

#[tokio::test]
async fn rules_match_models_and_headers() {
    let simulator = Simulator::start(&[]).await;
    let rules = "
  - {matches: [{headers: [{name: x-ai-eg-model, value: exact}, {name: x-tier, value: gold}]}], backendRefs: [{name: one, modelNameOverride: gold}]}
  - {matches: [{headers: [{name: x-ai-eg-model, value: exact}]}, {headers: [{name: x-ai-eg-model, value: other}]}], backendRefs: [{name: one, modelNameOverride: plain}]}
  - {matches: [{headers: [{name: x-ai-eg-model, type: RegularExpression, value: \"gpt-.*\"}]}], backendRefs: [{name: one, modelNameOverride: pattern}]}
  - {matches: [{headers: [{name: x-team, type: RegularExpression, value: \"[a-c]+\"}]}], backendRefs: [{name: one, modelNameOverride: team}]}
  - {matches: [{headers: [{name: x-ai-eg-model, value: bare}]}], backendRefs: [{name: one}]}
  - {backendRefs: [{name: one, modelNameOverride: default}]}
";
    let manifest = GATEWAY.to_owned() + &openai("one", &simulator.address()) + &route("all", "", rules);
    let gateway = Gateway::start(&manifest).await;
    #[rustfmt::skip]
    let cases = [
        // model     header                        rule       why
        ("exact",    None,                         "plain",   "by its name"),
        ("other",    None,                         "plain",   "any of the matches will do"),
        ("exact",    Some(("x-tier", "gold")),     "gold",    "the one that asks for more"),
        ("exact",    Some(("x-tier", "golden")),   "plain",   "exact means exact"),
        ("gpt-5",    None,                         "pattern", "by a pattern"),
        ("my-gpt-5", None,                         "default", "patterns match whole names"),
        ("else",     Some(("x-team", "abba")),     "team",    "no model asked for"),
        ("else",     Some(("x-team", "abbd")),     "default", "nor this team"),
        ("else",     None,                         "default", "a rule without matches takes the rest"),
        ("else",     Some(("x-ai-eg-model", "exact")), "default", "the body says which model, not the client's header"),
        ("bare",     Some(("x-ai-eg-model", "exact")), "bare",    "and the provider is not told otherwise"),
    ];
    for (model, header, expected, why) in cases {
        let mut ask = Ask::chat(model);
        if let Some((name, value)) = header {
            ask = ask.header(name, value);
        }
        gateway.send(&ask).await.expect(200);
        let request = simulator.last_request().await;
        assert_eq!(body(&request)["model"], expected, "{why}");
        assert_eq!(request["headers"]["x-ai-eg-model"], expected, "{why}");
    }
}

#[tokio::test]
async fn routes_and_lists_are_scoped_by_host() {
    let simulator = Simulator::start(&[]).await;
    let manifest = GATEWAY.to_owned()
        + &openai("one", &simulator.address())
        + &route("exact", "  hostnames: [api.example.com]\n", &rule("exact", "{name: one}", ""))
        + &route("wild", "  hostnames: [\"*.example.org\"]\n", &rule("wild", "{name: one}", ""))
        + &route("open", "", &rule("open", "{name: one}", ""));
    let gateway = Gateway::start(&manifest).await;
    #[rustfmt::skip]
    let cases = [
        // host                  models
        ("api.example.com",      vec!["exact", "open"]),
        ("API.example.com:1975", vec!["exact", "open"]),   // neither case nor port matters
        ("www.example.com",      vec!["open"]),
        ("a.example.org",        vec!["open", "wild"]),
        ("a.b.example.org",      vec!["open", "wild"]),    // a wildcard stands for any number of labels
        ("example.org",          vec!["open"]),            // but not for none
        ("127.0.0.1:1975",       vec!["open"]),
    ];
    for (host, expected) in cases {
        for model in ["exact", "wild", "open"] {
            let answer = gateway.send(&Ask::chat(model).header("host", host)).await;
            let status = if expected.contains(&model) { 200 } else { 404 };
            assert_eq!(answer.status, status, "{model} at {host}");
        }
        let list = gateway.send(&Ask::get("/v1/models").header("host", host)).await;
        let mut listed = ids(&list.expect(200).json());
        listed.sort();
        assert_eq!(listed, expected, "{host}");
    }
}

#[tokio::test]
async fn headers_and_bodies_are_changed_as_told() {
    let simulator = Simulator::start(&[]).await;
    let of_backend = "  \
  headerMutation: {set: [{name: x-team, value: backend}, {name: x-kept, value: backend}], remove: [x-private]}
  bodyMutation: {set: [{path: temperature, value: \"1\"}, {path: seed, value: \"7\"}], remove: [logit_bias]}
";
    let of_route = "{name: one, headerMutation: {set: [{name: x-team, value: route}], remove: [x-secret]}, \
                    bodyMutation: {set: [{path: temperature, value: \"0.5\"}, {path: user, value: '\"u-1\"'}], remove: [metadata]}}";
    let manifest = GATEWAY.to_owned()
        + &backend_with("one", "{name: OpenAI}", &simulator.address(), of_backend)
        + &key("one", KeyOf::OpenAi, "k")
        + &route("all", "", &(rule("both", of_route, "") + &rule("backend", "{name: one}", "")));
    let gateway = Gateway::start(&manifest).await;
    let ask = |model: &str| {
        Ask::chat(model)
            .header("x-team", "client")
            .header("x-private", "client")
            .header("x-secret", "client")
            .header("x-untouched", "client")
            .with("temperature", 2)
            .with("logit_bias", json!({}))
            .with("metadata", json!({"a": "b"}))
            .with("top_p", 0.25)
    };
    #[rustfmt::skip]
    let cases = [
        // model      header         value                   field          value
        ("both",      "x-team",      json!("route"),         "temperature", json!(0.5)),     // the route's over the backend's
        ("both",      "x-kept",      json!("backend"),       "seed",        json!(7)),
        ("both",      "x-private",   Value::Null,            "logit_bias",  Value::Null),
        ("both",      "x-secret",    Value::Null,            "metadata",    Value::Null),
        ("both",      "x-untouched", json!("client"),        "user",        json!("u-1")),
        ("backend",   "x-team",      json!("backend"),       "temperature", json!(1)),
        ("backend",   "x-secret",    json!("client"),        "metadata",    json!({"a": "b"})),
        ("backend",   "x-private",   Value::Null,            "top_p",       json!(0.25)),
    ];
    for (model, header, value, field, expected) in cases {
        gateway.send(&ask(model)).await.expect(200);
        let request = simulator.last_request().await;
        assert_eq!(request["headers"][header], value, "{model} {header}");
        assert_eq!(body(&request)[field], expected, "{model} {field}");
    }
}

#[tokio::test]
async fn every_backend_gets_its_own_key_and_no_other() {
    let simulator = Simulator::start(&[]).await;
    let address = simulator.address();
    let manifest = GATEWAY.to_owned()
        + &backend("openai", "{name: OpenAI}", &address)
        + &key("openai", KeyOf::OpenAi, "k-openai")
        + &backend("azure", "{name: AzureOpenAI, version: 2025-01-01-preview}", &address)
        + &key("azure", KeyOf::Azure, "k-azure")
        + &backend("anthropic", "{name: Anthropic}", &address)
        + &key("anthropic", KeyOf::Anthropic, "k-anthropic")
        + &route(
            "all",
            "",
            &["openai", "azure", "anthropic"]
                .map(|name| rule(name, &format!("{{name: {name}}}"), ""))
                .concat(),
        );
    let gateway = Gateway::start(&manifest).await;
    let of_client = [
        ("authorization", "Bearer of-the-client"),
        ("x-api-key", "of-the-client"),
        ("api-key", "of-the-client"),
        ("x-goog-api-key", "of-the-client"),
        ("cookie", "session=of-the-client"),
        ("proxy-authorization", "Basic of-the-client"),
        ("x-aigw-anything", "of-the-client"),
        ("openai-organization", "org-of-the-client"), // They name the account that a key belongs to, and the key is ours.
        ("openai-project", "proj-of-the-client"),
        ("anthropic-workspace-id", "wrkspc-of-the-client"),
        ("anthropic-user-profile-id", "uprof-of-the-client"),
    ];
    #[rustfmt::skip]
    let cases = [
        // backend    header           value              path
        ("openai",    "authorization", "Bearer k-openai", "/v1/chat/completions"),
        ("azure",     "api-key",       "k-azure",         "/openai/deployments/azure/chat/completions"),
        ("anthropic", "x-api-key",     "k-anthropic",     "/v1/messages"),
    ];
    for (model, header, value, path) in cases {
        for ask in [Ask::chat(model), Ask::messages(model)] {
            let ask = of_client.iter().fold(ask, |ask, (name, value)| ask.header(name, value));
            gateway.send(&ask).await.expect(200);
            let request = simulator.last_request().await;
            assert_eq!(request["path"], path);
            assert_eq!(request["headers"][header], value);
            assert!(!request.to_string().contains("of-the-client"), "{request}");
            let version = json!("api-version=2025-01-01-preview");
            let expected = if model == "azure" { version } else { Value::Null };
            assert_eq!(request["query"], expected);
        }
    }
}

#[tokio::test]
async fn a_client_may_bring_its_own_key_where_allowed() {
    let simulator = Simulator::start(&[]).await;
    let address = simulator.address();
    let from = |fall_back| {
        format!(
            "  credentialOverride: {{fromRequestHeaders: {{header: x-own-key, fallbackToConfigured: {fall_back}}}}}\n"
        )
    };
    let manifest = GATEWAY.to_owned()
        + &backend("strict", "{name: OpenAI}", &address)
        + &key_with("strict", KeyOf::OpenAi, "k-strict", &from(false))
        + &backend("lenient", "{name: Anthropic}", &address)
        + &key_with("lenient", KeyOf::Anthropic, "k-lenient", &from(true))
        + &route(
            "all",
            "",
            &(rule("strict", "{name: strict}", "") + &rule("lenient", "{name: lenient}", "")),
        );
    let gateway = Gateway::start(&manifest).await;

    let own = Ask::chat("strict").header("x-own-key", "mine").header("openai-organization", "org-mine");
    gateway.send(&own).await.expect(200);
    let request = simulator.last_request().await;
    assert_eq!(request["headers"]["openai-organization"], "org-mine", "the account goes with its key");
    assert_eq!(request["headers"]["authorization"], "Bearer mine");
    assert_eq!(request["headers"]["x-own-key"], Value::Null);

    let refused = gateway.send(&Ask::chat("strict")).await.expect(401);
    assert!(refused.text().contains("x-own-key"), "{refused:?}");
    assert_eq!(simulator.asked("strict").await, 1, "nothing goes out without a key");

    for (sent, expected) in [(Some("mine"), "mine"), (None, "k-lenient")] {
        let mut ask = Ask::messages("lenient");
        if let Some(own) = sent {
            ask = ask.header("x-own-key", own);
        }
        gateway.send(&ask).await.expect(200);
        let request = simulator.last_request().await;
        assert_eq!(request["headers"]["x-api-key"], expected);
    }
}

#[tokio::test]
async fn headers_end_where_they_should() {
    let simulator = Simulator::start(&[]).await;
    let address = simulator.address();
    let manifest = GATEWAY.to_owned()
        + &openai("openai", &address)
        + &anthropic("anthropic", &address)
        + &route("all", "", &(rule("gpt", "{name: openai}", "") + &rule("claude", "{name: anthropic}", "")));
    let gateway = Gateway::start(&manifest).await;
    let of_one_hop = |ask: Ask| {
        ask.header("accept-encoding", "gzip, br")
            .header("connection", "keep-alive, x-named")
            .header("x-named", "client")
            .header("te", "trailers")
            .header("keep-alive", "timeout=5")
            .header("proxy-connection", "keep-alive")
            .header("x-custom", "client")
    };
    let betas = "context-1m-2025-08-07,interleaved-thinking-2025-05-14";
    let message = |model| of_one_hop(Ask::messages(model)).header("anthropic-beta", betas);
    let chat = |model| of_one_hop(Ask::chat(model)).header("openai-beta", "assistants=v2");
    #[rustfmt::skip]
    let cases = [
        // request            header              value                 why
        (message("claude"), "anthropic-version", json!("2023-06-01"), "its own dialect passes"),
        (message("claude"), "anthropic-beta",    json!(betas),        "byte for byte"),
        (message("gpt"),    "anthropic-version", Value::Null,         "means nothing there"),
        (message("gpt"),    "anthropic-beta",    Value::Null,         "means nothing there"),
        (chat("gpt"),       "openai-beta",       json!("assistants=v2"), "its own dialect passes"),
        (chat("claude"),    "openai-beta",       Value::Null,         "means nothing there"),
        (chat("claude"),    "anthropic-version", json!("2023-06-01"), "Anthropic asks for one"),
    ];
    for (ask, header, value, why) in cases {
        gateway.send(&ask).await.expect(200);
        let headers = simulator.last_request().await["headers"].take();
        assert_eq!(headers[header], value, "{why}: {header}");
        for name in
            ["accept-encoding", "te", "keep-alive", "proxy-connection", "x-named", "transfer-encoding"]
        {
            assert_eq!(headers[name], Value::Null, "{name} ends here");
        }
        assert_eq!(headers["x-custom"], "client");
        assert_eq!(headers["host"], address.as_str());
        assert_eq!(headers["content-type"], "application/json");
    }
}

/// What concerns only the provider and us, or one hop, is not told to clients.
#[tokio::test]
async fn headers_of_answers_end_where_they_should() {
    const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nset-cookie: a=b\r\n\
        server: provider\r\nalt-svc: h3=\":443\"\r\nopenai-organization: ours\r\nopenai-project: ours\r\n\
        x-should-retry: true\r\nconnection: x-hop , close\r\nx-hop: theirs\r\nproxy-connection: close\r\n\
        x-request-id: theirs\r\nkeep-alive: timeout=5\r\nx-ratelimit-remaining-requests: 5\r\n\
        date: Thu, 01 Jan 2026 00:00:00 GMT\r\nx-custom: kept\r\n\r\n{}";
    let upstream = Canned::start(ANSWER, Then::Close).await;
    let manifest = GATEWAY.to_owned()
        + &openai("one", &upstream.address)
        + &route("all", "", &rule("gpt", "{name: one}", ""));
    let gateway = Gateway::start(&manifest).await;
    let answer = gateway.send(&Ask::chat("gpt")).await.expect(200);
    #[rustfmt::skip]
    let withheld = [
        "set-cookie", "server", "alt-svc", "openai-organization", "openai-project", "x-should-retry",
        "keep-alive", "proxy-connection", "x-hop",
    ];
    for name in withheld {
        assert_eq!(answer.header(name), None, "{name}");
    }
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some("5"));
    assert_eq!(answer.header("x-custom"), Some("kept"));
    assert_eq!(answer.headers.get_all("date").iter().count(), 1);
    let id = answer.header("x-tollgate-request-id").unwrap();
    assert_eq!(answer.header("x-request-id"), Some(id), "one id, ours");
    assert_eq!(gateway.logged(&answer).await["upstream_request_id"], "theirs");
}

#[tokio::test]
async fn base_urls_work_with_and_without_a_version() {
    let simulator = Simulator::start(&[]).await;
    let address = simulator.address();
    let manifest = GATEWAY.to_owned()
        + &openai("openai", &address)
        + &anthropic("anthropic", &address)
        + &route("all", "", &(rule("gpt", "{name: openai}", "") + &rule("claude", "{name: anthropic}", "")));
    let gateway = Gateway::start(&manifest).await;
    #[rustfmt::skip]
    let paths = [
        "/chat/completions", "/v1/chat/completions", "/v1/v1/chat/completions",
        "/messages", "/v1/messages", "/anthropic/messages", "/anthropic/v1/messages", "/anthropic/v1/v1/messages",
        "/v1/messages?beta=true",
    ];
    for path in paths {
        let ask = if path.contains("chat") { Ask::chat("gpt") } else { Ask::messages("claude") };
        gateway.send(&Ask { path: path.to_owned(), ..ask }).await.expect(200);
        let arrived = simulator.last_request().await["path"].take();
        let expected = if path.contains("chat") { "/v1/chat/completions" } else { "/v1/messages" };
        assert_eq!(arrived, expected, "{path}");
    }
    for path in ["/models", "/v1/models", "/anthropic/v1/models", "/anthropic/models", "/v1/v1/models"] {
        let list = gateway.send(&Ask::get(path)).await.expect(200).json();
        assert_eq!(ids(&list), ["gpt", "claude"], "{path}");
        assert_eq!(list.get("has_more").is_some(), path.contains("anthropic"), "{path}");
    }
}

#[tokio::test]
async fn models_are_listed_in_either_dialect() {
    let rules = "
  - {matches: [{headers: [{name: x-ai-eg-model, value: org/a}]}], backendRefs: [{name: one}], modelsOwnedBy: someone, modelsCreatedAt: \"2025-05-01T00:00:00Z\"}
  - {matches: [{headers: [{name: x-ai-eg-model, value: b}]}, {headers: [{name: x-ai-eg-model, type: RegularExpression, value: \"c-.*\"}]}], backendRefs: [{name: one}]}
";
    let manifest = GATEWAY.to_owned() + &openai("one", "127.0.0.1:1") + &route("all", "", rules);
    let gateway = Gateway::start(&manifest).await;
    let of_anthropic = |path: &str| Ask::get(path).header("anthropic-version", "2023-06-01");

    let list = gateway.send(&Ask::get("/v1/models")).await.expect(200).json();
    assert_eq!(list["object"], "list");
    assert_eq!(ids(&list), ["org/a", "b"], "patterns are no names");
    let first = json!({"id": "org/a", "object": "model", "created": 1_746_057_600, "owned_by": "someone"});
    assert_eq!(list["data"][0], first);
    // A file's route has no age but its file's.
    let written = std::fs::metadata(gateway.file()).unwrap().modified().unwrap();
    let written_s = written.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert_eq!(list["data"][1]["created"], written_s);

    let list = gateway.send(&of_anthropic("/v1/models?limit=1")).await.expect(200).json();
    assert_eq!(
        (ids(&list), &list["has_more"], &list["last_id"]),
        (vec!["org/a".to_owned()], &json!(true), &json!("org/a"))
    );
    assert_eq!(list["data"][0]["created_at"], "2025-05-01T00:00:00Z");
    let list = gateway.send(&of_anthropic("/v1/models?after_id=org/a")).await.expect(200).json();
    assert_eq!((ids(&list), &list["has_more"]), (vec!["b".to_owned()], &json!(false)));
    gateway.send(&of_anthropic("/v1/models?limit=none")).await.expect(400);

    for path in ["/v1/models/org/a", "/v1/models/org%2Fa"] {
        let one = gateway.send(&Ask::get(path)).await.expect(200).json();
        assert_eq!(one, first, "{path}");
    }
    let one = gateway.send(&of_anthropic("/v1/models/b")).await.expect(200).json();
    assert_eq!((&one["type"], &one["id"]), (&json!("model"), &json!("b")));
    let none = gateway.send(&Ask::get("/v1/models/zzz")).await.expect(404).json();
    assert_eq!(none["error"]["code"], "model_not_found");
    let none = gateway.send(&of_anthropic("/v1/models/zzz")).await.expect(404).json();
    assert_eq!(none["error"]["type"], "not_found_error");
}

/// Where both sides speak one dialect the gateway adds nothing and takes nothing away.
#[tokio::test]
async fn answers_of_the_same_dialect_pass_byte_for_byte() {
    // Answers are numbered: two that are asked the same in the same order give the same.
    let simulator = Simulator::start(&["--chunk-tokens", "3"]).await;
    let twin = Simulator::start(&["--chunk-tokens", "3"]).await;
    let address = simulator.address();
    let manifest = GATEWAY.to_owned()
        + &openai("openai", &address)
        + &anthropic("anthropic", &address)
        + &route("all", "", &(rule("gpt", "{name: openai}", "") + &rule("claude", "{name: anthropic}", "")));
    let gateway = Gateway::start(&manifest).await;
    let embeddings = |format: &str| {
        let body = json!({"model": "gpt", "input": ["one", "two"], "encoding_format": format});
        Ask::post("/v1/embeddings", body.to_string())
    };
    let completion = Ask::post("/v1/completions", json!({"model": "gpt", "prompt": "Once"}).to_string());
    let response = Ask::post("/v1/responses", json!({"model": "gpt", "input": "Once"}).to_string());
    #[rustfmt::skip]
    let cases = [
        (Ask::chat("gpt"),                                                    "one body"),
        (Ask::messages("claude"),                                             "one body"),
        (completion.clone(),                                                  "one body"),
        (response.clone(),                                                    "one body"),
        (embeddings("float"),                                                 "numbers as they are written"),
        (embeddings("base64"),                                                "what the official client asks for"),
        (Ask::chat("gpt").streamed().showing_usage(),                         "a stream"),
        (completion.streamed().showing_usage(),                               "a stream"),
        (response.streamed(),                                                 "a stream"),
        (Ask::messages("claude").streamed(),                                  "a stream"),
        (Ask::messages("claude").streamed().simulate("comments,crlf,bytes=7"), "a stream in odd pieces"),
        (Ask::chat("gpt").streamed().showing_usage().simulate("bytes=1"),     "a stream in odd pieces"),
    ];
    for (ask, what) in cases {
        let key = Ask::header(ask.clone(), "authorization", "Bearer k");
        let direct = twin.client.send(&key).await.expect(200);
        let passed = gateway.send(&ask).await.expect(200);
        assert_eq!(undated(&passed), undated(&direct), "{what}: {ask:?}");
        assert_eq!(passed.header("content-type"), direct.header("content-type"), "{what}");
        assert_eq!(passed.header("content-length"), direct.header("content-length"), "{what}");
    }
}

#[tokio::test]
async fn connections_speak_http_1_and_2() {
    let simulator = Simulator::start(&[]).await;
    let manifest = GATEWAY.to_owned()
        + &openai("openai", &simulator.address())
        + &route("all", "", &rule("gpt", "{name: openai}", ""));
    let gateway = Gateway::start(&manifest).await;
    let answer = gateway.client.send_h2(&Ask::chat("gpt")).await.expect(200);
    assert_eq!(answer.json()["object"], "chat.completion");
    let answer = gateway.client.send_h2(&Ask::chat("gpt").streamed()).await.expect(200);
    assert_eq!(answer.events().last().unwrap().data, "[DONE]");

    // Two requests at once on one connection: answered in order.
    let request = |user: &str| {
        let body = Ask::chat("gpt").with("user", user).body;
        let body = std::str::from_utf8(&body).unwrap().to_owned();
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway.test\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let both = request("first") + &request("second");
    let read = gateway.client.raw(both.as_bytes(), |read| read.matches("\"usage\"").count() == 2).await;
    assert_eq!(read.matches("HTTP/1.1 200 OK").count(), 2, "{read}");
    assert_eq!(body(&simulator.last_request().await)["user"], "second");
}

fn body(request: &Value) -> Value {
    serde_json::from_str(request["body"].as_str().unwrap()).unwrap()
}

fn ids(list: &Value) -> Vec<String> {
    let models = list["data"].as_array().unwrap().iter();
    models.map(|model| model["id"].as_str().unwrap().to_owned()).collect()
}

/// The text without when it was made, to the byte otherwise.
fn undated(answer: &Answer) -> String {
    let mut text = answer.text().to_owned();
    for field in ["\"created\":", "\"created_at\":"] {
        let parts: Vec<&str> = text.split(field).collect();
        let rest = parts[1..]
            .iter()
            .map(|part| format!("{field}{}", part.trim_start_matches(|c: char| c.is_ascii_digit())));
        text = parts[0].to_owned() + &rest.collect::<String>();
    }
    text
}

/// Backends that have more than chat.
async fn beside() -> (Simulator, Gateway) {
    let simulator = Simulator::start(&[]).await;
    let address = simulator.address();
    let rules = ["image", "image-azure", "count", "count-azure", "claude", "rerank"].map(|model| {
        let backend = match model {
            "claude" => "{name: anthropic}",
            "rerank" => "{name: cohere}",
            _ if model.ends_with("azure") => "{name: azure}",
            _ => "{name: openai}",
        };
        rule(model, backend, "")
    });
    let manifest = GATEWAY.to_owned()
        + &openai("openai", &address)
        + &backend("azure", "{name: AzureOpenAI, version: v1}", &address)
        + &key("azure", KeyOf::Azure, "k")
        + &anthropic("anthropic", &address)
        + &backend("cohere", "{name: Cohere}", &address)
        + &key("cohere", KeyOf::OpenAi, "k")
        + &route("all", "", &rules.concat());
    let gateway = Gateway::start(&manifest).await;
    (simulator, gateway)
}

/// Images are made and booked; what only counts tokens passes and costs nothing.
#[tokio::test]
async fn endpoints_beside_chat_pass_to_those_who_have_them() {
    let (simulator, gateway) = beside().await;
    let messages = json!([{"role": "user", "content": "How much is the fish?"}]);
    let (image, asked) = (json!({"prompt": "a fish", "n": 2}), json!({"input": "How much is the fish?"}));
    let counted = json!({"messages": messages});
    let ranked = json!({"query": "fish", "documents": ["a bird", "a fish"], "top_n": 1});
    #[rustfmt::skip]
    let cases = [
        // path                          model          body      path at the provider                                  pointer in the answer
        ("/v1/images/generations",       "image",       &image,   "/v1/images/generations",                             "/data/1/b64_json"),
        ("/v1/images/generations",       "image-azure", &image,   "/openai/deployments/image-azure/images/generations", "/data/1/b64_json"),
        ("/v1/responses/input_tokens",   "count",       &asked,   "/v1/responses/input_tokens",                         "/input_tokens"),
        ("/v1/responses/input_tokens",   "count-azure", &asked,   "/openai/responses/input_tokens",                     "/input_tokens"),
        ("/tokenize",                    "count",       &counted, "/tokenize",                                          "/tokens/0"),
        ("/v1/messages/count_tokens",    "claude",      &counted, "/v1/messages/count_tokens",                          "/input_tokens"),
        ("/cohere/v2/rerank",            "rerank",      &ranked,  "/v2/rerank",                                         "/results/0/relevance_score"),
        ("/anthropic/v1/messages/count_tokens", "claude", &counted, "/v1/messages/count_tokens",                        "/input_tokens"),
    ];
    for (path, model, body, at_provider, pointer) in cases {
        let ask = Ask::post(path, body.to_string()).with("model", model);
        let answer = gateway.send(&ask).await.expect(200).json();
        assert!(answer.pointer(pointer).is_some_and(|value| !value.is_null()), "{path} {model}: {answer}");
        assert_eq!(simulator.last_request().await["path"], at_provider, "{path} {model}");
    }
    for (model, requests) in
        [("image", 1), ("image-azure", 1), ("count", 2), ("count-azure", 1), ("claude", 2), ("rerank", 1)]
    {
        let row = gateway.booked(model, requests).await;
        let produced = simulator.model(model).await;
        for (ours, theirs) in [("input", "input_tokens"), ("output", "output_tokens")] {
            assert_eq!(row["usage"][ours], produced[theirs], "{model}: {row} {produced}");
        }
        let costs = row["usage"]["total"].as_u64().unwrap() > 0;
        assert_eq!(costs, model.starts_with("image") || model == "rerank", "{model}: {row}");
    }
    #[rustfmt::skip]
    let refused = [
        // path                        model     body                                       status  word
        ("/tokenize",                  "claude", counted.clone(),                           422,    "Anthropic"),
        ("/v1/messages/count_tokens",  "count",  counted.clone(),                           422,    "OpenAI"),
        ("/v1/images/generations",     "image",  json!({"prompt": "x", "stream": true}),    400,    "stream"),
    ];
    for (path, model, body, status, word) in refused {
        let answer =
            gateway.send(&Ask::post(path, body.to_string()).with("model", model)).await.expect(status);
        let said = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(said.contains(word), "{path} {model}: {said}");
    }
}

#[tokio::test]
async fn coheres_clients_are_refused_in_its_words() {
    let (_running, gateway) = beside().await;
    let ranked = json!({"query": "fish", "documents": ["a bird", "a fish"]});
    let ask = Ask::post("/cohere/v2/rerank", ranked.to_string());
    for (ask, status, word) in [
        (ask.clone().with("model", "count"), 422, "OpenAI"),
        (ask.clone().with("model", "nobody"), 404, "nobody"),
        (ask.with("model", "rerank").simulate("429"), 429, "simulated"),
    ] {
        let answer = gateway.send(&ask).await.expect(status).json();
        assert!(answer["message"].as_str().is_some_and(|said| said.contains(word)), "{status}: {answer}");
    }
}
