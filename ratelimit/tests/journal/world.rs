//! A node and its ledger, the node as its shell would drive it, and what a kill leaves of it.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use tollgate_ratelimit::journal::{Books, BootId, Intent, Opened, Record, Writer, replay, settle_old};
use tollgate_ratelimit::ledger::command::{Batch, Command, NodeId, SessionId};
use tollgate_ratelimit::ledger::outcome::{Answer, BatchVerdict, Outcome, Unfinished};
use tollgate_ratelimit::time::{NodeTime, Timestamp};
use tollgate_ratelimit::wallet::{Hold, Settings, Wallet};
use tollgate_ratelimit::{Ledger, Row, RowKey, Usage};

pub(crate) const NODE: NodeId = NodeId(2);
pub(crate) const AT: Timestamp = Timestamp(1_000);
/// What the requests had reserved, and what they did cost: no two sums are alike.
const RESERVED: [u64; 2] = [1_000, 2_000];
const ACTUAL: [u64; 2] = [10, 1];
/// Who takes the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// A request: it appends `Settled`, then settles its hold.
    Request(usize),
    /// Whoever moves batches: polls, appends `Sent`, sends, hears.
    Clerk,
}

pub(crate) fn key(model: &str) -> RowKey {
    let name = str::to_owned;
    RowKey { consumer: name("alice"), model: name(model), backend: name("default/openai"), hour: 0 }
}

fn row(tokens: u64) -> Row {
    Row { requests: 1, usage: usage(tokens), prices: 3, ..Row::default() }
}

fn usage(tokens: u64) -> Usage {
    Usage { output: tokens, total: tokens, ..Usage::default() }
}

/// A batch's way.
pub(crate) enum Flight {
    None,
    Polled(Batch),
    /// It may have left the node.
    Sent(Batch),
    Applied(Answer),
}

/// A node and its ledger.
pub(crate) struct World {
    keys: [RowKey; 2],
    pub(crate) ledger: Ledger,
    pub(crate) wallet: Arc<Wallet>,
    holds: [Option<Hold>; 2],
    settled: [bool; 2],
    /// What the journal's file begins with, if that is a checkpoint, and its records.
    pub(crate) begun: Option<Books>,
    pub(crate) records: Vec<Record<'static>>,
    pub(crate) flight: Flight,
    pub(crate) now: NodeTime,
}

impl World {
    pub(crate) fn new(keys: [RowKey; 2]) -> Self {
        let mut ledger = Ledger::new(1);
        let (session, _) = open_session(&mut ledger, 1);
        let wallet = Wallet::new(session, Settings::default());
        let now = NodeTime(1);
        let holds = [0, 1].map(|_| Some(wallet.reserve(&[], now).unwrap()));
        let opened = Opened { session, incarnation: 1, node: NODE, boot: BootId::default() };
        let mut records = vec![Record::Opened(opened)];
        for (at, hold) in holds.iter().flatten().enumerate() {
            let key = keys[at].clone();
            let intent = Intent { key: key.into(), usage: usage(RESERVED[at]), cost_nano_usd: 0, prices: 3 };
            let intent = Cow::Owned(intent);
            records.push(Record::Reserved { hold: hold.number(), parts: Cow::Owned(Vec::new()), intent });
        }
        let settled = [false; 2];
        Self { keys, ledger, wallet, holds, settled, begun: None, records, flight: Flight::None, now }
    }

    fn request(&mut self, at: usize) {
        if self.settled[at] {
            let hold = self.holds[at].take().unwrap();
            hold.settle(&[], (self.keys[at].clone(), row(ACTUAL[at])));
        } else {
            let hold = self.holds[at].as_ref().unwrap().number();
            let parts = Cow::Owned(Vec::new());
            self.records.push(Record::Settled { hold, parts, key: None, row: row(ACTUAL[at]) });
            self.settled[at] = true;
        }
    }

    fn clerk(&mut self) {
        self.flight = match std::mem::replace(&mut self.flight, Flight::None) {
            Flight::None => {
                self.now = self.now.plus(1_000);
                self.wallet.poll(self.now).map_or(Flight::None, Flight::Polled)
            }
            Flight::Polled(batch) => {
                self.append_sent(&batch);
                Flight::Sent(batch)
            }
            Flight::Sent(batch) => Flight::Applied(deliver(&mut self.ledger, &batch)),
            Flight::Applied(answer) => {
                self.wallet.handle(&answer, self.now);
                self.records.push(Record::Reported { sequence: answer.sequence });
                Flight::None
            }
        };
    }

    pub(crate) fn append_sent(&mut self, batch: &Batch) {
        let rows = Cow::Owned(batch.rows.clone());
        self.records.push(Record::Sent { sequence: batch.sequence, rows });
    }

