//! How an entry lies in sled: cut into parts, with a checksum that chains it to the entry before.
//!
//! ```text
//!  e <index> <part 0>  →  chain before · chain · length · first bytes of the body
//!  e <index> <part 1>  →  more bytes
//!  s <slot>            →  checksum · how often it was kept · value
//!  a                   →  checksum · index · chain     what the first entry stands on, since all up to there was purged
//! ```
//!
//! `chain` covers the index, the body and the chain before, so that an entry which is missing, moved or of another history
//! does not fit its neighbours. Bodies are cut since sled moves a page (some 20 values) of more than 128 KiB to a file of
//! its own, in a folder that nobody syncs.

use super::super::{Record, Slot};

/// Bytes of a value. Twenty of them stay far below what sled keeps in its log.
const PART_BYTES: usize = 4096;
/// What stands before a body: chain before, chain, length.
const HEAD_BYTES: usize = 12;
/// As many parts as a key can count.
const MAX_BODY_BYTES: usize = PART_BYTES * 65_535;

const ENTRY: u8 = b'e';
const SLOT: u8 = b's';
/// The key of the anchor.
pub(super) const ANCHOR: [u8; 1] = [b'a'];

/// A value that is not what was written; in words, for whoever adds where it lies.
pub(super) type Damage = String;

/// What the next entry stands on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Anchor {
    /// Up to where the log was purged.
    pub(super) index: u64,
    /// The chain of the entry there; 0 where that entry was never here.
    pub(super) chain: u32,
}

/// A key in this store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Entry { index: u64, part: u16 },
    Slot(Slot),
    Anchor,
}

impl Key {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Damage> {
        let slot = |tag| Slot::ALL.into_iter().find(|slot| slot_tag(*slot) == tag).map(Self::Slot);
        let parsed = match bytes {
            [ENTRY, rest @ ..] => rest.split_first_chunk().and_then(|(index, part)| {
                let part = u16::from_be_bytes(part.try_into().ok()?);
                Some(Self::Entry { index: u64::from_be_bytes(*index), part })
            }),
            [SLOT, tag] => slot(*tag),
            _ if bytes == ANCHOR => Some(Self::Anchor),
            _ => None,
        };
        parsed.ok_or_else(|| format!("a key of the log was expected, {bytes:02x?} came"))
    }
}

/// Where a part of an entry lies: in order of index, then part.
pub(super) fn entry_key(index: u64, part: u16) -> [u8; 11] {
    let mut key = [ENTRY; 11];
    key[1..9].copy_from_slice(&index.to_be_bytes());
    key[9..].copy_from_slice(&part.to_be_bytes());
    key
}

/// Where a slot lies.
pub(super) fn slot_key(slot: Slot) -> [u8; 2] {
    [SLOT, slot_tag(slot)]
}

fn slot_tag(slot: Slot) -> u8 {
    match slot {
        Slot::Vote => b'v',
        Slot::Committed => b'c',
        Slot::Purged => b'p',
    }
}

/// An entry's values, in order of their parts, and its chain. A body that needs more parts than can be counted is refused.
pub(super) fn entry_values(record: &Record, before: u32) -> Result<(Vec<Vec<u8>>, u32), Damage> {
    let length = u32::try_from(record.body.len()).ok().filter(|_| record.body.len() <= MAX_BODY_BYTES);
    let Some(length) = length else {
        let came = record.body.len();
        return Err(format!(
            "entry {}: at most {MAX_BODY_BYTES} bytes were expected, {came} came",
            record.index
        ));
    };
    let chain = chain(record, before);
    let (in_head, rest) = record.body.split_at(record.body.len().min(PART_BYTES - HEAD_BYTES));
    let mut head = Vec::with_capacity(HEAD_BYTES + in_head.len());
    head.extend_from_slice(&before.to_le_bytes());
    head.extend_from_slice(&chain.to_le_bytes());
    head.extend_from_slice(&length.to_le_bytes());
    head.extend_from_slice(in_head);
    let mut values = vec![head];
    values.extend(rest.chunks(PART_BYTES).map(<[u8]>::to_vec));
    Ok((values, chain))
}

fn chain(record: &Record, before: u32) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&before.to_le_bytes());
    sum.update(&record.index.to_le_bytes());
    sum.update(&record.body);
    sum.finalize()
}

/// An entry while its parts come in.
pub(super) struct Parts {
    index: u64,
    before: u32,
    chain: u32,
    length: usize,
    next: u16,
    body: Vec<u8>,
}

