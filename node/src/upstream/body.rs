//! The request body on its way upstream: slices of what the client sent, written one after the other.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tollgate_api::edit::Segments;

/// A body of known length.
pub(crate) struct SegmentsBody {
    left: VecDeque<Bytes>,
    left_bytes: u64,
}

impl From<Segments> for SegmentsBody {
    fn from(segments: Segments) -> Self {
        let left: VecDeque<Bytes> = segments.into_parts().into();
        let left_bytes = left.iter().map(|part| part.len() as u64).sum();
        Self { left, left_bytes }
    }
}

impl Body for SegmentsBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(part) = self.left.pop_front() else {
            return Poll::Ready(None);
        };
        self.left_bytes -= part.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left_bytes)
    }
}
