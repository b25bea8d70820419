//! The leader's side: all batches that are there become one entry of the log.
//!
//! While an entry is on its way, the next one fills. A node that is not the leader refuses its callers, who look for the one
//! that is.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use openraft::Raft;
use openraft::async_runtime::WatchReceiver;
use tokio::sync::{broadcast, mpsc};
use tokio::time::{MissedTickBehavior, interval};
use tollgate_ratelimit::Command;
use tollgate_ratelimit::ledger::command::{Batch, SessionId};
use tollgate_ratelimit::ledger::outcome::{Answer, Nudge, Outcome};

use super::clock::stamp;
use crate::figures;
use crate::raft::forward::Forward;
use crate::raft::replica::Replica;
use crate::raft::state_machine::StateMachine;
use crate::raft::types::Types;
use crate::state::{Applied, Proposal};
use crate::transport::refusal::Leader;
use crate::transport::wallet::{Down, Up};
use crate::transport::{Handlers, Refusal};

/// Batches that wait for the next entry. A node has one on its way, so this is more than there are nodes.
const MOST_QUEUED: usize = 4_096;
/// Batches in one entry: what they say may be long.
const MOST_BATCHES: usize = 256;
/// Answers and nudges that wait for one wallet.
const MOST_DOWNS: usize = 256;
/// An entry that does not commit by then has no majority.
const COMMIT: Duration = Duration::from_secs(5);
/// Time passes for the ledger this often while somebody speaks, …
const TICK: Duration = Duration::from_secs(1);
/// … and this often while nobody does.
const IDLE_TICK: Duration = Duration::from_mins(1);
/// A node that has not applied a session yet does so by then.
const CATCH_UP: Duration = Duration::from_secs(2);

/// See the file's purpose. Clones are the same desk.
#[derive(Clone)]
pub struct Desk(Arc<Inner>);

struct Inner {
    raft: Raft<Types, StateMachine>,
    replica: Replica,
    forward: Forward,
    node: u64,
    queue: mpsc::Sender<Queued>,
    wallets: Mutex<BTreeMap<SessionId, mpsc::Sender<Down>>>,
    entries: AtomicU64,
    batches: AtomicU64,
    commit_us: AtomicU64,
}

/// Figures for metrics, since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeskStats {
    /// Entries that this node proposed for batches.
    pub entries: u64,
    /// Batches in them.
    pub batches: u64,
    /// How long they took until they were applied, together.
    pub commit_us: u64,
}

struct Queued {
    batch: Batch,
    to: mpsc::Sender<Down>,
}

/// One wallet's way to the desk and back.
pub(super) type Place = (mpsc::Sender<Up>, mpsc::Receiver<Down>);

impl Desk {
    /// Starts the desk of one node.
    pub(crate) fn start(
        raft: Raft<Types, StateMachine>,
        replica: Replica,
        forward: Forward,
        node: u64,
        nudges: broadcast::Receiver<Arc<[Nudge]>>,
    ) -> Self {
        let (queue, queued) = mpsc::channel(MOST_QUEUED);
        let inner = Inner {
            raft,
            replica,
            forward,
            node,
            queue,
            wallets: Mutex::default(),
            entries: AtomicU64::new(0),
            batches: AtomicU64::new(0),
            commit_us: AtomicU64::new(0),
        };
        let desk = Self(Arc::new(inner));
        tokio::spawn(desk.clone().propose(queued));
        tokio::spawn(desk.clone().nudge(nudges));
        desk
    }

    /// Has other nodes' wallets served here.
    pub(crate) fn serve(&self, handlers: &mut Handlers) {
        let desk = self.clone();
        crate::transport::wallet::serve(handlers, move |caller, mut ups| {
            let desk = desk.clone();
            async move {
                let (to_desk, from_desk) = desk.attach(caller.node)?;
                tokio::spawn(async move {
                    while let Some(Ok(up)) = ups.next().await {
                        if to_desk.send(up).await.is_err() {
                            return;
                        }
                    }
                });
                let downs = stream::unfold(from_desk, |mut from_desk| async {
                    Some((Ok(from_desk.recv().await?), from_desk))
                });
                Ok(downs.boxed())
            }
        });
    }

    /// A place for the wallet of `caller`. Its stream of answers ends when this node does not lead any more.
    pub(super) fn attach(&self, caller: u64) -> Result<Place, Refusal> {
        self.expect_leader()?;
        let (to_desk, ups) = mpsc::channel(4);
        let (downs, from_desk) = mpsc::channel(MOST_DOWNS);
        tokio::spawn(self.clone().listen(caller, ups, downs));
        Ok((to_desk, from_desk))
    }

    /// Figures for metrics.
    pub fn stats(&self) -> DeskStats {
        let load = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        let Inner { entries, batches, commit_us, .. } = &*self.0;
        DeskStats { entries: load(entries), batches: load(batches), commit_us: load(commit_us) }
    }

