//! A client that hides nothing: one connection a request unless asked otherwise, and what was cut off shows.

use std::net::SocketAddr;

use http::response::Parts;
use http::{HeaderMap, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::{Ask, PATIENCE};

/// Sends to one address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
}

/// A whole answer, or as much of it as there was.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// It ended before its end.
    pub(crate) cut: bool,
}

/// An event of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) data: String,
}

/// An answer that is still coming. Dropped, the client has gone away.
pub(crate) struct Flowing {
    pub(crate) head: Parts,
    body: Incoming,
    connection: Connection,
}

/// Carries a connection; ends it when dropped.
struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Client {
    /// Of a URL such as `http://127.0.0.1:1975`.
    pub(crate) fn new(url: &str) -> Self {
        let address = url.trim_start_matches("http://").parse();
        Self { address: address.unwrap_or_else(|error| panic!("{url}: {error}")) }
    }

    /// Sends on a connection of its own and reads the answer to its end.
    pub(crate) async fn send(&self, ask: &Ask) -> Answer {
        self.open(ask).await.rest().await
    }

    /// The same. None: nobody is there, or the connection broke before an answer began.
    pub(crate) async fn try_send(&self, ask: &Ask) -> Option<Answer> {
        let stream = TcpStream::connect(self.address).await.ok()?;
        Some(try_open_over(stream, ask).await.ok()?.rest().await)
    }

    /// Sends, and gives back the answer when its head is here.
    pub(crate) async fn open(&self, ask: &Ask) -> Flowing {
        let stream = TcpStream::connect(self.address).await.unwrap();
        open_over(stream, ask).await
    }

    /// Writes bytes as they are, and reads until there is enough, or the end.
    pub(crate) async fn raw(&self, bytes: &[u8], enough: impl Fn(&str) -> bool) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let _it_may_have_heard_enough = stream.write_all(bytes).await;
        let mut read = Vec::new();
        let reading = async {
            while !enough(&String::from_utf8_lossy(&read)) {
                match stream.read_buf(&mut read).await {
                    Ok(0) | Err(_) => break,
                    Ok(_) => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("not enough in time");
        String::from_utf8_lossy(&read).into_owned()
    }

    /// Sends by HTTP/2 with prior knowledge.
    pub(crate) async fn send_h2(&self, ask: &Ask) -> Answer {
        let stream = TcpStream::connect(self.address).await.unwrap();
        send_h2_over(stream, ask).await
    }
}

/// Sends by HTTP/1.1 over a connection that is open already.
pub(crate) async fn open_over(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ask: &Ask,
) -> Flowing {
    try_open_over(stream, ask).await.expect("the connection broke before an answer")
}

async fn try_open_over(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ask: &Ask,
) -> Result<Flowing, hyper::Error> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = Connection(tokio::spawn(async move {
        let _what_went_wrong_shows_in_the_body = connection.await;
    }));
    let mut request = request(ask);
    let host = header::HeaderValue::from_static("localhost");
    request.headers_mut().entry(header::HOST).or_insert(host);
    let response = in_time(sender.send_request(request)).await?;
    Ok(Flowing::new(response, connection))
}

/// Sends by HTTP/2 over a connection that is open already.
pub(crate) async fn send_h2_over(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ask: &Ask,
) -> Answer {
    let io = TokioIo::new(stream);
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let connection = Connection(tokio::spawn(async move {
        let _what_went_wrong_shows_in_the_body = connection.await;
    }));
    let mut request = request(ask);
    let uri = format!("http://gateway.test{}", ask.path);
    *request.uri_mut() = uri.parse().unwrap();
    let response =
        in_time(sender.send_request(request)).await.expect("the connection broke before an answer");
    Flowing::new(response, connection).rest().await
}

fn request(ask: &Ask) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(&ask.method).uri(ask.path.as_str());
    for (name, value) in &ask.headers {
        request = request.header(name, value);
    }
    request.body(Full::new(ask.body.clone())).unwrap()
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("no answer in time")
}

impl Flowing {
    fn new(response: Response<Incoming>, connection: Connection) -> Self {
        let (head, body) = response.into_parts();
        Self { head, body, connection }
    }

    /// The next piece. None: it is over. An error: it was cut.
    pub(crate) async fn piece(&mut self) -> Option<Result<Bytes, hyper::Error>> {
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await;
            match frame.expect("the answer stalls")? {
                Ok(frame) => {
                    if let Ok(data) = frame.into_data() {
                        return Some(Ok(data));
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Reads to the end.
    pub(crate) async fn rest(mut self) -> Answer {
        let mut body = Vec::new();
        let mut cut = false;
        while let Some(piece) = self.piece().await {
            let Ok(piece) = piece else {
                cut = true;
                break;
            };
            body.extend_from_slice(&piece);
        }
        drop(self.connection);
        Answer { status: self.head.status.as_u16(), headers: self.head.headers, body: body.into(), cut }
    }
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        Some(self.headers.get(name)?.to_str().unwrap())
    }

    /// The events of a stream.
    pub(crate) fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        for block in self.text().split("\n\n") {
            let field = |name: &str| {
                let lines = block.lines().filter_map(|line| line.strip_prefix(name));
                let lines: Vec<&str> = lines.map(str::trim_start).collect();
                lines.join("\n")
            };
            let event = Event { name: field("event:"), data: field("data:") };
            if !event.data.is_empty() {
                events.push(event);
            }
        }
        events
    }

    /// Fails the test unless it is a whole answer of this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert!(self.status == status && !self.cut, "{self:?}");
        self
    }
}

impl Event {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or(Value::Null)
    }
}
