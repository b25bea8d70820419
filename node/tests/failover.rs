//! Who is asked, in which order, how often, and when somebody is left alone: counted where the requests arrive.

#[expect(dead_code, reason = "no test file uses all of it")]
mod rust;

use std::time::{Duration, Instant};

use rust::canned::{Canned, Then};
use rust::manifest::{GATEWAY, KeyOf, anthropic, backend, key_with, openai, route, rule};
use rust::{Ask, Gateway, Simulator, until};

/// A gateway before two providers, told apart by the model that they are asked for.
struct Bed {
    primary: Simulator,
    secondary: Simulator,
    gateway: Gateway,
}

impl Bed {
    /// How often each was asked for `model`.
    async fn asked(&self, model: &str) -> (u64, u64) {
        (self.primary.asked(model).await, self.secondary.asked(model).await)
    }

    async fn forget(&self) {
        self.primary.play("").await;
        self.secondary.play("").await;
    }
}

/// Backends are a pair a kind of failure, since each has a breaker of its own.
async fn bed(pairs: &[&str]) -> Bed {
    let primary = Simulator::start(&[]).await;
    let secondary = Simulator::start(&[]).await;
    let mut manifest = GATEWAY.to_owned();
    for (index, pair) in pairs.iter().enumerate() {
        let (first, second) = (format!("first-{index}"), format!("second-{index}"));
        manifest += &openai(&first, &primary.address());
        manifest += &openai(&second, &secondary.address());
        let backends = format!("{{name: {first}}}, {{name: {second}, priority: 1}}");
        let both = rule(pair, &backends, "timeouts: {request: 20s, backendRequest: 500ms}");
        let only = rule(&format!("{pair}-only"), &format!("{{name: {first}}}"), "");
        manifest += &route(&format!("pair-{index}"), "", &(both + &only));
    }
    let gateway = Gateway::start(&manifest).await;
    Bed { primary, secondary, gateway }
}

#[tokio::test]
async fn the_next_priority_serves_what_the_first_does_not() {
    let failures = ["500", "502", "503", "504", "529", "429", "408", "html502", "drop", "hang"];
    for streamed in [false, true] {
        let bed = bed(&failures).await; // Anew, since some of them are remembered.
        for failure in failures {
            bed.forget().await;
            bed.primary.play(failure).await;
            let ask = Ask::chat(failure).with("stream", streamed);
            let answer = bed.gateway.send(&ask).await.expect(200);
            assert_eq!(answer.text().contains("[DONE]"), streamed, "{failure}");
            assert_eq!(bed.asked(failure).await, (1, 1), "{failure}: once each");
        }
    }
}

