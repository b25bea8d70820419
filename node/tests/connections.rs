//! Clients that take up a connection and give nothing for it: those that ask nothing, those that vanished, and those
//! that do not take their answer. None of them is kept for ever, and none of them keeps an upstream busy.

#[expect(dead_code, reason = "no test file uses all of it")]
mod rust;

use std::time::{Duration, Instant};

use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use rust::gateway::Settings;
use rust::manifest::{GATEWAY, anthropic, openai, route, rule};
use rust::{Ask, Gateway, PATIENCE, Simulator, until};

/// A gateway that loses patience after so many seconds.
async fn bed(patience: &str) -> (Gateway, Simulator) {
    let simulator = Simulator::start(&[]).await;
    let manifest = GATEWAY.to_owned()
        + &openai("one", &simulator.address())
        + &anthropic("two", &simulator.address())
        + &route("all", "", &(rule("gpt", "{name: one}", "") + &rule("claude", "{name: two}", "")));
    let arguments = &["--client-timeout", patience];
    let gateway = Gateway::with(Settings { manifest: &manifest, arguments, ..Settings::default() }).await;
    (gateway, simulator)
}

#[tokio::test]
async fn connections_that_ask_nothing_are_closed() {
    let (gateway, _simulator) = bed("1").await;
    let answered = "GET /v1/models HTTP/1.1\r\nhost: gateway.test\r\n\r\n";
    #[rustfmt::skip]
    let cases = [
        ("",                                                          "silence from the start"),
        ("PRI * HTTP/2.0\r\n",                                        "half of HTTP/2's preface"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",                          "HTTP/2's preface and no more"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",      "HTTP/2's settings and no more"),
        ("POST /v1/chat/completions HTTP/1.1\r\nhost: gateway.test",  "half of a head"),
        (answered,                                                    "one request, and no second"),
    ];
    for (sent, why) in cases {
        let started = Instant::now();
        let read = gateway.client.raw(sent.as_bytes(), |_| false).await;
        assert!(started.elapsed() > Duration::from_millis(700), "it is given its time: {why}");
        assert_eq!(read.contains("200 OK"), sent == answered, "{why}: {read}");
    }
}

/// A request under way is no reason to close; a peer that answers no ping is.
#[tokio::test]
async fn vanished_http_2_clients_are_noticed() {
    let (gateway, simulator) = bed("3").await;
    let (near, mut far) = tokio::io::duplex(64 * 1024);
    let mut socket = TcpStream::connect(gateway.client.address).await.unwrap();
    let (freeze, frozen) = oneshot::channel::<()>();
    let relay = tokio::spawn(async move {
        tokio::select! {
            _ = copy_bidirectional(&mut far, &mut socket) => {}
            _ = frozen => {}
        }
        std::future::pending::<()>().await; // Open, and silent.
    });
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(near)).await.unwrap();
    let mut connection = tokio::spawn(connection);
    let ask = Request::post("http://gateway.test/v1/chat/completions").header("x-simulate", "stall@3");
    let ask = ask.body(Full::<Bytes>::new(Ask::chat("gpt").streamed().body)).unwrap();
    let answer = sender.send_request(ask).await.unwrap();
    assert_eq!(answer.status(), 200);

    // Longer than its patience, with nothing but pings.
    let closed = tokio::time::timeout(Duration::from_secs(4), &mut connection).await;
    assert!(closed.is_err(), "closed although it answers pings");
    assert_eq!(simulator.model("gpt").await["open_streams"], 1);
    freeze.send(()).unwrap();
    until("the upstream call to be cancelled", async || {
        (simulator.model("gpt").await["open_streams"] == 0).then_some(())
    })
    .await;
    relay.abort();
}

