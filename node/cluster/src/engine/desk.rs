//! Where jobs for the writer are left, and what can be told without the engine. Behind one lock, which is held for moments
//! and never over a call of the engine.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, Semaphore, oneshot};

use super::tail::Tail;
use super::writer::Done;
use super::{LogEngine, Record, Slot};

/// What may wait: a unit for each job and for each KiB of entries. Small enough that all of it is in the tail.
const ROOM: u32 = 32 << 10;
const UNIT_BYTES: usize = 1 << 10;

/// Between those who ask and the one who writes.
pub(super) struct Desk {
    state: Mutex<State>,
    pub(super) asked: Notify,
    pub(super) room: Semaphore,
}

/// What was asked, and what the log is once all of that is done.
pub(super) struct State {
    pub(super) jobs: Vec<Job>,
    pub(super) tail: Tail,
    pub(super) range: Option<(u64, u64)>,
    pub(super) slots: BTreeMap<Slot, Vec<u8>>,
    pub(super) closed: bool,
    failure: Option<(io::ErrorKind, String)>,
}

pub(super) struct Job {
    pub(super) ask: Ask,
    /// Told when the job is durable.
    pub(super) done: Option<Done>,
    pub(super) units: u32,
}

pub(super) enum Ask {
    Append(Vec<Record>),
    TruncateAfter(Option<u64>),
    Purge(u64),
    Put(Slot, Vec<u8>),
    Read { first: u64, end: u64, answer: oneshot::Sender<io::Result<Vec<Record>>> },
}

/// How much room a job with this many bytes takes.
pub(super) fn units(bytes: usize) -> u32 {
    u32::try_from(1 + bytes / UNIT_BYTES).unwrap_or(ROOM).min(ROOM)
}

impl Desk {
    pub(super) fn over(engine: &dyn LogEngine) -> io::Result<Self> {
        let mut slots = BTreeMap::new();
        for slot in Slot::ALL {
            if let Some(value) = engine.read(slot)? {
                slots.insert(slot, value);
            }
        }
        let range = engine.range()?;
        let state =
            State { jobs: Vec::new(), tail: Tail::default(), range, slots, closed: false, failure: None };
        let room = Semaphore::new(ROOM as usize);
        Ok(Self { state: Mutex::new(state), asked: Notify::new(), room })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under this lock can panic halfway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state of a log that takes something.
    pub(super) fn open(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state();
        state.failed()?;
        if state.closed { Err(gone()) } else { Ok(state) }
    }
}

impl State {
    /// Remembers the first failure.
    pub(super) fn fail(&mut self, error: &io::Error) {
        if self.failure.is_none() {
            tracing::error!(%error, "the log has failed: nothing more is written");
            self.failure = Some((error.kind(), error.to_string()));
        }
    }

    pub(super) fn failed(&self) -> io::Result<()> {
        match &self.failure {
            None => Ok(()),
            Some((kind, what)) => Err(io::Error::new(*kind, what.clone())),
        }
    }
}

/// An error for one more who waits.
pub(super) fn copy(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), error.to_string())
}

pub(super) fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the log is closed")
}
