//! A journal is believed up to its first bad byte, wherever that is, and no further.

use std::borrow::Cow;

use super::*;
use crate::budget::{BucketName, BudgetId, Key};
use crate::journal::frame::Writer;
use crate::journal::record::{Intent, Part, Place, Spent};
use crate::journal::sums::{RowsByKey, in_order};
use crate::ledger::command::{LeaseId, NodeId, SessionId};
use crate::ledger::limits::MOST_BATCH_ROWS;
use crate::ledger::rows::{Row, RowKey};
use crate::usage::Usage;

const BOOT: BootId = BootId([7; 16]);
const OTHER_BOOT: BootId = BootId([8; 16]);

fn opened() -> Record<'static> {
    Record::Opened(Opened { session: SessionId(3), incarnation: 9, node: NodeId(2), boot: BOOT })
}

fn lease(slot: u32) -> Place {
    Place::Lease(LeaseId { slot, generation: 1 })
}

fn bucket() -> BucketName {
    BucketName { budget: BudgetId(4), key: Key("bob".into()) }
}

fn key(model: &str) -> RowKey {
    let name = str::to_owned;
    RowKey { consumer: name("alice"), model: name(model), backend: name("default/openai"), hour: 20_000 }
}

fn part(place: Place, leased: u64, overrun: u64) -> Part {
    Part { place, spent: Spent { leased, overrun } }
}

fn reserved(hold: u64, parts: &[Part], model: &str) -> Record<'static> {
    let usage = Usage { input: 10, output: 20, total: 30, ..Usage::default() };
    let intent = Intent { key: key(model).into(), usage, cost_nano_usd: 5, prices: 1 };
    Record::Reserved { hold, parts: Cow::Owned(parts.to_vec()), intent: Cow::Owned(intent) }
}

fn settled(hold: u64, parts: &[Part], output: u64) -> Record<'static> {
    let usage = Usage { output, total: output, ..Usage::default() };
    let row = Row { requests: 1, usage, ..Row::default() };
    Record::Settled { hold, parts: Cow::Owned(parts.to_vec()), key: None, row }
}

/// A batch of rows: model, requests, output tokens.
fn sent(sequence: u64, rows: &[(&str, u64, u64)]) -> Record<'static> {
    let row = |requests, output| {
        let usage = Usage { output, total: output, ..Usage::default() };
        Row { requests, usage, ..Row::default() }
    };
    let rows = rows.iter().map(|&(model, requests, output)| (key(model), row(requests, output))).collect();
    Record::Sent { sequence, rows: Cow::Owned(rows) }
}

/// As given to `sent`.
fn said(rows: &RowsByKey) -> Vec<(&str, u64, u64)> {
    let rows = in_order(rows).into_iter();
    rows.map(|(key, row)| (key.model.as_str(), row.requests, row.usage.output)).collect()
}

/// One of everything that a session does.
fn life() -> Vec<Record<'static>> {
    vec![
        opened(),
        reserved(1, &[part(lease(1), 100, 0), part(lease(2), 3, 0)], "a"),
        reserved(2, &[part(Place::Bucket(bucket()), 0, 40)], "b"),
        settled(1, &[part(lease(1), 60, 0), part(lease(2), 3, 0)], 6),
        sent(1, &[("a", 1, 6)]),
        reserved(3, &[part(lease(1), 30, 0)], "a"),
        settled(2, &[part(Place::Bucket(bucket()), 0, 35)], 7),
        Record::Reported { sequence: 1 },
        Record::Leased { bucket: Cow::Owned(bucket()), lease: LeaseId { slot: 5, generation: 2 } },
        Record::Extended {
            hold: 3,
            parts: Cow::Owned(vec![part(lease(1), 12, 0), part(lease(9), 1, 1)]),
            usage: Usage { output: 4, total: 4, ..Usage::default() },
            cost_nano_usd: 2,
        },
        reserved(4, &[part(lease(6), 8, 0)], "a"),
        settled(4, &[part(lease(6), 8, 0)], 2),
        Record::Ended { lease: LeaseId { slot: 6, generation: 1 } },
        reserved(4, &[part(lease(2), 8, 0)], "a"),
        Record::Released { hold: 4 },
        reserved(5, &[part(lease(2), 8, 0)], "a"),
        settled(5, &[part(lease(2), 1, 0)], 1),
        sent(2, &[("a", 2, 3)]),
    ]
}