    pub(crate) fn step(&mut self, who: Who) {
        match who {
            Who::Request(at) => self.request(at),
            Who::Clerk => self.clerk(),
        }
    }
}

pub(crate) fn open_session(ledger: &mut Ledger, incarnation: u64) -> (SessionId, Vec<Unfinished>) {
    let outcome = ledger.apply(&Command::OpenSession { node: NODE, incarnation }, AT).outcome;
    let Outcome::SessionOpened { session, earlier } = outcome else { panic!("{outcome:?}") };
    (session, earlier)
}

pub(crate) fn deliver(ledger: &mut Ledger, batch: &Batch) -> Answer {
    let outcome = ledger.apply(&Command::Batches(vec![batch.clone()]), AT).outcome;
    let Outcome::Answers(answers) = outcome else { panic!("{outcome:?}") };
    answers.into_iter().next().unwrap()
}

/// When the batch that was under way gets there, if it does: before the restart asks, or before or after one of its batches.
const MOST_MOMENTS: usize = 5;

/// What the restart meets.
struct Restart<'a> {
    journal: &'a [u8],
    ledger: Ledger,
    late: Option<Batch>,
    moments_left: usize,
}

impl Restart<'_> {
    fn moment(&mut self) {
        let arrives = self.moments_left == 0;
        self.moments_left = self.moments_left.wrapping_sub(1);
        if let Some(batch) = self.late.take_if(|_| arrives) {
            deliver(&mut self.ledger, &batch);
        }
    }

    /// Settles the earlier session. Killed again after so many batches, before anything else.
    fn settle(&mut self, incarnation: u64, mut batches_left: usize) {
        for _ in 0..4 {
            self.moment();
            let (_, earlier) = open_session(&mut self.ledger, incarnation);
            let replayed = replay(self.journal, BootId::default()).unwrap();
            let is_its = |unfinished: &&Unfinished| unfinished.session == replayed.opened().session;
            let Some(unfinished) = earlier.iter().find(is_its) else { return };
            let (batches, ending) = settle_old(unfinished, Some(&replayed)).unwrap();
            self.moment();
            let mut is_other = false;
            for batch in &batches {
                let answer = deliver(&mut self.ledger, batch);
                assert_eq!(answer.verdict, BatchVerdict::Applied, "{batch:?}");
                is_other |= answer.items.len() != batch.items.len();
                self.moment();
                batches_left -= 1;
                if batches_left == 0 {
                    return;
                }
            }
            if !is_other {
                self.ledger.apply(&Command::CloseSession { session: ending.session }, AT);
                return;
            }
        }
        panic!("one batch under way can only once be in the way");
    }
}

/// What a kill leaves, of which each is looked at once: the journal, and whether its last batch is under way.
pub(crate) type Seen = BTreeSet<(Vec<u8>, bool)>;

/// Kills the node here, and looks at what the ledger knows after every way of a restart.
pub(crate) fn check(world: &World, steps: &[Who], seen: &mut Seen) {
    let mut journal = Vec::new();
    let mut writer = Writer::begin(1, &mut journal);
    if let Some(books) = &world.begun {
        writer.checkpoint(books, &mut journal).unwrap();
    }
    world.records.iter().for_each(|record| writer.append(record, &mut journal).unwrap());
    let late = match &world.flight {
        Flight::Sent(batch) => Some(batch),
        Flight::None | Flight::Polled(_) | Flight::Applied(_) => None,
    };
    if !seen.insert((journal.clone(), late.is_some())) {
        return;
    }
    let moments = if late.is_some() { MOST_MOMENTS } else { 1 };
    for moments_left in 0..moments {
        // How far the first restart comes before it is killed too.
        for killed_after in [1, 2, usize::MAX] {
            let ledger = world.ledger.clone();
            let mut restart = Restart { journal: &journal, ledger, late: late.cloned(), moments_left };
            restart.settle(3, killed_after);
            restart.settle(4, usize::MAX);
            let rows: Vec<_> = restart.ledger.rows().rows().map(|(_, row)| *row).collect();
            let total = |of: fn(&Row) -> u64| rows.iter().map(of).sum::<u64>();
            let of_each = |at: usize| if world.settled[at] { ACTUAL[at] } else { RESERVED[at] };
            let unknown = world.settled.iter().filter(|settled| !**settled).count() as u64;
            assert_eq!(
                (total(|row| row.requests), total(|row| row.usage.output), total(|row| row.unknown_requests)),
                (2, of_each(0) + of_each(1), unknown),
                "killed after {steps:?}, late batch at moment {moments_left}, again after {killed_after} batches"
            );
        }
    }
}
