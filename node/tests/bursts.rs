//! Streams that come in bursts: passed on in few writes, whole and in order; and nothing is held back for it.

#![expect(clippy::unwrap_used, reason = "what can't be unwrapped fails the test")]

#[expect(dead_code, unused_imports, reason = "no test file uses all of it")]
mod rust;

use std::fmt::Write as _;

use rust::canned::{Canned, Then};
use rust::manifest::{GATEWAY, openai, route, rule};
use rust::{Ask, Gateway};

const EVENTS: usize = 200;

async fn before(upstream: &Canned) -> Gateway {
    let manifest = GATEWAY.to_owned()
        + &openai("one", &upstream.address)
        + &route("all", "", &rule("gpt", "{name: one}", ""));
    Gateway::start(&manifest).await
}

/// A stream of so many events, each an HTTP chunk, without its end.
fn events(count: usize) -> String {
    let mut answer =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
    for number in 0..count {
        let event = format!(
            "data: {{\"object\":\"chat.completion.chunk\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"<{number}>\"}}}}]}}\n\n"
        );
        write!(answer, "{:x}\r\n{event}\r\n", event.len()).unwrap();
    }
    answer
}

#[tokio::test]
async fn a_burst_takes_few_writes() {
    let answer = events(EVENTS) + "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";
    let upstream = Canned::start(answer.leak(), Then::Close).await;
    let gateway = before(&upstream).await;
    let id = gateway.process.id();
    let writes_before = writes(id);
    let answer = gateway.send(&Ask::chat("gpt").streamed()).await.expect(200);
    let taken = writes(id) - writes_before;
    let line = gateway.logged(&answer).await;

    let got = answer.events();
    let contents =
        got[..EVENTS].iter().map(|event| event.json()["choices"][0]["delta"]["content"].to_string());
    assert!(contents.eq((0..EVENTS).map(|number| format!("\"<{number}>\""))), "{answer:?}");
    assert_eq!((got.len(), got[EVENTS].data.as_str()), (EVENTS + 1, "[DONE]"), "{answer:?}");
    assert_eq!(
        (&line["end"], line["reply_bytes"].as_u64().unwrap()),
        (&"whole".into(), answer.body.len() as u64)
    );
    assert!(taken < EVENTS as u64 / 4, "{taken} writes for {EVENTS} events");
}

#[tokio::test]
async fn a_stream_that_pauses_is_not_held_back() {
    for count in [1, 2, 5] {
        let upstream = Canned::start(events(count).leak(), Then::Silence).await;
        let gateway = before(&upstream).await;
        let mut flowing = gateway.client.open(&Ask::chat("gpt").streamed()).await;
        let mut seen = String::new();
        let last = format!("<{}>", count - 1);
        while !seen.contains(&last) {
            seen += std::str::from_utf8(&flowing.piece().await.unwrap().unwrap()).unwrap();
        }
        drop(flowing);
        // What it was sent is charged.
        let line = gateway.logged_where(|line| line["end"] == "client_gone").await;
        assert_eq!(line["reply_bytes"].as_u64().unwrap(), seen.len() as u64, "{line}");
    }
}

/// Calls of the kernel's that wrote something, since the process began.
fn writes(id: u32) -> u64 {
    let counts = std::fs::read_to_string(format!("/proc/{id}/io")).unwrap();
    let line = counts.lines().find_map(|line| line.strip_prefix("syscw: "));
    line.unwrap().parse().unwrap()
}
