//! gather: chunks that come together leave together. One read from an upstream often brings a dozen events, but hyper
//! hands them over one by one, a turn of the event loop each, and whoever passes each on at once pays for a write each.
//!
//! So a chunk waits as long as every turn brings another, and leaves with the first turn that does not: microseconds,
//! and no timer. What there was to begin with, and the last of an answer, don't wait.

use std::collections::VecDeque;

use bytes::Bytes;

/// As many buffers as hyper takes before it writes them.
const MOST_PIECES: usize = 16;
/// More gains nothing: the write costs more than the call.
const MOST_BYTES: usize = 16 * 1024;
/// hyper asks a body for more twice in one turn (`poll_loop` in its `proto/h1/dispatch.rs`). Only the third time, in
/// the next turn, was the upstream's connection polled in between.
const SILENCES: u8 = 3;

/// What is to be sent, in order.
pub(super) struct Gather {
    pieces: VecDeque<Bytes>,
    held_bytes: usize,
    /// How often there was nothing new since the last piece.
    silences: u8,
}

impl Gather {
    /// Begins with what leaves at once.
    pub(super) fn due(pieces: Vec<Bytes>) -> Self {
        let held_bytes = pieces.iter().map(Bytes::len).sum();
        Self { pieces: pieces.into(), held_bytes, silences: SILENCES }
    }

    /// More came.
    pub(super) fn extend(&mut self, pieces: impl Iterator<Item = Bytes>) {
        for piece in pieces {
            self.silences = 0;
            self.held_bytes += piece.len();
            self.pieces.push_back(piece);
        }
    }

    /// Nothing came.
    pub(super) fn silence(&mut self) {
        self.silences = self.silences.saturating_add(1);
    }

    /// Nothing will come.
    pub(super) fn close(&mut self) {
        self.silences = SILENCES;
    }

    /// Whether what there is need not wait.
    pub(super) fn is_due(&self) -> bool {
        self.silences >= SILENCES || self.pieces.len() >= MOST_PIECES || self.held_bytes >= MOST_BYTES
    }

    /// The next piece, if it need not wait.
    pub(super) fn pop(&mut self) -> Option<Bytes> {
        if !self.is_due() {
            return None;
        }
        self.silences = SILENCES; // The others leave with it.
        let piece = self.pieces.pop_front()?;
        self.held_bytes -= piece.len();
        Some(piece)
    }

    /// Whether there is nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    enum Do {
        Come(usize, usize),
        Silence,
        Close,
    }
    use Do::{Close, Come, Silence};

    #[test]
    #[rustfmt::skip]
    fn chunks_that_come_together_leave_together() {
        const BIG: usize = MOST_BYTES;
        let steps = [
            // what         leave why
            (Come(1, 9),     0, "more may come"),
            (Silence,        0, "hyper asks"),
            (Silence,        0, "and asks again in the same turn"),
            (Come(1, 9),     0, "the next turn brought another: so may a third"),
            (Silence,        0, "asked"),
            (Silence,        0, "asked again"),
            (Silence,        2, "the next turn brought nothing: both go"),
            (Silence,        0, "there is nothing"),
            (Come(1, 9),     0, "the next burst begins"),
            (Silence,        0, "asked"),
            (Come(0, 0),     0, "half an event holds nobody up"),
            (Silence,        0, "asked again"),
            (Silence,        1, "what came before it goes"),
            (Come(15, 9),    0, "not enough yet"),
            (Come(2, 9),    17, "enough: hyper would write them anyway"),
            (Come(1, BIG),   1, "a write of its own"),
            (Come(1, 9),     0, "the next burst begins"),
            (Close,          1, "the last don't wait"),
        ];
        let mut gather = Gather::due(vec![Bytes::from_static(b"first")]);
        let leave = |gather: &mut Gather| std::iter::from_fn(|| gather.pop()).count();
        assert_eq!(leave(&mut gather), 1, "what it began with goes at once");
        for (what, expected, why) in steps {
            match what {
                Come(count, bytes) => gather.extend((0..count).map(|_| Bytes::from(vec![b'x'; bytes]))),
                Silence => gather.silence(),
                Close => gather.close(),
            }
            assert_eq!(leave(&mut gather), expected, "{why}");
        }
        assert!(gather.is_empty() && gather.held_bytes == 0);
    }
}
