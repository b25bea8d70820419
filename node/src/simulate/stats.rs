//! What the simulator produced, counted when it was produced: the truth that a gateway's ledger can be
//! compared with.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;
use http::{HeaderMap, Method, Uri, Version};
use serde_json::{Map, Value, json};

use super::answer::Usage;
use super::reply::Weight;

/// Requests remembered.
const REMEMBERED: usize = 100;
/// Of a longer body only the beginning is remembered.
const REMEMBERED_BODY_BYTES: usize = 1 << 20;
/// Names counted apart; clients choose them, so there must be an end.
const MODELS: usize = 1000;
/// Where models past that are counted.
const OTHERS: &str = "(others)";

#[derive(Debug, Default)]
pub(crate) struct Stats {
    models: RwLock<BTreeMap<String, Arc<Counts>>>,
    recent: Mutex<VecDeque<Arc<Recorded>>>,
}

/// A request as it came.
#[derive(Debug)]
pub(crate) struct Recorded {
    /// Counted from 1.
    pub(crate) number: u64,
    /// Since the simulator started.
    pub(crate) at_ms: u64,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

#[derive(Debug, Default)]
struct Counts {
    requests: AtomicU64,
    answered: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
    open_streams: AtomicU64,
    input: AtomicU64,
    cached: AtomicU64,
    cache_written: AtomicU64,
    output: AtomicU64,
    reasoning: AtomicU64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answered,
    Failed,
    /// The client went away first.
    Cancelled,
}

impl Stats {
    /// Counts a request for `model`; it ends with the ticket.
    pub(crate) fn open(&self, model: &str) -> Ticket {
        let counts = self.counts(model);
        counts.requests.fetch_add(1, Relaxed);
        Ticket { counts, state: State::Open }
    }

    pub(crate) fn record(&self, request: Arc<Recorded>) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() == REMEMBERED {
            recent.pop_front();
        }
        recent.push_back(request);
    }

    /// Forgets everything. Requests under way count on where nobody looks any more.
    pub(crate) fn reset(&self) {
        self.models.write().unwrap_or_else(PoisonError::into_inner).clear();
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) fn to_json(&self) -> Value {
        let models = self.models.read().unwrap_or_else(PoisonError::into_inner);
        let mut total = BTreeMap::new();
        let mut each = Map::new();
        for (name, counts) in models.iter() {
            let listed = counts.list();
            for (name, count) in listed {
                *total.entry(name).or_insert(0) += count;
            }
            each.insert(name.clone(), json!(BTreeMap::from(listed)));
        }
        for (name, _) in Counts::default().list() {
            total.entry(name).or_insert(0);
        }
        json!({"total": total, "models": each})
    }

    pub(crate) fn requests_to_json(&self) -> Value {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let requests: Vec<Value> = recent.iter().map(|request| request.to_json()).collect();
        json!({"requests": requests})
    }

    fn counts(&self, model: &str) -> Arc<Counts> {
        let known = |models: &BTreeMap<String, Arc<Counts>>| models.get(model).cloned();
        if let Some(counts) = known(&self.models.read().unwrap_or_else(PoisonError::into_inner)) {
            return counts;
        }
        let mut models = self.models.write().unwrap_or_else(PoisonError::into_inner);
        let name = if models.len() < MODELS || models.contains_key(model) { model } else { OTHERS };
        models.entry(name.to_owned()).or_default().clone()
    }
}

/// One request being counted. Dropped before its end, the client went away.
#[derive(Debug)]
pub(crate) struct Ticket {
    counts: Arc<Counts>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Streaming,
    Ended,
}

impl Ticket {
    /// The prompt was read: its tokens are spent whatever follows.
    pub(crate) fn read(&self, usage: &Usage) {
        self.counts.input.fetch_add(usage.input, Relaxed);
        self.counts.cached.fetch_add(usage.cached, Relaxed);
        self.counts.cache_written.fetch_add(usage.cache_written, Relaxed);
    }

