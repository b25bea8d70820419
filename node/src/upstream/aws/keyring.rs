//! Keys for a while: kept, renewed in the background before they end, by one at a time; never used after.
//!
//! ```text
//! fetched ──────────── renewed from here on ──── not used from here on ─ end
//!          kept          kept, and one renews       all wait for one
//! ```

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tollgate_crds::{Aws, AwsKeys, AwsSource};

use super::surroundings::{Found, Surroundings};
use crate::clock;

/// Keys are renewed so long before they end, or in the second half of their life if that is short.
const EARLY_S: u64 = 300;

/// A request is on its way for a while, and clocks differ a little.
const MARGIN_S: u64 = 15;

/// After a failure nobody asks again for so long.
const PAUSE: Duration = Duration::from_secs(5);

/// One source of keys, shared by all backends that use it.
pub(crate) struct Keyring {
    source: Source,
    held: Mutex<Option<Held>>,
    /// Whoever fetches holds it.
    turn: Arc<tokio::sync::Mutex<Option<Failure>>>,
}

enum Source {
    Given(Arc<AwsKeys>),
    Found(Surroundings),
}

#[derive(Clone)]
struct Held {
    keys: Arc<AwsKeys>,
    /// None: they have no end.
    span: Option<Span>,
}

/// In seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    renew_at_s: u64,
    unusable_at_s: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Fresh,
    /// Good still, but to be renewed.
    Ending,
    /// Not to be used.
    Over,
}

struct Failure {
    at: Instant,
    why: String,
}

impl Keyring {
    pub(crate) fn new(aws: &Aws) -> Self {
        let source = match &aws.source {
            AwsSource::Keys(keys) => Source::Given(Arc::new(keys.clone())),
            AwsSource::Surroundings => Source::Found(Surroundings::of_this_process(&aws.region)),
        };
        Self::of(source)
    }

    fn of(source: Source) -> Self {
        Self { source, held: Mutex::default(), turn: Arc::default() }
    }

    /// Keys that may be used now.
    pub(crate) async fn keys(self: &Arc<Self>) -> Result<Arc<AwsKeys>, String> {
        if let Source::Given(keys) = &self.source {
            return Ok(Arc::clone(keys));
        }
        match self.usable() {
            (Standing::Fresh, Some(keys)) => Ok(keys),
            (Standing::Ending, Some(keys)) => {
                self.renew_behind();
                Ok(keys)
            }
            (Standing::Over, _) | (_, None) => self.wait_for_new().await,
        }
    }

    fn usable(&self) -> (Standing, Option<Arc<AwsKeys>>) {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        match &*held {
            None => (Standing::Over, None),
            Some(held) => (held.standing(clock::unix_ms() / 1_000), Some(Arc::clone(&held.keys))),
        }
    }

    /// One renews; the others go on with what there is.
    fn renew_behind(self: &Arc<Self>) {
        if let Ok(mut turn) = Arc::clone(&self.turn).try_lock_owned() {
            let keyring = Arc::clone(self);
            tokio::spawn(async move {
                let _told_in_the_log = keyring.fetch(&mut turn).await;
            });
        }
    }

    async fn wait_for_new(&self) -> Result<Arc<AwsKeys>, String> {
        let mut turn = self.turn.lock().await;
        match self.usable() {
            // Another fetched meanwhile.
            (Standing::Fresh | Standing::Ending, Some(keys)) => Ok(keys),
            (Standing::Over, _) | (_, None) => self.fetch(&mut turn).await,
        }
    }

    async fn fetch(&self, turn: &mut Option<Failure>) -> Result<Arc<AwsKeys>, String> {
        if let Some(failure) = turn.as_ref().filter(|failure| failure.at.elapsed() < PAUSE) {
            return Err(failure.why.clone());
        }
        let found = match &self.source {
            Source::Given(keys) => return Ok(Arc::clone(keys)),
            Source::Found(surroundings) => surroundings.find().await,
        };
        let now_s = clock::unix_ms() / 1_000;
        let held = found.and_then(|found| Held::new(found, now_s));
        match held {
            Ok(held) => {
                *turn = None;
                let keys = Arc::clone(&held.keys);
                *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(held);
                Ok(keys)
            }
            Err(why) => {
                tracing::warn!(%why, "no keys for Amazon could be had");
                *turn = Some(Failure { at: Instant::now(), why: why.clone() });
                Err(why)
            }
        }
    }
}

impl Held {
    fn new(found: Found, now_s: u64) -> Result<Self, String> {
        let Found { keys, until_s } = found;
        let span = until_s.map(|until_s| Span::new(now_s, until_s));
        let held = Self { keys: Arc::new(keys), span };
        match held.standing(now_s) {
            Standing::Over => Err("the keys that were found have ended already".to_owned()),
            Standing::Fresh | Standing::Ending => Ok(held),
        }
    }

    fn standing(&self, now_s: u64) -> Standing {
        match self.span {
            Some(span) if now_s >= span.unusable_at_s => Standing::Over,
            Some(span) if now_s >= span.renew_at_s => Standing::Ending,
            Some(_) | None => Standing::Fresh,
        }
    }
}

impl Span {
    fn new(now_s: u64, until_s: u64) -> Self {
        let early_s = EARLY_S.min(until_s.saturating_sub(now_s) / 2);
        let renew_at_s = until_s.saturating_sub(early_s);
        Self { renew_at_s, unusable_at_s: until_s.saturating_sub(MARGIN_S) }
    }
}

#[cfg(test)]
#[path = "keyring_test.rs"]
mod tests;
