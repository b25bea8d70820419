//! Bytes in, state out. A journal is believed up to its first frame that is not whole; what follows is cut, and said.

use super::books::{Books, Disorder, Phase};
use super::frame::{FRAME_HEADER_BYTES, HEADER_BYTES, MAGIC, MOST_FRAME_BYTES, VERSION, checksum};
use super::record::{BootId, Opened, Record};
use crate::fault;
use crate::wire::bytes::{self, Unreadable};

/// What a journal says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// All of it, added up.
    pub books: Books,
    /// The file's number.
    pub file: u64,
    /// Whether it is sure that nothing was written behind its last record: it was closed in order, or the machine did not
    /// stop since and every byte is whole.
    pub complete: bool,
    /// Where belief ended, if that was before the end.
    pub cut: Option<Cut>,
}

/// Where a journal is not believed any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The start of the frame that is not whole.
    pub at_byte: usize,
    /// What is wrong with it.
    pub why: Fault,
}

/// What is wrong with a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It ends too early.
    Torn {
        /// How many bytes it should have.
        expected: usize,
        /// How many there are.
        got: usize,
    },
    /// Longer than any frame.
    TooLong {
        /// How long it says it is.
        bytes: usize,
    },
    /// Not the bytes that were written here.
    Checksum,
    /// The room behind the last frame is not empty.
    NotEmpty,
    /// Whole, but not a record.
    Unreadable(Unreadable),
    /// A record that can't follow what came before.
    Disorder(Disorder),
}

/// Bytes that are not a journal of which anything could be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JournalError {
    /// Too short for a header: the file was just being made.
    TooShort {
        /// How long it is.
        bytes: usize,
    },
    /// It begins like something else.
    Magic {
        /// What it begins with.
        got: Vec<u8>,
    },
    /// A version that this program does not know.
    Version {
        /// The one that is known.
        known: u16,
        /// The one that came.
        got: u16,
    },
    /// The header is not what was written.
    Header,
    /// Neither an opening nor a whole checkpoint: what the file before it says still holds.
    NotBegun {
        /// What came in its place, if anything did.
        cut: Option<Cut>,
    },
}

/// Reads the journal of an earlier session. `boot` is the machine's current start: if the journal was written in another
/// one, what was not flushed is gone without a trace.
pub fn replay(input: &[u8], boot: BootId) -> Result<Replayed, JournalError> {
    let (file, mut chain) = header(input)?;
    let mut books = Books::default();
    let mut at_byte = HEADER_BYTES;
    let cut = loop {
        match frame(&input[at_byte..], chain) {
            Ok(None) => break None,
            Ok(Some(frame)) => {
                if let Err(why) = books.apply(frame.record) {
                    break Some(Cut { at_byte, why: Fault::Disorder(why) });
                }
                chain = frame.chain;
                at_byte += frame.bytes;
            }
            Err(why) => break Some(Cut { at_byte, why }),
        }
    };
    if fault::planted(fault::Fault::JournalForgotten) {
        books.open.clear();
    }
    let complete = match books.phase {
        Phase::Empty | Phase::Restoring(_) => return Err(JournalError::NotBegun { cut }),
        Phase::Clean => true,
        Phase::Open => cut.is_none() && books.opened.boot == boot,
    };
    Ok(Replayed { books, file, complete, cut })
}

impl Replayed {
    /// Whose journal it is.
    pub const fn opened(&self) -> Opened {
        self.books.opened
    }

    /// Requests of which no end is known: they count as spent in full.
    pub fn open_holds(&self) -> usize {
        self.books.open.len()
    }
}

fn header(input: &[u8]) -> Result<(u64, u32), JournalError> {
    let Some(header) = input.first_chunk::<HEADER_BYTES>() else {
        return Err(JournalError::TooShort { bytes: input.len() });
    };
    if header[..8] != MAGIC {
        return Err(JournalError::Magic { got: header[..8].to_vec() });
    }
    let version = u16::from_le_bytes([header[8], header[9]]);
    if version != VERSION {
        return Err(JournalError::Version { known: VERSION, got: version });
    }
    let chain = checksum(0, &[&header[..18]]);
    if chain.to_le_bytes() != header[18..] {
        return Err(JournalError::Header);
    }
    let file = header[10..18].try_into().map(u64::from_le_bytes).expect("eight bytes");
    Ok((file, chain))
}

/// One frame that is whole.
struct Frame {
    record: Record<'static>,
    chain: u32,
    bytes: usize,
}

/// The frame that `input` begins with; none at the end.
fn frame(input: &[u8], chain: u32) -> Result<Option<Frame>, Fault> {
    if input.iter().take(FRAME_HEADER_BYTES).all(|byte| *byte == 0) {
        return if input.iter().all(|byte| *byte == 0) { Ok(None) } else { Err(Fault::NotEmpty) };
    }
    let torn = |expected| Fault::Torn { expected, got: input.len() };
    let Some((head, rest)) = input.split_first_chunk::<FRAME_HEADER_BYTES>() else {
        return Err(torn(FRAME_HEADER_BYTES));
    };
    let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
    if length > MOST_FRAME_BYTES {
        return Err(Fault::TooLong { bytes: length });
    }
    let bytes = FRAME_HEADER_BYTES + length;
    let body = rest.get(..length).ok_or_else(|| torn(bytes))?;
    let chain = checksum(chain, &[&head[..4], body]);
    if chain.to_le_bytes() != head[4..] {
        return Err(Fault::Checksum);
    }
    let record = bytes::read(body).map_err(Fault::Unreadable)?;
    Ok(Some(Frame { record, chain, bytes }))
}

impl std::fmt::Display for JournalError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooShort { bytes } => {
                write!(f, "expected a journal's header of {HEADER_BYTES} bytes, {bytes} came")
            }
            Self::Magic { got } => write!(f, "expected to begin with {MAGIC:02x?}, {got:02x?} came"),
            Self::Version { known, got } => {
                write!(f, "version {got} of a journal is not known; known is {known}")
            }
            Self::Header => write!(f, "the header's checksum is another one"),
            Self::NotBegun { cut: None } => write!(f, "expected an opening or a checkpoint, the end came"),
            Self::NotBegun { cut: Some(cut) } => {
                write!(f, "expected an opening or a checkpoint; byte {}: {:?}", cut.at_byte, cut.why)
            }
        }
    }
}

impl std::error::Error for JournalError {}

#[cfg(test)]
#[path = "replay_test.rs"]
mod tests;