    pub(crate) fn begin_stream(&mut self) {
        if self.state == State::Open {
            self.state = State::Streaming;
            self.counts.open_streams.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn produced(&self, weight: Weight) {
        self.counts.output.fetch_add(weight.tokens(), Relaxed);
        self.counts.reasoning.fetch_add(weight.reasoning(), Relaxed);
    }

    pub(crate) fn produced_whole(&self, usage: &Usage) {
        self.counts.output.fetch_add(usage.output, Relaxed);
        self.counts.reasoning.fetch_add(usage.reasoning, Relaxed);
    }

    /// The first end counts.
    pub(crate) fn end(&mut self, outcome: Outcome) {
        if self.state == State::Streaming {
            self.counts.open_streams.fetch_sub(1, Relaxed);
        }
        if std::mem::replace(&mut self.state, State::Ended) == State::Ended {
            return;
        }
        let counter = match outcome {
            Outcome::Answered => &self.counts.answered,
            Outcome::Failed => &self.counts.failed,
            Outcome::Cancelled => &self.counts.cancelled,
        };
        counter.fetch_add(1, Relaxed);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.end(Outcome::Cancelled);
    }
}

impl Counts {
    fn list(&self) -> [(&'static str, u64); 10] {
        [
            ("requests", self.requests.load(Relaxed)),
            ("answered", self.answered.load(Relaxed)),
            ("failed", self.failed.load(Relaxed)),
            ("cancelled", self.cancelled.load(Relaxed)),
            ("open_streams", self.open_streams.load(Relaxed)),
            ("input_tokens", self.input.load(Relaxed)),
            ("cached_tokens", self.cached.load(Relaxed)),
            ("cache_written_tokens", self.cache_written.load(Relaxed)),
            ("output_tokens", self.output.load(Relaxed)),
            ("reasoning_tokens", self.reasoning.load(Relaxed)),
        ]
    }
}

impl Recorded {
    fn to_json(&self) -> Value {
        let mut headers = Map::new();
        for name in self.headers.keys() {
            let values: Vec<_> = self
                .headers
                .get_all(name)
                .iter()
                .map(|value| String::from_utf8_lossy(value.as_bytes()))
                .collect();
            headers.insert(name.to_string(), Value::String(values.join(", ")));
        }
        let shown = &self.body[..self.body.len().min(REMEMBERED_BODY_BYTES)];
        json!({
            "number": self.number,
            "at_ms": self.at_ms,
            "method": self.method.as_str(),
            "path": self.uri.path(),
            "query": self.uri.query(),
            "version": format!("{:?}", self.version),
            "headers": headers,
            "body": String::from_utf8_lossy(shown),
            "body_bytes": self.body.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_each_request_to_one_end() {
        let stats = Stats::default();
        stats.open("a").end(Outcome::Answered);
        stats.open("a").end(Outcome::Failed);
        drop(stats.open("b"));
        let mut ticket = stats.open("b");
        ticket.begin_stream();
        ticket.produced(Weight::Output(3));
        ticket.produced(Weight::Hidden(2));
        let open = stats.to_json();
        assert_eq!(open["models"]["b"]["open_streams"], 1);
        ticket.end(Outcome::Answered);
        ticket.end(Outcome::Failed);
        drop(ticket);
        let json = stats.to_json();
        #[rustfmt::skip]
        let cases = [
            ("requests", 4), ("answered", 2), ("failed", 1), ("cancelled", 1),
            ("open_streams", 0), ("output_tokens", 5), ("reasoning_tokens", 2),
        ];
        for (name, count) in cases {
            assert_eq!(json["total"][name], count, "{name}: {json}");
        }
        stats.reset();
        assert_eq!(stats.to_json()["total"]["requests"], 0);
    }

    #[test]
    fn model_names_are_bounded() {
        let stats = Stats::default();
        for number in 0..=MODELS {
            stats.open(&number.to_string()).end(Outcome::Answered);
        }
        assert_eq!(stats.to_json()["models"][OTHERS]["requests"], 1);
    }
}
