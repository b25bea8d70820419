//! Resources of Kubernetes: mirrored into the store by the node that leads, and told there what became of them.
//!
//! ```text
//!  API server ─ watch (one a kind) ─▶ Mirror ─ plan ─▶ Store, as the leader of this term ─▶ … every node …
//!      ▲                                │                                                  │
//!      └── report ◀────────────────── status ◀─────────── what compiling found ◀───────────┘
//! ```
//!
//! The node that leads does this on a thread of its own: lists may be long, and consensus must not wait for them. While the
//! API server is away everything serves on as it is.

mod client;
mod discover;
mod gateway;
mod join_secret;
mod mirror;
mod object;
mod ours;
mod report;
mod session;
mod status;
mod watch;

use std::collections::BTreeMap;
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::Client;
use kube::core::ApiResource;
use tollgate_crds::Kind;

use crate::config::{Config, Store};
use crate::member::Member;
use crate::settings::{Run, Switch};
use crate::telemetry::kubernetes::OfKubernetes;
use crate::telemetry::metrics::Metrics;

use client::Pulses;

pub(crate) use join_secret::{Entry, JoinSecret};

/// Between two looks whether this node leads.
const LOOK: Duration = Duration::from_millis(100);
/// Kubernetes sets it in every pod.
const IN_A_POD: &str = "KUBERNETES_SERVICE_HOST";

/// What following takes.
pub(crate) struct Setup {
    pub(crate) store: Arc<Store>,
    pub(crate) config: Config,
    pub(crate) member: Arc<Member>,
}

/// The same once there is a client.
struct Shared {
    store: Arc<Store>,
    config: Config,
    member: Arc<Member>,
    controller: String,
    kinds: Arc<[Kind]>,
    client: Client,
    pulses: Pulses,
    metrics: Arc<OfKubernetes>,
    /// The kinds as the API server names them.
    resources: Arc<Mutex<BTreeMap<&'static str, ApiResource>>>,
}

/// Whether this node is to follow an API server: it was told so, or is a pod and was not told otherwise.
fn is_wanted(settings: &Run) -> bool {
    let is_pod = || std::env::var_os(IN_A_POD).is_some_and(|host| !host.is_empty());
    settings.kubernetes().map_or_else(is_pod, |switch| switch == Switch::On)
}

/// Begins to follow whenever this node leads. False: it never will. An error where it was asked for and there is no way to
/// the API server.
pub(crate) fn start(settings: &Run, setup: Setup, metrics: &Metrics) -> Result<bool, String> {
    if !is_wanted(settings) {
        return Ok(false);
    }
    let kinds: Arc<[Kind]> = tollgate_crds::kinds().into();
    let metrics = metrics.kubernetes(kinds.iter().map(|kind| kind.kind));
    let asked = Asked { setup, controller: settings.controller_name.clone(), kinds, metrics };
    let (tell, told) = mpsc::sync_channel(1);
    std::thread::Builder::new()
        .name("kubernetes".to_owned())
        .spawn(move || asked.run(&tell))
        .map_err(|error| format!("no thread for Kubernetes: {error}"))?;
    match told.recv().map_err(|_| "the thread for Kubernetes ended".to_owned())? {
        // A pod may be meant to have no access.
        Err(why) if settings.kubernetes().is_none() => {
            tracing::warn!("Kubernetes is not followed: {why}");
            Ok(false)
        }
        connected => connected.map(|()| true).map_err(|why| format!("--kubernetes: {why}")),
    }
}

/// What the thread takes with it.
struct Asked {
    setup: Setup,
    controller: String,
    kinds: Arc<[Kind]>,
    metrics: OfKubernetes,
}

impl Asked {
    /// Says first whether there is a way to the API server. That it answers is not needed.
    fn run(self, tell: &SyncSender<Result<(), String>>) {
        let Self { setup: Setup { store, config, member }, controller, kinds, metrics } = self;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let pulses = Pulses::default();
        let connected = runtime.map_err(|error| format!("no runtime: {error}")).and_then(|runtime| {
            let client = runtime.block_on(client::connect(&pulses))?;
            Ok((runtime, client))
        });
        let (said, connected) = match connected {
            Ok(connected) => (Ok(()), Some(connected)),
            Err(why) => (Err(why), None),
        };
        let _nobody_waits_any_more = tell.send(said);
        let Some((runtime, client)) = connected else { return };
        let (metrics, resources) = (Arc::new(metrics), Arc::default());
        let shared = Shared { store, config, member, controller, kinds, client, pulses, metrics, resources };
        runtime.block_on(follow(&Arc::new(shared)));
    }
}

async fn follow(shared: &Arc<Shared>) {
    loop {
        if let Some(term) = shared.member.node.leads_in() {
            shared.metrics.watching.set(1.0);
            let session = Arc::clone(shared);
            // An object that breaks it must not end all following.
            let session = tokio::spawn(async move { session::run(&session, term).await });
            if let Err(error) = session.await {
                tracing::error!(term, "following Kubernetes broke, and begins anew: {error}");
            }
            shared.metrics.watching.set(0.0);
            shared.metrics.kinds.values().for_each(|of_kind| of_kind.event_age_s.set(0.0));
        }
        tokio::time::sleep(LOOK).await;
    }
}

impl Shared {
    /// Runs where the cluster's connections are. None: this node stops.
    async fn on_member<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        self.store.runtime().spawn(task).await.ok()
    }

    fn resource(&self, kind: &str) -> Option<ApiResource> {
        self.resources.lock().unwrap_or_else(PoisonError::into_inner).get(kind).cloned()
    }
}
