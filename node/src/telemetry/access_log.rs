//! One structured line a request, as JSON. Lines are put together on the request's own thread, in a buffer that few
//! share, and written out by one thread of its own: a slow disk or terminal never holds up a request. A full buffer
//! drops lines and counts them.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::Counter;

use super::line;
use crate::request::trail::Trail;
use crate::workers;

const SHARDS: usize = 8;
/// Written out this often; a line is never older than this.
const FLUSH_EVERY: Duration = Duration::from_millis(50);
/// Whoever reads the log may be stuck; a stop does not wait for it any longer than this.
const LAST_FLUSH: Duration = Duration::from_secs(1);
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
    running: Option<Running>,
}

struct Running {
    shared: Arc<Shared>,
    /// Asks the writer to write out what there is, and to say so.
    flush: SyncSender<SyncSender<()>>,
}

struct Shared {
    shards: [Mutex<Vec<u8>>; SHARDS],
    dropped: Counter,
}

enum Out {
    Stdout,
    File(File),
}

impl AccessLog {
    /// Opens the sink and starts its writer, which ends with the log.
    pub(crate) fn open(sink: &Sink, dropped: Counter) -> io::Result<Self> {
        let mut out = match sink {
            Sink::Off => return Ok(Self { running: None }),
            Sink::Stdout => Out::Stdout,
            Sink::File(path) => Out::File(append_to(path)?),
        };
        let shared = Arc::new(Shared { shards: Default::default(), dropped });
        let (flush, asked) = mpsc::sync_channel::<SyncSender<()>>(1);
        let lines = Arc::clone(&shared);
        std::thread::Builder::new().name("access-log".to_owned()).spawn(move || {
            loop {
                let asked = asked.recv_timeout(FLUSH_EVERY);
                lines.write_out(&mut out);
                match asked {
                    Ok(written) => {
                        let _nobody_waits_any_more = written.try_send(());
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        })?;
        Ok(Self { running: Some(Running { shared, flush }) })
    }

    /// Writes out what is buffered, if somebody takes it.
    pub(crate) fn flush(&self) {
        let Some(Running { flush, .. }) = &self.running else { return };
        let (written, is_written) = mpsc::sync_channel(1);
        let asked = flush.try_send(written).is_ok();
        if !asked || is_written.recv_timeout(LAST_FLUSH).is_err() {
            tracing::warn!("nobody takes the access log; its last lines are lost");
        }
    }

    /// Adds the line of one request.
    pub(crate) fn record(&self, trail: &Trail) {
        let Some(Running { shared, .. }) = &self.running else { return };
        let mine = &shared.shards[workers::index() % SHARDS];
        let mut buffer = mine.lock().unwrap_or_else(PoisonError::into_inner);
        let added = append(&mut buffer, SHARD_LIMIT, |buffer| line::write(buffer, trail));
        if added.is_err() {
            shared.dropped.increment(1);
        }
    }
}

impl Shared {
    fn write_out(&self, out: &mut Out) {
        for shard in &self.shards {
            let full = std::mem::take(&mut *shard.lock().unwrap_or_else(PoisonError::into_inner));
            if full.is_empty() {
                continue;
            }
            let written = match out {
                Out::Stdout => io::stdout().write_all(&full).and_then(|()| io::stdout().flush()),
                Out::File(file) => file.write_all(&full),
            };
            if written.is_err() {
                self.dropped.increment(memchr::memchr_iter(b'\n', &full).count() as u64);
            }
        }
    }
}

/// A line for which there is no room.
#[derive(Debug, PartialEq, Eq)]
struct Full;

/// Adds a line, all of it or nothing.
fn append(buffer: &mut Vec<u8>, limit: usize, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), Full> {
    let before = buffer.len();
    write(buffer);
    if buffer.len() <= limit {
        return Ok(());
    }
    buffer.truncate(before);
    Err(Full)
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_counts_before_it_is_kept() {
        let mut buffer = Vec::new();
        #[rustfmt::skip]
        let steps = [
            // line            outcome     why
            (&b"12345\n"[..],  Ok(()),     "there is room"),
            (b"123456789\n",   Err(Full),  "it alone would pass the limit"),
            (b"678\n",         Ok(()),     "a shorter one fits to the byte"),
            (b"\n",            Err(Full),  "full"),
        ];
        for (line, outcome, why) in steps {
            assert_eq!(append(&mut buffer, 10, |buffer| buffer.extend(line)), outcome, "{why}");
        }
        assert_eq!(buffer, b"12345\n678\n");
    }
}
