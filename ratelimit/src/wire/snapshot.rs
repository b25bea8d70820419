//! A snapshot as a stream: a header, chunks of items, and an end that tells how many there were. Every chunk's checksum
//! goes on from that of the one before, so a chunk can't be changed, left out, moved or taken from another snapshot.
//! What was read counts only once [`Reader::chunk`] has said that the end came.
//!
//! ```text
//! header  magic (8) · version (2) · cluster (16) · checksum (4)
//! chunk   section (1) · items (4) · length (4) · checksum (4) · items, each in postcard
//! end     a chunk of section 255: how many items each section had
//! ```

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::bytes::{self, Unreadable};

/// No chunk's items are longer than this together; no item alone may be.
pub const MOST_CHUNK_BYTES: usize = 1 << 20;

const MAGIC: [u8; 8] = *b"tollsnap";
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 8 + 2 + 16 + 4;
const CHUNK_HEADER_BYTES: usize = 1 + 4 + 4 + 4;
const END: u8 = u8::MAX;

/// Items of one section, by section.
type Totals = BTreeMap<u8, u64>;

/// Writes a snapshot.
#[derive(Debug)]
pub struct Writer<W> {
    output: W,
    /// The chunk that is being filled, after room for its header.
    chunk: Vec<u8>,
    section: u8,
    items: u32,
    chain: u32,
    totals: Totals,
    at_byte: u64,
}

impl<W: Write> Writer<W> {
    /// Begins a snapshot of that cluster.
    pub fn begin(cluster: [u8; 16], output: W) -> Result<Self, SnapshotError> {
        let mut writer = Self {
            output,
            chunk: vec![0; CHUNK_HEADER_BYTES],
            section: 0,
            items: 0,
            chain: 0,
            totals: Totals::new(),
            at_byte: 0,
        };
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(&MAGIC);
        header.extend_from_slice(&VERSION.to_le_bytes());
        header.extend_from_slice(&cluster);
        writer.chain = checksum(0, &[&header]);
        header.extend_from_slice(&writer.chain.to_le_bytes());
        writer.put(&header)?;
        Ok(writer)
    }

    /// Adds an item to a section. Sections may come in any order, and again; 255 is taken.
    pub fn item<T: Serialize + ?Sized>(&mut self, section: u8, item: &T) -> Result<(), SnapshotError> {
        if section == END {
            return Err(self.failed(Why::Section { got: section }));
        }
        if section != self.section {
            self.flush()?;
            self.section = section;
        }
        let start = self.chunk.len();
        bytes::append(item, &mut self.chunk);
        let length = self.chunk.len() - start;
        if length > MOST_CHUNK_BYTES {
            self.chunk.truncate(start);
            return Err(self.failed(Why::TooLong { bytes: length as u64 }));
        }
        if self.chunk.len() - CHUNK_HEADER_BYTES > MOST_CHUNK_BYTES {
            let item = self.chunk.split_off(start);
            self.flush()?;
            self.chunk.extend_from_slice(&item);
        }
        self.items += 1;
        *self.totals.entry(section).or_default() += 1;
        Ok(())
    }

    /// Ends the snapshot and gives the output back. Without it, no reader takes the snapshot.
    pub fn finish(mut self) -> Result<W, SnapshotError> {
        self.flush()?;
        self.section = END;
        bytes::append(&self.totals, &mut self.chunk);
        self.items = 1;
        self.flush()?;
        self.output.flush().map_err(|why| self.failed(Why::Io(why.kind())))?;
        Ok(self.output)
    }

    fn flush(&mut self) -> Result<(), SnapshotError> {
        if self.items == 0 {
            return Ok(());
        }
        let length = u32::try_from(self.chunk.len() - CHUNK_HEADER_BYTES).expect("a chunk has a bound");
        let (head, body) = self.chunk.split_at_mut(CHUNK_HEADER_BYTES);
        head[0] = self.section;
        head[1..5].copy_from_slice(&self.items.to_le_bytes());
        head[5..9].copy_from_slice(&length.to_le_bytes());
        self.chain = checksum(self.chain, &[&head[..9], body]);
        head[9..].copy_from_slice(&self.chain.to_le_bytes());

        let mut chunk = std::mem::take(&mut self.chunk);
        self.put(&chunk)?;
        chunk.truncate(CHUNK_HEADER_BYTES);
        self.chunk = chunk;
        self.items = 0;
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        self.output.write_all(bytes).map_err(|why| self.failed(Why::Io(why.kind())))?;
        self.at_byte += bytes.len() as u64;
        Ok(())
    }

    const fn failed(&self, why: Why) -> SnapshotError {
        SnapshotError { at_byte: self.at_byte, why }
    }
}

/// Reads a snapshot.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    cluster: [u8; 16],
    chain: u32,
    totals: Totals,
    at_byte: u64,
    ended: bool,
}

/// Some items of one section, in the order in which they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Which section.
    pub section: u8,
    items: u32,
    body: Vec<u8>,
    at_byte: u64,
}

impl<R: Read> Reader<R> {
    /// Reads the header.
    pub fn begin(input: R) -> Result<Self, SnapshotError> {
        let mut reader =
            Self { input, cluster: [0; 16], chain: 0, totals: Totals::new(), at_byte: 0, ended: false };
        let mut header = [0; HEADER_BYTES];
        reader.fill(&mut header)?;
        if header[..8] != MAGIC {
            return Err(reader.failed(Why::Magic { got: header[..8].to_vec() }));
        }
        let version = u16::from_le_bytes([header[8], header[9]]);
        if version != VERSION {
            return Err(reader.failed(Why::Version { known: VERSION, got: version }));
        }
        reader.chain = checksum(0, &[&header[..HEADER_BYTES - 4]]);
        if reader.chain.to_le_bytes() != header[HEADER_BYTES - 4..] {
            return Err(reader.failed(Why::Checksum));
        }
        reader.cluster.copy_from_slice(&header[10..26]);
        reader.at_byte = HEADER_BYTES as u64;
        Ok(reader)
    }

