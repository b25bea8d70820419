//! Where the Raft log lies: what an engine must promise, whatever it is made of.

use std::io;

mod desk;
pub mod log;
pub mod memory;
pub mod sled;
mod tail;
pub mod writer;

/// A log on some disk. One thread owns it: calls come one after the other, and each is a group of what was asked meanwhile.
///
/// Nothing is durable before [`sync`](Self::sync) has returned. An error of `sync` is final: what it left on the disk is not
/// known, and asking again would not tell.
pub trait LogEngine: Send + 'static {
    /// Appends entries. The first one's index follows the last one's or what was purged; in a log that never held any, it is
    /// any.
    fn append(&mut self, entries: &[Record]) -> io::Result<()>;

    /// Drops every entry after `last`; all of them for None.
    fn truncate_after(&mut self, last: Option<u64>) -> io::Result<()>;

    /// Drops every entry up to and with `last`. They may stay on the disk for a while, but are not read again.
    fn purge(&mut self, last: u64) -> io::Result<()>;

    /// Keeps a small value beside the log: the vote, what was committed, what was purged.
    fn put(&mut self, slot: Slot, value: &[u8]) -> io::Result<()>;

    /// What was kept.
    fn read(&self, slot: Slot) -> io::Result<Option<Vec<u8>>>;

    /// Entries from `first` on to without `end`, in order, none missing. Fewer only where the log ends.
    fn entries(&self, first: u64, end: u64) -> io::Result<Vec<Record>>;

    /// The first and the last index that there is.
    fn range(&self) -> io::Result<Option<(u64, u64)>>;

    /// Makes all of it survive a power cut. Asked again when nothing has changed since, an engine does what need not be done
    /// with each group.
    fn sync(&mut self) -> io::Result<()>;
}

/// An entry as it lies on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place in the log.
    pub index: u64,
    /// What it says. The engine adds a checksum and the link to the entry before it.
    pub body: Vec<u8>,
}

/// Small values beside the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// Whom this node voted for, in which term.
    Vote,
    /// The last entry that is known to be committed.
    Committed,
    /// The last entry that was purged.
    Purged,
}

impl Slot {
    /// Every slot.
    pub const ALL: [Self; 3] = [Self::Vote, Self::Committed, Self::Purged];
}
