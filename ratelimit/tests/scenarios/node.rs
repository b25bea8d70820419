//! One node: its clock, its disk, and while its process runs a wallet and the requests that hold parts of it. Notes in the
//! journal what the journal's rules ask for, before it counts.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tollgate_ratelimit::RowKey;
use tollgate_ratelimit::budget::BucketName;
use tollgate_ratelimit::journal::{self, BootId, Intent, Place, Record, Spent};
use tollgate_ratelimit::ledger::command::{Batch, NodeId, SessionId};
use tollgate_ratelimit::ledger::outcome::Answer;
use tollgate_ratelimit::time::{NodeTime, Timestamp};
use tollgate_ratelimit::unit::{Amount, Unit};
use tollgate_ratelimit::wallet::{HeldPart, Hold, Purse, Ticket, Wallet};

use crate::disk::Disk;
use crate::usage;
use crate::world::START;

/// See the file's purpose.
pub(crate) struct Node {
    pub(crate) id: NodeId,
    /// Which run of its process this is, or was.
    pub(crate) run: u64,
    /// What its clock showed at the scenario's start.
    pub(crate) ahead_ms: u64,
    /// How often the machine was started.
    pub(crate) boots: u8,
    pub(crate) is_cut_off: bool,
    pub(crate) disk: Disk,
    pub(crate) life: Option<Life>,
    pub(crate) wire: Wire,
}

/// A process that runs.
pub(crate) struct Life {
    pub(crate) session: SessionId,
    pub(crate) wallet: Arc<Wallet>,
    pub(crate) holds: BTreeMap<String, Held>,
    pub(crate) waits: BTreeMap<Ticket, Waiting>,
}

/// What is on its way.
#[derive(Default)]
pub(crate) struct Wire {
    pub(crate) batch: Option<Batch>,
    pub(crate) answer: Option<Answer>,
    /// Batches that were noted and sent.
    pub(crate) sent: BTreeSet<(SessionId, u64)>,
    /// All batches that the ledger took.
    pub(crate) taken: Vec<Batch>,
}

/// What a request asks for.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) parts: Vec<Asked>,
    pub(crate) key: RowKey,
}

/// A part of it.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) text: String,
    pub(crate) bucket: BucketName,
    pub(crate) unit: Unit,
    pub(crate) purse: Arc<Purse>,
    pub(crate) amount: Amount,
}

/// A request that runs.
pub(crate) struct Held {
    pub(crate) request: Request,
    pub(crate) hold: Hold,
    /// In whose name.
    pub(crate) session: SessionId,
}

/// A request that waits.
pub(crate) struct Waiting {
    pub(crate) name: String,
    pub(crate) request: Request,
}

impl Node {
    pub(crate) fn new(id: u64, ahead_ms: u64) -> Self {
        Self {
            id: NodeId(id),
            run: 0,
            ahead_ms,
            boots: 1,
            is_cut_off: false,
            disk: Disk::default(),
            life: None,
            wire: Wire::default(),
        }
    }

    /// Its boot-time clock. Of no meaning elsewhere.
    pub(crate) fn clock(&self, now: Timestamp) -> NodeTime {
        NodeTime(1_000 * self.id.0 + self.ahead_ms + now.since(START))
    }

    pub(crate) fn boot(&self) -> BootId {
        BootId([self.boots; 16])
    }

    pub(crate) fn life(&mut self) -> Result<&mut Life, String> {
        self.life.as_mut().ok_or_else(|| "the node does not run".to_owned())
    }

    pub(crate) fn append(&mut self, record: &Record<'_>) -> Result<(), String> {
        let session = self.life()?.session;
        self.disk.append(session, record)
    }

    /// Notes what a request may spend from here on.
    pub(crate) fn note_reserved(&mut self, request: &Request, hold: &Hold) -> Result<(), String> {
        let amounts: Vec<(&Unit, Amount)> =
            request.parts.iter().enumerate().map(|(at, part)| (&part.unit, hold.amount(at))).collect();
        let (usage, cost_nano_usd) = usage::most(&amounts);
        let intent = Intent { key: request.key.clone().into(), usage, cost_nano_usd, prices: 0 };
        let parts = hold.held().map(|held| noted(&held, request, held_spent(&held))).collect();
        self.append(&Record::Reserved { hold: hold.number(), parts, intent: Cow::Owned(intent) })
    }

    /// Notes how much more it may spend than what was held `before`.
    pub(crate) fn note_extended(&mut self, held: &Held, before: &[HeldPart]) -> Result<(), String> {
        let mut parts = Vec::new();
        let mut amounts = Vec::new();
        for now in held.hold.held() {
            let was = before.iter().find(|was| (was.part, was.lease) == (now.part, now.lease));
            let leased = now.leased - was.map_or(0, |was| was.leased);
            let overrun = now.lent - was.map_or(0, |was| was.lent);
            if leased + overrun > 0 {
                parts.push(noted(&now, &held.request, Spent { leased, overrun }));
                amounts.push((&held.request.parts[now.part].unit, leased + overrun));
            }
        }
        let (usage, cost_nano_usd) = usage::most(&amounts);
        let record_of = held.hold.number();
        self.append(&Record::Extended { hold: record_of, parts: Cow::Owned(parts), usage, cost_nano_usd })
    }

    /// Notes a batch and its rows before it leaves.
    pub(crate) fn note_sent(&mut self, batch: &Batch) -> Result<(), String> {
        self.append(&Record::Sent { sequence: batch.sequence, rows: Cow::Borrowed(&batch.rows) })?;
        self.disk.flush()
    }
}

fn held_spent(held: &HeldPart) -> Spent {
    Spent { leased: held.leased, overrun: held.lent }
}

/// A part of a hold as the journal has it.
pub(crate) fn noted(held: &HeldPart, request: &Request, spent: Spent) -> journal::Part {
    let place = match held.lease {
        Some(lease) => Place::Lease(lease),
        None => Place::Bucket(request.parts[held.part].bucket.clone()),
    };
    journal::Part { place, spent }
}

/// What each piece of a hold pays of an actual cost: earlier pieces of a part first, its last one all that is left.
pub(crate) fn pays(held: &[HeldPart], actual: &[Amount]) -> Vec<Spent> {
    let mut left = actual.to_vec();
    let pay = |(at, piece): (usize, &HeldPart)| {
        let is_last = !held[at + 1..].iter().any(|later| later.part == piece.part);
        let left = &mut left[piece.part];
        let pays = if is_last { *left } else { (*left).min(piece.leased + piece.lent) };
        *left -= pays;
        let leased = pays.min(piece.leased);
        Spent { leased, overrun: pays - leased }
    };
    held.iter().enumerate().map(pay).collect()
}