/// An entry that is whole.
pub(super) struct Whole {
    pub(super) record: Record,
    /// The chain of the entry that it follows.
    pub(super) before: u32,
    pub(super) chain: u32,
}

impl Parts {
    /// From an entry's first part.
    pub(super) fn begin(index: u64, head: &[u8]) -> Result<Self, Damage> {
        let numbers = head.split_first_chunk::<HEAD_BYTES>().and_then(|(numbers, body)| {
            let [before, chain, length] =
                [0, 4, 8].map(|at| numbers[at..at + 4].try_into().map(u32::from_le_bytes));
            Some((before.ok()?, chain.ok()?, length.ok()?, body))
        });
        let Some((before, chain, length, body)) = numbers else {
            return Err(format!(
                "entry {index}: a head of {HEAD_BYTES} bytes was expected, {} came",
                head.len()
            ));
        };
        Ok(Self { index, before, chain, length: length as usize, next: 1, body: body.to_vec() })
    }

    /// Takes the next part.
    pub(super) fn add(&mut self, index: u64, part: u16, value: &[u8]) -> Result<(), Damage> {
        if (index, part) != (self.index, self.next) {
            let (expected, next) = (self.index, self.next);
            return Err(format!("part {next} of entry {expected} was expected, part {part} of {index} came"));
        }
        self.next = self.next.wrapping_add(1);
        self.body.extend_from_slice(value);
        Ok(())
    }

    /// What the head says the chain is.
    pub(super) fn chain(&self) -> u32 {
        self.chain
    }

    /// Whether no part is missing.
    pub(super) fn is_whole(&self) -> bool {
        self.body.len() >= self.length
    }

    /// The entry, if it is what was written.
    pub(super) fn finish(self) -> Result<Whole, Damage> {
        let (index, length, came) = (self.index, self.length, self.body.len());
        if came != length {
            return Err(format!("entry {index}: {length} bytes were expected, {came} came"));
        }
        let record = Record { index, body: self.body };
        let sum = chain(&record, self.before);
        if sum != self.chain {
            let expected = self.chain;
            return Err(format!("entry {index}: checksum {expected:08x} was expected, {sum:08x} came"));
        }
        Ok(Whole { record, before: self.before, chain: sum })
    }
}

/// A slot's value with how often the slot was kept, as it lies on the disk.
pub(super) fn slot_value(count: u64, value: &[u8]) -> Vec<u8> {
    summed(&[&count.to_le_bytes(), value].concat())
}

/// How often a slot was kept, and what it holds.
pub(super) fn parse_slot(slot: Slot, bytes: &[u8]) -> Result<(u64, Vec<u8>), Damage> {
    let rest = checked(bytes).map_err(|damage| format!("{slot:?}: {damage}"))?;
    let Some((count, value)) = rest.split_first_chunk() else {
        return Err(format!("{slot:?}: 8 bytes or more were expected, {} came", rest.len()));
    };
    Ok((u64::from_le_bytes(*count), value.to_vec()))
}

/// The anchor as it lies on the disk.
pub(super) fn anchor_value(anchor: Anchor) -> Vec<u8> {
    summed(&[anchor.index.to_le_bytes().as_slice(), &anchor.chain.to_le_bytes()].concat())
}

/// The anchor from its bytes.
pub(super) fn parse_anchor(bytes: &[u8]) -> Result<Anchor, Damage> {
    let rest = checked(bytes).map_err(|damage| format!("the anchor: {damage}"))?;
    let parsed = rest.split_first_chunk().and_then(|(index, chain)| {
        Some(Anchor { index: u64::from_le_bytes(*index), chain: u32::from_le_bytes(chain.try_into().ok()?) })
    });
    parsed.ok_or_else(|| format!("the anchor: 12 bytes were expected, {} came", rest.len()))
}

fn summed(bytes: &[u8]) -> Vec<u8> {
    [crc32fast::hash(bytes).to_le_bytes().as_slice(), bytes].concat()
}

fn checked(bytes: &[u8]) -> Result<&[u8], Damage> {
    let Some((expected, rest)) = bytes.split_first_chunk() else {
        return Err(format!("a checksum was expected, {} bytes came", bytes.len()));
    };
    let (expected, sum) = (u32::from_le_bytes(*expected), crc32fast::hash(rest));
    if expected == sum {
        Ok(rest)
    } else {
        Err(format!("checksum {expected:08x} was expected, {sum:08x} came"))
    }
}
