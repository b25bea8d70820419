//! Sends an answer at its pace, in its manner, and breaks it where the script says.
//!
//! Tokens are counted when the connection takes the frame that carries them, so a client that leaves
//! is charged for what was produced until then. Dropping the body is how hyper says that it left.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Frame as BodyFrame;
use tokio::time::{Instant, Sleep, sleep_until};

use super::answer::Usage;
use super::reply::{Events, Frame, Weight};
use super::script::{Break, How, Manner};
use super::stats::{Outcome, Ticket};
use super::wire::Fate;

/// For what was sent before a reset to arrive: a reset overtakes unsent bytes.
const SETTLE: Duration = Duration::from_millis(10);
const COMMENT: &[u8] = b": simulated heartbeat\n\n";
const GARBAGE: &[u8] = b"data: {\"simulated\": \"garbage\n\n";

/// How a play goes: everything but what is played.
pub(crate) struct Staging {
    pub(crate) ticket: Ticket,
    pub(crate) fate: Fate,
    /// Time per token.
    pub(crate) pace: Duration,
    pub(crate) manner: Manner,
    pub(crate) broken: Option<Break>,
}

/// An answer that takes time, or breaks.
pub(crate) struct Play {
    frames: Arc<[Frame]>,
    next: usize,
    /// Break before the frame of this index.
    broken: Option<(usize, How)>,
    error: Bytes,
    staging: Staging,
    due: Instant,
    due_for: Option<usize>,
    sleep: Option<Pin<Box<Sleep>>>,
    outbox: VecDeque<Bytes>,
    yields: bool,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Playing,
    Stalled,
    Aborting(How),
    Ended,
}

enum Step {
    Send(Bytes),
    Wait(Instant),
    Never,
    Abort,
    End,
}

impl Play {
    pub(crate) fn events(events: Events, mut staging: Staging) -> Self {
        staging.ticket.begin_stream();
        let broken =
            staging.broken.map(|broken| (break_index(&events.frames, broken.after_chunks), broken.how));
        Self::new(events.frames, broken, events.error, staging)
    }

    /// A whole body that breaks in its middle.
    pub(crate) fn halves(body: &Bytes, how: Option<How>, usage: &Usage, staging: Staging) -> Self {
        staging.ticket.produced_whole(usage);
        let (first, second) = (body.slice(..body.len() / 2), body.slice(body.len() / 2..));
        let frames: Arc<[Frame]> =
            [first, second].map(|bytes| Frame { bytes, weight: Weight::Nothing }).into();
        let mut staging = staging;
        // Comments and line ends belong to event streams.
        staging.manner.comments = false;
        staging.manner.crlf = false;
        Self::new(frames, how.map(|how| (1, how)), Bytes::new(), staging)
    }

    fn new(frames: Arc<[Frame]>, broken: Option<(usize, How)>, error: Bytes, staging: Staging) -> Self {
        Self {
            frames,
            next: 0,
            broken,
            error,
            staging,
            due: Instant::now(),
            due_for: None,
            sleep: None,
            outbox: VecDeque::new(),
            yields: false,
            stage: Stage::Playing,
        }
    }

    fn step(&mut self) -> Step {
        match self.stage {
            Stage::Playing => {}
            Stage::Stalled => return Step::Never,
            Stage::Ended => return Step::End,
            Stage::Aborting(how) => {
                if how == How::Reset {
                    self.staging.fate.reset();
                }
                self.stage = Stage::Ended;
                return Step::Abort;
            }
        }
        if let Some((index, how)) = self.broken
            && index == self.next
        {
            self.broken = None;
            return self.break_off(how);
        }
        let Some(frame) = self.frames.get(self.next) else {
            self.end(Outcome::Answered);
            return Step::End;
        };
        let (bytes, weight) = (frame.bytes.clone(), frame.weight);
        if let Some(due) = self.wait(weight) {
            return Step::Wait(due);
        }
        self.next += 1;
        self.staging.ticket.produced(weight);
        if self.next == self.frames.len() && self.broken.is_none() {
            // Before the bytes leave: who has read them all finds it counted.
            self.end(Outcome::Answered);
        }
        Step::Send(self.dressed(bytes))
    }