    async fn listen(self, caller: u64, mut ups: mpsc::Receiver<Up>, downs: mpsc::Sender<Down>) {
        let mut beat = interval(TICK);
        loop {
            let up = tokio::select! {
                up = ups.recv() => up,
                _ = beat.tick() => {
                    if self.leads() {
                        continue;
                    }
                    return;
                }
            };
            let Some(Up { group: _, batch }) = up else { return };
            let session = batch.session;
            if !self.owns(caller, session).await {
                tracing::warn!(
                    node = caller,
                    session = session.0,
                    "a batch in the name of another node's session"
                );
                return;
            }
            self.wallets().insert(session, downs.clone());
            if self.0.queue.send(Queued { batch, to: downs.clone() }).await.is_err() {
                return;
            }
        }
    }

    /// Whether a session is that node's. One that nobody knows is for the ledger to refuse.
    async fn owns(&self, caller: u64, session: SessionId) -> bool {
        let owner = || {
            self.0.replica.look(|state| {
                let of = state.quota().sessions().find(|(id, ..)| *id == session);
                of.map(|(_, node, ..)| node.0)
            })
        };
        if let Some(owner) = owner() {
            return owner == caller;
        }
        let _best_effort = self.0.forward.catch_up(CATCH_UP).await;
        owner().is_none_or(|owner| owner == caller)
    }

    /// Entry after entry, for as long as the node runs.
    async fn propose(self, mut queued: mpsc::Receiver<Queued>) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut spoken_at, mut ticked_at) = (Instant::now(), Instant::now());
        loop {
            let mut batches = Vec::new();
            tokio::select! {
                count = queued.recv_many(&mut batches, MOST_BATCHES) => {
                    if count == 0 {
                        return;
                    }
                    spoken_at = Instant::now();
                }
                _ = tick.tick() => {
                    let is_idle = spoken_at.elapsed() > IDLE_TICK;
                    if self.leads() && (!is_idle || ticked_at.elapsed() > IDLE_TICK) {
                        ticked_at = Instant::now();
                        let _the_next_one_comes = self.write(vec![Command::Tick]).await;
                    }
                    continue;
                }
            }
            self.carry(batches).await;
        }
    }

    async fn carry(&self, queued: Vec<Queued>) {
        let (batches, to): (Vec<_>, Vec<_>) = queued.into_iter().map(|one| (one.batch, one.to)).unzip();
        let (count, begun) = (batches.len() as u64, Instant::now());
        let Some(answers) = self.write(vec![Command::Batches(batches)]).await else {
            // Perhaps another one leads; perhaps it is applied yet. Who sent them sends them again.
            self.wallets().clear();
            return;
        };
        let Inner { entries, batches, commit_us, .. } = &*self.0;
        entries.fetch_add(1, Ordering::Relaxed);
        batches.fetch_add(count, Ordering::Relaxed);
        let took = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        commit_us.fetch_add(took, Ordering::Relaxed);
        metrics::histogram!(figures::COMMIT).record(begun.elapsed());
        for (answer, to) in answers.into_iter().zip(to) {
            // A wallet that does not listen asks again.
            let _full_or_gone = to.try_send(Down::Answer { group: 0, answer });
        }
    }

    async fn write(&self, commands: Vec<Command>) -> Option<Vec<Answer>> {
        let proposal = Proposal::Quota { at: stamp(), commands };
        let written = tokio::time::timeout(COMMIT, self.0.raft.client_write(proposal)).await;
        let applied = match written {
            Ok(Ok(written)) => written.data,
            Ok(Err(error)) => {
                tracing::debug!("batches were not written: {error}");
                return None;
            }
            Err(_elapsed) => {
                tracing::info!("batches did not commit within {COMMIT:?}: there may be no majority");
                return None;
            }
        };
        let Applied::Quota(outcomes) = applied else {
            tracing::error!("batches were not taken: {applied:?}");
            return None;
        };
        match outcomes.into_iter().next() {
            Some(Outcome::Answers(answers)) => Some(answers),
            Some(_) | None => Some(Vec::new()), // Time has passed, which is not answered.
        }
    }

    /// Passes hints on to the wallets that speak to this desk.
    async fn nudge(self, mut nudges: broadcast::Receiver<Arc<[Nudge]>>) {
        loop {
            match nudges.recv().await {
                Ok(nudges) => {
                    let wallets = self.wallets();
                    for nudge in nudges.iter() {
                        if let Some(to) = wallets.get(&nudge.session) {
                            let _a_hint = to.try_send(Down::Nudge { group: 0, nudge: *nudge });
                        }
                    }
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    }

    fn leads(&self) -> bool {
        self.leader() == Some(self.0.node)
    }

    fn leader(&self) -> Option<u64> {
        self.0.raft.metrics().borrow_watched().current_leader
    }

    fn expect_leader(&self) -> Result<(), Refusal> {
        if self.leads() {
            return Ok(());
        }
        let metrics = self.0.raft.metrics().borrow_watched().clone();
        let leader = metrics.current_leader.and_then(|node| {
            let member = metrics.membership_config.membership().get_node(&node)?.clone();
            Some(Leader { node, member })
        });
        Err(Refusal::NotLeader { leader })
    }

    fn wallets(&self) -> MutexGuard<'_, BTreeMap<SessionId, mpsc::Sender<Down>>> {
        self.0.wallets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
