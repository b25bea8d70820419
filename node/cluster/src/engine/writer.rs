//! One writer owns the engine; everyone else asks it through a queue.
//!
//! ```text
//!  Log (clones) ──append, save, purge, …──▶ queue ──turn──▶ engine ──sync──▶ all who wait are told
//!       │                                     ▲
//!       └──entries──▶ tail, in memory ── older ones ─┘
//! ```
//!
//! A turn takes all that queued up while the one before synced: one group, one sync, then all callbacks. Votes go the same
//! way as entries, so nothing overtakes. What nobody waits for (a truncation, a purge, what was committed) is written with
//! the next group, and synced when the log comes to rest at the latest.
//!
//! Entries can be read as soon as [`Log::append`] returns. The newest are in memory; for older ones the engine is asked in
//! order, which takes no longer than the sync that runs at that moment.
//!
//! An error of the engine is final. Everyone who waits and everyone who comes later is told of it, and no sync is tried
//! again: after a failed one the kernel may have dropped the pages, and a second would succeed without them.
//!
//! [`Writer::turn`] is all there is to it, with no thread and no clock, so that a simulator can call it when its disk is
//! done. [`start`] runs it on a thread.

use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::LogEngine;
use super::desk::{Ask, Desk, Job, copy, gone};
pub use super::log::Log;

/// How long nothing is asked until the log is at rest.
const REST: Duration = Duration::from_millis(500);
/// How often an engine is asked under load to do what it does rarely.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// Is told when something is durable, or never will be.
pub type Done = Box<dyn FnOnce(io::Result<()>) + Send>;

/// The one who owns the engine.
pub struct Writer {
    engine: Box<dyn LogEngine>,
    desk: Arc<Desk>,
    /// Something was written since the last sync.
    unsynced: bool,
}

/// A thread with a [`Writer`]. Dropping it stops the log: what was asked is written and synced, and the engine is closed.
pub struct WriterThread {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

/// A log on an engine, with a thread of its own.
pub fn start(engine: impl LogEngine) -> io::Result<(Log, WriterThread)> {
    let (log, writer) = over(engine)?;
    let desk = writer.desk.clone();
    let clock = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let thread = thread::Builder::new().name("raft-log".to_owned());
    let thread = thread.spawn(move || clock.block_on(writer.serve()))?;
    Ok((log, WriterThread { desk, thread: Some(thread) }))
}

/// A log on an engine, and the writer that makes it move, for an owner who calls [`Writer::turn`].
pub fn over(engine: impl LogEngine) -> io::Result<(Log, Writer)> {
    let desk = Arc::new(Desk::over(&engine)?);
    let writer = Writer { engine: Box::new(engine), desk: desk.clone(), unsynced: false };
    Ok((Log::new(desk), writer))
}

impl Writer {
    /// Takes what was asked so far as one group: writes it, and syncs once if anyone waits for that.
    pub fn turn(&mut self) {
        let jobs = mem::take(&mut self.desk.state().jobs);
        let (mut units, mut asks, mut waiting) = (0, Vec::new(), Vec::new());
        for Job { ask, done, units: taken } in jobs {
            units += taken as usize;
            asks.push(ask);
            waiting.extend(done);
        }
        let awaited = !waiting.is_empty();
        let outcome = self.guarded(|writer| {
            asks.into_iter().try_for_each(|ask| writer.carry_out(ask))?;
            if awaited { writer.sync() } else { Ok(()) }
        });
        self.desk.room.add_permits(units);
        for done in waiting {
            done(outcome.as_ref().map(drop).map_err(copy));
        }
    }

    /// Makes all durable that was written, and lets the engine do what it does rarely. For when nothing has been asked for a
    /// while.
    pub fn rest(&mut self) {
        self.turn();
        // Whoever comes next is told of an error.
        drop(self.guarded(Writer::sync));
        self.keep_house();
    }

    async fn serve(mut self) {
        let mut kept = Instant::now();
        let mut resting = true;
        loop {
            let quiet = tokio::time::timeout(REST, self.desk.asked.notified()).await.is_err();
            let (closed, idle) = {
                let state = self.desk.state();
                (state.closed, state.jobs.is_empty())
            };
            if quiet || closed {
                if !(resting && idle) {
                    self.rest();
                }
                resting = true;
            } else {
                self.turn();
                resting = false;
                if kept.elapsed() >= HOUSEKEEPING {
                    self.keep_house();
                    kept = Instant::now();
                }
            }
            if closed {
                return;
            }
        }
    }

    fn carry_out(&mut self, ask: Ask) -> io::Result<()> {
        self.unsynced |= !matches!(ask, Ask::Read { .. });
        match ask {
            Ask::Append(entries) => self.engine.append(&entries),
            Ask::TruncateAfter(last) => self.engine.truncate_after(last),
            Ask::Purge(last) => self.engine.purge(last),
            Ask::Put(slot, value) => self.engine.put(slot, &value),
            Ask::Read { first, end, answer } => {
                let entries = self.engine.entries(first, end);
                let outcome = entries.as_ref().map(drop).map_err(copy);
                // Whoever has gone meanwhile needs no answer.
                drop(answer.send(entries));
                outcome
            }
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.unsynced {
            self.engine.sync()?;
            self.unsynced = false;
        }
        Ok(())
    }

    fn keep_house(&mut self) {
        if !self.unsynced {
            drop(self.guarded(|writer| writer.engine.sync()));
        }
    }

    /// Does something with the engine, unless it has failed before. An engine that panics has failed.
    fn guarded(&mut self, work: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        self.desk.state().failed()?;
        let outcome = catch_unwind(AssertUnwindSafe(|| work(self)))
            .unwrap_or_else(|_| Err(io::Error::other("the log's engine panicked")));
        if let Err(error) = &outcome {
            self.desk.state().fail(error);
            // Nobody waits for room in a log that takes nothing.
            self.desk.room.close();
        }
        outcome
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let jobs = {
            let mut state = self.desk.state();
            state.closed = true;
            mem::take(&mut state.jobs)
        };
        self.desk.room.close();
        for done in jobs.into_iter().filter_map(|job| job.done) {
            done(Err(gone()));
        }
    }
}

impl Drop for WriterThread {
    fn drop(&mut self) {
        self.desk.state().closed = true;
        self.desk.asked.notify_one();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the log's thread panicked");
        }
    }
}
