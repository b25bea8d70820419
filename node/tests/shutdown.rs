//! SIGTERM: what runs finishes, nothing new begins, and it ends in time.

#[expect(dead_code, reason = "no test file uses all of it")]
mod rust;

use std::fs::OpenOptions;
use std::process::Command;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use rust::gateway::Settings;
use rust::manifest::{GATEWAY, openai, route, rule};
use rust::{Ask, Gateway, Process, Simulator, until};

async fn bed(arguments: &[&str]) -> (Gateway, Simulator) {
    let simulator = Simulator::start(&[]).await;
    let manifest = GATEWAY.to_owned()
        + &openai("one", &simulator.address())
        + &route("all", "", &rule("gpt", "{name: one}", ""));
    let gateway = Gateway::with(Settings { manifest: &manifest, arguments, ..Settings::default() }).await;
    (gateway, simulator)
}

#[tokio::test]
async fn running_answers_finish_and_nothing_new_begins() {
    let (mut gateway, simulator) = bed(&[]).await;
    assert_eq!(gateway.admin.send(&Ask::get("/readyz")).await.status, 200);
    let idle = TcpStream::connect(gateway.client.address).await.unwrap();
    let slow = Ask::chat("gpt").streamed().simulate("tokens=150,slow=20ms");
    let mut flowing = gateway.client.open(&slow).await;
    flowing.piece().await.unwrap().unwrap();

    gateway.process.terminate();
    let told = Instant::now();
    let not_ready = until("readiness to go", async || {
        let ready = gateway.admin.send(&Ask::get("/readyz")).await;
        (ready.status == 503).then_some(ready)
    })
    .await;
    assert!(not_ready.text().contains("draining"), "{not_ready:?}");
    until("new connections to be refused", async || {
        TcpStream::connect(gateway.client.address).await.is_err().then_some(())
    })
    .await;
    assert_eq!(gateway.admin.send(&Ask::get("/healthz")).await.status, 200);
    assert_eq!(gateway.shown("/v1/status").await["draining"], true);
    assert_eq!(simulator.model("gpt").await["open_streams"], 1, "while the stream still runs");

    let answer = flowing.rest().await;
    assert!(!answer.cut && answer.text().ends_with("data: [DONE]\n\n"), "{answer:?}");
    let status = gateway.process.ended().await;
    assert_eq!(status.code(), Some(0), "{}", gateway.process.output());
    assert!(told.elapsed() < Duration::from_secs(20), "an idle connection holds nobody up");
    drop(idle);
    let line = gateway.logged_where(|line| line["original_model"] == "gpt").await;
    assert_eq!((&line["end"], &line["output_tokens"]), (&"whole".into(), &150.into()), "{line}");
}

#[tokio::test]
async fn what_does_not_finish_is_cut_off() {
    let (mut gateway, _simulator) = bed(&["--drain-timeout", "1"]).await;
    let mut flowing = gateway.client.open(&Ask::chat("gpt").streamed().simulate("stall@3")).await;
    flowing.piece().await.unwrap().unwrap();
    gateway.process.terminate();
    let told = Instant::now();
    let answer = flowing.rest().await;
    assert!(answer.cut && !answer.text().contains("[DONE]"), "{answer:?}");
    let status = gateway.process.ended().await;
    let took = told.elapsed();
    assert!((Duration::from_millis(900)..Duration::from_secs(5)).contains(&took), "{took:?}");
    assert_eq!(status.code(), Some(0), "{}", gateway.process.output());
    let line = gateway.logged_where(|line| line["original_model"] == "gpt").await;
    assert_eq!(line["usage"], "estimated", "what passed is not forgotten: {line}");
}

#[tokio::test]
async fn connections_without_a_request_hold_up_nobody() {
    let (mut gateway, _simulator) = bed(&[]).await;
    let mut open = Vec::new();
    for sent in [
        "",
        "PRI * HTTP",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway.test\r\n",
    ] {
        let mut stream = TcpStream::connect(gateway.client.address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        open.push(stream);
    }
    gateway.send(&Ask::chat("gpt")).await.expect(200); // By now it has read what came before.
    gateway.process.terminate();
    let told = Instant::now();
    let status = gateway.process.ended().await;
    assert_eq!(status.code(), Some(0), "{}", gateway.process.output());
    assert!(told.elapsed() < Duration::from_secs(8), "{:?}", told.elapsed());
    drop(open);
}

/// Whoever reads the access log may be stuck; it is no reason to stay.
#[tokio::test]
async fn a_log_that_nobody_reads_holds_up_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("log");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let unread = OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let (mut gateway, _simulator) = bed(&["--access-log", pipe.to_str().unwrap()]).await;
    let long = format!("/{}", "x".repeat(8_000));
    for _ in 0..40 {
        gateway.send(&Ask::get(&long)).await.expect(404); // 320 kB of lines: more than a pipe holds.
    }
    gateway.process.terminate();
    let told = Instant::now();
    let status = gateway.process.ended().await;
    assert_eq!(status.code(), Some(0), "{}", gateway.process.output());
    assert!(told.elapsed() < Duration::from_secs(8), "{:?}", told.elapsed());
    drop(unread);
}

#[tokio::test]
async fn a_second_start_on_a_used_address_says_so() {
    let (gateway, _simulator) = bed(&[]).await;
    let address = gateway.client.address.to_string();
    let file = gateway.file();
    let arguments = ["run", "--listen", &address, "--admin", "127.0.0.1:0", "-f", file.to_str().unwrap()];
    let (code, output) = rust::Process::run(&arguments, &[]).await;
    assert_eq!(code, 1);
    assert!(output.contains(&format!("--listen {address}")), "{output}");
}

#[tokio::test]
async fn a_node_that_waits_to_be_let_in_can_be_stopped() {
    let data = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [founded, empty] = data.each_ref().map(|folder| folder.path().to_str().unwrap());
    let variables = [("TOLLGATE_DATA", founded)];
    drop(Gateway::with(Settings { variables: &variables, ..Settings::default() }).await);
    let token = format!("{founded}/join-token");
    let arguments = ["run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--cluster", "127.0.0.1:0"];
    let joins = ["--data", empty, "--join", "127.0.0.1:1", "--join-token-file", &token];
    let mut waits = Process::start(&[&arguments[..], &joins].concat(), &[]);
    waits.announced("not let in yet").await;
    waits.terminate();
    assert_eq!(waits.ended().await.code(), Some(1));
    assert!(waits.output().contains("stopped before"), "{}", waits.output());
}
