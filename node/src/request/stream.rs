//! stream: chunks flow as they arrive, back-pressured end to end, never collected. A client that goes away drops this
//! body, which drops the upstream's, which cancels the call; what passed is settled.

mod gather;
mod patience;

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http::StatusCode;
use hyper::body::{Body, Frame, Incoming as IncomingBody, SizeHint};
use tollgate_api::error::{ApiError, ErrorKind};
use tollgate_api::exchange::Mode;

use super::meter::{self, Metered};
use super::settle::Settling;
use super::trail::End;
use gather::Gather;
use patience::Patience;

/// What a client is sent.
pub(crate) enum ReplyBody {
    /// All of it is known.
    Known { pieces: VecDeque<Bytes>, left_bytes: u64 },
    /// It is still coming.
    Flow(Box<Flow>),
}

/// An answer on its way through.
pub(crate) struct Flow {
    ready: Gather,
    upstream: IncomingBody,
    metered: Metered,
    settling: Settling,
    state: State,
    patience: Patience,
    scratch: Vec<Bytes>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Flowing,
    /// All that there was has been read; `ready` may still hold some.
    Ended,
    /// The upstream broke off and the client's protocol has no way to say so. hyper throws away what it has not written
    /// when a body fails: it gets the time to write first.
    Breaking,
    /// The connection is cut.
    Broken,
}

/// Cuts the client's connection: a tidy end would pass for a whole answer.
#[derive(Debug)]
pub(crate) struct BrokenOff;

impl fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the upstream's answer broke off")
    }
}

impl std::error::Error for BrokenOff {}

impl ReplyBody {
    /// A body that is here already.
    pub(crate) fn whole(body: Bytes) -> Self {
        Self::pieces(vec![body])
    }

    /// The same, in several pieces.
    pub(crate) fn pieces(pieces: Vec<Bytes>) -> Self {
        let left_bytes = pieces.iter().map(|piece| piece.len() as u64).sum();
        Self::Known { pieces: pieces.into(), left_bytes }
    }

    /// A body that is still coming.
    pub(crate) fn flow(flow: Flow) -> Self {
        Self::Flow(Box::new(flow))
    }
}

impl Flow {
    pub(crate) fn new(
        ready: Vec<Bytes>,
        upstream: IncomingBody,
        metered: Metered,
        settling: Settling,
    ) -> Self {
        let patience = Patience::new(metered.reply.deadline, metered.reply.idle, Instant::now());
        let mut flow = Self {
            ready: Gather::due(ready),
            upstream,
            metered,
            settling,
            state: State::Flowing,
            patience,
            scratch: Vec::new(),
        };
        if flow.upstream.is_end_stream() {
            // Nobody asks for a body of no bytes, and there is nothing in it to be read.
            match flow.metered.reply.reading.mode() {
                Mode::Pass => flow.conclude(),
                Mode::Collect | Mode::Stream => flow.end(),
            }
        }
        flow
    }

    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        loop {
            if let Some(chunk) = self.ready.pop() {
                self.settling.trail().reply_bytes += chunk.len() as u64;
                return Poll::Ready(Some(Ok(Frame::data(chunk))));
            }
            match self.state {
                State::Ended => return Poll::Ready(None),
                State::Breaking => {
                    self.state = State::Broken;
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                State::Broken => return Poll::Ready(Some(Err(BrokenOff))),
                State::Flowing => {}
            }
            match Pin::new(&mut self.upstream).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(chunk) = frame.into_data() {
                        self.take(chunk);
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    self.break_off(End::UpstreamCut, &upstream_cut(&error.to_string()));
                }
                Poll::Ready(None) => self.end(),
                Poll::Pending if !self.ready.is_empty() => {
                    self.ready.silence();
                    if !self.ready.is_due() {
                        // The upstream's connection gets its turn before this one comes again.
                        context.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                }
                Poll::Pending => {
                    ready!(self.patience.poll_over(context));
                    self.break_off(End::TimedOut, &timed_out());
                }
            }
        }
    }

