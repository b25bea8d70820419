//! openraft's log storage over our log: entries and ids become bytes, and nothing else happens here.
//!
//! `append` returns once its entries can be read and reports when they are durable; a vote is durable before it counts. The
//! committed id rides with the next group: after a crash it may be a little old, never ahead of the log, and what it lacks
//! is committed again by the next leader.

use std::fmt::Debug;
use std::io;
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};

use openraft::alias::{EntryOf, LogIdOf, VoteOf};
use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use openraft::{OptionalSend, RaftTypeConfig};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::engine::log::Log;
use crate::engine::{Record, Slot};

/// Bytes of entries in one message to a follower: below what a gRPC message may have by default, 4 MiB.
const MOST_BYTES: usize = 2 << 20;

/// The log as openraft wants it. Generic so that the simulator can use it with its own runtime; clones are the same log.
pub struct LogStore<C> {
    log: Log,
    types: PhantomData<fn() -> C>,
}

impl<C> Clone for LogStore<C> {
    fn clone(&self) -> Self {
        Self { log: self.log.clone(), types: PhantomData }
    }
}

impl<C> LogStore<C>
where
    C: RaftTypeConfig,
    EntryOf<C>: Serialize + DeserializeOwned,
    VoteOf<C>: Serialize + DeserializeOwned,
    LogIdOf<C>: Serialize + DeserializeOwned,
{
    /// Over a log that was just opened. Ends what a crash interrupted, and refuses a log that holds less than was committed.
    pub async fn open(log: Log) -> io::Result<Self> {
        let store = Self { log, types: PhantomData };
        if let Some(purged) = store.slot::<LogIdOf<C>>(Slot::Purged)? {
            // The id is written before its entries go: between the two, they are still there.
            store.log.purge(purged.index()).await?;
        }
        let last = store.state().await?.last_log_id;
        match store.slot::<LogIdOf<C>>(Slot::Committed)? {
            Some(committed) if last.as_ref().is_none_or(|last| last.index() < committed.index()) => {
                let found = last.map_or("none".to_owned(), |last| last.to_string());
                Err(damage(format!(
                    "entries up to {committed}, which is committed, were expected, the last is {found}"
                )))
            }
            Some(_) | None => Ok(store),
        }
    }

    async fn state(&self) -> io::Result<LogState<C>> {
        let last_purged_log_id = self.slot(Slot::Purged)?;
        let last = match self.log.range()? {
            Some((_, last)) => self.log.entries(last, last.saturating_add(1)).await?.pop(),
            None => None,
        };
        let last = last.map(|record| entry::<C>(&record)).transpose()?.map(|entry| entry.log_id());
        Ok(LogState { last_log_id: last.or_else(|| last_purged_log_id.clone()), last_purged_log_id })
    }

    fn slot<T: DeserializeOwned>(&self, slot: Slot) -> io::Result<Option<T>> {
        let bytes = self.log.read(slot)?;
        let parsed = bytes.map(|bytes| postcard::from_bytes(&bytes)).transpose();
        parsed.map_err(|error| damage(format!("{slot:?}: {error}")))
    }
}

impl<C> RaftLogReader<C> for LogStore<C>
where
    C: RaftTypeConfig,
    EntryOf<C>: Serialize + DeserializeOwned,
    VoteOf<C>: Serialize + DeserializeOwned,
    LogIdOf<C>: Serialize + DeserializeOwned,
{
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<C::Entry>, io::Error> {
        let first = match range.start_bound() {
            Bound::Included(first) => *first,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        self.log.entries(first, end).await?.iter().map(entry::<C>).collect()
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<C::Entry>, io::Error> {
        let records = self.log.entries(start, end).await?;
        let mut room = MOST_BYTES;
        let fitting = records.iter().enumerate().take_while(|(position, record)| {
            let fits = *position == 0 || record.body.len() <= room;
            room = room.saturating_sub(record.body.len());
            fits
        });
        fitting.map(|(_, record)| entry::<C>(record)).collect()
    }

    async fn read_vote(&mut self) -> Result<Option<VoteOf<C>>, io::Error> {
        self.slot(Slot::Vote)
    }
}

impl<C> RaftLogStorage<C> for LogStore<C>
where
    C: RaftTypeConfig,
    EntryOf<C>: Serialize + DeserializeOwned,
    VoteOf<C>: Serialize + DeserializeOwned,
    LogIdOf<C>: Serialize + DeserializeOwned,
{
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<C>, io::Error> {
        self.state().await
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &VoteOf<C>) -> Result<(), io::Error> {
        self.log.save(Slot::Vote, bytes(vote)?).await
    }

    async fn save_committed(&mut self, committed: Option<LogIdOf<C>>) -> Result<(), io::Error> {
        match committed {
            Some(committed) => self.log.note(Slot::Committed, bytes(&committed)?).await,
            None => Ok(()),
        }
    }

    async fn read_committed(&mut self) -> Result<Option<LogIdOf<C>>, io::Error> {
        self.slot(Slot::Committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<C>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = C::Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let records =
            entries.into_iter().map(|entry| Ok(Record { index: entry.index(), body: bytes(&entry)? }));
        let records = records.collect::<io::Result<Vec<_>>>()?;
        self.log.append(records, Box::new(move |outcome| callback.io_completed(outcome))).await
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogIdOf<C>>) -> Result<(), io::Error> {
        self.log.truncate_after(last_log_id.map(|last| last.index())).await
    }

    async fn purge(&mut self, log_id: LogIdOf<C>) -> Result<(), io::Error> {
        self.log.note(Slot::Purged, bytes(&log_id)?).await?;
        self.log.purge(log_id.index()).await
    }
}

fn bytes<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    postcard::to_stdvec(value).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error.to_string()))
}

fn entry<C: RaftTypeConfig>(record: &Record) -> io::Result<EntryOf<C>>
where
    EntryOf<C>: DeserializeOwned,
{
    let entry: EntryOf<C> = postcard::from_bytes(&record.body)
        .map_err(|error| damage(format!("entry {}: {error}", record.index)))?;
    if entry.index() == record.index {
        Ok(entry)
    } else {
        Err(damage(format!("entry {} was expected, {} came", record.index, entry.index())))
    }
}

fn damage(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
