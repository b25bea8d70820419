//! This node's wallet over the cluster: what a request calls, the journal behind it, and the way to the leader and back.
//!
//! ```text
//!  request ─▶ Till::reserve ─▶ Wallet (leases) ─▶ journal ─▶ Reservation ─▶ settle ─▶ journal ─▶ Wallet (rows)
//!                                 ▲   │ batches
//!              answers, nudges    │   ▼
//!                               drive ═══ stream ═══▶ desk of the leader ─▶ one entry for all batches that are there ─▶ Raft
//!                               recover: what earlier runs of this node left
//! ```

pub mod clock;
mod desk;
mod drive;
mod journal;
mod recover;
mod reservation;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::histogram;
use smallvec::SmallVec;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tollgate_ratelimit::budget::BucketName;
use tollgate_ratelimit::journal::Intent;
use tollgate_ratelimit::time::NodeTime;
use tollgate_ratelimit::unit::Amount;
use tollgate_ratelimit::wallet::{
    Asked, Full, Hold, Part, Purse, Refused, Stats, Terms, Ticket, Wallet, Why, Woken,
};

pub use self::desk::{Desk, DeskStats};
pub use self::reservation::Reservation;

use self::drive::Driver;
use self::journal::Journal;
use self::reservation::Unsettled;
use crate::figures;
use crate::run::Node;

const JOURNAL: &str = "journal";
/// More budgets than most requests have; past it, memory is allocated.
const FEW: usize = 8;
/// Between two looks whether all was told.
const LOOK: Duration = Duration::from_millis(20);

/// What requests are paid from. One a node; clones are the same.
#[derive(Clone)]
pub struct Till {
    shared: Arc<Shared>,
    driver: Arc<Mutex<Option<Running>>>,
}

/// The task that speaks to the leader, and what ends it.
struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// What came of asking.
type Got = Result<Hold, Refused>;

/// What requests and the driver share.
pub(super) struct Shared {
    wallet: Arc<Wallet>,
    journal: Journal,
    waiting: Mutex<HashMap<Ticket, oneshot::Sender<Got>>>,
    unsettled: Mutex<Vec<Unsettled>>,
    wake: Notify,
    figures: Figures,
}

/// Counted since the start.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) batches: AtomicU64,
    pub(super) copies: AtomicU64,
    pub(super) items: AtomicU64,
    pub(super) waits: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) reconnects: AtomicU64,
}

/// Figures for metrics.
#[derive(Clone, Copy, Debug)]
pub struct TillStats {
    /// Of the wallet.
    pub wallet: Stats,
    /// Batches that were sent.
    pub batches: u64,
    /// How often one was sent again.
    pub copies: u64,
    /// Items in them.
    pub items: u64,
    /// Requests that had to wait for a lease.
    pub waits: u64,
    /// Requests that got none.
    pub refused: u64,
    /// Streams to a leader that were opened.
    pub reconnects: u64,
    /// Bytes of the journal's file.
    pub journal_bytes: u64,
    /// How often it was flushed.
    pub journal_flushes: u64,
    /// Records that it took.
    pub journal_records: u64,
}

impl Till {
    /// Opens a session for this run of the node, and begins to speak to the leader. What earlier runs left is told by and by.
    pub async fn start(node: &Node, data: &Path) -> io::Result<Self> {
        let driver = Driver::start(node, &data.join(JOURNAL)).await?;
        let shared = Arc::clone(driver.shared());
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(driver.run(stopped));
        Ok(Self { shared, driver: Arc::new(Mutex::new(Some(Running { stop, task }))) })
    }

    /// The clock that deadlines are told by.
    pub fn now(&self) -> NodeTime {
        clock::now()
    }

    /// The purse of a bucket. Who serves a consumer asks once and keeps it.
    pub fn purse(&self, name: &BucketName, terms: &Terms) -> Result<Arc<Purse>, Full> {
        self.shared.wallet.purse(name, terms)
    }

