//! One watcher a kind, and who starts them: kinds are looked for again and again.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use kube::api::{Api, DynamicObject};
use kube::core::ApiResource;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, watcher};
use kube::{Client, Error};
use metrics::Counter;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};
use tollgate_crds::Kind;

use super::client::{Pulses, said};
use super::discover::{Found, discover};
use super::mirror::Event;
use super::object::Read;
use crate::clock;
use crate::telemetry::kubernetes::{OfKind, OfKubernetes};

const BAD_REQUEST: u16 = 400;
const FORBIDDEN: u16 = 403;
/// The beginning of a watch is forgotten.
const GONE: u16 = 410;

/// Between two looks for kinds.
const LOOK: Duration = Duration::from_secs(30);
/// The same while it does not say what it has.
const AGAIN: Duration = Duration::from_secs(2);
/// A watch is asked for anew after so many seconds.
const WATCH_S: u32 = 60;
/// Secrets of others that may be large and many: releases of Helm, tokens.
const NOT_THESE_SECRETS: &str = "type!=helm.sh/release.v1,type!=kubernetes.io/service-account-token,type!=kubernetes.io/dockerconfigjson,type!=bootstrap.kubernetes.io/token";

/// Something that happened to a kind.
pub(super) type Told = (&'static str, Event);

/// What following takes.
#[derive(Clone)]
pub(super) struct Following {
    pub(super) client: Client,
    pub(super) kinds: Arc<[Kind]>,
    pub(super) pulses: Pulses,
    pub(super) metrics: Arc<OfKubernetes>,
    /// The kinds as the API server names them.
    pub(super) resources: Arc<Mutex<BTreeMap<&'static str, ApiResource>>>,
    pub(super) tell: mpsc::Sender<Told>,
}

/// A watcher that runs.
struct Running {
    resource: ApiResource,
    task: AbortHandle,
}

impl Following {
    /// Follows every kind until it is dropped.
    pub(super) async fn run(self) {
        let mut tasks = JoinSet::new();
        let mut running: BTreeMap<&'static str, Running> = BTreeMap::new();
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Beside what waits for the API server: it is there for the time when that does not answer.
        tasks.spawn(self.clone().show_ages());
        loop {
            tokio::select! {
                _ = look.tick() => {
                    for (kind, found) in discover(&self.client, &self.kinds).await {
                        if found == Found::Unanswered {
                            look.reset_after(AGAIN);
                        }
                        self.follow(kind.kind, found, (&mut tasks, &mut running)).await;
                    }
                }
                // It said why, and is started again at the next look.
                Some(_) = tasks.join_next() => running.retain(|_, one| !one.task.is_finished()),
            }
        }
    }

    async fn follow(
        &self,
        kind: &'static str,
        found: Found,
        (tasks, running): (&mut JoinSet<()>, &mut BTreeMap<&'static str, Running>),
    ) {
        match found {
            Found::Unanswered => {}
            Found::Missing => {
                if let Some(old) = running.remove(kind) {
                    old.task.abort();
                }
                let _the_session_is_over = self.tell.send((kind, Event::Missing)).await;
            }
            Found::Installed(resource) => {
                if running.get(kind).is_some_and(|old| old.resource == resource) {
                    return;
                }
                if let Some(old) = running.remove(kind) {
                    old.task.abort();
                }
                let (following, of_kind) = (self.clone(), resource.clone());
                let task = tasks.spawn(async move { following.watch(kind, &of_kind).await });
                let mut resources = self.resources.lock().unwrap_or_else(PoisonError::into_inner);
                resources.insert(kind, resource.clone());
                running.insert(kind, Running { resource, task });
            }
        }
    }

    /// Until the session is over.
    async fn watch(&self, kind: &'static str, resource: &ApiResource) {
        let all = watcher::Config::default().timeout(WATCH_S);
        if kind == "Secret" {
            self.watch_with(kind, resource, all.clone().fields(NOT_THESE_SECRETS)).await;
            tracing::info!(kind, "Kubernetes does not select by type: all are looked at");
        }
        self.watch_with(kind, resource, all).await;
    }

    /// Until the session is over, or the server does not understand what is asked.
    async fn watch_with(&self, kind: &'static str, resource: &ApiResource, config: watcher::Config) {
        let api = Api::<DynamicObject>::all_with(self.client.clone(), resource);
        let selects = config.field_selector.is_some();
        let mut events = pin!(watcher(api, config).default_backoff());
        let mut is_failing = false;
        while let Some(event) = events.next().await {
            let event = match event {
                Ok(event) => {
                    is_failing = false;
                    read(resource, event)
                }
                Err(error) => {
                    let failure = Failure::of(&error);
                    if selects && failure.code == BAD_REQUEST {
                        return;
                    }
                    if !is_failing {
                        tracing::warn!(kind, "Kubernetes: {}", failure.why);
                    }
                    is_failing = true;
                    self.count(kind, |of_kind| failure.counter(of_kind));
                    (failure.code == FORBIDDEN).then_some(Event::Forbidden)
                }
            };
            if let Some(Event::Init) = &event {
                self.count(kind, |of_kind| &of_kind.lists);
            }
            if let Some(event) = event
                && self.tell.send((kind, event)).await.is_err()
            {
                return;
            }
        }
    }

    fn count(&self, kind: &str, counter: impl Fn(&OfKind) -> &Counter) {
        if let Some(of_kind) = self.metrics.kinds.get(kind) {
            counter(of_kind).increment(1);
        }
    }

    async fn show_ages(self) {
        let mut second = interval(Duration::from_secs(1));
        loop {
            second.tick().await;
            let resources = self.resources.lock().unwrap_or_else(PoisonError::into_inner).clone();
            for (kind, resource) in &resources {
                let api = Api::<DynamicObject>::all_with(self.client.clone(), resource);
                let age = self.pulses.age(api.resource_url());
                if let (Some(age), Some(of_kind)) = (age, self.metrics.kinds.get(kind)) {
                    of_kind.event_age_s.set(age.as_secs_f64());
                }
            }
        }
    }
}

fn read(resource: &ApiResource, event: watcher::Event<DynamicObject>) -> Option<Event> {
    let read =
        Read { api_version: &resource.api_version, kind: &resource.kind, at_s: clock::unix_ms() / 1_000 };
    let object = |object: DynamicObject| {
        serde_json::to_value(object).ok().and_then(|value| read.object(value)).map(Box::new)
    };
    match event {
        watcher::Event::Init => Some(Event::Init),
        watcher::Event::InitApply(one) => object(one).map(Event::Listed),
        watcher::Event::InitDone => Some(Event::InitDone),
        watcher::Event::Apply(one) => object(one).map(Event::Applied),
        watcher::Event::Delete(one) => object(one).map(Event::Deleted),
    }
}

/// Why a kind is not heard of.
struct Failure {
    /// Of HTTP; 0 where there was no answer.
    code: u16,
    why: String,
}

impl Failure {
    fn of(error: &watcher::Error) -> Self {
        match error {
            watcher::Error::WatchError(status) => Self { code: status.code, why: said(status) },
            watcher::Error::InitialListFailed(Error::Api(status))
            | watcher::Error::WatchStartFailed(Error::Api(status))
            | watcher::Error::WatchFailed(Error::Api(status)) => {
                Self { code: status.code, why: said(status) }
            }
            watcher::Error::InitialListFailed(_)
            | watcher::Error::WatchStartFailed(_)
            | watcher::Error::WatchFailed(_)
            | watcher::Error::NoResourceVersion => Self { code: 0, why: error.to_string() },
        }
    }

    fn counter<'a>(&self, of_kind: &'a OfKind) -> &'a Counter {
        if self.code == GONE { &of_kind.expired } else { &of_kind.errors }
    }
}