/// Many clients look at their socket only when they want more: until then they answer no ping either.
#[tokio::test]
async fn http_2_clients_that_pause_keep_their_answer() {
    let (gateway, _simulator) = bed("3").await;
    let (near, mut far) = tokio::io::duplex(64 * 1024);
    let mut socket = TcpStream::connect(gateway.client.address).await.unwrap();
    let (pause, paused) = oneshot::channel::<()>();
    let relay = tokio::spawn(async move {
        tokio::select! {
            _ = copy_bidirectional(&mut far, &mut socket) => return,
            _ = paused => {}
        }
        tokio::time::sleep(Duration::from_millis(2_700)).await; // Not as long as its patience.
        let _the_client_goes_first = copy_bidirectional(&mut far, &mut socket).await;
    });
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(near)).await.unwrap();
    let connection = tokio::spawn(connection);
    let ask =
        Request::post("http://gateway.test/v1/chat/completions").header("x-simulate", "tokens=40,slow=100ms");
    let ask = ask.body(Full::<Bytes>::new(Ask::chat("gpt").streamed().body)).unwrap();
    let answer = sender.send_request(ask).await.unwrap();
    pause.send(()).unwrap();
    let whole = answer.into_body().collect().await.expect("it is not cut").to_bytes();
    assert!(whole.ends_with(b"data: [DONE]\n\n"), "{whole:?}");
    connection.abort();
    relay.abort();
}

/// What counts is what the client takes, not what the kernel still finds room for.
#[tokio::test]
async fn clients_that_take_little_at_a_time_keep_their_answer() {
    let (upstream, flooding) = flood().await;
    let manifest =
        GATEWAY.to_owned() + &openai("one", &upstream) + &route("all", "", &rule("gpt", "{name: one}", ""));
    let arguments = &["--client-timeout", "1"];
    let gateway = Gateway::with(Settings { manifest: &manifest, arguments, ..Settings::default() }).await;
    let mut stream = TcpStream::connect(gateway.client.address).await.unwrap();
    let body = Ask::chat("gpt").body;
    let head =
        format!("POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();

    let started = Instant::now();
    let mut piece = vec![0; 16 * 1024];
    while started.elapsed() < Duration::from_secs(5) {
        stream.read_exact(&mut piece).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for mebibyte in 0..64 {
        // More than all buffers on the way can hold.
        let taken = stream.read_exact(&mut vec![0; 1024 * 1024]).await;
        assert!(taken.is_ok(), "cut after {mebibyte} MiB");
    }
    flooding.abort();
}

#[tokio::test]
async fn clients_that_take_nothing_of_their_answer_lose_it() {
    let (gateway, simulator) = bed("1").await;
    for model in ["gpt", "claude"] {
        let ask = Ask::chat(model).with("max_completion_tokens", 90_000);
        let untaken = gateway.client.open(&ask.streamed().simulate("tokens=90000")).await;
        until("the upstream call to be cancelled", async || {
            (simulator.model(model).await["cancelled"] == 1).then_some(())
        })
        .await;
        let line = gateway.logged_where(|line| line["original_model"] == model).await;
        assert_eq!(line["end"], "client_gone", "{line}");
        drop(untaken);
    }
}

/// The rule's time for a request holds also while the client never catches up with the upstream.
#[tokio::test]
async fn a_flood_ends_when_its_time_is_over() {
    let (upstream, flooding) = flood().await;
    let manifest = GATEWAY.to_owned()
        + &openai("one", &upstream)
        + &route("all", "", &rule("gpt", "{name: one}", "timeouts: {request: 1s}"));
    let gateway = Gateway::start(&manifest).await;
    let mut answer = gateway.client.open(&Ask::chat("gpt")).await;
    let started = Instant::now();
    while let Some(Ok(_)) = answer.piece().await {
        assert!(started.elapsed() < PATIENCE, "it never ends");
    }
    let line = gateway.logged_where(|line| line["original_model"] == "gpt").await;
    assert_eq!(line["end"], "timed_out", "{line}");
    let took = started.elapsed();
    assert!((Duration::from_millis(500)..Duration::from_secs(10)).contains(&took), "{took:?}");
    flooding.abort();
}

/// An upstream whose answer has no end.
async fn flood() -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has ports");
    let address = listener.local_addr().expect("it is bound").to_string();
    let flooding = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("the gateway connects");
        let _request = stream.read(&mut [0; 4_096]).await.expect("it asks");
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n";
        stream.write_all(head.as_bytes()).await.expect("it listens");
        let much = vec![b' '; 256 * 1024];
        while stream.write_all(&much).await.is_ok() {}
    });
    (address, flooding)
}
