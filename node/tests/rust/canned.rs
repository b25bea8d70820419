//! An upstream that answers every request with the same bytes: for what no provider's simulator would send.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What follows the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Close,
    Silence,
}

/// A running upstream. Dropped, it is gone.
pub(crate) struct Canned {
    /// `host:port`.
    pub(crate) address: String,
    served: Arc<AtomicU64>,
    serving: JoinHandle<()>,
}

impl Canned {
    pub(crate) async fn start(answer: &'static str, then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let served = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&served);
        let serving = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let count = Arc::clone(&count);
                connections.spawn(async move {
                    if let Some(mut stream) = read_request(stream).await {
                        count.fetch_add(1, Ordering::Relaxed);
                        let _the_gateway_may_leave = stream.write_all(answer.as_bytes()).await;
                        if then == Then::Silence {
                            std::future::pending::<()>().await;
                        }
                    }
                });
            }
        });
        Self { address, served, serving }
    }

    /// How many requests it answered.
    pub(crate) fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }
}

impl Drop for Canned {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Reads a request; its body, if it has one, has a length that is announced. None: there was none.
async fn read_request(mut stream: TcpStream) -> Option<TcpStream> {
    let mut read = Vec::new();
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).to_lowercase();
            let length = head.split_once("content-length: ").map_or("0", |(_, rest)| rest);
            let length: usize = length.lines().next()?.parse().ok()?;
            if read.len() >= end + 4 + length {
                return Some(stream);
            }
        }
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    }
}