/// Until the first event has come another can take over, and the client never learns of it.
#[tokio::test]
async fn a_stream_is_passed_on_only_once_it_has_begun_well() {
    const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    const OPENAI_ERROR: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n\
        data: {\"error\":{\"message\":\"overloaded\",\"type\":\"server_error\",\"param\":null,\"code\":null}}\n\n";
    const ANTHROPIC_ERROR: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n\
        event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"overloaded\"}}\n\n";
    #[rustfmt::skip]
    let cases = [
        // name           schema       what the first sends          why
        ("openai-error",  "OpenAI",    OPENAI_ERROR,    Then::Close),   // an error as the first event
        ("claude-error",  "Anthropic", ANTHROPIC_ERROR, Then::Close),
        ("openai-quiet",  "OpenAI",    HEAD,            Then::Silence), // a head, and then nothing for too long
        ("claude-quiet",  "Anthropic", HEAD,            Then::Silence),
        ("openai-closed", "OpenAI",    HEAD,            Then::Close),   // a head, and then the end
        ("claude-closed", "Anthropic", HEAD,            Then::Close),
    ];
    let second = Simulator::start(&[]).await;
    let mut firsts = Vec::new();
    let mut manifest = GATEWAY.to_owned() + &openai("second", &second.address());
    for (name, schema, answer, then) in cases {
        let first = Canned::start(answer, then).await;
        manifest += &backend(name, &format!("{{name: {schema}}}"), &first.address);
        firsts.push(first);
        let backends = format!("{{name: {name}}}, {{name: second, priority: 1}}");
        manifest += &route(name, "", &rule(name, &backends, "streamIdleTimeout: 300ms"));
    }
    let gateway = Gateway::start(&manifest).await;
    for ((name, ..), first) in cases.iter().zip(&firsts) {
        let answer = gateway.send(&Ask::chat(name).streamed()).await.expect(200);
        assert_eq!(answer.events().last().unwrap().data, "[DONE]", "{name}: {answer:?}");
        let answer = gateway.send(&Ask::messages(name).streamed()).await.expect(200);
        assert_eq!(answer.events().last().unwrap().name, "message_stop", "{name}: {answer:?}");
        assert_eq!((first.served(), second.asked(name).await), (2, 2), "{name}");
    }
}

#[tokio::test]
async fn one_backend_alone() {
    let bed = bed(&["busy", "once", "twice", "wrong"]).await;
    // A second chance after a moment, and no third.
    bed.primary.play("503*1,ok").await;
    bed.gateway.send(&Ask::chat("once-only")).await.expect(200);
    assert_eq!(bed.primary.asked("once-only").await, 2);

    bed.primary.play("503*2,ok").await;
    bed.gateway.send(&Ask::chat("twice-only")).await.expect(503);
    assert_eq!(bed.primary.asked("twice-only").await, 2);

    // But not if it asked to be left alone.
    bed.primary.play("429:retry-after=7,ok").await;
    let answer = bed.gateway.send(&Ask::chat("busy-only")).await.expect(429);
    assert_eq!(answer.header("retry-after"), Some("7"));
    assert_eq!(bed.primary.asked("busy-only").await, 1);

    // What is wrong with a request is wrong with it everywhere.
    bed.primary.play("400").await;
    for model in ["wrong", "wrong-only"] {
        bed.gateway.send(&Ask::chat(model)).await.expect(400);
        assert_eq!(bed.asked(model).await, (1, 0), "{model}");
    }
}

/// However long the first has been failing, and however little it says about it, whoever stands by serves.
#[tokio::test]
async fn fail_over_does_not_run_dry() {
    let bed = bed(&["busy", "shaky"]).await;
    for (model, script) in [("busy", "429"), ("shaky", "503@0.5")] {
        bed.primary.play(script).await;
        for number in 0..200 {
            let answer = bed.gateway.send(&Ask::chat(model)).await;
            assert_eq!(answer.status, 200, "{model} {number}: {answer:?}");
        }
    }
}

/// But who stands alone and struggles is not finished off by second tries: a fifth of the requests, and 50 at the start.
#[tokio::test]
async fn second_tries_are_a_share_of_the_requests() {
    let simulator = Simulator::start(&["--fail", "503"]).await;
    let manifest = GATEWAY.to_owned()
        + &openai("one", &simulator.address())
        + &route("all", "", &rule("gpt", "{name: one}", ""));
    let gateway = Gateway::start(&manifest).await;
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let client = gateway.client;
            tokio::spawn(async move {
                for _ in 0..10 {
                    client.send(&Ask::chat("gpt")).await.expect(503);
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    let asked = simulator.asked("gpt").await;
    assert!((240..=290).contains(&asked), "{asked} for 200 requests");
}

#[tokio::test]
async fn retry_after_is_honoured_while_another_serves() {
    let bed = bed(&["busy"]).await;
    bed.primary.play("429:retry-after=2,ok").await;
    let asked_at = Instant::now();
    bed.gateway.send(&Ask::chat("busy")).await.expect(200);
    let mut rested = 0;
    while asked_at.elapsed() < Duration::from_millis(1_900) {
        let (before, _) = bed.asked("busy").await;
        bed.gateway.send(&Ask::chat("busy")).await.expect(200);
        if asked_at.elapsed() < Duration::from_millis(1_950) {
            assert_eq!((before, bed.asked("busy").await.0), (1, 1), "left alone");
            rested += 1;
        }
    }
    assert!(rested > 5, "{rested}: too few to tell");
    until("the first to be asked again", async || {
        bed.gateway.send(&Ask::chat("busy")).await.expect(200);
        (bed.asked("busy").await.0 > 1).then_some(())
    })
    .await;
    assert!(asked_at.elapsed() >= Duration::from_millis(1_950));
}

#[tokio::test]
async fn the_breaker_opens_probes_and_closes() {
    let bed = bed(&["broken"]).await;
    bed.primary.play("500").await;
    let mut opened = Instant::now();
    for _ in 0..5 {
        opened = Instant::now(); // Before the last failure, so that the rest ends later than this and 2 s.
        bed.gateway.send(&Ask::chat("broken")).await.expect(200);
    }
    assert_eq!(bed.asked("broken").await, (5, 5));
    let status = bed.gateway.shown("/v1/status").await;
    let backends = status["backends"].as_array().unwrap();
    let named = |name: &str| backends.iter().find(|one| one["name"] == name).unwrap();
    assert_eq!(named("default/first-0")["usable"], false, "{status}");
    assert_eq!(named("default/second-0")["usable"], true, "{status}");

    let mut spared = 0;
    while opened.elapsed() < Duration::from_millis(1_800) {
        bed.gateway.send(&Ask::chat("broken")).await.expect(200);
        let asked = bed.primary.asked("broken").await;
        if opened.elapsed() < Duration::from_millis(1_900) {
            assert_eq!(asked, 5, "it rests for 2 s");
            spared += 1;
        }
    }
    assert!(spared > 5, "{spared}: too few to tell");

    // One probe when the rest is over. It fails: the next rest is longer.
    let mut probed = Instant::now();
    until("a probe", async || {
        probed = Instant::now();
        bed.gateway.send(&Ask::chat("broken")).await.expect(200);
        (bed.primary.asked("broken").await == 6).then_some(())
    })
    .await;
    assert!(opened.elapsed() >= Duration::from_millis(1_900));
    // It has recovered, but nobody knows until the next probe.
    bed.primary.play("").await;
    until("a probe that succeeds", async || {
        bed.gateway.send(&Ask::chat("broken")).await.expect(200);
        (bed.primary.asked("broken").await == 1).then_some(())
    })
    .await;
    assert!(probed.elapsed() >= Duration::from_millis(3_900), "twice the rest");
    let (_, others) = bed.asked("broken").await;
    for _ in 0..10 {
        bed.gateway.send(&Ask::chat("broken")).await.expect(200);
    }
    assert_eq!(bed.asked("broken").await, (11, others), "all is well again");
}

#[tokio::test]
async fn weights_share_a_priority() {
    let simulator = Simulator::start(&[]).await;
    let backend = openai("one", &simulator.address());
    let backends = "{name: one, weight: 3, modelNameOverride: three}, {name: one, weight: 1, modelNameOverride: single}, \
                    {name: one, weight: 0, modelNameOverride: none}";
    let manifest = GATEWAY.to_owned() + &backend + &route("all", "", &rule("shared", backends, ""));
    let gateway = Gateway::start(&manifest).await;
    for _ in 0..400 {
        gateway.send(&Ask::chat("shared")).await.expect(200);
    }
    let three = simulator.asked("three").await;
    assert_eq!(three + simulator.asked("single").await, 400);
    assert_eq!(simulator.asked("none").await, 0, "weight 0 is nothing");
    // 300 expected; four standard deviations are 35.
    assert!((260..=340).contains(&three), "{three} of 400");
}

#[tokio::test]
async fn each_candidate_gets_its_own_translation_and_model() {
    let first = Simulator::start(&["--fail", "503"]).await;
    let second = Simulator::start(&[]).await;
    let manifest = GATEWAY.to_owned()
        + &openai("openai", &first.address())
        + &anthropic("anthropic", &second.address())
        + &anthropic("anthropic-first", &first.address())
        + &openai("openai-second", &second.address())
        + &route(
            "all",
            "",
            &(rule(
                "gpt",
                "{name: openai, modelNameOverride: gpt-first}, {name: anthropic, priority: 1, modelNameOverride: claude-second}",
                "",
            ) + &rule(
                "claude",
                "{name: anthropic-first}, {name: openai-second, priority: 1, modelNameOverride: gpt-second}",
                "",
            )),
        );
    let gateway = Gateway::start(&manifest).await;
    for streamed in [false, true] {
        let answer = gateway.send(&Ask::chat("gpt").with("stream", streamed)).await.expect(200);
        assert_eq!(first.last_request().await["path"], "/v1/chat/completions");
        let request = second.last_request().await;
        assert_eq!(request["path"], "/v1/messages");
        assert_eq!(request["headers"]["x-api-key"], "key-of-the-backend");
        assert_eq!(request["headers"]["authorization"], serde_json::Value::Null);
        assert!(request["body"].as_str().unwrap().contains("claude-second"));
        if streamed {
            let events = answer.events();
            assert_eq!(events.last().unwrap().data, "[DONE]");
            assert_eq!(events[0].json()["object"], "chat.completion.chunk");
        } else {
            assert_eq!(answer.json()["object"], "chat.completion");
        }

        let answer = gateway.send(&Ask::messages("claude").with("stream", streamed)).await.expect(200);
        let request = second.last_request().await;
        assert_eq!(request["path"], "/v1/chat/completions");
        assert_eq!(request["headers"]["authorization"], "Bearer key-of-the-backend");
        assert_eq!(request["headers"]["x-api-key"], serde_json::Value::Null);
        assert_eq!(request["headers"]["anthropic-version"], serde_json::Value::Null);
        if streamed {
            let events = answer.events();
            assert_eq!(events[0].name, "message_start");
            assert_eq!(events.last().unwrap().name, "message_stop");
        } else {
            assert_eq!(answer.json()["type"], "message");
        }
    }
    assert_eq!(first.asked("gpt-first").await, 2);
    assert_eq!(second.asked("claude-second").await, 2);
    assert_eq!((first.asked("claude").await, second.asked("gpt-second").await), (2, 2));
}

/// Once the client has seen a byte there is no way back.
/// A key that a client sends for one backend is for no other, whoever is asked first.
#[tokio::test]
async fn a_clients_own_key_reaches_its_backend_only() {
    let [first, second] = [Simulator::start(&[]).await, Simulator::start(&[]).await];
    let own = |name: &str| {
        format!(
            "  credentialOverride: {{fromRequestHeaders: {{header: x-own-{name}, fallbackToConfigured: true}}}}\n"
        )
    };
    let with_key = |name: &str, address: &str| {
        backend(name, "{name: OpenAI}", address)
            + &key_with(name, KeyOf::OpenAi, &format!("configured-{name}"), &own(name))
    };
    let backends = "{name: first}, {name: second, priority: 1}, {name: plain, priority: 2}";
    let manifest = GATEWAY.to_owned()
        + &with_key("first", &first.address())
        + &with_key("second", &second.address())
        + &openai("plain", &second.address())
        + &route("all", "", &rule("gpt", backends, ""));
    let gateway = Gateway::start(&manifest).await;
    let ask = Ask::chat("gpt").header("x-own-first", "mine-1").header("x-own-second", "mine-2");
    #[rustfmt::skip]
    let cases = [
        // the first  the second  asked last  its key
        ("ok",        "ok",       &first,     "Bearer mine-1"),
        ("500",       "ok",       &second,    "Bearer mine-2"),
        ("500",       "500*1,ok", &second,    "Bearer key-of-the-backend"), // the third lives where the second does
    ];
    for (play_first, play_second, last, key) in cases {
        first.play(play_first).await;
        second.play(play_second).await;
        gateway.send(&ask).await.expect(200);
        let headers = last.last_request().await["headers"].take();
        assert_eq!(headers["authorization"], key);
        let others = headers.to_string().replace(key, "");
        assert!(!others.contains("mine-") && !others.contains("x-own-"), "{headers}");
    }
}

#[tokio::test]
async fn nothing_is_retried_after_the_first_byte() {
    let breaks = ["reset@3", "cut@3", "error@3"];
    let bed = bed(&breaks).await;
    for broken in breaks {
        bed.primary.play(broken).await;
        let ask = Ask::chat(broken).streamed();
        let answer = bed.gateway.send(&ask).await;
        assert_eq!(answer.status, 200, "{broken}");
        assert!(!answer.text().contains("[DONE]"), "{broken}");
        assert_eq!(bed.asked(broken).await, (1, 0), "{broken}");
    }
}
