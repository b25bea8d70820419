//! One structured line a request, as JSON. Lines are put together on the request's own thread, in a buffer that few
//! share, and written out by one thread of its own: a slow disk or terminal never holds up a request. A full buffer
//! drops lines and counts them.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::Counter;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use tollgate_ratelimit::{Certainty, Usage};

use crate::clock;
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
        let before = buffer.len();
        match serde_json::to_writer(&mut *buffer, &Line(trail)) {
            Ok(()) => buffer.push(b'\n'),
            Err(_) => buffer.truncate(before), // Half a line helps nobody.
        }
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

/// A trail as a line. Fields without a value are left out.
struct Line<'a>(&'a Trail);

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let trail = self.0;
        let mut line = serializer.serialize_map(None)?;
        let text = |value: &'static str| Some(value).filter(|value| !value.is_empty());
        line.serialize_entry("time_ms", &clock::unix_ms())?;
        line.serialize_entry("request_id", trail.request_id())?;
        line.serialize_entry("peer", &trail.peer)?;
        line.serialize_entry("method", trail.method.as_str())?;
        line.serialize_entry("path", &trail.path)?;
        line.serialize_entry("status", &trail.status.as_u16())?;
        line.serialize_entry("end", trail.end.name())?;
        line.serialize_entry("duration_ms", &milliseconds(trail.started.elapsed()))?;
        line.serialize_entry("request_bytes", &trail.request_bytes)?;
        line.serialize_entry("reply_bytes", &trail.reply_bytes)?;
        optional(&mut line, "operation", text(trail.operation))?;
        optional(&mut line, "consumer", text(trail.consumer))?;
        if !trail.original_model.is_empty() {
            line.serialize_entry("original_model", &trail.original_model)?;
            line.serialize_entry("request_model", trail.request_model())?;
            line.serialize_entry("streamed", &trail.streamed)?;
        }
        optional(&mut line, "response_model", trail.response_model.as_ref())?;
        if let Some(rule) = &trail.rule {
            line.serialize_entry("route", &Shown(&rule.route))?;
            optional(&mut line, "rule", rule.name.as_ref())?;
            if let Some(candidate) = rule.candidates.get(trail.candidate).filter(|_| trail.attempts > 0) {
                line.serialize_entry("backend", &Shown(&candidate.backend.name))?;
                line.serialize_entry("attempts", &trail.attempts)?;
            }
        }
        optional(&mut line, "upstream_request_id", trail.upstream_request_id.as_ref())?;
        optional(&mut line, "client_retry", trail.client_retry.as_ref())?;
        if let Some((usage, certainty)) = trail.usage {
            tokens(&mut line, usage, certainty)?;
        }
        optional(&mut line, "first_token_ms", trail.pace.to_first(trail.started).map(milliseconds))?;
        for (key, cost) in &trail.costs {
            match cost {
                Ok(cost) => line.serialize_entry(&format!("cost.{key}"), cost)?,
                Err(reason) => line.serialize_entry(&format!("cost_error.{key}"), reason)?,
            }
        }
        line.end()
    }
}

fn tokens<M: SerializeMap>(line: &mut M, usage: Usage, certainty: Certainty) -> Result<(), M::Error> {
    let Usage { input, cached_input, cache_creation_input, output, reasoning, total } = usage;
    line.serialize_entry("input_tokens", &input)?;
    line.serialize_entry("cached_input_tokens", &cached_input)?;
    line.serialize_entry("cache_creation_input_tokens", &cache_creation_input)?;
    line.serialize_entry("output_tokens", &output)?;
    line.serialize_entry("reasoning_tokens", &reasoning)?;
    line.serialize_entry("total_tokens", &total)?;
    line.serialize_entry("usage", &certainty)
}

fn optional<M: SerializeMap>(
    line: &mut M,
    name: &'static str,
    value: Option<impl Serialize>,
) -> Result<(), M::Error> {
    match value {
        Some(value) => line.serialize_entry(name, &value),
        None => Ok(()),
    }
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// Serialises what `Display` shows, without a string of its own.
struct Shown<T>(T);

impl<T: std::fmt::Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}
