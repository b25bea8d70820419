//! Tells the API server what became of its objects: what differs, and only while this node leads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream;
use kube::Error;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::sync::watch;
use tollgate_cluster::state::resources::ResourceKey;

use super::Shared;
use super::client::said;
use super::status::Report;

/// Whose fields these are.
const MANAGER: &str = "tollgate";
/// Writes that run at once.
const AT_ONCE: usize = 8;
/// What was told and is gone is told again no sooner: somebody else writes there, too.
const TOLD_AGAIN: Duration = Duration::from_secs(30);
/// What was not taken is told again no sooner.
const TRIED_AGAIN: Duration = Duration::from_secs(2);

/// The reports that are due: the newest replace all before them.
pub(super) type Due = Arc<Vec<Report>>;

/// See the file's purpose. One a term.
pub(super) struct Reporter {
    shared: Arc<Shared>,
    term: u64,
    told: BTreeMap<(ResourceKey, String), (Value, Instant)>,
    tried: BTreeMap<ResourceKey, Instant>,
}

impl Reporter {
    pub(super) fn new(shared: Arc<Shared>, term: u64) -> Self {
        Self { shared, term, told: BTreeMap::new(), tried: BTreeMap::new() }
    }

    /// Until nobody reports any more.
    pub(super) async fn run(mut self, mut due: watch::Receiver<Due>) {
        let mut more = true;
        while more {
            let reports = Arc::clone(&due.borrow_and_update());
            let left = self.tell(&reports, &due).await;
            let news = due.changed();
            more = if left {
                // Told again by and by, if nothing newer comes.
                tokio::time::timeout(TRIED_AGAIN, news).await.is_ok_and(|news| news.is_ok()) || is_open(&due)
            } else {
                news.await.is_ok()
            };
        }
    }

    /// True: some are left.
    async fn tell(&mut self, reports: &[Report], due: &watch::Receiver<Due>) -> bool {
        self.told.retain(|_, (_, at)| at.elapsed() < TOLD_AGAIN);
        self.tried.retain(|_, at| at.elapsed() < TRIED_AGAIN);
        let fresh: Vec<Report> = reports.iter().filter(|report| self.is_fresh(report)).cloned().collect();
        let mut left = fresh.len() < reports.len();
        let (shared, term) = (&self.shared, self.term);
        let mut writes = stream::iter(fresh)
            .map(|report| {
                let shared = Arc::clone(shared);
                async move {
                    let outcome = write(&shared, term, &report).await;
                    (report, outcome)
                }
            })
            .buffer_unordered(AT_ONCE);
        let mut outcomes = Vec::new();
        while let Some(outcome) = writes.next().await {
            outcomes.push(outcome);
            if due.has_changed().unwrap_or(true) {
                break; // The newer ones have what is left of these.
            }
        }
        drop(writes);
        for (report, outcome) in outcomes {
            match outcome {
                Ok(()) => {
                    self.shared.metrics.status_written.increment(1);
                    let told = (without_times(&report.status), Instant::now());
                    self.told.insert((report.key, report.uid), told);
                }
                Err(why) => {
                    left = true;
                    self.shared.metrics.status_not_written.increment(1);
                    tracing::info!(key = %report.key, "its status was not written: {why}");
                    self.tried.insert(report.key, Instant::now());
                }
            }
        }
        left
    }

    fn is_fresh(&self, report: &Report) -> bool {
        let told = self.told.get(&(report.key.clone(), report.uid.clone()));
        let is_told = told.is_some_and(|(status, _)| *status == without_times(&report.status));
        !is_told && !self.tried.contains_key(&report.key)
    }
}

fn is_open(due: &watch::Receiver<Due>) -> bool {
    due.has_changed().is_ok()
}

async fn write(shared: &Shared, term: u64, report: &Report) -> Result<(), String> {
    if shared.member.node.leads_in() != Some(term) {
        return Err("this node does not lead any more".to_owned());
    }
    let Report { key, api_version, uid, status, read_at } = report;
    let Some(resource) = shared.resource(&key.kind) else { return Err("its kind is gone".to_owned()) };
    let api: Api<DynamicObject> = if key.namespace.is_empty() {
        Api::all_with(shared.client.clone(), &resource)
    } else {
        Api::namespaced_with(shared.client.clone(), &key.namespace, &resource)
    };
    // Another object of that name is not meant.
    let mut body = json!({
        "apiVersion": api_version, "kind": key.kind, "metadata": {"name": key.name, "uid": uid}, "status": status,
    });
    let written = match read_at {
        None => api.patch_status(&key.name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&body)).await,
        Some(version) => {
            body["metadata"]["resourceVersion"] = version.to_string().into();
            let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
            api.patch_status(&key.name, &params, &Patch::Merge(&body)).await
        }
    };
    match written {
        Ok(_) => Ok(()),
        // Gone, or another one: the watcher tells.
        Err(Error::Api(status)) if status.code == 404 => Ok(()),
        Err(Error::Api(status)) => Err(said(&status)),
        Err(error) => Err(error.to_string()),
    }
}

fn without_times(status: &Value) -> Value {
    let mut status = status.clone();
    strip(&mut status);
    status
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("lastTransitionTime");
            fields.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
