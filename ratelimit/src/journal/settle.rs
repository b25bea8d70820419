//! What a restarted node says in the name of its earlier session, so that the ledger knows every request once and gets back
//! what was not spent.
//!
//! A batch of the earlier session may have been applied without its answer, or may still be on its way and arrive after
//! anything that is said here. Both are harmless, because a sequence number never gets another meaning: the rows that the
//! earlier session gave, or may have given, to the batch that is due are sent under that number, alone; everything else
//! has later numbers.

use std::collections::BTreeMap;

use super::record::{Place, Spent};
use super::replay::Replayed;
use crate::ledger::command::{Batch, Item, Keep, LeaseId, SessionId, Target};
use crate::ledger::outcome::{LeaseRecord, Unfinished};
use crate::ledger::rows::{Row, RowKey};
use crate::unit::Amount;

/// How much one of the batches holds, of items and of rows.
const MOST_IN_BATCH: usize = 4096;

/// What is left to do once the batches are applied: the session is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The session to close.
    pub session: SessionId,
    /// What closing it will count as spent, because nothing proves that it was not.
    pub forfeited: Vec<(LeaseId, Amount)>,
}

/// The journal is another session's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongSession {
    /// The session that is to be settled.
    pub expected: SessionId,
    /// The journal's.
    pub got: SessionId,
}

/// What to send, in this order and each until it is answered, and what then is left to do. `replayed` is none where the
/// journal is lost: then everything is forfeited.
///
/// An answer with another number of items than its batch had is the answer to a batch of the earlier session that got there
/// first; it may have changed leases. Then ask for the session's state again, and settle that.
pub fn settle_old(
    unfinished: &Unfinished,
    replayed: Option<&Replayed>,
) -> Result<(Vec<Batch>, Ending), WrongSession> {
    let session = unfinished.session;
    let Some(replayed) = replayed else {
        let forfeited = unfinished.leases.iter().filter_map(rest).collect();
        return Ok((Vec::new(), Ending { session, forfeited }));
    };
    let got = replayed.opened().session;
    if got != session {
        return Err(WrongSession { expected: session, got });
    }
    let books = &replayed.books;
    // A ledger that was told more than the journal knows shows that the journal's end is missing.
    let complete = replayed.complete && unfinished.last_sequence <= books.sent;
    let (items, forfeited) = items(unfinished, replayed, complete);

    let due = unfinished.last_sequence.saturating_add(1);
    let mut batches = Vec::new();
    let may_be_under_way = books.sent >= due || !complete;
    let mut rows = BTreeMap::new();
    for (sequence, batch) in books.rows.range(due..) {
        if may_be_under_way && *sequence == due {
            batches.push(batch.iter().map(|(key, row)| (key.clone(), *row)).collect());
        } else {
            merge(&mut rows, batch);
        }
    }
    if may_be_under_way && batches.is_empty() {
        batches.push(Vec::new());
    }
    for open in books.open.values() {
        merge(&mut rows, [(&open.intent.key, &open.intent.as_unknown())]);
    }
    let numbered = numbered(session, due, batches, rows.into_iter().collect(), items);
    Ok((numbered, Ending { session, forfeited }))
}

type RowsInOrder = Vec<(RowKey, Row)>;

/// The batch that is due if it must stand alone, and behind it everything else, in as many as it takes.
fn numbered(
    session: SessionId,
    due: u64,
    alone: Vec<RowsInOrder>,
    rows: RowsInOrder,
    items: Vec<Item>,
) -> Vec<Batch> {
    let mut contents: Vec<(RowsInOrder, Vec<Item>)> =
        alone.into_iter().map(|rows| (rows, Vec::new())).collect();
    let rest = rows.len().max(items.len()).div_ceil(MOST_IN_BATCH);
    let (mut rows, mut items) = (rows.into_iter(), items.into_iter());
    for _ in 0..rest {
        contents.push((
            rows.by_ref().take(MOST_IN_BATCH).collect(),
            items.by_ref().take(MOST_IN_BATCH).collect(),
        ));
    }
    contents
        .into_iter()
        .zip(due..)
        .map(|((rows, items), sequence)| Batch { session, sequence, items, rows })
        .collect()
}

/// What is to be said about each place, and what nothing proves.
fn items(
    unfinished: &Unfinished,
    replayed: &Replayed,
    complete: bool,
) -> (Vec<Item>, Vec<(LeaseId, Amount)>) {
    let mut spent = replayed.books.spent.clone();
    for part in replayed.books.open.values().flat_map(|open| &open.parts) {
        let place = spent.entry(part.place.clone()).or_default();
        *place = place.plus(part.spent);
    }
    let (mut items, mut forfeited) = (Vec::new(), Vec::new());
    for record in &unfinished.leases {
        let journal = spent.remove(&Place::Lease(record.lease)).unwrap_or_default();
        let known = told(record, journal);
        let proven = complete && journal.leased >= record.settled && journal.overrun >= record.overrun;
        if proven {
            let returned = record.granted.saturating_sub(known.settled);
            items.push(item(Target::Lease(record.lease), LeaseRecord { returned, ..known }, Keep::Close));
        } else {
            if (known.settled, known.overrun) != (record.settled, record.overrun) {
                items.push(item(Target::Lease(record.lease), known, Keep::Open));
            }
            forfeited.extend(rest(&known));
        }
    }
    // Leases that the ledger does not name are closed there. Buckets are for it to find.
    for (place, Spent { leased, overrun }) in spent {
        if let Place::Bucket(bucket) = place {
            let overrun = leased.saturating_add(overrun);
            let total = LeaseRecord {
                lease: LeaseId { slot: 0, generation: 0 },
                granted: 0,
                settled: 0,
                overrun,
                returned: 0,
            };
            items.push(item(Target::Current(bucket), total, Keep::Close));
        }
    }
    (items, forfeited)
}

/// The totals to tell of a lease: never less than the ledger knows. What passes the lease is overrun.
fn told(record: &LeaseRecord, journal: Spent) -> LeaseRecord {
    let room = record.granted.saturating_sub(record.returned);
    let settled = journal.leased.min(room);
    let overrun = journal.overrun.saturating_add(journal.leased - settled);
    LeaseRecord { settled: settled.max(record.settled), overrun: overrun.max(record.overrun), ..*record }
}

/// What is neither spent nor given back.
fn rest(record: &LeaseRecord) -> Option<(LeaseId, Amount)> {
    let rest = record.granted.saturating_sub(record.settled).saturating_sub(record.returned);
    (rest > 0).then_some((record.lease, rest))
}

const fn item(target: Target, total: LeaseRecord, keep: Keep) -> Item {
    let LeaseRecord { settled, overrun, returned, .. } = total;
    Item { target, want: 0, need: 0, settled, overrun, returned, keep }
}

fn merge<'a>(into: &mut BTreeMap<RowKey, Row>, rows: impl IntoIterator<Item = (&'a RowKey, &'a Row)>) {
    for (key, row) in rows {
        into.entry(key.clone()).or_default().merge(row);
    }
}

impl std::fmt::Display for WrongSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "expected the journal of session {}, that of {} came", self.expected.0, self.got.0)
    }
}

impl std::error::Error for WrongSession {}

#[cfg(test)]
#[path = "settle_test.rs"]
mod tests;
