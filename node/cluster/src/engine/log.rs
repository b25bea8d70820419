//! The log, for whoever reads it or writes to it.

use std::io;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::desk::{self, Ask, Desk, Job, State};
use super::writer::Done;
use super::{Record, Slot};

/// A log whose engine is owned by a [writer](super::writer). Clones are the same log.
#[derive(Clone)]
pub struct Log {
    desk: Arc<Desk>,
}

impl Log {
    pub(super) fn new(desk: Arc<Desk>) -> Self {
        Self { desk }
    }

    /// Appends entries that follow the last one. They can be read when this returns; `done` is told when they are durable, on
    /// the writer's thread.
    pub async fn append(&self, entries: Vec<Record>, done: Done) -> io::Result<()> {
        let bytes: usize = entries.iter().map(|record| record.body.len()).sum();
        let job = |state: &mut State| {
            state.tail.append(&entries);
            if let (Some(first), Some(last)) = (entries.first(), entries.last()) {
                state.range = Some((state.range.map_or(first.index, |(first, _)| first), last.index));
            }
            (Ask::Append(entries), Some(done))
        };
        self.ask(bytes, job).await
    }

    /// Drops every entry after `last`; all of them for None.
    pub async fn truncate_after(&self, last: Option<u64>) -> io::Result<()> {
        let job = |state: &mut State| {
            state.tail.truncate_after(last);
            state.range = state.range.and_then(|(first, end)| {
                let end = end.min(last?);
                (first <= end).then_some((first, end))
            });
            (Ask::TruncateAfter(last), None)
        };
        self.ask(0, job).await
    }

    /// Drops every entry up to and with `last`.
    pub async fn purge(&self, last: u64) -> io::Result<()> {
        let job = |state: &mut State| {
            state.tail.purge(last);
            state.range = state.range.filter(|(_, end)| *end > last);
            state.range = state.range.map(|(first, end)| (first.max(last + 1), end));
            (Ask::Purge(last), None)
        };
        self.ask(0, job).await
    }

    /// Keeps a value; it is durable when this returns.
    pub async fn save(&self, slot: Slot, value: Vec<u8>) -> io::Result<()> {
        let (told, outcome) = oneshot::channel();
        let done: Done = Box::new(move |result| drop(told.send(result)));
        self.put(slot, value, Some(done)).await?;
        outcome.await.unwrap_or_else(|_| Err(desk::gone()))
    }

    /// Keeps a value that becomes durable with whatever is synced next, or when the log comes to rest.
    pub async fn note(&self, slot: Slot, value: Vec<u8>) -> io::Result<()> {
        self.put(slot, value, None).await
    }

    /// What was kept last, durable or not.
    pub fn read(&self, slot: Slot) -> io::Result<Option<Vec<u8>>> {
        Ok(self.desk.open()?.slots.get(&slot).cloned())
    }

    /// Entries from `first` on to without `end`, as they are now, in order, none missing; fewer where the log begins or ends.
    pub async fn entries(&self, first: u64, end: u64) -> io::Result<Vec<Record>> {
        let (older, newer) = {
            let mut state = self.desk.open()?;
            let Some((lowest, highest)) = state.range else { return Ok(Vec::new()) };
            let (first, end) = (first.max(lowest), end.min(highest.saturating_add(1)));
            let newer = state.tail.entries(first, end);
            let border = state.tail.first().map_or(end, |tail| tail.min(end));
            if first >= border {
                return Ok(newer);
            }
            let (answer, older) = oneshot::channel();
            state.jobs.push(Job { ask: Ask::Read { first, end: border, answer }, done: None, units: 0 });
            (older, newer)
        };
        self.desk.asked.notify_one();
        let mut entries = older.await.unwrap_or_else(|_| Err(desk::gone()))?;
        entries.extend(newer);
        Ok(entries)
    }

    /// The first and the last index that there is.
    pub fn range(&self) -> io::Result<Option<(u64, u64)>> {
        Ok(self.desk.open()?.range)
    }

    /// Why the log takes nothing any more; None while it does.
    pub fn failure(&self) -> Option<io::Error> {
        self.desk.open().err()
    }

    /// Waits until the writer has something to do. For who calls [`Writer::turn`](super::writer::Writer::turn) himself.
    pub async fn asked(&self) {
        self.desk.asked.notified().await;
    }

    async fn put(&self, slot: Slot, value: Vec<u8>, done: Option<Done>) -> io::Result<()> {
        let job = |state: &mut State| {
            state.slots.insert(slot, value.clone());
            (Ask::Put(slot, value), done)
        };
        self.ask(0, job).await
    }

    /// Leaves a job, once there is room. What it changes can be seen from then on.
    async fn ask(&self, bytes: usize, job: impl FnOnce(&mut State) -> (Ask, Option<Done>)) -> io::Result<()> {
        let units = desk::units(bytes);
        // Closed where the log is, which is told below.
        if let Ok(room) = self.desk.room.acquire_many(units).await {
            room.forget();
        }
        let mut state = self.desk.open()?;
        let (ask, done) = job(&mut state);
        let awaited = done.is_some();
        state.jobs.push(Job { ask, done, units });
        drop(state);
        if awaited {
            self.desk.asked.notify_one();
        }
        Ok(())
    }
}
