//! The keeper of the configuration: makes the next revision of what is in the store, publishes it, and says what is wrong.

use std::sync::Arc;

use tollgate_cluster::state::resources::ResourceKey;
use tollgate_crds::{Problem, Severity};

use super::entry::{Entry, Held, Holdings, Source, key_of};
use super::revision::{Revision, revise};
use super::store::{Standing, Store};
use super::{Active, Config};
use crate::clock;
use crate::telemetry::metrics::Gauges;
use crate::upstream::Upstreams;

/// What this node's files say that the store can't tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Local {
    pub(super) problems: Vec<Problem>,
    pub(super) kept: usize,
    /// The store has what they say.
    pub(super) is_stored: bool,
}

/// The only one who publishes.
pub(super) struct Keeper {
    pub(super) store: Arc<Store>,
    pub(super) config: Config,
    pub(super) gauges: Gauges,
    pub(super) upstreams: Upstreams,
    /// Serves where nobody wrote anything.
    pub(super) made: Holdings,
    pub(super) published: Option<(Arc<Standing>, Local)>,
    /// What is published lacks a budget that the ledger may take soon.
    pub(super) waits: bool,
}

impl Keeper {
    /// Publishes what serves from now on, if that is anything new. False: something else may have to serve soon.
    pub(super) fn load(&mut self, local: &Local) -> bool {
        let standing = self.store.standing();
        let is_known = self.store.has_caught_up() && local.is_stored;
        if !is_known && standing.holdings.is_empty() {
            return false;
        }
        let known = self.published.as_ref();
        let is_published = known.is_some_and(|(known, said)| Arc::ptr_eq(known, &standing) && said == local);
        if is_published && !self.waits {
            return is_known;
        }
        let nobody_wrote = standing.holdings.is_empty() && standing.unread.is_empty();
        let serving = if nobody_wrote {
            let holdings = self.made.clone();
            Arc::new(Standing { revision: standing.revision, holdings, unread: Vec::new() })
        } else {
            Arc::clone(&standing)
        };
        let revision = revise(&serving.holdings, &|kept| self.store.counted(kept));
        let waits = revision.waits;
        if !(is_published && waits) {
            self.publish(revision, &serving, local);
            self.published = Some((standing, local.clone()));
            self.waits = waits;
        }
        is_known && !waits
    }

    fn publish(&self, revision: Revision, standing: &Arc<Standing>, local: &Local) {
        let Revision { snapshot, problems: found, bad: _, kept_back, referred: _, waits: _ } = revision;
        let problems = [local.problems.clone(), standing.unread.clone(), found].concat();
        let (upstreams, unusable) = self.upstreams.resolve(&snapshot);
        for one in &unusable {
            tracing::error!(backend = %one.backend, "backend can't be called: {}", one.reason);
        }
        for problem in &problems {
            match problem.severity {
                Severity::Rejected => tracing::error!("{problem}"),
                Severity::NotHonoured => tracing::warn!("{problem}"),
            }
        }
        let kept_back = kept_back + local.kept;
        if kept_back > 0 {
            tracing::error!(resources = kept_back, "the last good version of these resources keeps serving");
        }
        let number = self.config.latest().revision + 1;
        #[expect(clippy::cast_precision_loss, reason = "both stay far below 2^52")]
        {
            self.gauges.config_problems.set((problems.len() + unusable.len()) as f64);
            self.gauges.config_revision.set(number as f64);
        }
        tracing::info!(
            revision = number,
            stored = standing.revision,
            backends = snapshot.backends.len(),
            problems = problems.len(),
            "configuration in force"
        );
        let written =
            standing.holdings.values().map(|held| held.entry.written_at_s).filter(|at| *at > 0).max();
        self.config.publish(Active {
            snapshot,
            upstreams,
            revision: number,
            standing: Arc::clone(standing),
            written_at_s: written.unwrap_or_else(|| clock::unix_ms() / 1_000),
            problems,
        });
    }
}

/// The resources of a manifest that is in no store, and what is wrong with it.
pub(super) fn made(manifest: &str) -> (Holdings, Vec<Problem>) {
    let variable = |name: &str| std::env::var(name).ok();
    let (loaded, problems) = tollgate_crds::parse("environment", manifest, &variable);
    let held = |one: &tollgate_crds::Loaded| -> (ResourceKey, Arc<Held>) {
        let source = Source::Environment;
        let entry = Entry { source, written_at_s: 0, written: one.written().clone(), good: None };
        (key_of(one), Arc::new(Held::read(0, entry)))
    };
    (loaded.iter().map(held).collect(), problems)
}
