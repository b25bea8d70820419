//! Reading entries out of sled: parts become entries, and whatever does not fit is an error that says where.

use std::io;
use std::ops::RangeInclusive;

use ::sled::{Db, IVec};

use super::frame::{Damage, Key, Parts, Whole, entry_key};

/// Whole entries in order, their checksums tried, not their links.
pub(super) struct Scan<I> {
    values: I,
    parts: Option<Parts>,
}

/// The entries of a range of indexes.
pub(super) fn scan(
    db: &Db,
    range: RangeInclusive<u64>,
) -> Scan<impl Iterator<Item = ::sled::Result<(IVec, IVec)>> + use<>> {
    Scan { values: db.range(entry_key(*range.start(), 0)..=entry_key(*range.end(), u16::MAX)), parts: None }
}

impl<I: Iterator<Item = ::sled::Result<(IVec, IVec)>>> Scan<I> {
    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), Damage> {
        let (index, part) = match Key::parse(key)? {
            Key::Entry { index, part } => (index, part),
            Key::Slot(_) | Key::Anchor => return Err(format!("an entry was expected at {key:02x?}")),
        };
        match &mut self.parts {
            Some(parts) => parts.add(index, part, value),
            None if part == 0 => {
                self.parts = Some(Parts::begin(index, value)?);
                Ok(())
            }
            None => Err(format!("part 0 of entry {index} was expected, part {part} came")),
        }
    }
}

impl<I: Iterator<Item = ::sled::Result<(IVec, IVec)>>> Iterator for Scan<I> {
    type Item = io::Result<Whole>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(parts) = self.parts.take_if(|parts| parts.is_whole()) {
                return Some(parts.finish().map_err(damage));
            }
            match self.values.next() {
                Some(Ok((key, value))) => {
                    if let Err(what) = self.take(&key, &value) {
                        return Some(Err(damage(what)));
                    }
                }
                Some(Err(error)) => return Some(Err(disk(error))),
                // What is left is too short, and says so.
                None => return self.parts.take().map(|parts| parts.finish().map_err(damage)),
            }
        }
    }
}

/// What does not fit.
pub(super) fn damage(what: Damage) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// What sled says, with damage told apart from a disk that says no.
pub(super) fn disk(error: ::sled::Error) -> io::Error {
    match error {
        ::sled::Error::Io(error) => error,
        ::sled::Error::Corruption { at, .. } => {
            let place = at.map_or("an unknown place".to_owned(), |at| format!("{at:?}"));
            damage(format!("sled can't read its file at {place}"))
        }
        other @ (::sled::Error::CollectionNotFound(_)
        | ::sled::Error::Unsupported(_)
        | ::sled::Error::ReportableBug(_)) => damage(other.to_string()),
    }
}
