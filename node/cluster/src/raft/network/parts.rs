//! A snapshot on its way: what it is and how long, its bytes in parts with a checksum each, and a last word over all of it.
//! TLS keeps strangers from changing it; these are for our own memory and disks, and for a sender that ends in the middle.

use bytes::{BufMut, Bytes, BytesMut};
use openraft::alias::VoteOf;
use serde::{Deserialize, Serialize};

use crate::raft::types::{SnapshotHead, Types};
use crate::transport::Refusal;
use crate::transport::envelope::{pack, unpack};

/// So much goes in one message.
pub(super) const PART_BYTES: u64 = 1 << 20;

/// The first message.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) vote: VoteOf<Types>,
    pub(super) meta: SnapshotHead,
    pub(super) bytes: u64,
}

/// A message.
#[derive(Debug)]
pub(super) enum Message {
    Head(Box<Head>),
    Part(Bytes),
    End { bytes: u64, checksum: u32 },
}

const HEAD: u8 = b'H';
const PART: u8 = b'P';
const END: u8 = b'E';

pub(super) fn head(head: &Head) -> Bytes {
    let body = pack(head);
    let mut message = BytesMut::with_capacity(1 + body.len());
    message.put_u8(HEAD);
    message.put(body);
    message.freeze()
}

pub(super) fn part(bytes: &[u8]) -> Bytes {
    let mut message = BytesMut::with_capacity(5 + bytes.len());
    message.put_u8(PART);
    message.put_u32(crc32fast::hash(bytes));
    message.put_slice(bytes);
    message.freeze()
}

pub(super) fn end(bytes: u64, checksum: u32) -> Bytes {
    let mut message = BytesMut::with_capacity(13);
    message.put_u8(END);
    message.put_u64(bytes);
    message.put_u32(checksum);
    message.freeze()
}

pub(super) fn read(message: &Bytes) -> Result<Message, Refusal> {
    let malformed = |what: &str| {
        Err(Refusal::malformed(format!("a snapshot's {what} of {} bytes can't be read", message.len())))
    };
    match message.first() {
        Some(&HEAD) => Ok(Message::Head(Box::new(unpack(&message[1..])?))),
        Some(&PART) => {
            let Some((checksum, bytes)) = message[1..].split_first_chunk() else { return malformed("part") };
            let (said, found) = (u32::from_be_bytes(*checksum), crc32fast::hash(bytes));
            if said != found {
                let text = format!("a snapshot's part has the checksum {found:08x}, {said:08x} was expected");
                return Err(Refusal::malformed(text));
            }
            Ok(Message::Part(message.slice(5..)))
        }
        Some(&END) => match message[1..].split_first_chunk() {
            Some((bytes, checksum)) => match checksum.try_into() {
                Ok(checksum) => {
                    let (bytes, checksum) = (u64::from_be_bytes(*bytes), u32::from_be_bytes(checksum));
                    Ok(Message::End { bytes, checksum })
                }
                Err(_other_length) => malformed("end"),
            },
            None => malformed("end"),
        },
        Some(_) | None => malformed("message"),
    }
}

/// What has come so far.
#[derive(Debug)]
pub(super) struct Tally {
    expected: u64,
    bytes: u64,
    checksum: crc32fast::Hasher,
}

impl Tally {
    pub(super) fn new(expected: u64) -> Self {
        Self { expected, bytes: 0, checksum: crc32fast::Hasher::new() }
    }

    /// Counts a part; refuses more than there should be.
    pub(super) fn add(&mut self, part: &[u8]) -> Result<(), Refusal> {
        self.bytes += part.len() as u64;
        if self.bytes > self.expected {
            let text = format!("expected a snapshot of {} bytes, {} came already", self.expected, self.bytes);
            return Err(Refusal::malformed(text));
        }
        self.checksum.update(part);
        Ok(())
    }

    /// Whether the last word is about what came.
    pub(super) fn close(self, bytes: u64, checksum: u32) -> Result<(), Refusal> {
        let found = self.checksum.finalize();
        if (self.bytes, self.bytes, found) == (self.expected, bytes, checksum) {
            return Ok(());
        }
        Err(Refusal::malformed(format!(
            "expected a snapshot of {} bytes with the checksum {checksum:08x}, {} with {found:08x} came",
            self.expected, self.bytes
        )))
    }
}
