//! Every failure over a real socket, and what is counted when it happens.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::AsyncReadExt;

use super::options::Behaviour;
use super::test_client::{ANTHROPIC, End, OPENAI, Simulator};

const CHAT: &str = "/v1/chat/completions";

fn hello(stream: bool) -> serde_json::Value {
    json!({"model": "m", "stream": stream, "max_tokens": 20, "messages": [{"role": "user", "content": "hi"}]})
}

fn scripted(script: &str) -> Behaviour {
    Behaviour { script: script.parse().unwrap(), ..Behaviour::default() }
}

#[tokio::test]
async fn fails_as_scripted() {
    #[rustfmt::skip]
    let cases = [
        // script     stream status end         answered failed tokens  in the body
        ("ok",        true,  200, End::Clean,   1,       0,     20,     "[DONE]"),
        ("429",       true,  429, End::Clean,   0,       1,     0,      "rate_limit_exceeded"),
        ("503",       false, 503, End::Clean,   0,       1,     0,      "server_error"),
        ("html502",   false, 502, End::Clean,   0,       1,     0,      "<h1>502 Bad Gateway"),
        ("drop",      true,  0,   End::Early,   0,       1,     0,      ""),
        ("reset@5",   true,  200, End::Reset,   0,       1,     5,      "content"),
        ("cut@5",     true,  200, End::Clean,   0,       1,     5,      "content"),
        ("error@5",   true,  200, End::Clean,   0,       1,     5,      "server_error"),
        ("garbage@3", true,  200, End::Clean,   0,       1,     20,     "\"garbage\n\n"),
        ("cut@99",    true,  200, End::Clean,   0,       1,     20,     "content"),   // all output, no end
        ("cut@0",     true,  200, End::Clean,   0,       1,     0,      "role"),      // not one chunk
        ("reset@1",   false, 200, End::Reset,   0,       1,     20,     "choices"),
        ("cut@1",     false, 200, End::Early,   0,       1,     20,     "choices"),
        ("error@1",   false, 500, End::Clean,   0,       1,     0,      "server_error"),
        ("garbage@1", false, 200, End::Clean,   0,       1,     20,     "choices"),
        ("bytes=7",   true,  200, End::Clean,   1,       0,     20,     "[DONE]"),
        ("bytes=7",   false, 200, End::Clean,   1,       0,     20,     "usage"),
        ("comments",  true,  200, End::Clean,   1,       0,     20,     ": simulated heartbeat\n\ndata: "),
        ("crlf",      true,  200, End::Clean,   1,       0,     20,     "[DONE]\r\n\r\n"),
        ("tokens=3",  true,  200, End::Clean,   1,       0,     3,      "[DONE]"),
    ];
    for (script, stream, status, end, answered, failed, tokens, part) in cases {
        let simulator = Simulator::start(scripted(script)).await;
        let answer = simulator.post(CHAT, OPENAI, &hello(stream)).await;
        let case = format!("{script} stream={stream}: {answer:?}");
        assert_eq!((answer.status, answer.end), (status, end), "{case}");
        assert!(answer.body.contains(part), "{case}");
        simulator.reaches("answered", answered).await;
        simulator.reaches("failed", failed).await;
        assert_eq!(simulator.total("output_tokens").await, tokens, "{case}");
        assert_eq!(simulator.total("open_streams").await, 0, "{case}");
        assert_eq!(simulator.total("cancelled").await, 0, "{case}");
        if stream && status == 200 {
            let done = answer.body.contains("[DONE]");
            assert_eq!(done, answered == 1 || script.starts_with("garbage"), "{case}");
        }
    }
}

