//! How upstreams are reached: by address, name and socket, by HTTP/1.1 and HTTP/2, through a proxy; and that they are
//! read no faster than the client reads.

#![expect(clippy::unwrap_used, reason = "what can't be unwrapped fails the test")]

#[expect(dead_code, reason = "no test file uses all of it")]
mod rust;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};

use rust::manifest::{GATEWAY, KeyOf, anthropic, key, openai, route, rule};
use rust::{Ask, Gateway, Simulator, until};

/// A backend, and the Backend of Envoy Gateway's group that it may refer to.
fn service(name: &str, reference: &str, spec: &str) -> String {
    let resources = format!(
        "---
apiVersion: aigateway.envoyproxy.io/v1beta1
kind: AIServiceBackend
metadata: {{name: {name}}}
spec: {{schema: {{name: OpenAI}}, backendRef: {reference}}}
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {{name: {name}}}
spec: {{{spec}}}
"
    );
    resources
        + &key(name, KeyOf::OpenAi, "k")
        + &route(name, "", &rule(name, &format!("{{name: {name}}}"), ""))
}

fn refers_to_backend(name: &str) -> String {
    format!("{{group: gateway.envoyproxy.io, kind: Backend, name: {name}}}")
}

#[tokio::test]
async fn backends_are_reached_by_address_name_and_socket() {
    let simulator = Simulator::start(&[]).await;
    let port = simulator.port();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let behind = simulator.client.address;
    let relay = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(relayed(stream, TcpStream::connect(behind).await.unwrap()));
        }
    });
    let host = |name: &str| format!("{{group: tollgate.dev, kind: Host, name: \"{name}:{port}\"}}");
    let ip = format!("endpoints: [{{ip: {{address: 127.0.0.1, port: {port}}}}}]");
    let fqdn = format!("endpoints: [{{fqdn: {{hostname: localhost, port: {port}}}}}]");
    let unix = format!("endpoints: [{{unix: {{path: {}}}}}]", path.display());
    let h2c = format!("{ip}, appProtocols: [gateway.envoyproxy.io/h2c]");
    #[rustfmt::skip]
    let cases = [
        // model     reference                     Backend  version
        ("fqdn",     refers_to_backend("fqdn"),    &fqdn,   "HTTP/1.1"),
        ("ip",       refers_to_backend("ip"),      &ip,     "HTTP/1.1"),
        ("unix",     refers_to_backend("unix"),    &unix,   "HTTP/1.1"),
        ("h2c",      refers_to_backend("h2c"),     &h2c,    "HTTP/2.0"),
        ("host",     host("localhost"),            &ip,     "HTTP/1.1"),
        ("address",  host("127.0.0.1"),            &ip,     "HTTP/1.1"),
    ];
    let services = cases.each_ref().map(|(name, reference, spec, _)| service(name, reference, spec));
    let gateway = Gateway::start(&(GATEWAY.to_owned() + &services.concat())).await;
    for (model, _, _, version) in cases {
        for streamed in [false, true] {
            gateway.send(&Ask::chat(model).with("stream", streamed)).await.expect(200);
            assert_eq!(simulator.last_request().await["version"], version, "{model}");
        }
        assert_eq!(simulator.asked(model).await, 2, "{model}");
    }
    relay.abort();
}

/// Two addresses of one backend take turns, and one that is down is passed over.
#[tokio::test]
async fn addresses_of_a_backend_take_turns() {
    let [first, second] = [Simulator::start(&[]).await, Simulator::start(&[]).await];
    let spec = |ports: [u16; 2]| {
        let [one, other] = ports.map(|port| format!("{{ip: {{address: 127.0.0.1, port: {port}}}}}"));
        format!("endpoints: [{one}, {other}]")
    };
    let manifest = GATEWAY.to_owned()
        + &service("both", &refers_to_backend("both"), &spec([first.port(), second.port()]))
        + &service("half", &refers_to_backend("half"), &spec([1, second.port()]));
    let gateway = Gateway::start(&manifest).await;
    for _ in 0..10 {
        gateway.send(&Ask::chat("both")).await.expect(200);
        gateway.send(&Ask::chat("half")).await.expect(200);
    }
    assert_eq!((first.asked("both").await, second.asked("both").await), (5, 5));
    assert_eq!(second.asked("half").await, 10);
}

#[tokio::test]
async fn a_forward_proxy_is_asked_for_a_tunnel() {
    let simulator = Simulator::start(&[]).await;
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = proxy.local_addr().unwrap();
    let asked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asked);
    let proxying = tokio::spawn(async move {
        loop {
            let (stream, _) = proxy.accept().await.unwrap();
            count.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(tunnelled(stream));
        }
    });
    let manifest = GATEWAY.replace(
        "kind: Gateway\nmetadata: {name: tollgate}",
        "kind: Gateway\nmetadata: {name: tollgate, annotations: {aigateway.envoyproxy.io/gateway-config: out}}",
    ) + &format!(
        "---\napiVersion: aigateway.envoyproxy.io/v1beta1\nkind: GatewayConfig\nmetadata: {{name: out}}\nspec: {{forwardProxy: {{address: \"{address}\"}}}}\n"
    ) + &openai("one", &simulator.address())
        + &openai("forbidden", "127.0.0.1:1")
        + &route("all", "", &(rule("gpt", "{name: one}", "") + &rule("forbidden", "{name: forbidden}", "")));
    let gateway = Gateway::start(&manifest).await;
    gateway.send(&Ask::chat("gpt").streamed()).await.expect(200);
    gateway.send(&Ask::chat("forbidden")).await.expect(502);
    assert_eq!(asked.load(Ordering::Relaxed), 3, "one for the first, and two tries of the second");
    proxying.abort();
}

/// A proxy's part: consent to every port but 1, then copy.
async fn tunnelled(mut stream: TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let target = head.strip_prefix("CONNECT ").unwrap().split(' ').next().unwrap();
    if target.ends_with(":1") {
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").await.unwrap();
        return;
    }
    let behind = TcpStream::connect(target).await.unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    relayed(stream, behind).await;
}

async fn relayed(mut front: impl AsyncRead + AsyncWrite + Unpin, mut behind: TcpStream) {
    let _either_side_left = tokio::io::copy_bidirectional(&mut front, &mut behind).await;
}

/// A client that does not read holds up its own provider, not this node's memory.
#[tokio::test]
async fn streams_flow_no_faster_than_they_are_read() {
    let simulator = Simulator::start(&[]).await;
    let manifest = GATEWAY.to_owned()
        + &openai("one", &simulator.address())
        + &anthropic("two", &simulator.address())
        + &route("all", "", &(rule("gpt", "{name: one}", "") + &rule("claude", "{name: two}", "")));
    let gateway = Gateway::start(&manifest).await;
    for model in ["gpt", "claude"] {
        let ask = Ask::chat(model).with("max_completion_tokens", 90_000);
        let flowing = gateway.client.open(&ask.streamed().simulate("tokens=90000")).await;
        let (mut before, mut unchanged) = (0, 0);
        let produced = until("the provider to be held up", async || {
            let now = simulator.model(model).await["output_tokens"].as_u64()?;
            unchanged = if now == before { unchanged + 1 } else { 0 };
            before = now;
            (now > 0 && unchanged == 30).then_some(now)
        })
        .await;
        // What the kernel's buffers hold is some 40,000.
        assert!(produced < 80_000, "{produced} of 90,000 tokens went somewhere");
        drop(flowing);
        until("the upstream call to be cancelled", async || {
            (simulator.model(model).await["cancelled"] == 1).then_some(())
        })
        .await;
    }
}
