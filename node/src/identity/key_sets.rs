//! Key sets of issuers: those that are written in a policy, and those that are fetched, kept, and fetched again when they
//! are old or a token names a key that is not there. However many tokens name such keys, an issuer is asked once in a while.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hashbrown::HashMap;
use http::{Request, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tollgate_crds::Jwks;

use super::key_set::KeySet;
use crate::upstream::connect::{Connector, Reach};

/// A set is fetched anew after this long: Envoy Gateway's default.
const FRESH: Duration = Duration::from_mins(5);
/// An issuer is not asked again sooner, whatever tokens name.
const PAUSE: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(5);
const LONGEST_SET: usize = 1024 * 1024;
/// Sets that are kept; past it, all are read again.
const MOST_SETS: usize = 1_000;

/// See the file's purpose.
#[derive(Default)]
pub(crate) struct KeySets {
    sets: Mutex<HashMap<String, Arc<Slot>>>,
}

/// One set. Whoever finds it old fetches it; the others wait for that.
#[derive(Default)]
struct Slot {
    state: tokio::sync::Mutex<State>,
}

#[derive(Default)]
struct State {
    set: Option<Arc<KeySet>>,
    fetched: Option<Instant>,
    tried: Option<Instant>,
}

/// What a caller has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Whatever there is, if it is fresh.
    Any,
    /// Newer than what was there: it lacks a key.
    Newer,
}

impl KeySets {
    /// The keys of an issuer.
    pub(crate) async fn of(&self, jwks: &Jwks, wanted: Wanted) -> Result<Arc<KeySet>, String> {
        let name = match jwks {
            Jwks::Local(text) | Jwks::Remote { uri: text } => text,
        };
        let slot = self.slot(name);
        let mut state = slot.state.lock().await;
        match jwks {
            Jwks::Local(text) => {
                if state.set.is_none() {
                    state.set = Some(Arc::new(KeySet::parse(text.as_bytes())?));
                }
            }
            Jwks::Remote { uri } => state.refresh(uri, wanted).await,
        }
        state.set.clone().ok_or_else(|| "the keys of its issuer can't be fetched".to_owned())
    }

    fn slot(&self, name: &str) -> Arc<Slot> {
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = sets.get(name) {
            return Arc::clone(slot);
        }
        if sets.len() >= MOST_SETS {
            sets.clear();
        }
        Arc::clone(sets.entry(name.to_owned()).or_default())
    }
}

impl State {
    /// An old set is better than none: it stays where there is no new one.
    async fn refresh(&mut self, uri: &str, wanted: Wanted) {
        let within = |moment: Option<Instant>, span: Duration| moment.is_some_and(|at| at.elapsed() < span);
        let is_good = within(self.fetched, FRESH) && wanted == Wanted::Any;
        if is_good || within(self.tried, PAUSE) {
            return;
        }
        self.tried = Some(Instant::now());
        let fetched = tokio::time::timeout(TIMEOUT, fetch(uri)).await;
        match fetched.unwrap_or_else(|_| Err(format!("no answer within {} s", TIMEOUT.as_secs()))) {
            Ok(set) => (self.set, self.fetched) = (Some(Arc::new(set)), Some(Instant::now())),
            Err(error) => tracing::warn!(%uri, %error, "the keys of an issuer could not be fetched"),
        }
    }
}

async fn fetch(uri: &str) -> Result<KeySet, String> {
    let uri: Uri = uri.parse().map_err(|error| format!("no address: {error}"))?;
    let connector = Connector::new(&Reach::direct(uri.scheme_str() == Some("https")))?;
    // Not kept: it is used once in minutes, each time perhaps on another worker.
    let client: Client<_, Empty<Bytes>> =
        Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
    let request = Request::get(uri).header(header::ACCEPT, "application/json").body(Empty::new());
    let request = request.map_err(|error| error.to_string())?;
    let response = client.request(request).await.map_err(|error| error.to_string())?;
    if !response.status().is_success() {
        return Err(format!("it answered {}", response.status()));
    }
    let body = Limited::new(response.into_body(), LONGEST_SET).collect().await;
    let body = body.map_err(|error| format!("its answer broke off: {error}"))?;
    KeySet::parse(&body.to_bytes())
}
