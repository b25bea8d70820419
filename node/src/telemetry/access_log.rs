//! One structured line a request, as JSON. Lines are put together on the request's own thread, in a buffer that few
//! share, and written out by one thread of its own: a slow disk or terminal never holds up a request. A full buffer
//! drops lines and counts them.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::Counter;

use super::line;
use crate::quota::shard_of_this_thread;
use crate::request::trail::Trail;

const SHARDS: usize = 8;
/// Written out this often; a line is never older than this.
const FLUSH_EVERY: Duration = Duration::from_millis(50);
/// Buffered bytes a shard; about 8,000 lines.
const SHARD_LIMIT: usize = 4 * 1024 * 1024;

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sink {
    Off,
    Stdout,
    File(PathBuf),
}

/// The access log.
pub(crate) struct AccessLog {
    shared: Option<Arc<Shared>>,
}

struct Shared {
    shards: [Mutex<Vec<u8>>; SHARDS],
    out: Mutex<Out>,
    dropped: Counter,
}

enum Out {
    Stdout,
    File(File),
}

impl AccessLog {
    /// Opens the sink and starts its writer.
    pub(crate) fn open(sink: &Sink, dropped: Counter) -> io::Result<Self> {
        let out = match sink {
            Sink::Off => return Ok(Self { shared: None }),
            Sink::Stdout => Out::Stdout,
            Sink::File(path) => Out::File(append_to(path)?),
        };
        let shared = Arc::new(Shared { shards: Default::default(), out: Mutex::new(out), dropped });
        let writer = Arc::downgrade(&shared);
        std::thread::Builder::new().name("access-log".to_owned()).spawn(move || {
            while let Some(shared) = writer.upgrade() {
                shared.write_out();
                drop(shared);
                std::thread::sleep(FLUSH_EVERY);
            }
        })?;
        Ok(Self { shared: Some(shared) })
    }

    /// Writes out what is buffered.
    pub(crate) fn flush(&self) {
        if let Some(shared) = &self.shared {
            shared.write_out();
        }
    }

    /// Adds the line of one request.
    pub(crate) fn record(&self, trail: &Trail) {
        let Some(shared) = &self.shared else { return };
        let mine = &shared.shards[shard_of_this_thread() % SHARDS];
        let mut buffer = mine.lock().unwrap_or_else(PoisonError::into_inner);
        if buffer.len() >= SHARD_LIMIT {
            shared.dropped.increment(1);
            return;
        }
        line::write(&mut buffer, trail);
    }
}

impl Shared {
    fn write_out(&self) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        for shard in &self.shards {
            let full = std::mem::take(&mut *shard.lock().unwrap_or_else(PoisonError::into_inner));
            if full.is_empty() {
                continue;
            }
            let written = match &mut *out {
                Out::Stdout => io::stdout().write_all(&full).and_then(|()| io::stdout().flush()),
                Out::File(file) => file.write_all(&full),
            };
            if written.is_err() {
                self.dropped.increment(memchr::memchr_iter(b'\n', &full).count() as u64);
            }
        }
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}