    fn break_off(&mut self, how: How) -> Step {
        match how {
            How::Stall => {
                self.stage = Stage::Stalled;
                Step::Never
            }
            How::Reset => {
                self.staging.ticket.end(Outcome::Failed);
                self.stage = Stage::Aborting(how);
                Step::Wait(Instant::now() + SETTLE)
            }
            How::Cut => {
                self.end(Outcome::Failed);
                if self.error.is_empty() {
                    // A whole body is shorter than it said: only closing can tell.
                    self.stage = Stage::Aborting(how);
                    return Step::Wait(Instant::now() + SETTLE);
                }
                Step::End
            }
            How::Error => {
                self.end(Outcome::Failed);
                Step::Send(self.dressed(self.error.clone()))
            }
            How::Garbage => {
                self.staging.ticket.end(Outcome::Failed);
                Step::Send(self.dressed(Bytes::from_static(GARBAGE)))
            }
        }
    }

    fn end(&mut self, outcome: Outcome) {
        self.staging.ticket.end(outcome);
        self.stage = Stage::Ended;
    }

    /// When the next frame is due, if that is not yet.
    fn wait(&mut self, weight: Weight) -> Option<Instant> {
        let slow = if weight.is_chunk() { self.staging.manner.slow } else { Duration::ZERO };
        if self.staging.pace.is_zero() && slow.is_zero() {
            return None;
        }
        if self.due_for != Some(self.next) {
            self.due_for = Some(self.next);
            self.due +=
                self.staging.pace.saturating_mul(u32::try_from(weight.tokens()).unwrap_or(u32::MAX)) + slow;
        }
        (self.due > Instant::now()).then_some(self.due)
    }

    /// The frame as the manner wants it.
    fn dressed(&self, bytes: Bytes) -> Bytes {
        let manner = &self.staging.manner;
        if !manner.comments && !manner.crlf {
            return bytes;
        }
        let mut text = Vec::with_capacity(bytes.len() + COMMENT.len() + 8);
        let comment = if manner.comments { COMMENT } else { b"" };
        for byte in comment.iter().chain(bytes.iter()) {
            // JSON has no raw line feeds: each one ends a line.
            if *byte == b'\n' && manner.crlf {
                text.push(b'\r');
            }
            text.push(*byte);
        }
        text.into()
    }

    fn enqueue(&mut self, mut bytes: Bytes) {
        if let Some(piece_bytes) = self.staging.manner.piece_bytes {
            while bytes.len() > piece_bytes {
                self.outbox.push_back(bytes.split_to(piece_bytes));
            }
        }
        if !bytes.is_empty() {
            self.outbox.push_back(bytes);
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<BodyFrame<Bytes>>>> {
        loop {
            if std::mem::take(&mut self.yields) {
                // Hyper flushes when the body has nothing for it: so pieces leave apart.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if let Some(sleep) = &mut self.sleep {
                ready!(sleep.as_mut().poll(cx));
                self.sleep = None;
            }
            if let Some(piece) = self.outbox.pop_front() {
                self.yields = self.staging.manner.piece_bytes.is_some();
                return Poll::Ready(Some(Ok(BodyFrame::data(piece))));
            }
            match self.step() {
                Step::Send(bytes) => self.enqueue(bytes),
                Step::Wait(until) => self.sleep = Some(Box::pin(sleep_until(until))),
                Step::Never => return Poll::Pending,
                Step::Abort => {
                    return Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into())));
                }
                Step::End => return Poll::Ready(None),
            }
        }
    }
}

/// The index of the frame after so many chunks, or after the last chunk if there are fewer.
fn break_index(frames: &[Frame], after_chunks: u64) -> usize {
    let chunks = || frames.iter().enumerate().filter(|(_, frame)| frame.weight.is_chunk());
    let skipped = usize::try_from(after_chunks).unwrap_or(usize::MAX);
    match chunks().nth(skipped) {
        Some((index, _)) => index,
        None => chunks().last().map_or(frames.len(), |(index, _)| index + 1),
    }
}
