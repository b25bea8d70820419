//! Server-sent events, after the WHATWG HTML standard, section 9.2.6 "Interpreting an event stream".
//!
//! Chunks come cut anywhere. An event that lies whole in a chunk is read in place; only one that is cut is copied, up
//! to a limit. A comment line at the start of a block is handed out alone, so that heartbeats are not held back until
//! an event follows.

use std::borrow::Cow;

use memchr::memchr2;

use crate::error::Malformed;

/// The largest event that is taken; a completed answer of the Responses API repeats the whole answer in one.
pub(crate) const EVENT_LIMIT_BYTES: usize = 8 * 1024 * 1024;

/// Room that is kept for cut events; one large event must not hold its memory for as long as the stream lasts.
const KEPT_ROOM_BYTES: usize = 16 * 1024;

/// One block of the stream. Blocks without data (comments, bare names) carry nothing, but are handed out too, so that
/// the caller knows where each block ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Event<'a> {
    /// The `event` field, if one was given and is UTF-8.
    pub(crate) name: Option<&'a str>,
    /// The `data` lines, joined by line feeds.
    pub(crate) data: Cow<'a, [u8]>,
}

/// Cuts a stream into events.
#[derive(Debug)]
pub(crate) struct Splitter {
    scan: Scan,
    /// The beginning of an event whose end has not come.
    pending: Vec<u8>,
    /// `pending` has been handed out and is to be emptied.
    spent: bool,
    /// Nothing has been handed out, so a byte order mark may lead.
    first: bool,
}

impl Splitter {
    pub(crate) fn new() -> Self {
        Self { scan: Scan::default(), pending: Vec::new(), spent: false, first: true }
    }

    /// The next event of `chunk` from `at` on, which moves past its end. None: the chunk is used up, and the rest is
    /// remembered.
    pub(crate) fn next<'a>(
        &'a mut self,
        chunk: &'a [u8],
        at: &mut usize,
    ) -> Result<Option<Event<'a>>, Malformed> {
        if std::mem::take(&mut self.spent) {
            self.pending.clear();
            self.pending.shrink_to(KEPT_ROOM_BYTES);
        }
        let start = *at;
        let end = self.scan.block_end(chunk, at);
        let part = &chunk[start..*at];
        if !self.pending.is_empty() || !end {
            self.remember(part)?;
        }
        if !end {
            return Ok(None);
        }
        let first = std::mem::take(&mut self.first);
        if self.pending.is_empty() {
            return Ok(Some(block(part, first)));
        }
        self.spent = true;
        Ok(Some(block(&self.pending, first)))
    }

    /// Where the next block of `chunk`, the next one, begins: past the line feed of a CRLF that was cut in two and whose
    /// carriage return ended the last block.
    pub(crate) fn block_start(&mut self, chunk: &[u8]) -> usize {
        let cut =
            self.scan.after_carriage_return && self.is_between_blocks() && chunk.first() == Some(&b'\n');
        if cut {
            self.scan.after_carriage_return = false;
        }
        usize::from(cut)
    }

    /// True if no block is half there.
    pub(crate) fn is_between_blocks(&self) -> bool {
        self.spent || self.pending.is_empty()
    }

    /// The stream has ended: what would be an event if its blank line had come. The standard drops it; some servers
    /// forget the blank line after their last event.
    pub(crate) fn rest(&self) -> Option<Event<'_>> {
        (!self.is_between_blocks()).then(|| block(&self.pending, self.first))
    }

    fn remember(&mut self, part: &[u8]) -> Result<(), Malformed> {
        let length = self.pending.len() + part.len();
        if length > EVENT_LIMIT_BYTES {
            return Err(Malformed::new(format!(
                "the upstream sent an event of over {length} bytes; at most {EVENT_LIMIT_BYTES} are taken"
            )));
        }
        self.pending.extend_from_slice(part);
        Ok(())
    }
}

/// Where in a line the stream stands.
#[derive(Debug, Default)]
struct Scan {
    line: Line,
    /// A line of the block is complete already.
    in_block: bool,
    /// The last byte was a carriage return, so a line feed belongs to it.
    after_carriage_return: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Line {
    #[default]
    Empty,
    Comment,
    Field,
}

impl Scan {
    /// Moves `at` past the end of the block and says true, or to the end of the chunk and says false.
    fn block_end(&mut self, chunk: &[u8], at: &mut usize) -> bool {
        while let Some(&byte) = chunk.get(*at) {
            if std::mem::take(&mut self.after_carriage_return) && byte == b'\n' {
                *at += 1;
                continue;
            }
            if self.line == Line::Empty {
                self.line = match byte {
                    b'\n' | b'\r' => Line::Empty,
                    b':' => Line::Comment,
                    _ => Line::Field,
                };
            }
            let Some(length) = memchr2(b'\n', b'\r', &chunk[*at..]) else {
                *at = chunk.len();
                return false;
            };
            *at += length + 1;
            if chunk[*at - 1] == b'\r' {
                match chunk.get(*at) {
                    Some(b'\n') => *at += 1,
                    Some(_) => {}
                    None => self.after_carriage_return = true,
                }
            }
            let ends = match std::mem::take(&mut self.line) {
                Line::Empty => true,
                Line::Comment => !self.in_block,
                Line::Field => false,
            };
            self.in_block = !ends;
            if ends {
                return true;
            }
        }
        false
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Reads a block of lines.
fn block(mut lines: &[u8], first: bool) -> Event<'_> {
    if first {
        lines = lines.strip_prefix(BYTE_ORDER_MARK).unwrap_or(lines);
    }
    let mut name = None;
    let mut data: Option<Cow<'_, [u8]>> = None;
    while !lines.is_empty() {
        let end = memchr2(b'\n', b'\r', lines).unwrap_or(lines.len());
        let (field, value) = field(&lines[..end]);
        match field {
            b"data" => match &mut data {
                None => data = Some(Cow::Borrowed(value)),
                Some(data) => {
                    let data = data.to_mut();
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
            },
            b"event" => {
                name = std::str::from_utf8(value).ok().filter(|name| !name.is_empty());
            }
            _ => {}
        }
        // The line feed of a CRLF reads as one more, empty line, which has no field.
        lines = lines.get(end + 1..).unwrap_or_default();
    }
    Event { name, data: data.unwrap_or_default() }
}

/// A line's field and value; a comment's field is empty.
fn field(line: &[u8]) -> (&[u8], &[u8]) {
    let Some(colon) = memchr::memchr(b':', line) else {
        return (line, b"");
    };
    let value = &line[colon + 1..];
    (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
}

#[cfg(test)]
#[path = "sse_test.rs"]
mod tests;
