//! Answers that break after they began: the client gets its protocol's error event, or a broken connection, and never
//! what could pass for a whole answer.

#![expect(clippy::unwrap_used, reason = "what can't be unwrapped fails the test")]

#[expect(dead_code, reason = "no test file uses all of it")]
mod rust;

use rust::canned::{Canned, Then};
use rust::client::Event;
use rust::manifest::{GATEWAY, anthropic, openai, route, rule};
use rust::{Answer, Ask, Gateway, Simulator};

struct Bed {
    simulator: Simulator,
    gateway: Gateway,
}

async fn bed() -> Bed {
    let simulator = Simulator::start(&[]).await;
    let limits = "streamIdleTimeout: 500ms";
    let manifest = GATEWAY.to_owned()
        + &openai("openai", &simulator.address())
        + &anthropic("anthropic", &simulator.address())
        + &route(
            "all",
            "",
            &(rule("gpt", "{name: openai}", limits)
                + &rule("claude", "{name: anthropic}", limits)
                + &rule("gpt-short", "{name: openai}", "timeouts: {request: 1s}")),
        );
    let gateway = Gateway::start(&manifest).await;
    Bed { simulator, gateway }
}

/// Checks that a stream ended with its protocol's error event and with nothing else that ends streams.
#[track_caller]
fn failed(answer: &Answer, what: &str) -> Vec<Event> {
    assert_eq!((answer.status, answer.cut), (200, false), "{what}: {answer:?}");
    let events = answer.events();
    let last = events.last().unwrap().json();
    assert!(last["error"]["message"].is_string(), "{what}: {answer:?}");
    for tidy in [
        "[DONE]",
        "message_stop",
        "response.completed",
        "\"finish_reason\":\"stop\"",
        "\"stop_reason\":\"end_turn\"",
    ] {
        assert!(!answer.text().contains(tidy), "{what}: {tidy} in {answer:?}");
    }
    events
}

#[tokio::test]
async fn streams_that_break_end_with_an_error_event() {
    let Bed { gateway, simulator: _running } = bed().await;
    for how in ["reset@3", "cut@3", "stall@3", "error@3"] {
        for model in ["gpt", "claude"] {
            let what = format!("{how} {model}");
            let ask = Ask::chat(model).streamed().simulate(how);
            let answer = gateway.send(&ask).await;
            let events = failed(&answer, &what);
            let text = |event: &Event| {
                let json = event.json();
                let delta = &json["choices"][0]["delta"]["content"];
                delta.as_str().is_some_and(|text| !text.is_empty())
            };
            assert_eq!(events.iter().filter(|event| text(event)).count(), 3, "{what}: {answer:?}");

            let ask = Ask::messages(model).streamed().simulate(how);
            let answer = gateway.send(&ask).await;
            let events = failed(&answer, &what);
            assert_eq!(events[0].name, "message_start", "{what}");
            let last = events.last().unwrap();
            assert_eq!((&*last.name, &last.json()["type"]), ("error", &"error".into()), "{what}");
            let text = |event: &&Event| event.name == "content_block_delta";
            assert_eq!(events.iter().filter(text).count(), 3, "{what}: {answer:?}");
        }
        let completions = Ask::post("/v1/completions", r#"{"model": "gpt", "prompt": "x", "stream": true}"#);
        failed(&gateway.send(&completions.simulate(how)).await, how);
    }
}

#[tokio::test]
async fn streams_of_responses_that_break() {
    let Bed { gateway, simulator: _running } = bed().await;
    let ask = Ask::post("/v1/responses", r#"{"model": "gpt", "input": "x", "stream": true}"#);
    for how in ["reset@3", "cut@3", "stall@3", "error@3"] {
        let answer = gateway.send(&ask.clone().simulate(how)).await;
        assert_eq!((answer.status, answer.cut), (200, false), "{how}: {answer:?}");
        assert!(!answer.text().contains("response.completed"), "{how}");
        let last = answer.events().pop().unwrap();
        assert!(["error", "response.failed"].contains(&&*last.name), "{how}: {last:?}");
    }
}

#[tokio::test]
async fn garbage_is_passed_on_as_it_is_and_never_translated() {
    let Bed { gateway, simulator: _running } = bed().await;
    for (ask, own) in [
        (Ask::chat("gpt"), true),
        (Ask::chat("claude"), false),
        (Ask::messages("claude"), true),
        (Ask::messages("gpt"), false),
    ] {
        let answer = gateway.send(&ask.streamed().simulate("garbage@3")).await;
        if own {
            assert!(answer.text().contains("data: {\"simulated\": \"garbage\n\n"), "{answer:?}");
        } else {
            failed(&answer, "garbage@3");
        }
    }
}

/// Half an answer with status 200 that ends tidily would be taken for all of it.
#[tokio::test]
async fn whole_answers_that_break_in_the_middle() {
    let Bed { gateway, simulator } = bed().await;
    for how in ["reset@0", "cut@0"] {
        for ask in [Ask::chat("gpt"), Ask::messages("claude")] {
            let answer = gateway.send(&ask.simulate(how)).await;
            assert!(answer.status == 200 && answer.cut, "{how}: {answer:?}");
            assert!(serde_json::from_slice::<serde_json::Value>(&answer.body).is_err());
        }
        simulator.play("").await;
        // A translated answer does not begin before it is whole: it can still be refused.
        for ask in [Ask::chat("claude"), Ask::messages("gpt")] {
            gateway.send(&ask.simulate(how)).await.expect(502);
        }
        assert_eq!((simulator.asked("gpt").await, simulator.asked("claude").await), (2, 2));
    }
}

/// The same where nobody said how long it would be: it breaks between two chunks.
#[tokio::test]
async fn whole_answers_of_unknown_length_that_break() {
    const HALF: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n";
    let upstream = Canned::start(HALF, Then::Close).await;
    let manifest = GATEWAY.to_owned()
        + &openai("one", &upstream.address)
        + &route("all", "", &rule("gpt", "{name: one}", ""));
    let gateway = Gateway::start(&manifest).await;
    let answer = gateway.send(&Ask::chat("gpt")).await;
    assert!(answer.status == 200 && answer.cut && answer.text() == "{\"a\":", "{answer:?}");
    assert_eq!(gateway.logged(&answer).await["end"], "upstream_cut");
}

/// The rule's time for a request holds for a stream that flows all the while.
#[tokio::test]
async fn a_stream_that_takes_too_long() {
    let Bed { gateway, simulator: _running } = bed().await;
    for ask in [Ask::chat("gpt-short"), Ask::messages("gpt-short").with("max_tokens", 500)] {
        let started = std::time::Instant::now();
        let ask = ask.streamed().simulate("tokens=400,slow=20ms");
        failed(&gateway.send(&ask).await, "too long");
        let took = started.elapsed().as_millis();
        assert!((950..4_000).contains(&took), "{took} ms");
    }
}
