//! Lingering close: what a client still sends is read and thrown away for a moment after our side has been closed.
//!
//! A refusal can stand before its request's body was read. Closed with unread bytes, TCP resets the connection, and a
//! client that sends all before it reads sees a broken pipe in place of the refusal (RFC 9112, section 9.6).

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// Enough for tens of megabytes; and what a client that never closes its own side holds up.
const LINGER: Duration = Duration::from_secs(1);
const PIECE_BYTES: usize = 16 * 1024;

/// A client's connection.
pub(super) struct Lingering<S> {
    stream: S,
    /// From when our side is closed.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl<S> Lingering<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, alarm: None }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, alarm } = self.get_mut();
        let alarm = if let Some(alarm) = alarm {
            alarm
        } else {
            ready!(Pin::new(&mut *stream).poll_shutdown(context))?;
            alarm.insert(Box::pin(tokio::time::sleep(LINGER)))
        };
        let mut thrown_away = [0; PIECE_BYTES];
        while alarm.as_mut().poll(context).is_pending() {
            let mut piece = ReadBuf::new(&mut thrown_away);
            let read = ready!(Pin::new(&mut *stream).poll_read(context, &mut piece));
            if read.is_err() || piece.filled().is_empty() {
                break; // The client has closed its side too.
            }
        }
        Poll::Ready(Ok(()))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }
}
