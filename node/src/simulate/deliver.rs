//! A response's body, in the three ways there are.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};

use super::answer::Usage;
use super::play::Play;
use super::stats::{Outcome, Ticket};

/// A response's body.
pub(crate) enum Outgoing {
    /// Errors and control answers, already counted.
    Plain(Full<Bytes>),
    /// A whole answer; counted when it is taken.
    Whole(Whole),
    Play(Box<Play>),
}

pub(crate) struct Whole {
    pub(crate) bytes: Bytes,
    pub(crate) usage: Usage,
    pub(crate) ticket: Ticket,
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Plain(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            Self::Play(play) => play.poll(cx),
            Self::Whole(whole) => {
                if whole.bytes.is_empty() {
                    return Poll::Ready(None);
                }
                whole.ticket.produced_whole(&whole.usage);
                whole.ticket.end(Outcome::Answered);
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut whole.bytes)))))
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Plain(body) => body.size_hint(),
            Self::Whole(whole) => SizeHint::with_exact(whole.bytes.len() as u64),
            Self::Play(_) => SizeHint::default(),
        }
    }
}
