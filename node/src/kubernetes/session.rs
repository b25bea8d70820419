//! One term of a leader that follows an API server: it begins with nothing, and ends with the term.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::Shared;
use super::mirror::{Event, Mirror, Plan, batches};
use super::report::{Due, Reporter};
use super::status::{View, reports};
use super::watch::{Following, Told};
use crate::clock;
use crate::config::plan::Change;
use crate::config::store::Unwritten;

/// Events that wait: the API server is not read any faster than they are taken.
const MOST_EVENTS: usize = 1_024;
/// Between two looks.
const BEAT: Duration = Duration::from_millis(20);
/// What is applied together arrives together: so long nothing has to come before it is taken…
const QUIET: Duration = Duration::from_millis(40);
/// …or so long at the most.
const MOST_WAIT: Duration = Duration::from_millis(400);
/// Between two looks at what is to be told.
const REPORTS: Duration = Duration::from_millis(100);
/// A kind of which nothing was heard by then does not hold up the others.
const GRACE: Duration = Duration::from_secs(10);
/// One try to change the store.
const TRY: Duration = Duration::from_secs(10);
/// What the store did not take is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// See the file's purpose.
struct Session<'s> {
    shared: &'s Arc<Shared>,
    term: u64,
    mirror: Mirror,
    began: Instant,
    /// The first and the last of the events that nothing has followed from yet.
    unsettled: Option<(Instant, Instant)>,
    /// Not before then.
    again: Option<Instant>,
    /// Of the store: what was compared last.
    compared: Option<u64>,
    plan: Plan,
    /// Objects have changed since they were reported on.
    is_stale: bool,
    /// Of the configuration: what was reported last.
    reported: u64,
    reported_at: Instant,
}

/// Follows until `term` is over.
pub(super) async fn run(shared: &Arc<Shared>, term: u64) {
    // A leader that has just begun may not have what the one before it wrote.
    let store = Arc::clone(&shared.store);
    if let Some(Err(error)) = shared.on_member(async move { store.catch_up(TRY).await }).await {
        return tracing::info!("Kubernetes is followed a little later: {error}");
    }
    let (tell, mut told) = mpsc::channel(MOST_EVENTS);
    let following = Following {
        client: shared.client.clone(),
        kinds: Arc::clone(&shared.kinds),
        pulses: shared.pulses.clone(),
        metrics: Arc::clone(&shared.metrics),
        resources: Arc::clone(&shared.resources),
        tell,
    };
    let (reports, due) = watch::channel(Arc::default());
    // Both end with the session.
    let mut tasks = JoinSet::new();
    tasks.spawn(following.run());
    tasks.spawn(Reporter::new(Arc::clone(shared), term).run(due));
    let mut session = Session {
        shared,
        term,
        mirror: Mirror::new(&shared.controller, shared.kinds.iter().map(|kind| kind.kind)),
        began: Instant::now(),
        unsettled: None,
        again: None,
        compared: None,
        plan: Plan::default(),
        is_stale: true,
        reported: 0,
        reported_at: Instant::now(),
    };
    tracing::info!(term, "this node follows Kubernetes");
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while shared.member.node.leads_in() == Some(term) {
        tokio::select! {
            Some(event) = told.recv() => session.take(event),
            // Neither ends by itself: what was wrong is logged, and the session begins anew.
            _ = tasks.join_next() => return,
            _ = beat.tick() => {
                session.settle().await;
                if let Some(told) = session.reports() {
                    reports.send_replace(told);
                }
            }
        }
    }
    tracing::info!(term, "this node does not lead any more: another one follows Kubernetes");
}

impl Session<'_> {
    fn take(&mut self, (kind, event): Told) {
        self.is_stale = true;
        if self.mirror.take(kind, event) {
            let now = Instant::now();
            let first = self.unsettled.map_or(now, |(first, _)| first);
            self.unsettled = Some((first, now));
        }
    }

    /// Brings into the store what the API server has, once it is quiet.
    async fn settle(&mut self) {
        if self.began.elapsed() > GRACE {
            for kind in self.mirror.unknown() {
                tracing::warn!(kind, "Kubernetes does not show the kind: what was known of it stays");
                self.take((kind, Event::Stalled));
            }
        }
        if self.again.is_some_and(|again| Instant::now() < again) {
            return;
        }
        let is_quiet =
            |(first, last): (Instant, Instant)| last.elapsed() >= QUIET || first.elapsed() >= MOST_WAIT;
        let standing = self.shared.store.standing();
        let is_due = self.unsettled.map_or(self.compared != Some(standing.revision), is_quiet);
        if !is_due {
            return;
        }
        let Some(plan) = self.mirror.plan(&standing.holdings, &|kept| self.shared.store.counted(kept)) else {
            return;
        };
        (self.unsettled, self.again, self.compared) = (None, None, Some(standing.revision));
        for key in &plan.set_back {
            tracing::warn!(%key, "Kubernetes went back to an older version: its store was restored; it is followed");
        }
        for problem in plan.problems.iter().filter(|problem| !self.plan.problems.contains(problem)) {
            tracing::error!("{problem}");
        }
        if let Err(unwritten) = self.write(&plan.changes).await {
            self.again = Some(Instant::now() + AGAIN);
            self.compared = None;
            if let Unwritten::Conflict(why) = &unwritten {
                tracing::info!("Kubernetes is compared anew: {why}");
                self.again = None;
            } else {
                tracing::error!("what Kubernetes has is not in the store yet: {unwritten}");
            }
        }
        self.is_stale = true;
        self.plan = plan;
    }

    /// What is to be told, if that may be anything new.
    fn reports(&mut self) -> Option<Due> {
        let active = self.shared.config.latest();
        let is_new = self.is_stale || self.reported != active.revision;
        if self.unsettled.is_some() || !is_new || self.reported_at.elapsed() < REPORTS {
            return None;
        }
        (self.is_stale, self.reported, self.reported_at) = (false, active.revision, Instant::now());
        let view = View {
            mirror: &self.mirror,
            holdings: &active.standing.holdings,
            found: &active.problems,
            refused: &self.plan.problems,
            now: &clock::rfc3339(),
        };
        Some(Arc::new(reports(&view)))
    }

    async fn write(&self, changes: &[Change]) -> Result<(), Unwritten> {
        for batch in batches(changes) {
            let (store, batch, term) = (Arc::clone(&self.shared.store), batch.to_vec(), self.term);
            let count = batch.len();
            let written = self
                .shared
                .on_member(async move { store.write_as_leader(&batch, term, TRY).await })
                .await
                .unwrap_or_else(|| Err(Unwritten::Unreachable("this node stops".to_owned())));
            let outcome = match written {
                Ok(_) => &self.shared.metrics.proposed,
                Err(_) => &self.shared.metrics.not_proposed,
            };
            outcome.increment(1);
            let stored = written?;
            tracing::info!(resources = count, stored, "from Kubernetes");
        }
        Ok(())
    }
}
