//! Amazon's event stream encoding (`application/vnd.amazon.eventstream`): binary frames, each with two checksums.
//!
//! ```text
//! total length u32 │ headers length u32 │ CRC-32 of both │ headers │ payload │ CRC-32 of all before
//! header:  name length u8 │ name │ type u8 │ value (of a text: length u16 │ bytes)
//! ```
//!
//! All numbers are big-endian. A frame is bounded before it is gathered, by its own checked prelude. What fails a check
//! fails the stream: where the next frame begins is not known then.

use crate::error::Malformed;
use crate::framing::sse::EVENT_LIMIT_BYTES;

/// Both lengths and their checksum.
const PRELUDE_BYTES: usize = 12;

/// The checksum at the end.
const TRAILER_BYTES: usize = 4;

/// Room that is kept between chunks; one large frame must not hold its memory for as long as the stream lasts.
const KEPT_ROOM_BYTES: usize = 16 * 1024;

/// One frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    pub(crate) kind: Kind<'a>,
    pub(crate) payload: &'a [u8],
}

/// What a frame says of itself, by its headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind<'a> {
    /// `:event-type`
    Event(&'a str),
    /// `:exception-type`: a modelled error, described in the payload.
    Exception(&'a str),
    /// `:error-code` and `:error-message`: any other error.
    Error { code: &'a str, message: &'a str },
}

/// Cuts a stream into frames.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    /// What came and was not handed out, behind what was.
    kept: Vec<u8>,
    handed_out: usize,
}

impl Splitter {
    /// Takes a chunk, cut anywhere.
    pub(crate) fn feed(&mut self, chunk: &[u8]) {
        self.kept.drain(..std::mem::take(&mut self.handed_out));
        if self.kept.is_empty() {
            self.kept.shrink_to(KEPT_ROOM_BYTES);
        }
        self.kept.extend_from_slice(chunk);
    }

    /// The next whole frame, if it is there.
    pub(crate) fn next(&mut self) -> Result<Option<Message<'_>>, Malformed> {
        let left = &self.kept[self.handed_out..];
        let Some(prelude) = left.first_chunk::<PRELUDE_BYTES>() else {
            return Ok(None);
        };
        let Lengths { total, headers } = lengths(prelude)?;
        let Some(frame) = left.get(..total) else {
            return Ok(None);
        };
        let (checked, checksum) = frame.split_at(total - TRAILER_BYTES);
        check("message", checked, checksum)?;
        let (headers, payload) = checked[PRELUDE_BYTES..].split_at(headers);
        self.handed_out += total;
        Ok(Some(Message { kind: kind(headers)?, payload }))
    }

    /// True if no frame is half there.
    pub(crate) fn is_between_frames(&self) -> bool {
        self.handed_out == self.kept.len()
    }
}

struct Lengths {
    total: usize,
    headers: usize,
}

fn lengths(prelude: &[u8; PRELUDE_BYTES]) -> Result<Lengths, Malformed> {
    let (numbers, checksum) = prelude.split_at(PRELUDE_BYTES - TRAILER_BYTES);
    check("prelude", numbers, checksum)?;
    let (total, headers) = numbers.split_at(4);
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte));
    let (total, headers) = (number(total), number(headers));
    if total > EVENT_LIMIT_BYTES {
        return Err(Malformed::new(format!(
            "the upstream sent an event of {total} bytes; at most {EVENT_LIMIT_BYTES} are taken"
        )));
    }
    if headers > total || PRELUDE_BYTES + headers + TRAILER_BYTES > total {
        return Err(Malformed::new(format!(
            "the upstream sent an event of {total} bytes whose headers alone have {headers}"
        )));
    }
    Ok(Lengths { total, headers })
}

fn check(what: &str, bytes: &[u8], expected: &[u8]) -> Result<(), Malformed> {
    if crc32fast::hash(bytes).to_be_bytes() == expected {
        Ok(())
    } else {
        Err(Malformed::new(format!("the upstream's event stream is damaged: a {what}'s checksum is wrong")))
    }
}

/// Reads the headers that say what a frame is.
fn kind(mut headers: &[u8]) -> Result<Kind<'_>, Malformed> {
    let (mut message_type, mut event, mut exception) = ("event", "", "");
    let (mut code, mut message) = ("", "");
    while !headers.is_empty() {
        let (name, value) = header(&mut headers).ok_or_else(torn)?;
        match name {
            b":message-type" => message_type = value,
            b":event-type" => event = value,
            b":exception-type" => exception = value,
            b":error-code" => code = value,
            b":error-message" => message = value,
            _ => {}
        }
    }
    match message_type {
        "event" => Ok(Kind::Event(event)),
        "exception" => Ok(Kind::Exception(exception)),
        "error" => Ok(Kind::Error { code, message }),
        other => Err(Malformed::new(format!("the upstream sent an event of the unknown type `{other}`"))),
    }
}

/// The next header's name and, if it is text, its value.
fn header<'a>(headers: &mut &'a [u8]) -> Option<(&'a [u8], &'a str)> {
    let name = byte(headers).and_then(|length| take(headers, usize::from(length)))?;
    let length = match byte(headers)? {
        TRUE | FALSE => 0,
        BYTE => 1,
        SHORT => 2,
        INTEGER => 4,
        LONG | TIMESTAMP => 8,
        UUID => 16,
        BYTES => length(headers)?,
        TEXT => {
            let length = length(headers)?;
            return Some((name, std::str::from_utf8(take(headers, length)?).ok()?));
        }
        _ => return None,
    };
    take(headers, length)?;
    Some((name, ""))
}

const TRUE: u8 = 0;
const FALSE: u8 = 1;
const BYTE: u8 = 2;
const SHORT: u8 = 3;
const INTEGER: u8 = 4;
const LONG: u8 = 5;
const BYTES: u8 = 6;
const TEXT: u8 = 7;
const TIMESTAMP: u8 = 8;
const UUID: u8 = 9;

fn byte(bytes: &mut &[u8]) -> Option<u8> {
    take(bytes, 1).map(|taken| taken[0])
}

fn length(bytes: &mut &[u8]) -> Option<usize> {
    take(bytes, 2).map(|taken| usize::from(u16::from_be_bytes([taken[0], taken[1]])))
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn torn() -> Malformed {
    Malformed::new("the upstream sent an event whose headers cannot be read")
}

/// Frames of our own, for tests.
#[cfg(test)]
pub(crate) fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(u8::try_from(name.len()).unwrap());
        block.extend_from_slice(name.as_bytes());
        block.push(TEXT);
        block.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
        block.extend_from_slice(value.as_bytes());
    }
    framed(&block, payload)
}

/// The same of headers in bytes.
#[cfg(test)]
fn framed(headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let total = PRELUDE_BYTES + headers.len() + payload.len() + TRAILER_BYTES;
    let mut frame = u32::try_from(total).unwrap().to_be_bytes().to_vec();
    frame.extend_from_slice(&u32::try_from(headers.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame.extend_from_slice(headers);
    frame.extend_from_slice(payload);
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame
}

#[cfg(test)]
#[path = "aws_event_stream_test.rs"]
mod tests;
