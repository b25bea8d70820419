//! Records as bytes in a file. Each frame's checksum goes on from that of the frame before, and the first from the file's
//! number: neither a block of an older file nor a frame out of its place can pass for the tail.
//!
//! ```text
//! header  magic (8) · version (2) · file (8) · checksum (4)
//! frame   length (4) · checksum (4) · record in postcard
//! ```
//!
//! A length of 0 is the end: room that was made ahead is zeros.
//!
//! A program that is upgraded meets its own old journals: a change to a record gets a new version, and the old one stays
//! readable, in the way that `wire` describes.

use super::books::Books;
use super::record::Record;
use crate::ledger::limits::MOST_BATCH_ROWS;
use crate::wire::bytes;

/// What a journal begins with.
pub const MAGIC: [u8; 8] = *b"tolljrnl";
/// The version that is written, and the only one that is read.
pub const VERSION: u16 = 1;
/// No record is longer, but batches and checkpoints: names have bounds, and a hold has few parts.
pub const MOST_RECORD_BYTES: usize = 16 << 10;
/// No frame is longer: a batch has the most rows, and a sum is little longer than the longest record in it.
pub const MOST_FRAME_BYTES: usize = MOST_BATCH_ROWS * 2 * MOST_RECORD_BYTES;

const ENTRIES_A_PIECE: usize = 256;
pub(super) const HEADER_BYTES: usize = 8 + 2 + 8 + 4;
pub(super) const FRAME_HEADER_BYTES: usize = 4 + 4;

/// Turns records into the bytes of one file.
#[derive(Clone, Debug)]
pub struct Writer {
    chain: u32,
}

/// A record that is too long to be kept. Nothing was written: what it says must not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// How long it is.
    pub bytes: usize,
    /// How long it may be.
    pub most: usize,
}

impl Writer {
    /// Begins a file. `file` is larger than that of every file that the session, or one before it, wrote.
    pub fn begin(file: u64, out: &mut Vec<u8>) -> Self {
        let start = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&file.to_le_bytes());
        let chain = checksum(0, &[&out[start..]]);
        out.extend_from_slice(&chain.to_le_bytes());
        Self { chain }
    }

    /// Appends a record.
    pub fn append(&mut self, record: &Record<'_>, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let most = match record {
            Record::Sent { .. } | Record::Checkpoint { .. } => MOST_FRAME_BYTES,
            Record::Opened(_)
            | Record::Reserved { .. }
            | Record::Extended { .. }
            | Record::Settled { .. }
            | Record::Released { .. }
            | Record::Leased { .. }
            | Record::Ended { .. }
            | Record::Reported { .. }
            | Record::Clean => MOST_RECORD_BYTES,
        };
        let start = out.len();
        out.extend_from_slice(&[0; FRAME_HEADER_BYTES]);
        bytes::append(record, out);
        let (head, body) = out[start..].split_at_mut(FRAME_HEADER_BYTES);
        let bytes = body.len();
        let Some(length) = u32::try_from(bytes).ok().filter(|_| bytes <= most).map(u32::to_le_bytes) else {
            out.truncate(start);
            return Err(TooLong { bytes, most });
        };
        self.chain = checksum(self.chain, &[&length, body]);
        head[..4].copy_from_slice(&length);
        head[4..].copy_from_slice(&self.chain.to_le_bytes());
        Ok(())
    }

    /// Appends what a new file begins with. After an error, the old file goes on.
    pub fn checkpoint(&mut self, books: &Books, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let entries = books.entries();
        let pieces = entries.chunks(ENTRIES_A_PIECE);
        let mut pieces_left = u32::try_from(pieces.len()).unwrap_or(u32::MAX);
        for piece in pieces {
            pieces_left -= 1;
            self.append(&Record::Checkpoint { pieces_left, entries: piece.to_vec() }, out)?;
        }
        Ok(())
    }
}

impl std::fmt::Display for TooLong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a journal's record of {} bytes; at most {} are kept", self.bytes, self.most)
    }
}

impl std::error::Error for TooLong {}

/// The checksum of `parts` behind everything that `chain` stands for.
pub(super) fn checksum(chain: u32, parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(chain);
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}