fn written(records: &[Record<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::begin(1, &mut out);
    for record in records {
        writer.append(record, &mut out).expect("short");
    }
    out
}

fn books(records: &[Record<'_>]) -> Books {
    let mut books = Books::default();
    for record in records {
        books.apply(record.clone()).expect("in order");
    }
    books
}

#[test]
fn what_was_written_is_what_is_read() {
    let life = life();
    let replayed = replay(&written(&life), BOOT).expect("whole");
    assert_eq!(replayed, Replayed { books: books(&life), file: 1, complete: true, cut: None });

    let books = replayed.books;
    let spent: Vec<_> = in_order(&books.spent)
        .into_iter()
        .map(|(place, one)| (place.clone(), one.leased, one.overrun))
        .collect();
    let later = Place::Lease(LeaseId { slot: 5, generation: 2 });
    assert_eq!(
        spent,
        [(lease(1), 60, 0), (lease(2), 4, 0), (later, 0, 35)],
        "the bucket's share is its lease's, and 6 has ended"
    );
    let hold = &books.open[&3];
    assert_eq!(books.open.len(), 1, "settled and released ones are gone");
    assert_eq!(hold.parts, [part(lease(1), 42, 0), part(lease(9), 1, 1)]);
    assert_eq!((hold.intent.usage.output, hold.intent.usage.total, hold.intent.cost_nano_usd), (24, 34, 7));
    assert_eq!((books.sent, books.reported), (2, 1));
    assert_eq!(said(&books.in_flight), [("a", 2, 3)], "what was answered is gone");
    assert_eq!(said(&books.rows), [("b", 1, 7)], "b is in no batch");
}

#[test]
fn a_cut_anywhere_leaves_the_whole_records_before_it() {
    let life = life();
    let mut ends = vec![written(&[]).len()];
    ends.extend((1..=life.len()).map(|count| written(&life[..count]).len()));
    let bytes = written(&life);
    for length in 0..=bytes.len() {
        let got = replay(&bytes[..length], BOOT);
        if length < ends[0] {
            assert_eq!(got, Err(JournalError::TooShort { bytes: length }));
            continue;
        }
        let whole = ends.iter().rposition(|end| *end <= length).expect("the header is whole");
        if whole == 0 {
            assert!(matches!(got, Err(JournalError::NotBegun { .. })), "cut at {length}: {got:?}");
            continue;
        }
        let got = got.expect("begun");
        assert_eq!(got.books, books(&life[..whole]), "cut at {length}");
        // A few zeros of a length can't be told from room that was made ahead.
        if let Some(cut) = &got.cut {
            assert_eq!((cut.at_byte, got.complete), (ends[whole], false), "cut at {length}: {cut:?}");
        } else {
            assert_eq!(length, ends[whole], "a cut within a frame is seen");
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_cuts_at_its_frame() {
    let mut life = life();
    life.push(Record::Clean);
    let bytes = written(&life);
    let mut ends = vec![written(&[]).len()];
    ends.extend((1..=life.len()).map(|count| written(&life[..count]).len()));
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let got = replay(&flipped, BOOT);
        let whole = ends.iter().rposition(|end| *end <= bit / 8);
        let Some(whole @ 1..) = whole else {
            got.expect_err("no header or no opening");
            continue;
        };
        let got = got.expect("begun");
        assert_eq!(got.books, books(&life[..whole]), "bit {bit}");
        assert_eq!(got.cut.map(|cut| cut.at_byte), Some(ends[whole]), "bit {bit}");
        assert!(!got.complete, "bit {bit}");
    }
}

#[test]
fn completeness_is_only_claimed_where_it_is_sure() {
    let open = life();
    let mut clean = life();
    clean.push(Record::Clean);
    let room = |mut bytes: Vec<u8>, more: &[u8]| {
        bytes.resize(bytes.len() + 300, 0);
        bytes.extend_from_slice(more);
        bytes
    };
    let torn = |bytes: Vec<u8>| bytes[..bytes.len() - 1].to_vec();
    #[rustfmt::skip]
    let cases = [
        // bytes                       boot        complete  cut    why
        (written(&open),               BOOT,       true,     false), // killed: what was written is there
        (written(&open),               OTHER_BOOT, false,    false), // lost power: what was not flushed left no trace
        (written(&clean),              OTHER_BOOT, true,     false), // the end was flushed: nothing can be behind it
        (room(written(&open), &[]),    BOOT,       true,     false), // room that was made ahead is no damage
        (room(written(&open), &[1]),   BOOT,       false,    true),  // but something behind it is
        (room(written(&clean), &[1]),  BOOT,       true,     true),  // behind the end nothing matters
        (torn(written(&open)),         BOOT,       false,    true),  // can't be told from damage
        (torn(written(&clean)),        BOOT,       false,    true),  // the end is not there
    ];
    for (row, (bytes, boot, complete, cut)) in cases.into_iter().enumerate() {
        let got = replay(&bytes, boot).expect("begun");
        assert_eq!((got.complete, got.cut.is_some()), (complete, cut), "row {row}");
    }
}

#[test]
fn a_new_file_says_all_that_the_one_before_it_said() {
    let life = life();
    for at in 1..=life.len() {
        let before = books(&life[..at]);
        let mut bytes = Vec::new();
        let mut writer = Writer::begin(2, &mut bytes);
        writer.checkpoint(&before, &mut bytes).expect("short");
        for record in &life[at..] {
            writer.append(record, &mut bytes).expect("short");
        }
        let got = replay(&bytes, BOOT).expect("whole");
        assert_eq!(got.books, books(&life), "rotated after record {at}");
        assert_eq!(got.file, 2);
    }
}

#[test]
fn a_checkpoint_of_many_pieces_counts_only_whole() {
    let mut many = books(&[opened()]);
    for hold in 0..1_000 {
        many.apply(reserved(hold, &[part(lease(1), hold, 0)], "a")).expect("in order");
    }
    let mut bytes = Vec::new();
    Writer::begin(2, &mut bytes).checkpoint(&many, &mut bytes).expect("short");
    assert_eq!(replay(&bytes, BOOT).map(|got| got.books), Ok(many));
    let refused = replay(&bytes[..bytes.len() - 1], BOOT).expect_err("a piece is missing");
    assert!(matches!(refused, JournalError::NotBegun { cut: Some(_) }), "{refused:?}");
}

#[test]
fn a_frame_of_another_file_is_not_believed() {
    let life = life();
    let old = written(&life);
    let mut new = Vec::new();
    let mut writer = Writer::begin(2, &mut new);
    let mut at = new.len();
    for record in &life[..5] {
        writer.append(record, &mut new).expect("short");
        at = new.len();
    }
    new.extend_from_slice(&old[at..]);
    let got = replay(&new, BOOT).expect("begun");
    assert_eq!(got.cut, Some(Cut { at_byte: at, why: Fault::Checksum }), "at the very place, and in order");
}

#[test]
fn records_that_cannot_follow_are_refused_and_change_nothing() {
    let many: Vec<_> = (0..65).map(|slot| part(lease(slot), 1, 0)).collect();
    #[rustfmt::skip]
    let cases = [
        (opened(),                                       Disorder::OpenedAgain),
        (reserved(3, &[], "a"),                          Disorder::HoldTwice { hold: 3 }),
        (reserved(8, &many, "a"),                        Disorder::TooManyParts { hold: 8 }),
        (settled(1, &[], 1),                             Disorder::NoHold { hold: 1 }), // settled before
        (Record::Released { hold: 4 },                   Disorder::NoHold { hold: 4 }), // released before
        (sent(1, &[]),                                   Disorder::Sequence { expected: 3, got: 1 }), // answered
        (sent(4, &[]),                                   Disorder::Sequence { expected: 3, got: 4 }),
        (sent(3, &[("b", 1, 8)]),                        Disorder::NotSettled { sequence: 3 }), // 7 tokens were
        (sent(3, &[("b", 1, 7), ("a", 1, 1)]),           Disorder::NotSettled { sequence: 3 }), // a went with batch 2
        (sent(2, &[("a", 2, 4)]),                        Disorder::NotSettled { sequence: 2 }), // nor in its place
        (sent(3, &vec![("b", 0, 0); MOST_BATCH_ROWS + 1]),             Disorder::TooManyRows { sequence: 3 }),
        (Record::Reported { sequence: 3 },               Disorder::Sequence { expected: 2, got: 3 }),
        (Record::Checkpoint { pieces_left: 0, entries: vec![] }, Disorder::OpenedAgain),
    ];
    let life = life();
    for (record, expected) in cases {
        let mut books = books(&life);
        let before = books.clone();
        assert_eq!(books.apply(record.clone()), Err(expected), "{record:?}");
        assert_eq!(books, before, "{record:?}");

        let at_byte = written(&life).len();
        let got = replay(&written(&[&life[..], &[record]].concat()), BOOT).expect("begun");
        assert_eq!((got.cut, got.complete), (Some(Cut { at_byte, why: Fault::Disorder(expected) }), false));
    }
    assert_eq!(Books::default().apply(Record::Clean), Err(Disorder::NotOpened));
    let mut ended = books(&[opened(), Record::Clean]);
    assert_eq!(ended.apply(Record::Released { hold: 1 }), Err(Disorder::AfterEnd));
    let piece = |pieces_left| Record::Checkpoint { pieces_left, entries: vec![] };
    let mut restoring = books(&[piece(2)]);
    assert_eq!(restoring.apply(piece(0)), Err(Disorder::Unfinished { pieces: 2 }));
    assert_eq!(restoring.apply(piece(u32::MAX)), Err(Disorder::Unfinished { pieces: 2 }));
}

#[test]
fn a_batch_that_is_sent_again_stands_for_the_one_before() {
    type Said = &'static [(&'static str, u64, u64)];
    #[rustfmt::skip]
    let cases: [(Said, Said, Said); 3] = [
        // its rows                    in flight                     in no batch                why
        (&[("a", 2, 3)],               &[("a", 2, 3)],               &[("b", 1, 7)]),           // the answer was lost
        (&[("a", 1, 1)],               &[("a", 1, 1)],               &[("a", 1, 2), ("b", 1, 7)]), // too large: smaller now
        (&[("a", 2, 3), ("b", 1, 7)],  &[("a", 2, 3), ("b", 1, 7)],  &[]),                      // or with what came since
    ];
    for (rows, in_flight, in_none) in cases {
        let mut books = books(&life());
        books.apply(sent(2, rows)).expect("it was not answered");
        assert_eq!((books.sent, said(&books.in_flight)), (2, in_flight.to_vec()), "{rows:?}");
        assert_eq!(said(&books.rows), in_none, "{rows:?}");
    }
}

#[test]
fn a_full_batch_of_long_names_is_one_record() {
    let names: Vec<String> = (0..MOST_BATCH_ROWS).map(|number| format!("{number:02000}")).collect();
    let mut records = vec![opened()];
    for (hold, name) in (0..).zip(&names) {
        records.push(reserved(hold, &[], name));
        records.push(settled(hold, &[], 1));
    }
    let rows: Vec<_> = names.iter().map(|name| (name.as_str(), 1, 1)).collect();
    records.push(sent(1, &rows));
    let got = replay(&written(&records), BOOT).expect("whole");
    assert_eq!((got.books.sent, got.books.in_flight.len(), got.books.rows.len()), (1, MOST_BATCH_ROWS, 0));
}

#[test]
fn what_is_not_a_journal_is_refused_with_what_was_expected() {
    let good = written(&life());
    let with = |at: usize, byte: u8| {
        let mut bad = good.clone();
        bad[at] = byte;
        replay(&bad, BOOT).expect_err("bad").to_string()
    };
    assert!(with(0, b'x').contains("[78, 6f, 6c, 6c, 6a, 72, 6e, 6c] came"), "{}", with(0, b'x'));
    assert_eq!(with(8, 2), "version 2 of a journal is not known; known is 1");
    assert_eq!(with(10, 2), "the header's checksum is another one");
    let none = replay(&written(&[]), BOOT).expect_err("nothing in it").to_string();
    assert_eq!(none, "expected an opening or a checkpoint, the end came");
}

#[test]
fn a_record_that_is_too_long_is_not_written() {
    let mut out = Vec::new();
    let mut writer = Writer::begin(1, &mut out);
    writer.append(&opened(), &mut out).expect("short");
    let before = out.clone();
    let refused = writer.append(&reserved(1, &[], &"x".repeat(20_000)), &mut out).expect_err("long");
    assert_eq!(refused.most, 16 << 10);
    assert_eq!(out, before);
    writer.append(&reserved(1, &[], "a"), &mut out).expect("the writer goes on");
    assert_eq!(replay(&out, BOOT).expect("whole").books.open.len(), 1);
}

#[test]
fn amounts_and_lengths_beyond_all_bounds_are_taken_as_such() {
    let most = [part(lease(1), u64::MAX, u64::MAX)];
    let life = [
        opened(),
        reserved(1, &most, "a"),
        settled(1, &most, 1),
        reserved(2, &most, "a"),
        settled(2, &most, 1),
    ];
    let spent = books(&life).spent[&lease(1)];
    assert_eq!((spent.leased, spent.overrun), (u64::MAX, u64::MAX), "full, not started again");

    let mut bytes = written(&life);
    let at_byte = bytes.len();
    bytes.extend_from_slice(&[0xff; 8]);
    let cut = replay(&bytes, BOOT).expect("begun").cut;
    assert_eq!(cut, Some(Cut { at_byte, why: Fault::TooLong { bytes: u32::MAX as usize } }));
}
