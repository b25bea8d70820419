//! Every no that a client can get before its answer begins: status, shape in the client's dialect, ids, and whether its
//! SDK should try again. What goes wrong after that is in `broken_answers.rs`.

#![expect(clippy::unwrap_used, reason = "what can't be unwrapped fails the test")]

#[expect(dead_code, reason = "no test file uses all of it")]
mod rust;

use std::time::{Duration, Instant};

use http::Method;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use rust::canned::{Canned, Then};
use rust::gateway::Settings;
use rust::manifest::{GATEWAY, anthropic, openai, route, rule};
use rust::{Answer, Ask, Gateway, Process, Simulator, until};

const MAX_BODY: usize = 4_096;

struct Bed {
    simulator: Simulator,
    gateway: Gateway,
}

async fn bed(arguments: &[&str]) -> Bed {
    let simulator = Simulator::start(&[]).await;
    let rules = [
        rule("gpt", "{name: openai}", ""),
        rule("claude", "{name: anthropic}", ""),
        rule("gpt-hurried", "{name: openai}", "timeouts: {request: 1s}"),
        rule("claude-hurried", "{name: anthropic}", "timeouts: {request: 1s}"),
        rule("gpt-nowhere", "{name: nowhere}", ""),
    ];
    let manifest = GATEWAY.to_owned()
        + &openai("openai", &simulator.address())
        + &anthropic("anthropic", &simulator.address())
        + &openai("nowhere", "127.0.0.1:1")
        + &route("all", "", &rules.concat());
    let gateway = Gateway::with(Settings { manifest: &manifest, arguments, ..Settings::default() }).await;
    Bed { simulator, gateway }
}

