//! The one task that speaks to the leader in this node's name: at each beat, and at once when somebody waits.

use std::borrow::Cow;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{future, io};

use futures_util::{StreamExt, stream};
use metrics::{counter, histogram};
use openraft::Raft;
use openraft::async_runtime::WatchReceiver;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tollgate_ratelimit::Command;
use tollgate_ratelimit::journal::{BootId, LastBatch, Opened, Record};
use tollgate_ratelimit::ledger::command::{Batch, NodeId, SessionId, Target as Asked};
use tollgate_ratelimit::ledger::outcome::{
    Answer, BatchVerdict, ItemAnswer, Outcome, Rejected, Unfinished, Verdict, Why as NudgeReason,
};
use tollgate_ratelimit::wallet::{Settings, Wallet};

use super::desk::Desk;
use super::journal::Journal;
use super::recover::{leftovers, recover, write};
use super::{Figures, Shared, clock};
use crate::figures;
use crate::identity::home::Home;
use crate::raft::forward::Forward;
use crate::raft::state_machine::StateMachine;
use crate::raft::types::Types;
use crate::run::Node;
use crate::transport::wallet::{self, Down, Downs, Up};
use crate::transport::{Lane, Peers, Target};

/// The beat: how late a deadline may be noticed.
const BEAT: Duration = Duration::from_millis(10);
/// What is written is flushed at least so often.
const FLUSH: Duration = Duration::from_millis(50);
/// The journal's length is looked at so often.
const TIDY: Duration = Duration::from_secs(1);
/// A stream that does not begin by then is tried anew.
const CONNECT: Duration = Duration::from_secs(2);
/// Between two tries to open another session.
const REOPEN: Duration = Duration::from_secs(1);
/// Between two tries to reach a leader.
const RECONNECT: Duration = Duration::from_millis(50);

/// See the file's purpose.
pub(super) struct Driver {
    shared: Arc<Shared>,
    office: Office,
    session: SessionId,
    /// The batch that was not answered yet, and how often it was sent.
    flight: Option<Batch>,
    copies: u64,
    /// The last one that the journal knows.
    noted: u64,
    sent_at: Instant,
    link: Link,
    /// The way to another session, where this one is lost.
    reopening: Option<Reopening>,
    reopened_at: Option<Instant>,
    flushed_at: Instant,
    tidied_at: Instant,
}

/// A session that is being opened, and what earlier ones left.
type Reopening = JoinHandle<io::Result<(Opened, Vec<Unfinished>)>>;

/// Where the leader is found.
#[derive(Clone)]
struct Office {
    raft: Raft<Types, StateMachine>,
    forward: Forward,
    peers: Peers,
    desk: Desk,
    home: Arc<Mutex<Home>>,
}

/// The way to the leader.
enum Link {
    None { since: Instant },
    Opening(JoinHandle<Option<Open>>),
    Open(Open),
}

struct Open {
    leader: u64,
    ups: mpsc::Sender<Up>,
    downs: Downs,
}

