//! The newest entries, in memory: followers and the state machine read these, and need not wait for a disk that syncs.

use std::collections::VecDeque;

use super::Record;

/// Bytes of bodies that are kept; more than the queue before the engine takes, so that what is not synced is here.
const KEPT_BYTES: usize = 64 << 20;
/// What an entry costs beside its body.
const ENTRY_BYTES: usize = 64;

/// A run of entries up to the log's end.
#[derive(Debug, Default)]
pub(super) struct Tail {
    entries: VecDeque<Record>,
    bytes: usize,
}

impl Tail {
    /// Takes new entries, and lets go of the oldest.
    pub(super) fn append(&mut self, entries: &[Record]) {
        for record in entries {
            self.bytes += ENTRY_BYTES + record.body.len();
            self.entries.push_back(record.clone());
        }
        while self.bytes > KEPT_BYTES {
            self.shift();
        }
    }

    /// Drops what comes after an entry.
    pub(super) fn truncate_after(&mut self, last: Option<u64>) {
        while let Some(record) =
            self.entries.pop_back_if(|record| last.is_none_or(|last| record.index > last))
        {
            self.bytes -= ENTRY_BYTES + record.body.len();
        }
    }

    /// Drops entries up to one.
    pub(super) fn purge(&mut self, last: u64) {
        while self.entries.front().is_some_and(|record| record.index <= last) {
            self.shift();
        }
    }

    /// What of `first..end` is here: an end part of it, since the log goes on to nowhere else.
    pub(super) fn entries(&self, first: u64, end: u64) -> Vec<Record> {
        let begin = self.entries.partition_point(|record| record.index < first);
        let stop = self.entries.partition_point(|record| record.index < end);
        self.entries.range(begin..stop.max(begin)).cloned().collect()
    }

    /// The first index that is here.
    pub(super) fn first(&self) -> Option<u64> {
        self.entries.front().map(|record| record.index)
    }

    fn shift(&mut self) {
        if let Some(record) = self.entries.pop_front() {
            self.bytes -= ENTRY_BYTES + record.body.len();
        }
    }
}
