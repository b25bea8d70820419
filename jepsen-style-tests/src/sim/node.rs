//! One node: a real wallet and a real journal, in a process that may die at any time, on a machine with a clock of its own.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tollgate_ratelimit::journal::{BootId, LastBatch, Opened};
use tollgate_ratelimit::ledger::command::{Batch, NodeId, SessionId};
use tollgate_ratelimit::time::NodeTime;
use tollgate_ratelimit::wallet::{Terms, Ticket, Wallet};

use super::dice::Dice;
use super::ends::Ending;
use super::journal::Disk;
use super::requests::{Running, Waiting};

/// See the file's purpose.
#[derive(Debug)]
pub struct Node {
    /// As the ledger knows it.
    pub id: NodeId,
    /// The run of its process: messages and timers of an earlier one reach nobody.
    pub run: u64,
    /// The run as the ledger is told: a process that loses its session goes on as another one.
    pub incarnation: u64,
    /// What it is doing.
    pub life: Life,
    /// Which start of its machine.
    pub boots: u64,
    /// Parts of a million by which its clock is fast.
    fast: i64,
    /// What its clock showed at the beginning.
    clock_base: u64,
    /// Nothing happens here before.
    pub sleeps_until: u64,
    /// Nobody can be reached before.
    pub cut_off_until: u64,
    /// Its files.
    pub disk: Disk,
    /// What it knows of budgets, by their place in the plan.
    pub terms: Vec<Option<(tollgate_ratelimit::budget::BudgetId, Terms)>>,
    /// Requests that went to a provider.
    pub running: BTreeMap<u64, Running>,
    /// Requests that ended and are in no row yet.
    pub ending: BTreeMap<u64, Ending>,
    /// Requests that wait for a lease.
    pub waiting: BTreeMap<Ticket, Waiting>,
    /// The batch without an answer.
    pub flight: Option<Batch>,
    /// How often that was sent.
    pub copies: u64,
    /// The last batch that the journal knows.
    pub sent: u64,
    /// Whether a look at the wallet is planned before the next beat.
    pub looks_soon: bool,
    /// What earlier sessions have still to say.
    pub recoveries: VecDeque<Recovery>,
}

/// What a node is doing.
#[derive(Debug)]
pub enum Life {
    /// Nothing: no process. It comes back only when all is healed, or never.
    Down,
    /// Waits for a session.
    Opening,
    /// Serves.
    Serving(Serving),
    /// Gave everything back and waits for its session to be closed.
    Closing(SessionId),
}

/// A process that serves.
#[derive(Debug)]
pub struct Serving {
    /// Its session.
    pub session: SessionId,
    /// Its wallet.
    pub wallet: Arc<Wallet>,
    /// Whether it gives everything back.
    pub leaving: bool,
    /// The ledger has closed its session; what became of the last batch.
    pub lost: Option<LastBatch>,
}

/// An earlier session that is settled from its journal.
#[derive(Debug)]
pub struct Recovery {
    /// The session.
    pub session: SessionId,
    /// What is still to be said, in order. Then it is closed.
    pub batches: VecDeque<Batch>,
    /// Not said again before.
    pub again_at: u64,
}

impl Node {
    /// A node that never ran.
    pub fn new(number: u64, fast: i64) -> Self {
        Self {
            id: NodeId(number),
            run: 0,
            incarnation: 0,
            life: Life::Down,
            boots: 1,
            fast,
            clock_base: 1_000 + number * 7_919,
            sleeps_until: 0,
            cut_off_until: 0,
            disk: Disk::default(),
            terms: Vec::new(),
            running: BTreeMap::new(),
            ending: BTreeMap::new(),
            waiting: BTreeMap::new(),
            flight: None,
            copies: 0,
            sent: 0,
            looks_soon: false,
            recoveries: VecDeque::new(),
        }
    }

    /// What its clock shows.
    ///
    /// # Panics
    /// In a run that lasts longer than the universe has.
    pub fn clock(&self, now_ms: u64) -> NodeTime {
        let off = i64::try_from(now_ms).expect("runs are short") * self.fast / 1_000_000;
        NodeTime(self.clock_base + now_ms.saturating_add_signed(off))
    }

    /// Which start of its machine this is.
    pub fn boot(&self) -> BootId {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.boots.to_le_bytes());
        id[8..].copy_from_slice(&self.id.0.to_le_bytes());
        BootId(id)
    }

    /// What the journal of a session begins with.
    pub fn as_opened(&self, session: SessionId) -> Opened {
        Opened { session, incarnation: self.incarnation, node: self.id, boot: self.boot() }
    }

    /// Its wallet, if it serves.
    pub fn serving(&self) -> Option<&Serving> {
        match &self.life {
            Life::Serving(serving) => Some(serving),
            Life::Down | Life::Opening | Life::Closing(_) => None,
        }
    }

    /// The process is gone, and what it had in memory.
    pub fn forget_all(&mut self, dice: &mut Dice) {
        self.life = Life::Down;
        self.waiting.clear();
        self.ending.clear();
        self.flight = None;
        self.sent = 0;
        self.looks_soon = false;
        self.recoveries.clear();
        self.disk.close(dice);
        self.run += 1;
    }
}
