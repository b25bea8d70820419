//! HTTP/1.1 by hand, for both ends of the benchmark: just enough to be right against proxies, and cheap, so that what
//! is measured is the process in the middle. Shared by the load generator (reads answers) and the upstream (reads
//! requests). A head must fit the buffer; bodies are handed on in the pieces in which they arrive and never collected.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Holds every head that a proxy may send, and a few pieces of a large body at once.
const BUFFER_BYTES: usize = 32 * 1024;

/// One connection with what was read from it and not yet used.
pub(crate) struct Wire {
    stream: TcpStream,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

/// What a head says that matters here.
pub(crate) struct Head {
    /// Of an answer; 0 for a request.
    pub(crate) status: u16,
    pub(crate) body: Body,
}

/// How much of a body is still to come.
pub(crate) enum Body {
    Length(usize),
    /// Before a chunk's size line.
    ChunkSize,
    /// In a chunk with so many bytes left.
    Chunk(usize),
    /// After the data of a chunk, before its line end.
    ChunkEnd,
    /// After the last chunk: lines up to an empty one.
    Trailer,
    Done,
}

impl Wire {
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self, String> {
        let stream =
            TcpStream::connect(address).await.map_err(|error| format!("connecting to {address}: {error}"))?;
        Self::new(stream).map_err(|error| format!("connecting to {address}: {error}"))
    }

    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; BUFFER_BYTES].into_boxed_slice(), start: 0, end: 0 })
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.stream.write_all(bytes).await.map_err(|error| format!("sending: {error}"))
    }

    /// The next head; `None` if the peer closed between two messages.
    pub(crate) async fn head(&mut self) -> Result<Option<Head>, String> {
        let mut searched = 0;
        loop {
            let seen = &self.buffer[self.start..self.end];
            if let Some(at) = find(&seen[searched..], b"\r\n\r\n") {
                let length = searched + at + 4;
                let head = parse_head(&seen[..length]);
                self.start += length;
                return head.map(Some);
            }
            searched = seen.len().saturating_sub(3);
            let before = seen.len();
            if !self.fill().await? {
                return if before == 0 {
                    Ok(None)
                } else {
                    Err("expected a whole head, got the end of the connection".to_owned())
                };
            }
        }
    }

    /// The next piece of a body, as it arrived; `None` at the body's end.
    pub(crate) async fn piece(&mut self, body: &mut Body) -> Result<Option<&[u8]>, String> {
        loop {
            match *body {
                Body::Done | Body::Length(0) => return Ok(None),
                Body::Length(left) => {
                    let range = self.available(left).await?;
                    *body = Body::Length(left - range.len());
                    return Ok(Some(&self.buffer[range]));
                }
                Body::Chunk(left) => {
                    let range = self.available(left).await?;
                    *body = match left - range.len() {
                        0 => Body::ChunkEnd,
                        left => Body::Chunk(left),
                    };
                    return Ok(Some(&self.buffer[range]));
                }
                Body::ChunkEnd => {
                    self.line().await?;
                    *body = Body::ChunkSize;
                }
                Body::ChunkSize => {
                    let line = self.line().await?;
                    *body = match chunk_size(&self.buffer[line])? {
                        0 => Body::Trailer,
                        size => Body::Chunk(size),
                    };
                }
                Body::Trailer => {
                    if self.line().await?.is_empty() {
                        *body = Body::Done;
                    }
                }
            }
        }
    }

    /// Waits until the peer closes or sends something.
    pub(crate) async fn stirred(&self) {
        let _either = self.stream.readable().await;
    }

    /// Up to `wanted` bytes that are there, waiting for the first.
    async fn available(&mut self, wanted: usize) -> Result<std::ops::Range<usize>, String> {
        if self.start == self.end && !self.fill().await? {
            return Err(format!("expected {wanted} more bytes of a body, got the end of the connection"));
        }
        let first = self.start;
        self.start = self.end.min(first + wanted);
        Ok(first..self.start)
    }

    /// A line without its end.
    async fn line(&mut self) -> Result<std::ops::Range<usize>, String> {
        loop {
            if let Some(at) = find(&self.buffer[self.start..self.end], b"\r\n") {
                let first = self.start;
                self.start += at + 2;
                return Ok(first..first + at);
            }
            if !self.fill().await? {
                return Err("expected a line of a chunked body, got the end of the connection".to_owned());
            }
        }
    }

    /// Reads more behind what is there; false at the end of the connection.
    async fn fill(&mut self) -> Result<bool, String> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.buffer.len() {
            return Err(format!("expected a head or a line of at most {BUFFER_BYTES} bytes"));
        }
        let count = self
            .stream
            .read(&mut self.buffer[self.end..])
            .await
            .map_err(|error| format!("receiving: {error}"))?;
        self.end += count;
        Ok(count > 0)
    }
}

/// Where `needle` first is.
pub(crate) fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    text.windows(needle.len()).position(|window| window == needle)
}

fn parse_head(head: &[u8]) -> Result<Head, String> {
    let wrong = |what: &str| format!("{what} in the head `{}`", String::from_utf8_lossy(head).trim_end());
    let mut lines = head.split(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let mut status = 0;
    if first.starts_with(b"HTTP/1.1 ") {
        status = number(&first[9..first.len().min(12)])
            .and_then(|status| u16::try_from(status).ok())
            .ok_or_else(|| wrong("expected a status"))?;
    }
    let mut body = None;
    for line in lines {
        if let Some(value) = value_of(line, b"content-length:") {
            let length = number(value).ok_or_else(|| wrong("expected a number as content-length"))?;
            body = Some(Body::Length(length));
        } else if let Some(value) = value_of(line, b"transfer-encoding:") {
            if !value.eq_ignore_ascii_case(b"chunked") {
                return Err(wrong("expected `chunked` as transfer-encoding"));
            }
            body = Some(Body::ChunkSize);
        }
    }
    match body {
        Some(body) => Ok(Head { status, body }),
        None if status == 0 => Ok(Head { status, body: Body::Done }),
        None => Err(wrong("expected content-length or transfer-encoding")),
    }
}

fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, value) = line.split_at_checked(name.len())?;
    start.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn chunk_size(line: &[u8]) -> Result<usize, String> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    std::str::from_utf8(digits.trim_ascii())
        .ok()
        .and_then(|digits| usize::from_str_radix(digits, 16).ok())
        .ok_or_else(|| format!("expected a chunk's size, got `{}`", String::from_utf8_lossy(line)))
}
