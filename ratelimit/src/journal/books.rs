//! What the records so far add up to. Replay fills books from a file; whoever writes the file may keep them along, and
//! then a checkpoint is a copy of them.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;

use super::record::{Entry, Intent, OpenHold, Opened, Part, Place, Record};
use super::sums::{RowsByKey, SpentByPlace, in_order, merge, take_out};
use crate::budget::BucketName;
use crate::ledger::command::LeaseId;
use crate::ledger::limits::MOST_BATCH_ROWS;
use crate::ledger::rows::{Row, RowKey};

/// The most places that one hold may take from: far more than budgets that cover one request.
pub const MOST_PARTS: usize = 64;

/// A session's journal, added up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    pub(super) opened: Opened,
    pub(super) phase: Phase,
    /// What finished requests spent.
    pub(super) spent: SpentByPlace,
    pub(super) open: BTreeMap<u64, OpenHold>,
    /// What was settled, without what went with batches.
    pub(super) rows: RowsByKey,
    /// The last batch that was sent, and its rows unless it was answered.
    pub(super) sent: u64,
    pub(super) in_flight: RowsByKey,
    pub(super) reported: u64,
}

/// How far a journal has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing is known yet.
    #[default]
    Empty,
    /// This many pieces of its checkpoint are missing.
    Restoring(u32),
    /// It can go on.
    Open,
    /// It ended in order.
    Clean,
}

/// What became of the last batch of a session that the ledger has closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastBatch {
    /// It was sent once, and the answer was that there is no such session: its rows are told again.
    Refused,
    /// It was sent more than once: the first copy may have been applied, so its rows are not told twice.
    Unknown,
}

/// A record that can't follow what came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disorder {
    /// The first record is neither an opening nor a checkpoint.
    NotOpened,
    /// An opening, or a checkpoint's piece, in a place where none is due.
    OpenedAgain,
    /// A record amid the pieces of a checkpoint.
    Unfinished {
        /// How many pieces were missing.
        pieces: u32,
    },
    /// A record after the end.
    AfterEnd,
    /// The hold is open already.
    HoldTwice {
        /// Its number.
        hold: u64,
    },
    /// No such hold is open.
    NoHold {
        /// Its number.
        hold: u64,
    },
    /// A hold of more than [`MOST_PARTS`] parts.
    TooManyParts {
        /// Its number.
        hold: u64,
    },
    /// A batch of rows that were not settled, or were in a batch before.
    NotSettled {
        /// Its number.
        sequence: u64,
    },
    /// A batch of more rows than the ledger takes.
    TooManyRows {
        /// Its number.
        sequence: u64,
    },
    /// Batches are numbered one by one, and answered after they were sent.
    Sequence {
        /// The one that was expected, or the last that could be.
        expected: u64,
        /// The one that came.
        got: u64,
    },
}

impl Books {
    /// Adds a record. After an error nothing was changed, unless in the midst of a checkpoint.
    pub fn apply(&mut self, record: Record<'_>) -> Result<(), Disorder> {
        self.expect(&record)?;
        match record {
            Record::Opened(opened) => {
                self.opened = opened;
                self.phase = Phase::Open;
            }
            Record::Reserved { hold, parts, intent } => self.reserve(hold, &parts, intent.into_owned())?,
            Record::Extended { hold, parts, usage, cost_nano_usd } => {
                let mut open = self.open.get(&hold).ok_or(Disorder::NoHold { hold })?.clone();
                open.parts = joined(open.parts, &parts).ok_or(Disorder::TooManyParts { hold })?;
                open.intent.usage = open.intent.usage.plus(usage);
                open.intent.cost_nano_usd = open.intent.cost_nano_usd.saturating_add(cost_nano_usd);
                self.open.insert(hold, open);
            }
            Record::Settled { hold, parts, key, row } => {
                let open = self.open.remove(&hold).ok_or(Disorder::NoHold { hold })?;
                for part in parts.iter() {
                    self.spend(part.clone());
                }
                let key = key.map_or(open.intent.key, |key| Arc::new(key.into_owned()));
                self.rows.entry(key).or_default().merge(&row);
            }
            Record::Released { hold } => {
                self.open.remove(&hold).ok_or(Disorder::NoHold { hold })?;
            }
            Record::Leased { bucket, lease } => self.lease(bucket.into_owned(), lease),
            Record::Ended { lease } => _ = self.spent.remove(&Place::Lease(lease)),
            Record::Sent { sequence, rows } => self.send(sequence, &rows)?,
            Record::Reported { sequence } => self.report(sequence)?,
            Record::Checkpoint { pieces_left, entries } => {
                for entry in entries {
                    self.restore(entry);
                }
                self.phase = if pieces_left == 0 { Phase::Open } else { Phase::Restoring(pieces_left) };
            }
            Record::Clean => self.phase = Phase::Clean,
        }
        Ok(())
    }

    /// What the first file of a new session begins with, as a checkpoint, when the ledger has closed the old one while its
    /// process goes on (`Wallet::resume`). Rows that were not told are told under the new name, and requests that are
    /// running end there. What old leases still held was counted as spent when they were closed.
    ///
    /// The old file takes no more records once these books were made, and is never settled: whoever writes makes the new
    /// file and flushes it before the wallet resumes.
    #[must_use]
    pub fn resumed(&self, opened: Opened, last: LastBatch) -> Self {
        let rows = match last {
            LastBatch::Refused => self.unsent(),
            LastBatch::Unknown => self.rows.clone(),
        };
        let mut spent = self.spent.clone();
        spent.retain(|place, _| matches!(place, Place::Bucket(_)));
        Self { opened, phase: Phase::Open, spent, open: self.open.clone(), rows, ..Self::default() }
    }