/// Checks that an answer is a refusal as its dialect writes it; gives back its message.
#[track_caller]
fn refusal(answer: &Answer, anthropic: bool) -> String {
    assert!(!answer.cut, "{answer:?}");
    let id = answer.header("x-tollgate-request-id").expect("our id");
    let own = if anthropic { "request-id" } else { "x-request-id" };
    assert_eq!(answer.header(own), Some(id), "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let body = answer.json();
    let error = &body["error"];
    let has = |name: &str| error.as_object().unwrap().contains_key(name);
    assert!(error["type"].is_string(), "{body}");
    if anthropic {
        assert_eq!(body["type"], "error", "{body}");
        assert!(body["request_id"].is_string() && !has("code"), "{body}");
    } else {
        assert!(has("param") && has("code"), "{body}");
        assert!(body.get("type").is_none(), "{body}");
    }
    error["message"].as_str().unwrap().to_owned()
}

/// Many clients send all before they read: the no must be there for them still.
#[tokio::test]
async fn an_upload_that_was_not_read_is_answered() {
    let Bed { gateway, simulator: _running } = bed(&["--max-body", &MAX_BODY.to_string()]).await;
    let body = vec![b' '; 8 << 20]; // More than the kernel's buffers hold.
    let length = format!("content-length: {}", body.len());
    let coded = format!("{length}\r\ncontent-encoding: gzip");
    let chunked = [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
    #[rustfmt::skip]
    let cases = [
        // path                  headers                       body      answer
        ("/v1/chat/completions", length.as_str(),              &body,    "HTTP/1.1 413 "), // its length alone is too much
        ("/v1/messages",         "transfer-encoding: chunked", &chunked, "HTTP/1.1 413 "), // too much once it is read
        ("/v1/messages",         coded.as_str(),               &body,    "HTTP/1.1 415 "),
        ("/v1/no-such-path",     length.as_str(),              &body,    "HTTP/1.1 404 "),
    ];
    for (path, headers, body, expected) in cases {
        let head = format!("POST {path} HTTP/1.1\r\nhost: gateway.test\r\n{headers}\r\n\r\n");
        let mut stream = TcpStream::connect(gateway.client.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap_or_else(|error| panic!("{path}, {headers}: {error}"));
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer).await;
        assert!(read.is_ok(), "{path}, {headers}: {read:?}");
        assert!(answer.starts_with(expected) && answer.contains("\"error\""), "{path}: {answer}");
    }
}

#[tokio::test]
async fn requests_that_make_no_sense() {
    let Bed { gateway, simulator: _running } = bed(&["--max-body", &MAX_BODY.to_string()]).await;
    let large = " ".repeat(MAX_BODY + 1);
    let chat = |body: &str| Ask::post("/v1/chat/completions", body.to_owned());
    let message =
        |body: &str| Ask::post("/v1/messages", body.to_owned()).header("anthropic-version", "2023-06-01");
    let method = |method: Method, ask: Ask| Ask { method, ..ask };
    #[rustfmt::skip]
    let cases = [
        // request                                                      status words of the message        why
        (chat("{\"model\": \"gpt\",\n  \"messages\": oops}"),             400, vec!["line 2", "column 15"], "where it is wrong is said"),
        (message("{\"model\": \"gpt\",\n  \"messages\": oops}"),          400, vec!["line 2", "column 15"], "where it is wrong is said"),
        (chat(""),                                                      400, vec!["line 1", "EOF"],       "nothing at all"),
        (message(""),                                                   400, vec!["line 1", "EOF"],       "nothing at all"),
        (chat("[1, 2]"),                                                400, vec!["object"],              "not an object"),
        (message("\"gpt\""),                                            400, vec!["object"],              "not an object"),
        (chat("{\"messages\": []}"),                                    400, vec!["model"],               "for whom?"),
        (message("{\"messages\": []}"),                                 400, vec!["model"],               "for whom?"),
        (Ask::chat("gpt").with("stream", "yes"),                        400, vec!["stream", "boolean"],   "a boolean it must be"),
        (Ask::messages("claude").with("stream", 1),                     400, vec!["stream", "boolean"],   "a boolean it must be"),
        (Ask::chat("unheard-of"),                                       404, vec!["unheard-of"],          "no route"),
        (Ask::messages("unheard-of"),                                   404, vec!["unheard-of"],          "no route"),
        (Ask::chat(&"m".repeat(256)),                                   404, vec!["no route"],            "as long as names may be"),
        (Ask::messages(&"m".repeat(256)),                               404, vec!["no route"],            "as long as names may be"),
        (Ask::chat(&"m".repeat(257)),                                   400, vec!["model", "257", "256"], "one byte more"),
        (Ask::messages(&"m".repeat(257)),                               400, vec!["model", "257", "256"], "one byte more"),
        (Ask::chat(&"é".repeat(129)),                                   400, vec!["258", "256"],          "bytes count"),
        (Ask::post("/v1/chats", "{}"),                                  404, vec!["/v1/chats", "/v1/chat/completions"], "no such path"),
        (Ask::post("/v1/chats", "{}").header("anthropic-version", "2023-06-01"), 404, vec!["/v1/chats"],  "no such path, asked by Anthropic's SDK"),
        (method(Method::GET, Ask::chat("gpt")),                         405, vec!["POST", "GET"],         "only POST"),
        (method(Method::PUT, Ask::messages("claude")),                  405, vec!["POST", "PUT"],         "only POST"),
        (chat(&large),                                                  413, vec!["4096"],                "the limit is said"),
        (message(&large),                                               413, vec!["4096"],                "the limit is said"),
        (Ask::chat("gpt").header("content-encoding", "gzip"),           415, vec!["gzip"],                "could not be read here"),
        (Ask::messages("claude").header("content-encoding", "gzip"),    415, vec!["gzip"],                "could not be read here"),
        (Ask::post("/v1/embeddings", r#"{"model": "claude", "input": "x"}"#), 422, vec!["embeddings", "Anthropic"], "Anthropic has none"),
        (Ask::post("/v1/responses", r#"{"model": "claude", "input": "x"}"#),  422, vec!["responses", "Anthropic"],  "not translated"),
        (Ask::chat("claude").with("logit_bias", serde_json::json!({"1": 2})), 422, vec!["logit_bias"],    "dropping it would change the answer"),
        (Ask::chat("claude").with("made_up", true),                     422, vec!["made_up"],             "nobody knows what it means"),
        (Ask::messages("gpt").with("made_up", true),                    422, vec!["made_up"],             "nobody knows what it means"),
    ];
    for (ask, status, words, why) in cases {
        let answer = gateway.send(&ask).await;
        let anthropic = ask.headers.iter().any(|(name, _)| name == "anthropic-version");
        assert_eq!(answer.status, status, "{why}: {ask:?} {answer:?}");
        let message = refusal(&answer, anthropic);
        for word in words {
            assert!(message.contains(word), "{why}: {word} in {message}");
        }
        assert_eq!(answer.header("x-should-retry"), Some("false"), "{why}");
    }
}

#[tokio::test]
async fn fields_at_fault_are_named() {
    let Bed { gateway, simulator: _running } = bed(&[]).await;
    #[rustfmt::skip]
    let cases = [
        (Ask::chat("unheard-of"),                  "model",    Value::from("model_not_found")),
        (Ask::chat("gpt").with("model", 7),        "model",    Value::Null),
        (Ask::chat("gpt").with("stream", "yes"),   "stream",   Value::Null),
        (Ask::chat("claude").with("made_up", 1),   "made_up",  Value::Null),
    ];
    for (ask, param, code) in cases {
        let error = gateway.send(&ask).await.json()["error"].take();
        assert_eq!(error["param"], param, "{error}");
        if !code.is_null() {
            assert_eq!(error["code"], code, "{error}");
        }
    }
    let types = [
        (Ask::messages("unheard-of"), "not_found_error"),
        (Ask::messages("gpt").with("made_up", 1), "invalid_request_error"),
    ];
    for (ask, name) in types {
        assert_eq!(gateway.send(&ask).await.json()["error"]["type"], name);
    }
}

/// A body whose length nobody announced must be stopped too.
#[tokio::test]
async fn a_chunked_body_over_the_limit() {
    let Bed { gateway, simulator: _running } = bed(&["--max-body", &MAX_BODY.to_string()]).await;
    let mut bytes =
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway.test\r\ntransfer-encoding: chunked\r\n\r\n"
            .to_vec();
    for _ in 0..8 {
        bytes.extend(format!("3e8\r\n{}\r\n", " ".repeat(1_000)).bytes());
    }
    let answer = gateway.client.raw(&bytes, |read| read.contains("bytes\"")).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("4096"), "{answer}");
}

/// What a provider says no to reaches the client with its status, in the client's dialect, whichever the provider's is.
#[tokio::test]
async fn an_upstreams_own_no() {
    let Bed { gateway, simulator } = bed(&[]).await;
    for anthropic in [false, true] {
        let ask = if anthropic { Ask::messages } else { Ask::chat };
        for model in ["gpt", "claude"] {
            for status in [400, 401, 403, 404, 413, 422] {
                let answer = gateway.send(&ask(model).simulate(&status.to_string())).await;
                assert_eq!(answer.status, status, "{model}: {answer:?}");
                let message = refusal(&answer, anthropic);
                assert!(message.starts_with("simulated failure: "), "{message}");
            }
            let before = simulator.asked(model).await;
            assert_eq!(before % 6, 0, "none of these is tried twice");

            // A page of some proxy in between is no answer in anybody's dialect.
            let answer = gateway.send(&ask(model).simulate("html502")).await;
            assert_eq!(answer.status, 502, "{answer:?}");
            let message = refusal(&answer, anthropic);
            assert!(message.contains("502"), "{message}");
            assert_eq!(simulator.asked(model).await, before + 2, "a 502 is");
            simulator.play("").await;
        }
    }
}

#[tokio::test]
async fn unreachable_upstreams() {
    let Bed { gateway, simulator: _running } = bed(&[]).await;
    for (ask, anthropic) in [
        (Ask::chat("gpt-nowhere"), false),
        (Ask::messages("gpt-nowhere"), true),
        (Ask::chat("gpt").simulate("drop"), false),
        (Ask::messages("claude").simulate("drop"), true),
    ] {
        let answer = gateway.send(&ask).await;
        assert_eq!(answer.status, 502, "{answer:?}");
        let message = refusal(&answer, anthropic);
        assert!(!message.contains("127.0.0.1"), "an address is not the client's: {message}");
    }
}

/// Clients follow redirects by themselves: one that is passed on would lead them around the gateway.
#[tokio::test]
async fn redirects_end_here() {
    const FOUND: &str = "HTTP/1.1 302 Found\r\nlocation: http://internal.test/\r\ncontent-length: 0\r\n\r\n";
    let upstream = Canned::start(FOUND, Then::Close).await;
    let manifest = GATEWAY.to_owned()
        + &openai("openai", &upstream.address)
        + &anthropic("anthropic", &upstream.address)
        + &route("all", "", &(rule("gpt", "{name: openai}", "") + &rule("claude", "{name: anthropic}", "")));
    let gateway = Gateway::start(&manifest).await;
    for model in ["gpt", "claude"] {
        for (ask, anthropic) in [(Ask::chat(model), false), (Ask::messages(model), true)] {
            let answer = gateway.send(&ask).await;
            assert_eq!((answer.status, answer.header("location")), (502, None), "{answer:?}");
            let message = refusal(&answer, anthropic);
            assert!(message.contains("302") && !message.contains("internal.test"), "{message}");
        }
    }
}

#[tokio::test]
async fn upstreams_that_never_answer() {
    let Bed { gateway, simulator } = bed(&[]).await;
    for (ask, anthropic) in [
        (Ask::chat("gpt-hurried"), false),
        (Ask::chat("claude-hurried"), false),
        (Ask::messages("claude-hurried").streamed(), true),
        (Ask::messages("gpt-hurried"), true),
    ] {
        let started = Instant::now();
        let answer = gateway.send(&ask.simulate("hang")).await;
        let took = started.elapsed();
        assert_eq!(answer.status, 504, "{answer:?}");
        refusal(&answer, anthropic);
        let bounds = Duration::from_millis(990)..Duration::from_secs(4);
        assert!(bounds.contains(&took), "{took:?}");
    }
    for model in ["gpt-hurried", "claude-hurried"] {
        assert_eq!(simulator.asked(model).await, 2, "their time was up: no second try");
    }
    until("the calls to be given up", async || (simulator.total().await["cancelled"] == 4).then_some(()))
        .await;
}

#[tokio::test]
async fn a_full_house() {
    let Bed { gateway, simulator } = bed(&["--max-running", "1"]).await;
    let address = gateway.client;
    let hanging = tokio::spawn(async move { address.send(&Ask::chat("gpt").simulate("hang")).await });
    until("the first to hang", async || (simulator.asked("gpt").await == 1).then_some(())).await;
    for (ask, anthropic) in [(Ask::chat("gpt"), false), (Ask::messages("claude"), true)] {
        let answer = gateway.send(&ask).await;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_eq!(answer.header("x-should-retry"), None);
        refusal(&answer, anthropic);
    }
    let ready = gateway.admin.send(&Ask::get("/readyz")).await;
    assert_eq!(ready.status, 503, "{ready:?}");
    gateway.send(&Ask::get("/v1/models")).await.expect(200);

    hanging.abort(); // The client leaves: its place is free, again and again.
    for streamed in [false, true, false] {
        until("the place to be free", async || {
            let answer = gateway.send(&Ask::chat("gpt").with("stream", streamed)).await;
            (answer.status == 200).then_some(())
        })
        .await;
    }
}

/// A ClientTrafficPolicy says how large a request may be, for all of a Gateway or one listener.
#[tokio::test]
async fn a_policy_says_how_large_a_body_may_be() {
    let simulator = Simulator::start(&[]).await;
    let listeners = "listeners: [{name: http, protocol: HTTP, port: 1975}, \
                     {name: small, protocol: HTTP, port: 1975, hostname: small.test}]";
    let target = "{group: gateway.networking.k8s.io, kind: Gateway, name: tollgate";
    let policy = |name: &str, section: &str, bytes: &str| {
        format!(
            "---\napiVersion: gateway.envoyproxy.io/v1alpha1\nkind: ClientTrafficPolicy\nmetadata: {{name: {name}}}\n\
             spec: {{targetRefs: [{target}{section}}}], connection: {{bufferLimit: {bytes}}}}}\n"
        )
    };
    let manifest = GATEWAY.replace("listeners: [{name: http, protocol: HTTP, port: 1975}]", listeners)
        + &openai("openai", &simulator.address())
        + &route("all", "", &rule("gpt", "{name: openai}", ""))
        + &policy("all", "", "8Ki")
        + &policy("one", ", sectionName: small", "2048");
    let arguments = ["--max-body", "4096", "--body-memory", "65536"];
    let settings = Settings { manifest: &manifest, arguments: &arguments, ..Settings::default() };
    let gateway = Gateway::with(settings).await;
    let of = |bytes: usize, host: &str| Ask::chat("gpt").with("user", "x".repeat(bytes)).header("host", host);
    let rows = [
        (6_000, "gateway.test", 200, "", "more than the node's own bound"),
        (9_000, "gateway.test", 413, "8192", "more than the policy's"),
        (1_000, "small.test", 200, "", "less than the listener's"),
        (3_000, "small.test", 413, "2048", "more than the listener's"),
    ];
    for (bytes, host, status, said, why) in rows {
        let answer = gateway.send(&of(bytes, host)).await;
        assert_eq!(answer.status, status, "{why}: {answer:?}");
        assert!(status == 200 || refusal(&answer, false).contains(said), "{why}: {answer:?}");
    }
}

/// Bodies that are not whole yet, or may be sent again, take memory; there is a bound to all of it.
#[tokio::test]
async fn bodies_find_no_room() {
    let arguments = ["--max-body", "4096", "--body-memory", "4096"];
    let Bed { gateway, simulator } = bed(&arguments).await;
    let large = |ask: Ask| ask.with("user", "x".repeat(3_000));
    let address = gateway.client;
    let hang = large(Ask::chat("gpt")).simulate("hang");
    let hanging = tokio::spawn(async move { address.send(&hang).await });
    until("the first to hang", async || (simulator.asked("gpt").await == 1).then_some(())).await;
    for (ask, anthropic) in [(Ask::chat("gpt"), false), (Ask::messages("claude"), true)] {
        let answer = gateway.send(&large(ask.clone())).await;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_eq!(answer.header("retry-after"), Some("1"));
        let message = refusal(&answer, anthropic);
        assert!(message.contains("4096"), "{message}");
        assert_eq!(gateway.logged(&answer).await["end"], "no_room");
        gateway.send(&ask).await.expect(200); // A small one still fits.
    }

    hanging.abort();
    until("room", async || (gateway.send(&large(Ask::chat("gpt"))).await.status == 200).then_some(())).await;
    // What is being answered needs its body no more.
    let ask = large(Ask::chat("gpt")).streamed().simulate("stall@3");
    let mut flowing = gateway.client.open(&ask).await;
    flowing.piece().await.unwrap().unwrap();
    gateway.send(&large(Ask::chat("gpt"))).await.expect(200);
}

/// A body that never becomes whole counts as far as it came.
#[tokio::test]
async fn half_a_body_takes_room_too() {
    let arguments = ["--max-body", "4096", "--body-memory", "4096"];
    let Bed { gateway, simulator: _running } = bed(&arguments).await;
    let mut half = TcpStream::connect(gateway.client.address).await.unwrap();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway.test\r\ncontent-length: 4000\r\n\r\n";
    half.write_all(head.as_bytes()).await.unwrap();
    let large = Ask::chat("gpt").with("user", "x".repeat(3_000));
    gateway.send(&large).await.expect(200); // Announced only: that takes no memory.
    half.write_all(&[b' '; 2_000]).await.unwrap();
    let status = async |wanted: u16| (gateway.send(&large).await.status == wanted).then_some(());
    until("no room", async || status(503).await).await;
    drop(half);
    until("room", async || status(200).await).await;
}

#[tokio::test]
async fn room_for_no_body_at_all_is_a_mistake() {
    let arguments = ["run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--body-memory", "4096"];
    let (code, output) = Process::run(&arguments, &[]).await;
    assert_eq!(code, 1, "{output}");
    assert!(output.contains("--body-memory 4096") && output.contains("--max-body 33554432"), "{output}");
}