    /// Takes an amount from each purse, all or none; none are fine. What leases can't give is waited for, `patience` at most.
    /// The journal has the intent when this returns.
    pub async fn reserve(
        &self,
        (purses, amounts): (&Arc<[Arc<Purse>]>, &[Amount]),
        intent: &Intent,
        patience: Duration,
    ) -> Result<Reservation, Refused> {
        let shared = &self.shared;
        if shared.journal.is_broken() {
            return Err(Refused { part: 0, why: Why::Unreachable });
        }
        let parts = purses.iter().zip(amounts).map(|(purse, amount)| Part { purse, amount: *amount });
        let parts: SmallVec<[Part<'_>; FEW]> = parts.collect();
        let taken = match shared.wallet.reserve(&parts, clock::now()) {
            Err(refused) if refused.why.is_dry() && !patience.is_zero() => {
                let patience_ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
                shared.figures.waits.fetch_add(1, Ordering::Relaxed);
                match shared.ask(&parts, patience_ms) {
                    Ok((ticket, answer)) => {
                        let begun = Instant::now();
                        let result = Waiting { shared, ticket: Some(ticket) }.answer(answer).await;
                        histogram!(figures::WAIT).record(begun.elapsed());
                        result
                    }
                    Err(known) => *known,
                }
            }
            known @ (Ok(_) | Err(_)) => known,
        };
        shared.wake_if_urgent();
        match taken {
            Ok(hold) => Reservation::new(shared, purses, hold, intent),
            Err(refused) => {
                shared.figures.refused.fetch_add(1, Ordering::Relaxed);
                Err(refused)
            }
        }
    }

    /// Ends at once, as a crash would: the next run tells what is left.
    pub async fn abandon(&self) {
        let running = self.driver.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Running { stop: _, task }) = running {
            task.abort();
            let _ended = task.await;
        }
    }

    /// Why this node may not admit, if so.
    pub fn failure(&self) -> Option<String> {
        self.shared.journal.failure().map(|why| format!("the journal fails: {why}"))
    }

    /// Figures for metrics.
    pub fn stats(&self) -> TillStats {
        let Shared { wallet, journal, figures, .. } = &*self.shared;
        let load = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        TillStats {
            wallet: wallet.stats(),
            batches: load(&figures.batches),
            copies: load(&figures.copies),
            items: load(&figures.items),
            waits: load(&figures.waits),
            refused: load(&figures.refused),
            reconnects: load(&figures.reconnects),
            journal_bytes: journal.bytes(),
            journal_flushes: load(&journal.flushes),
            journal_records: load(&journal.records),
        }
    }

    /// Ends in peace: gives nothing out any more, tells the rest and gives back what is left. Whether all was told in time;
    /// what was not is told by the next run.
    pub async fn drain(&self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        self.shared.dispatch(self.shared.wallet.drain(clock::now()));
        self.shared.wake.notify_one();
        while !self.shared.wallet.drained() && Instant::now() < deadline {
            sleep(LOOK).await;
        }
        let running = self.driver.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Running { stop, task }) = running {
            let _it_has_ended = stop.send(());
            let left = deadline.saturating_duration_since(Instant::now()).max(LOOK);
            let _cut_off = tokio::time::timeout(left, task).await;
        }
        self.shared.wallet.drained()
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, HashMap<Ticket, oneshot::Sender<Got>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unsettled(&self) -> MutexGuard<'_, Vec<Unsettled>> {
        self.unsettled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the ledger for parts that were not to be had. Err: it is known already.
    fn ask(
        &self,
        parts: &[Part<'_>],
        patience_ms: u64,
    ) -> Result<(Ticket, oneshot::Receiver<Got>), Box<Got>> {
        let now = clock::now();
        let (sender, receiver) = oneshot::channel();
        let ticketed = |ticket| _ = self.waiting().insert(ticket, sender);
        match self.wallet.ask_then(parts, now.plus(patience_ms), now, ticketed) {
            Asked::Wait(ticket) => {
                self.wake.notify_one();
                Ok((ticket, receiver))
            }
            Asked::Known(result) => Err(Box::new(result)),
        }
    }

    /// Nobody waits for this any more.
    fn forget(&self, ticket: Ticket) {
        self.waiting().remove(&ticket);
        self.wallet.cancel(ticket);
    }

    /// Tells those who wait.
    fn dispatch(&self, woken: Vec<Woken>) {
        for Woken { ticket, result } in woken {
            let sender = self.waiting().remove(&ticket);
            if let Some(sender) = sender {
                let _nobody_receives_it: Result<(), _> = sender.send(result); // A hold goes back.
            }
        }
    }

    fn wake_if_urgent(&self) {
        if self.wallet.is_urgent() {
            self.wake.notify_one();
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared(..)")
    }
}

/// Dropped, it waits no more.
struct Waiting<'a> {
    shared: &'a Shared,
    ticket: Option<Ticket>,
}

impl Waiting<'_> {
    async fn answer(mut self, answer: oneshot::Receiver<Result<Hold, Refused>>) -> Result<Hold, Refused> {
        let result = answer.await.unwrap_or(Err(Refused { part: 0, why: Why::Draining }));
        self.ticket = None;
        result
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.shared.forget(ticket);
        }
    }
}
