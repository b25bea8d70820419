//! What a restarted node says in the name of its earlier session, so that the ledger knows every request once and gets back
//! what was not spent.
//!
//! A batch of the earlier session may have been applied without its answer, or may still be on its way and arrive after
//! anything that is said here. Both are harmless, because a sequence number never gets another meaning: the last batch of the
//! journal is sent under its number with its rows, alone; everything else has later numbers, always the same ones, and what
//! the ledger has applied of either is left out.

use std::iter;

use super::books::Books;
use super::record::{Place, Spent};
use super::replay::Replayed;
use super::sums::{RowsByKey, merge};
use crate::fault::{Fault, planted};
use crate::ledger::command::{Batch, Item, Keep, LeaseId, SessionId, Target};
use crate::ledger::limits::{MOST_BATCH_ROWS, MOST_ITEMS};
use crate::ledger::outcome::{LeaseRecord, Unfinished};
use crate::unit::Amount;

/// How much one of the batches holds, of items and of rows.
const MOST_IN_BATCH: usize = 4096;
const _: () =
    assert!(MOST_IN_BATCH <= MOST_ITEMS && MOST_IN_BATCH <= MOST_BATCH_ROWS, "the ledger takes them");

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
    let batches = batches(unfinished, books, &items);
    Ok((batches, Ending { session, forfeited }))
}

/// The last batch with its rows alone, then everything else in as many as it takes, without those that were applied before.
fn batches(unfinished: &Unfinished, books: &Books, items: &[Item]) -> Vec<Batch> {
    let session = unfinished.session;
    let due = unfinished.last_sequence.saturating_add(1);
    let batch = |sequence, rows| Batch { session, sequence, items: Vec::new(), rows };
    let in_flight = books.in_flight.iter().map(|(key, row)| (key.clone(), *row)).collect();
    let rest: Vec<_> = rest_of_rows(books, due).into_iter().collect();
    let contents = iter::once(in_flight).chain(rest.chunks(MOST_IN_BATCH).map(<[_]>::to_vec));
    let mut batches: Vec<Batch> = contents
        .enumerate()
        .map(|(at, rows)| batch(books.sent.min(due).saturating_add(at as u64), rows))
        .filter(|batch| batch.sequence >= due)
        .collect();
    let alone = usize::from(books.sent >= due);
    for (at, items) in items.chunks(MOST_IN_BATCH).enumerate() {
        let at = alone + at;
        if at == batches.len() {
            batches.push(batch(due.saturating_add(at as u64), Vec::new()));
        }
        batches[at].items = items.to_vec();
    }
    batches
}

/// What was settled and was in no batch, and what was never heard of again. Of the journal alone: a restart that is killed
/// and begins again puts the same rows under the same numbers.
fn rest_of_rows(books: &Books, due: u64) -> RowsByKey {
    let mut rows = books.rows.clone();
    for open in books.open.values() {
        merge(&mut rows, [(&open.intent.key, &open.intent.as_unknown())]);
    }
    if due > books.sent && planted(Fault::RowsSentTwice) {
        merge(&mut rows, &books.in_flight);
    }
    rows
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
    Item { target, want: 0, need: 0, settled, overrun, returned, idle: 0, keep }
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