#[tokio::test]
async fn errors_speak_the_dialect() {
    let anthropic = ("/v1/messages", ANTHROPIC);
    #[rustfmt::skip]
    let cases = [
        // endpoint              script     in the body
        (anthropic,              "529",     r#""type":"overloaded_error""#),
        (anthropic,              "error@2", "event: error\ndata: {"),
        (("/v1/responses", OPENAI), "error@2", "event: error\ndata: {"),
        ((CHAT, OPENAI),         "error@2", "data: {\"error\":{"),
    ];
    for ((path, headers), script, part) in cases {
        let simulator = Simulator::start(scripted(script)).await;
        let mut body = hello(true);
        body["input"] = "hi".into();
        let answer = simulator.post(path, headers, &body).await;
        assert!(answer.body.contains(part), "{path} {script}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_request_brings_its_own_script() {
    let simulator = Simulator::start(scripted("ok*1,500")).await;
    let mut headers = OPENAI.to_vec();
    headers.push(("x-simulate", "429:retry-after=7:code=insufficient_quota"));
    let answer = simulator.post(CHAT, &headers, &hello(false)).await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("7")));
    assert_eq!(answer.json()["error"]["code"], "insufficient_quota");
    let mut body = hello(false);
    body["model"] = "m+fail:503".into();
    assert_eq!(simulator.post(CHAT, OPENAI, &body).await.status, 503);
    headers[1].1 = "teapot";
    assert_eq!(simulator.post(CHAT, &headers, &hello(false)).await.status, 400);
    // None of these took a step of the simulator's own script.
    for status in [200, 500, 500] {
        assert_eq!(simulator.post(CHAT, OPENAI, &hello(false)).await.status, status);
    }
    let stats = simulator.get("/simulate/stats", &[]).await;
    assert_eq!(stats["models"]["m"]["requests"], 5, "the suffix is no part of the name: {stats}");
}

#[tokio::test]
async fn a_client_that_leaves_is_counted_with_what_was_produced() {
    #[rustfmt::skip]
    let cases = [
        // script     tokens   why
        ("stall@5",   5),   // stalled after five
        ("hang",      0),   // never answered
    ];
    for (script, tokens) in cases {
        let simulator = Simulator::start(scripted(script)).await;
        let mut stream = simulator.begin("POST", CHAT, OPENAI, &hello(true).to_string()).await;
        simulator.reaches("output_tokens", tokens).await;
        simulator.reaches("requests", 1).await;
        if tokens > 0 {
            assert_eq!(simulator.total("open_streams").await, 1, "{script}");
            assert!(stream.read(&mut [0; 64]).await.unwrap() > 0, "{script}");
        }
        drop(stream);
        simulator.reaches("cancelled", 1).await;
        assert_eq!(simulator.total("output_tokens").await, tokens, "{script}");
        assert_eq!(simulator.total("open_streams").await, 0, "{script}");
    }
}

#[tokio::test]
async fn cancelling_stops_the_generation() {
    let behaviour = Behaviour { pace: Duration::from_millis(20), ..scripted("tokens=1000") };
    let simulator = Simulator::start(behaviour).await;
    let mut body = hello(true);
    body["max_tokens"] = 1000.into();
    let stream = simulator.begin("POST", CHAT, OPENAI, &body.to_string()).await;
    simulator.reaches("output_tokens", 2).await;
    drop(stream);
    simulator.reaches("cancelled", 1).await;
    let produced = simulator.total("output_tokens").await;
    assert!((2..100).contains(&produced), "{produced} tokens were produced");
}

#[tokio::test]
async fn keeps_its_pace() {
    let paced = Behaviour { pace: Duration::from_millis(5), ..Behaviour::default() };
    #[rustfmt::skip]
    let cases = [
        // behaviour                            stream least_ms  why
        (scripted("latency=100ms"),             true,  100),  // before the first byte
        (scripted("slow=5ms"),                  true,  100),  // 20 chunks
        (paced.clone(),                         true,  100),  // 20 tokens
        (paced,                                 false, 100),  // the whole answer takes as long
    ];
    for (behaviour, stream, least_ms) in cases {
        let simulator = Simulator::start(behaviour).await;
        let begun = Instant::now();
        simulator.post(CHAT, OPENAI, &hello(stream)).await;
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(least_ms), "stream={stream} took {took:?}");
    }
}
