//! A small HTTP client over a raw socket, so that the tests see what the wire carries: whether a body
//! ended well, early or with a reset.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::options::Behaviour;
use super::server::serve;

/// As a table row has them.
pub(super) type Headers = &'static [(&'static str, &'static str)];

pub(super) const OPENAI: Headers = &[("authorization", "Bearer k")];
pub(super) const ANTHROPIC: Headers = &[("x-api-key", "k"), ("anthropic-version", "2023-06-01")];

/// A simulator on a free port; it stops when this is dropped.
pub(super) struct Simulator {
    pub(super) address: std::net::SocketAddr,
    _stop: oneshot::Sender<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// As the protocol ends a body.
    Clean,
    /// The connection closed first.
    Early,
    Reset,
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
    pub(super) end: End,
}

impl Simulator {
    pub(super) async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(serve(listener, behaviour, async {
            let _ = stopped.await;
        }));
        Self { address, _stop: stop }
    }

    pub(super) async fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        self.send("POST", path, headers, &body.to_string()).await
    }

    pub(super) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Value {
        self.send("GET", path, headers, "").await.json()
    }

    /// A counter of `GET /simulate/stats`.
    pub(super) async fn total(&self, name: &str) -> u64 {
        let stats = self.get("/simulate/stats", &[]).await;
        stats["total"][name].as_u64().unwrap_or_else(|| panic!("no {name} in {stats}"))
    }

    /// Waits until a counter has a value, or has passed it: clients learn of an end before the server's side of it is counted.
    pub(super) async fn reaches(&self, name: &str, value: u64) {
        let reached = async {
            while self.total(name).await < value {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(std::time::Duration::from_secs(5), reached).await;
        assert!(waited.is_ok(), "{name} is {}, expected {value}", self.total(name).await);
    }

    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut stream = self.begin(method, path, headers, body).await;
        let mut bytes = Vec::new();
        let end = match stream.read_to_end(&mut bytes).await {
            Ok(_) => None,
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
                Some(End::Reset)
            }
        };
        Answer::read(&bytes, end)
    }

    /// Sends a request and leaves the answer to the caller.
    pub(super) async fn begin(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> TcpStream {
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nhost: simulator\r\nconnection: close\r\ncontent-length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            request.extend([name, ": ", value, "\r\n"]);
        }
        request.push_str("\r\n");
        request.push_str(body);
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }
}

impl Answer {
    /// An answer that never came has status 0.
    fn read(bytes: &[u8], end: Option<End>) -> Self {
        let Some(split) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            let end = end.unwrap_or(End::Early);
            let (head, body) = (String::new(), String::new());
            return Self { status: 0, head, body, end };
        };
        let head = String::from_utf8(bytes[..split].to_vec()).unwrap().to_lowercase();
        let rest = &bytes[split + 4..];
        let (body, whole) = match header(&head, "content-length") {
            Some(length) => (rest.to_vec(), length.parse::<usize>().unwrap() == rest.len()),
            None => unchunked(rest),
        };
        Self {
            status: head[9..12].parse().unwrap(),
            body: String::from_utf8(body).unwrap(),
            end: end.unwrap_or(if whole { End::Clean } else { End::Early }),
            head,
        }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The stream's events that are JSON.
    pub(super) fn events(&self) -> Vec<Value> {
        self.body
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .filter_map(|data| serde_json::from_str(data).ok())
            .collect()
    }

    /// What stands at `pointer` of each event that has a string there, as one text.
    pub(super) fn text_at(&self, pointer: &str) -> String {
        let at = |event: &Value| event.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        self.events().iter().filter_map(at).collect()
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}

/// The body, and whether its last chunk came.
fn unchunked(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(line) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = std::str::from_utf8(&rest[..line]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return (body, true);
        }
        let data = &rest[line + 2..];
        body.extend_from_slice(&data[..size.min(data.len())]);
        rest = data.get(size + 2..).unwrap_or_default();
    }
    (body, false)
}