    /// Everything that a checkpoint has to say.
    pub fn entries(&self) -> Vec<Entry> {
        let first = [Entry::Opened(self.opened), Entry::Batches { sent: self.sent, reported: self.reported }];
        let spent = in_order(&self.spent).into_iter();
        let spent = spent.map(|(place, spent)| Entry::Spent(Part { place: place.clone(), spent: *spent }));
        let holds = self.open.iter().map(|(hold, open)| Entry::Hold { hold: *hold, open: open.clone() });
        let rows = in_order(&self.rows).into_iter();
        let rows = rows.map(|(key, row)| Entry::Row { key: (**key).clone(), row: *row });
        let in_flight = in_order(&self.in_flight).into_iter();
        let in_flight = in_flight.map(|(key, row)| Entry::InFlight { key: (**key).clone(), row: *row });
        first.into_iter().chain(spent).chain(holds).chain(rows).chain(in_flight).collect()
    }

    /// Whether this kind of record may come now.
    fn expect(&self, record: &Record<'_>) -> Result<(), Disorder> {
        match (self.phase, record) {
            (Phase::Empty, Record::Opened(_) | Record::Checkpoint { .. }) => Ok(()),
            (Phase::Empty, _) => Err(Disorder::NotOpened),
            (Phase::Restoring(pieces), Record::Checkpoint { pieces_left, .. })
                if pieces.checked_sub(1) == Some(*pieces_left) =>
            {
                Ok(())
            }
            (Phase::Restoring(pieces), _) => Err(Disorder::Unfinished { pieces }),
            (Phase::Open, Record::Opened(_) | Record::Checkpoint { .. }) => Err(Disorder::OpenedAgain),
            (Phase::Open, _) => Ok(()),
            (Phase::Clean, _) => Err(Disorder::AfterEnd),
        }
    }

    fn reserve(&mut self, hold: u64, parts: &[Part], intent: Intent) -> Result<(), Disorder> {
        if self.open.contains_key(&hold) {
            return Err(Disorder::HoldTwice { hold });
        }
        let parts = joined(Vec::new(), parts).ok_or(Disorder::TooManyParts { hold })?;
        self.open.insert(hold, OpenHold { parts, intent });
        Ok(())
    }

    /// What a bucket's name stood for until now, this lease stands for from now on.
    fn lease(&mut self, bucket: BucketName, lease: LeaseId) {
        let (from, to) = (Place::Bucket(bucket), Place::Lease(lease));
        if let Some(spent) = self.spent.remove(&from) {
            self.spend(Part { place: to.clone(), spent });
        }
        for part in self.open.values_mut().flat_map(|open| &mut open.parts) {
            if part.place == from {
                part.place = to.clone();
            }
        }
    }

    fn spend(&mut self, part: Part) {
        let spent = self.spent.entry(part.place).or_default();
        *spent = spent.plus(part.spent);
    }

    /// Moves the rows of a batch from what is in none to what is in flight.
    fn send(&mut self, sequence: u64, rows: &[(RowKey, Row)]) -> Result<(), Disorder> {
        let next = self.sent.saturating_add(1);
        if sequence <= self.reported || sequence > next {
            return Err(Disorder::Sequence { expected: next, got: sequence });
        }
        if rows.len() > MOST_BATCH_ROWS {
            return Err(Disorder::TooManyRows { sequence });
        }
        let mut batch = RowsByKey::default();
        for (key, row) in rows {
            let known = self.rows.get_key_value(key).map(|(known, _)| Arc::clone(known));
            batch.entry(known.unwrap_or_else(|| Arc::new(key.clone()))).or_default().merge(row);
        }
        // The same number again: the one before it was refused as too large, and its rows are told in other batches.
        let is_again = sequence < next;
        let mut left = if is_again { self.unsent() } else { mem::take(&mut self.rows) };
        let taken = take_out(&mut left, &batch);
        if taken.is_some() || !is_again {
            self.rows = left;
        }
        taken.ok_or(Disorder::NotSettled { sequence })?;
        (self.sent, self.in_flight) = (sequence, batch);
        Ok(())
    }

    fn report(&mut self, sequence: u64) -> Result<(), Disorder> {
        if sequence > self.sent {
            return Err(Disorder::Sequence { expected: self.sent, got: sequence });
        }
        if sequence == self.sent {
            self.in_flight = RowsByKey::default();
        }
        self.reported = self.reported.max(sequence);
        Ok(())
    }

    /// All that was settled, if the last batch was not applied.
    fn unsent(&self) -> RowsByKey {
        let mut rows = self.rows.clone();
        merge(&mut rows, &self.in_flight);
        rows
    }

    fn restore(&mut self, entry: Entry) {
        match entry {
            Entry::Opened(opened) => self.opened = opened,
            Entry::Batches { sent, reported } => (self.sent, self.reported) = (sent, reported),
            Entry::Spent(part) => self.spend(part),
            Entry::Hold { hold, open } => _ = self.open.insert(hold, open),
            Entry::Row { key, row } => _ = self.rows.insert(Arc::new(key), row),
            Entry::InFlight { key, row } => _ = self.in_flight.insert(Arc::new(key), row),
        }
    }
}

/// `parts` and `more`, one a place. None where there are too many.
fn joined(mut parts: Vec<Part>, more: &[Part]) -> Option<Vec<Part>> {
    for one in more {
        match parts.iter_mut().find(|part| part.place == one.place) {
            Some(part) => part.spent = part.spent.plus(one.spent),
            None => parts.push(one.clone()),
        }
    }
    (parts.len() <= MOST_PARTS).then_some(parts)
}