impl Driver {
    /// Opens a session and its journal.
    pub(super) async fn start(node: &Node, folder: &Path) -> io::Result<Self> {
        let office = Office {
            raft: node.raft().clone(),
            forward: node.forward().clone(),
            peers: node.peers().clone(),
            desk: node.desk().clone(),
            home: node.shared_home(),
        };
        let boot = office.home().boot();
        let kept = folder.to_owned();
        let left =
            spawn_blocking(move || leftovers(&kept, BootId(boot))).await.map_err(io::Error::other)??;
        let (opened, earlier) = office.open_session().await?;
        let journal = Journal::begin(folder, left.next_number(), opened)?;
        tokio::spawn(recover(office.forward.clone(), earlier, left));
        let shared = Arc::new(Shared {
            wallet: Wallet::new(opened.session, Settings::default()),
            journal,
            waiting: Mutex::default(),
            unsettled: Mutex::default(),
            wake: tokio::sync::Notify::new(),
            figures: Figures::default(),
        });
        let now = Instant::now();
        Ok(Self {
            shared,
            office,
            session: opened.session,
            flight: None,
            copies: 0,
            noted: 0,
            sent_at: now,
            link: Link::None { since: now },
            reopening: None,
            reopened_at: None,
            flushed_at: now,
            tidied_at: now,
        })
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Goes on until it is stopped.
    pub(super) async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let shared = Arc::clone(&self.shared);
            tokio::select! {
                _ = beat.tick() => {}
                () = shared.wake.notified() => {}
                down = self.link.next() => self.hear(down).await,
                opened = reopened(&mut self.reopening) => self.go_on(opened).await,
                _ = &mut stopped => break,
            }
            self.keep_link();
            self.look().await;
        }
        self.end().await;
    }

    /// Time passes for the wallet, and it may have something to say.
    async fn look(&mut self) {
        let shared = Arc::clone(&self.shared);
        shared.dispatch(shared.wallet.tick(clock::now()));
        if shared.wallet.session_is_lost() {
            self.reopen();
        }
        if self.flushed_at.elapsed() >= FLUSH {
            self.flushed_at = Instant::now();
            let _told_already = blocking(&self.shared, Journal::flush).await;
        }
        if self.tidied_at.elapsed() >= TIDY {
            self.tidied_at = Instant::now();
            let _told_already = blocking(&self.shared, Journal::keep_short).await;
            let ended = std::mem::take(&mut *shared.unsettled());
            for one in ended {
                shared.settle(one);
            }
        }
        if self.reopening.is_some() {
            return;
        }
        let Some(batch) = shared.wallet.poll(clock::now()) else { return };
        self.flight = Some(batch);
        self.sent_at = Instant::now();
        self.send().await;
    }

    /// Sends the batch that is on its way, after the journal knows it for good.
    async fn send(&mut self) {
        let Some(batch) = self.flight.clone() else { return };
        if batch.sequence > self.noted {
            let rows = Cow::Borrowed(batch.rows.as_slice());
            let record = Record::Sent { sequence: batch.sequence, rows };
            let noted = self.shared.journal.append(&mut self.shared.journal.lock(), record);
            if noted.is_err() {
                return; // It comes again.
            }
            self.noted = batch.sequence;
            self.copies = 0;
            self.shared.figures.batches.fetch_add(1, Ordering::Relaxed);
            self.shared.figures.items.fetch_add(batch.items.len() as u64, Ordering::Relaxed);
        }
        if blocking(&self.shared, Journal::flush).await.is_err() {
            return;
        }
        let Link::Open(open) = &self.link else { return };
        if open.ups.try_send(Up { group: 0, batch }).is_ok() {
            self.copies += 1;
            if self.copies > 1 {
                self.shared.figures.copies.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    async fn hear(&mut self, down: Option<Down>) {
        match down {
            Some(Down::Answer { group: _, answer }) if answer.session == self.session => {
                self.answered(&answer);
            }
            Some(Down::Nudge { group: _, nudge }) if nudge.session == self.session => {
                if nudge.why == NudgeReason::Recalled {
                    counter!(figures::RECALLED).increment(1);
                }
                self.shared.wallet.nudge(&nudge, clock::now());
            }
            None if matches!(self.link, Link::Open(_)) => {
                // What was on its way is sent again: a number is applied once.
                self.shared.figures.reconnects.fetch_add(1, Ordering::Relaxed);
                self.send().await;
            }
            Some(Down::Answer { .. } | Down::Nudge { .. }) | None => {}
        }
    }

    /// The journal notes what an answer says before anybody spends of it.
    fn answered(&mut self, answer: &Answer) {
        let woken = {
            let mut held = self.shared.journal.lock();
            let is_ours = self.flight.as_ref().is_some_and(|batch| batch.sequence == answer.sequence);
            if is_ours && answer.verdict == BatchVerdict::Applied {
                let Some(batch) = &self.flight else { return };
                for (item, told) in batch.items.iter().zip(&answer.items) {
                    let record = match (&item.target, told) {
                        (Asked::Current(bucket), ItemAnswer::Lease(state)) => {
                            Record::Leased { bucket: Cow::Borrowed(bucket), lease: state.lease }
                        }
                        (Asked::Lease(lease), ItemAnswer::Closed) => Record::Ended { lease: *lease },
                        _ => continue,
                    };
                    if self.shared.journal.append(&mut held, record).is_err() {
                        return; // The batch comes again, and so does its answer.
                    }
                }
                let reported = Record::Reported { sequence: answer.sequence };
                if self.shared.journal.append(&mut held, reported).is_err() {
                    return;
                }
                self.flight = None;
                histogram!(figures::ROUND_TRIP).record(self.sent_at.elapsed());
                count(&answer.items);
            }
            self.shared.wallet.handle(answer, clock::now())
        };
        self.shared.dispatch(woken);
    }

    /// The ledger does not know the session any more: the process goes on as another one, as soon as a leader opens it. Who
    /// waits is told meanwhile when the time is over.
    fn reopen(&mut self) {
        let is_due = self.reopened_at.is_none_or(|at| at.elapsed() >= REOPEN);
        if self.reopening.is_some() || !is_due {
            return;
        }
        self.reopened_at = Some(Instant::now());
        tracing::warn!(session = self.session.0, "the ledger does not know this node's session any more");
        let again = self.office.home().begin_again();
        if let Err(error) = again {
            return tracing::error!("no new session: {error}");
        }
        let office = self.office.clone();
        self.reopening = Some(tokio::spawn(async move { office.open_session().await }));
    }

    /// Another session is open.
    async fn go_on(&mut self, opened: io::Result<(Opened, Vec<Unfinished>)>) {
        let (opened, earlier) = match opened {
            Ok(opened) => opened,
            Err(error) => return tracing::error!("no new session: {error}"),
        };
        let last = if self.copies <= 1 { LastBatch::Refused } else { LastBatch::Unknown };
        let shared = Arc::clone(&self.shared);
        let resumed = spawn_blocking(move || shared.journal.resume(opened, last)).await;
        if let Ok(Err(error)) = resumed {
            return tracing::error!("no journal for a new session: {error}");
        }
        (self.session, self.flight, self.copies, self.noted) = (opened.session, None, 0, 0);
        self.shared.wallet.resume(opened.session, clock::now());
        for unfinished in earlier {
            // Its rows go on under the new name; what its leases held is forfeited.
            let forward = self.office.forward.clone();
            tokio::spawn(async move {
                write(&forward, Command::CloseSession { session: unfinished.session }).await;
            });
        }
    }

    /// Looks for the leader again where the way to it is gone.
    fn keep_link(&mut self) {
        let leader = self.office.leader();
        let is_due = match &self.link {
            Link::None { since } => since.elapsed() >= RECONNECT,
            Link::Open(open) => leader.is_some_and(|leader| leader != open.leader),
            Link::Opening(_) => false,
        };
        if let (true, Some(leader)) = (is_due, leader) {
            self.link = Link::Opening(tokio::spawn(self.office.clone().open(leader)));
        }
    }

    /// All was told: the session is closed, and nothing is left for the next run.
    async fn end(&mut self) {
        if !self.shared.wallet.drained() || self.flight.is_some() {
            let _told_already = blocking(&self.shared, Journal::flush).await;
            return;
        }
        let clean = self.shared.journal.append(&mut self.shared.journal.lock(), Record::Clean);
        if clean.is_ok() && blocking(&self.shared, Journal::flush).await.is_ok() {
            write(&self.office.forward, Command::CloseSession { session: self.session }).await;
            self.shared.journal.remove();
        }
    }
}

impl Link {
    /// What comes over it. None: it has become another link than it was.
    async fn next(&mut self) -> Option<Down> {
        match self {
            Self::None { .. } => future::pending().await,
            Self::Opening(opening) => {
                let opened = opening.await.ok().flatten();
                *self = opened.map_or_else(|| Self::None { since: Instant::now() }, Self::Open);
                None
            }
            Self::Open(open) => {
                if let Some(Ok(down)) = open.downs.next().await {
                    return Some(down);
                }
                *self = Self::None { since: Instant::now() };
                None
            }
        }
    }
}

impl Office {
    /// Opens a session for the run that the folder says this is.
    async fn open_session(&self) -> io::Result<(Opened, Vec<Unfinished>)> {
        let (node, mut incarnation, boot) = {
            let home = self.home();
            (NodeId(home.name().node), home.incarnation(), BootId(home.boot()))
        };
        loop {
            match write(&self.forward, Command::OpenSession { node, incarnation }).await {
                Outcome::SessionOpened { session, earlier } => {
                    return Ok((Opened { session, incarnation, node, boot }, earlier));
                }
                Outcome::Rejected(Rejected::OldIncarnation { newest }) => {
                    // The folder is an older copy of itself.
                    tracing::warn!(incarnation, newest, "this run's number was used before");
                    while incarnation <= newest {
                        incarnation = self.home().begin_again().map_err(io::Error::other)?;
                    }
                }
                Outcome::Rejected(Rejected::UnknownNode) => {
                    return Err(io::Error::other(
                        "this node was forgotten by its cluster: start with an empty data folder, as a new node",
                    ));
                }
                other @ (Outcome::Done
                | Outcome::BudgetSet { .. }
                | Outcome::Answers(_)
                | Outcome::Rejected(_)) => {
                    return Err(io::Error::other(format!("no session: {other:?}")));
                }
            }
        }
    }

    async fn open(self, leader: u64) -> Option<Open> {
        if leader == self.peers.here() {
            let (ups, from_desk) = self.desk.attach(leader).ok()?;
            let downs = stream::unfold(from_desk, |mut from_desk| async {
                Some((Ok(from_desk.recv().await?), from_desk))
            });
            return Some(Open { leader, ups, downs: downs.boxed() });
        }
        let target = {
            let metrics = self.raft.metrics().borrow_watched().clone();
            let member = metrics.membership_config.membership().get_node(&leader)?.clone();
            Target { node: leader, address: member.address, lane: Lane::Control }
        };
        let (ups, sent) = mpsc::channel(4);
        let sent =
            stream::unfold(sent, |mut sent: mpsc::Receiver<Up>| async { Some((sent.recv().await?, sent)) });
        let downs = wallet::open(&self.peers, &target, sent, CONNECT).await;
        let downs = downs.inspect_err(|error| tracing::debug!("no way to the leader: {error}")).ok()?;
        Some(Open { leader, ups, downs })
    }

    fn leader(&self) -> Option<u64> {
        self.raft.metrics().borrow_watched().current_leader
    }

    fn home(&self) -> std::sync::MutexGuard<'_, Home> {
        self.home.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came of opening a session, once it has.
async fn reopened(reopening: &mut Option<Reopening>) -> io::Result<(Opened, Vec<Unfinished>)> {
    let Some(task) = reopening else { return future::pending().await };
    let opened = task.await;
    *reopening = None;
    opened.map_err(io::Error::other)?
}

/// What the ledger gave, and what it did not.
fn count(answers: &[ItemAnswer]) {
    for answer in answers {
        let ItemAnswer::Lease(state) = answer else { continue };
        let reason = match state.verdict {
            Verdict::Granted => {
                counter!(figures::GRANTED).increment(1);
                continue;
            }
            Verdict::Wait => "wait",
            Verdict::Held => "held",
            Verdict::Exhausted { .. } => "exhausted",
            Verdict::TooLarge { .. } => "too_large",
            Verdict::NotKept => "not_kept",
        };
        counter!(figures::DENIED, "reason" => reason).increment(1);
    }
}

/// The disk may take its time.
async fn blocking(
    shared: &Arc<Shared>,
    call: impl FnOnce(&Journal) -> io::Result<()> + Send + 'static,
) -> io::Result<()> {
    let shared = Arc::clone(shared);
    spawn_blocking(move || call(&shared.journal)).await.map_err(io::Error::other)?
}