    fn take(&mut self, chunk: Bytes) {
        let fed = self.metered.reply.reading.feed(chunk, &mut self.scratch);
        self.ready.extend(self.scratch.drain(..));
        let now = Instant::now();
        self.metered.tick(now);
        self.patience.heard(now);
        match fed {
            // A body of known length is over with its last byte: nobody asks for more of it.
            Ok(()) if self.upstream.is_end_stream() => self.end(),
            Ok(()) if self.settling.is_overdrawn(&self.metered) => self.land(),
            Ok(()) if self.patience.is_over(now) => self.break_off(End::TimedOut, &timed_out()),
            Ok(()) => {}
            Err(malformed) => self.break_off(End::UpstreamBroken, &upstream_cut(&malformed.message)),
        }
    }

    fn end(&mut self) {
        let finished = self.metered.reply.reading.finish(&mut self.scratch);
        self.ready.extend(self.scratch.drain(..));
        match finished {
            Ok(()) => self.conclude(),
            Err(malformed) => self.break_off(End::UpstreamCut, &upstream_cut(&malformed.message)),
        }
    }

    fn conclude(&mut self) {
        self.state = State::Ended;
        self.ready.close();
        self.settling.trail().end = End::Whole;
        self.settling.finish(&self.metered);
    }

    /// No budget pays for more: the client is told that the answer is as long as it may be, and the upstream's is cancelled.
    fn land(&mut self) {
        self.state = match self.metered.reply.reading.mode() {
            Mode::Stream => {
                let (usage, _) =
                    meter::usage(self.metered.reply.reading.seen(), self.settling.trail().request_bytes);
                self.metered.reply.reading.land(&meter::reported(usage), &mut self.scratch);
                self.ready.extend(self.scratch.drain(..));
                State::Ended
            }
            Mode::Pass | Mode::Collect => State::Breaking,
        };
        self.ready.close();
        self.settling.trail().end = End::Landed;
        self.settling.finish(&self.metered);
    }

    /// The answer can't be completed: say so in the client's protocol where it can, cut the connection where not.
    fn break_off(&mut self, end: End, error: &ApiError) {
        self.state = match self.metered.reply.reading.mode() {
            Mode::Stream => {
                let request_id = self.settling.trail().request_id().to_owned();
                self.metered.reply.reading.fail(error, &request_id, &mut self.scratch);
                self.ready.extend(self.scratch.drain(..));
                State::Ended
            }
            Mode::Pass | Mode::Collect => State::Breaking,
        };
        self.ready.close();
        self.settling.trail().end = end;
        self.settling.finish(&self.metered);
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        // Still flowing: the client went away. Already settled: nothing happens.
        self.settling.finish(&self.metered);
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self.get_mut() {
            Self::Known { pieces, left_bytes } => {
                let piece = pieces.pop_front();
                Poll::Ready(piece.map(|piece| {
                    *left_bytes -= piece.len() as u64;
                    Ok(Frame::data(piece))
                }))
            }
            Self::Flow(flow) => flow.poll_chunk(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Known { pieces, .. } => pieces.is_empty(),
            Self::Flow(flow) => flow.state == State::Ended && flow.ready.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Known { left_bytes, .. } => SizeHint::with_exact(*left_bytes),
            Self::Flow(flow) => match flow.metered.reply.reading.mode() {
                Mode::Pass => flow.upstream.size_hint(),
                Mode::Collect | Mode::Stream => SizeHint::default(),
            },
        }
    }
}

fn upstream_cut(reason: &str) -> ApiError {
    let message = format!("the backend's answer broke off: {reason}");
    ApiError { status: StatusCode::BAD_GATEWAY, kind: ErrorKind::Upstream, message, code: None, param: None }
}

fn timed_out() -> ApiError {
    let message = "the backend was silent for too long, or the whole answer took too long".to_owned();
    ApiError {
        status: StatusCode::GATEWAY_TIMEOUT,
        kind: ErrorKind::Timeout,
        message,
        code: None,
        param: None,
    }
}