    /// Whose snapshot it is.
    pub const fn cluster(&self) -> [u8; 16] {
        self.cluster
    }

    /// The next chunk; none once the end came and everything that was read is what was written.
    pub fn chunk(&mut self) -> Result<Option<Chunk>, SnapshotError> {
        if self.ended {
            return Ok(None);
        }
        let mut head = [0; CHUNK_HEADER_BYTES];
        self.fill(&mut head)?;
        let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (section, items, length, sum) = (head[0], word(1), word(5), word(9));
        if length as usize > MOST_CHUNK_BYTES {
            return Err(self.failed(Why::TooLong { bytes: u64::from(length) }));
        }
        let mut body = vec![0; length as usize];
        self.fill(&mut body)?;
        let chain = checksum(self.chain, &[&head[..9], &body]);
        if chain != sum {
            return Err(self.failed(Why::Checksum));
        }
        let chunk = Chunk { section, items, body, at_byte: self.at_byte };
        self.chain = chain;
        self.at_byte += (CHUNK_HEADER_BYTES + chunk.body.len()) as u64;
        if section == END {
            return self.end(&chunk).map(|()| None);
        }
        *self.totals.entry(section).or_default() += u64::from(items);
        Ok(Some(chunk))
    }

    fn end(&mut self, chunk: &Chunk) -> Result<(), SnapshotError> {
        let expected: Totals = bytes::read(&chunk.body).map_err(|why| self.failed(Why::Items(why)))?;
        if expected != self.totals {
            return Err(self.failed(Why::Totals { expected, got: self.totals.clone() }));
        }
        match self.input.read(&mut [0]) {
            Ok(0) => {
                self.ended = true;
                Ok(())
            }
            Ok(_) => Err(self.failed(Why::Trailing)),
            Err(why) => Err(self.failed(Why::Io(why.kind()))),
        }
    }

    fn fill(&mut self, into: &mut [u8]) -> Result<(), SnapshotError> {
        self.input.read_exact(into).map_err(|why| {
            let kind = why.kind();
            self.failed(if kind == ErrorKind::UnexpectedEof { Why::Cut } else { Why::Io(kind) })
        })
    }

    const fn failed(&self, why: Why) -> SnapshotError {
        SnapshotError { at_byte: self.at_byte, why }
    }
}

impl Chunk {
    /// Its items, which must all be read: what is left over is an error too.
    pub fn items<T: DeserializeOwned>(&self) -> Result<Vec<T>, SnapshotError> {
        let failed = |why| SnapshotError { at_byte: self.at_byte, why: Why::Items(why) };
        let mut items = Vec::new();
        let mut rest = self.body.as_slice();
        for _ in 0..self.items {
            let (item, after) = bytes::take(rest).map_err(failed)?;
            items.push(item);
            rest = after;
        }
        if !rest.is_empty() {
            return Err(failed(Unreadable::Trailing { bytes: rest.len() }));
        }
        Ok(items)
    }

    /// What to say of a section that the caller does not know.
    pub const fn unknown(&self) -> SnapshotError {
        SnapshotError { at_byte: self.at_byte, why: Why::Section { got: self.section } }
    }
}

/// A snapshot that can't be written or must not be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotError {
    /// Where in the stream: the start of the header or chunk that it is about.
    pub at_byte: u64,
    /// What.
    pub why: Why,
}

/// Why a snapshot can't be written or must not be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The stream itself failed.
    Io(ErrorKind),
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
    /// It ends before its end.
    Cut,
    /// It goes on after its end.
    Trailing,
    /// These bytes are not those that were written here.
    Checksum,
    /// An item or a chunk that is longer than [`MOST_CHUNK_BYTES`].
    TooLong {
        /// How long it is.
        bytes: u64,
    },
    /// A section that may not be, or that nobody knows.
    Section {
        /// Its number.
        got: u8,
    },
    /// Whole, but not the items that were expected.
    Items(Unreadable),
    /// Other numbers of items than its end says.
    Totals {
        /// What the end says, by section.
        expected: BTreeMap<u8, u64>,
        /// What came.
        got: BTreeMap<u8, u64>,
    },
}

impl std::fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "snapshot, byte {}: ", self.at_byte)?;
        match &self.why {
            Why::Io(kind) => write!(f, "{kind}"),
            Why::Magic { got } => write!(f, "expected to begin with {MAGIC:02x?}, {got:02x?} came"),
            Why::Version { known, got } => write!(f, "version {got} is not known; known is {known}"),
            Why::Cut => write!(f, "expected more, the end came"),
            Why::Trailing => write!(f, "expected the end, more came"),
            Why::Checksum => write!(f, "the checksum is another one: not what was written here"),
            Why::TooLong { bytes } => write!(f, "{bytes} bytes; at most {MOST_CHUNK_BYTES} are taken"),
            Why::Section { got } => write!(f, "no section has the number {got}"),
            Why::Items(why) => write!(f, "{why}"),
            Why::Totals { expected, got } => {
                write!(f, "expected {expected:?} items by section, {got:?} came")
            }
        }
    }
}

impl std::error::Error for SnapshotError {}

fn checksum(chain: u32, parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(chain);
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}

#[cfg(test)]
#[path = "snapshot_test.rs"]
mod tests;
