//! What a restarted node says in the name of its earlier session, so that the ledger knows every request once and gets back
//! what was not spent.
//!
//! A batch of the earlier session may have been applied without its answer, or may still be on its way and arrive after
//! anything that is said here; and whoever restarts may die on the way and be restarted. All are harmless, because a sequence
//! number never gets another meaning. With n the last batch that the journal knows:
//!
//! ```text
//! n      its rows alone, if the ledger has not had them
//! n + 1  nothing: a place for a batch of which the journal's end, if it is lost, may have told
//! n + 2… all other rows, and what was spent without a lease: the same ones however often this is done
//! ```
//!
//! What is said about leases depends on what the ledger says of them, and goes along from the first of the last on.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::record::{Place, Spent};
use super::replay::Replayed;
use super::sums::{in_order, merge};
use crate::budget::BucketName;
use crate::fault::{self, Fault};
use crate::ledger::command::{Batch, Item, Keep, LeaseId, SessionId, Target};
use crate::ledger::limits::{MOST_BATCH_ROWS, MOST_ITEMS};
use crate::ledger::outcome::{LeaseRecord, Unfinished};
use crate::ledger::rows::{Row, RowKey};
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
    let due = unfinished.last_sequence.saturating_add(1);
    let pieces = pieces(replayed, due);
    let last = replayed.books.sent.saturating_add(pieces.len() as u64 - 1);
    // A ledger that was told more than the journal and an earlier restart can have said shows that the journal's end is missing.
    let complete = replayed.complete && unfinished.last_sequence <= last;
    let (items, forfeited) = items(unfinished, replayed, complete);
    let left = (replayed.books.sent..).zip(pieces).filter(|(sequence, _)| *sequence >= due);
    let batches =
        numbered(session, due.max(replayed.books.sent.saturating_add(FIXED)), left.collect(), items);
    Ok((batches, Ending { session, forfeited }))
}

/// The batches that stand before those that leases are told with: n and n + 1.
const FIXED: u64 = 2;

/// Rows, and what was spent without a lease: the part of a batch that is the same each time.
type Piece = (Vec<(RowKey, Row)>, Vec<Item>);

/// What the batches from n on say, but for leases.
fn pieces(replayed: &Replayed, due: u64) -> Vec<Piece> {
    let books = &replayed.books;
    let told = |rows: Vec<(&Arc<RowKey>, &Row)>| {
        rows.into_iter().map(|(key, row)| ((**key).clone(), *row)).collect::<Vec<_>>()
    };
    let in_flight = told(in_order(&books.in_flight));
    let mut pieces = vec![(in_flight, Vec::new()), Piece::default()];
    let mut rows = books.rows.clone();
    if due > books.sent && fault::planted(Fault::RowsSentTwice) {
        merge(&mut rows, &books.in_flight);
    }
    for open in books.open.values() {
        merge(&mut rows, [(&open.intent.key, &open.intent.as_unknown())]);
    }
    let mut spent = spent(replayed).into_iter().filter_map(|(place, spent)| match place {
        Place::Bucket(bucket) => Some(without_lease(bucket, spent)),
        Place::Lease(_) => None,
    });
    let mut rows = told(in_order(&rows)).into_iter();
    loop {
        let piece: Piece =
            (rows.by_ref().take(MOST_IN_BATCH).collect(), spent.by_ref().take(MOST_IN_BATCH).collect());
        if piece.0.is_empty() && piece.1.is_empty() {
            return pieces;
        }
        pieces.push(piece);
    }
}

/// The pieces that are left, and with those from `first` on what is to be said about leases, in as many batches as it takes.
fn numbered(session: SessionId, first: u64, left: Vec<(u64, Piece)>, leases: Vec<Item>) -> Vec<Batch> {
    let mut leases = leases.into_iter().peekable();
    let mut batches: Vec<Batch> = Vec::new();
    for (sequence, (rows, named)) in left {
        // Leases before names: a name then stands for a lease of its own.
        let most = if sequence < first { 0 } else { MOST_IN_BATCH };
        let items = leases.by_ref().take(most).chain(named).collect();
        batches.push(Batch { session, sequence, items, rows });
    }
    let mut sequence = batches.last().map_or(first, |batch| batch.sequence.saturating_add(1));
    while leases.peek().is_some() {
        let items = leases.by_ref().take(MOST_IN_BATCH).collect();
        batches.push(Batch { session, sequence, items, rows: Vec::new() });
        sequence = sequence.saturating_add(1);
    }
    batches
}

/// What finished requests spent, and open ones may have, from each place.
fn spent(replayed: &Replayed) -> BTreeMap<Place, Spent> {
    let settled = replayed.books.spent.iter().map(|(place, spent)| (place.clone(), *spent));
    let mut spent: BTreeMap<Place, Spent> = settled.collect();
    if fault::planted(Fault::JournalForgotten) {
        return spent;
    }
    for part in replayed.books.open.values().flat_map(|open| &open.parts) {
        let place = spent.entry(part.place.clone()).or_default();
        *place = place.plus(part.spent);
    }
    spent
}

/// What is to be said about each lease, and what nothing proves.
fn items(
    unfinished: &Unfinished,
    replayed: &Replayed,
    complete: bool,
) -> (Vec<Item>, Vec<(LeaseId, Amount)>) {
    let mut spent = spent(replayed);
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
    // Leases that the ledger does not name are closed there.
    (items, forfeited)
}

/// What was spent before there was a lease: which one it is, is for the ledger to find.
fn without_lease(bucket: BucketName, spent: Spent) -> Item {
    let none = LeaseId { slot: 0, generation: 0 };
    let overrun = spent.leased.saturating_add(spent.overrun);
    let total = LeaseRecord { lease: none, granted: 0, settled: 0, overrun, returned: 0 };
    item(Target::Current(bucket), total, Keep::Close)
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
