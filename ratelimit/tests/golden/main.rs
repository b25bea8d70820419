//! The bytes of everything that is kept or sent, against `testdata/`: what one release wrote, the next one must read. A
//! difference here needs a new version (see `wire`), not just `UPDATE_GOLDEN=1`, once a release has written the old one.

#![expect(clippy::unwrap_used, reason = "where it failed says what failed")]

mod samples;

use std::borrow::Cow;
use std::fmt::{Debug, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tollgate_ratelimit::journal::{
    Books, BootId, Intent, Opened, Part, Place, Record, Spent, Writer, replay,
};
use tollgate_ratelimit::ledger::command::{LeaseId, NodeId, SessionId};
use tollgate_ratelimit::wire::{self, WireError, snapshot};
use tollgate_ratelimit::{RowKey, Usage};

/// `UPDATE_GOLDEN=1` renews it.
#[expect(clippy::disallowed_methods, reason = "golden data are files, renewed on request")]
fn check(file: &str, got: &str) {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(file);
    if std::env::var("UPDATE_GOLDEN").is_ok() {
        std::fs::write(&path, got).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
    assert_eq!(got, kept, "{file} differs; UPDATE_GOLDEN=1 renews it");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// The name of the variant, or of the type: what its debug form begins with.
fn named(value: &impl Debug) -> String {
    format!("{value:?}").chars().take_while(char::is_ascii_alphanumeric).collect()
}

/// There is one sample for each variant, in their order: one variant fewer or more does not pass.
fn check_variants<T: Serialize + DeserializeOwned + Debug>(samples: &[T]) {
    for (at, sample) in samples.iter().enumerate() {
        let bytes = postcard::to_allocvec(sample).unwrap();
        assert_eq!(usize::from(bytes[0]), at, "{sample:?} is in its place");
    }
    // A variant that exists would be read, or would want its fields.
    let next = [u8::try_from(samples.len()).unwrap()];
    let refused = postcard::from_bytes::<T>(&next).map(|_| ()).unwrap_err();
    assert_eq!(
        refused,
        postcard::Error::SerdeDeCustom,
        "{} has a variant without a sample",
        named(&samples[0])
    );
}

#[test]
fn every_variant_has_a_sample() {
    check_variants(&samples::commands());
    check_variants(&samples::targets());
    check_variants(&samples::keeps());
    check_variants(&samples::outcomes());
    check_variants(&samples::batch_verdicts());
    check_variants(&samples::item_answers());
    check_variants(&samples::verdicts());
    check_variants(&samples::whys());
    check_variants(&samples::rejections());
    check_variants(&samples::fields());
    check_variants(&samples::units());
    check_variants(&samples::windows());
    check_variants(&samples::periods());
    check_variants(&samples::dimensions());
    check_variants(&samples::enforcements());
    check_variants(&samples::on_exhausted());
    check_variants(&records());
}

/// What is sent as such: its bytes with kind and version, and that they are read back.
fn check_form<T: PartialEq + Debug>(
    file: &str,
    samples: &[T],
    encode: fn(&T) -> Result<Vec<u8>, WireError>,
    decode: fn(&[u8]) -> Result<T, WireError>,
) {
    let mut text = String::new();
    for sample in samples {
        let bytes = encode(sample).unwrap();
        assert_eq!(decode(&bytes).as_ref(), Ok(sample));
        writeln!(text, "{} {}", named(sample), hex(&bytes)).unwrap();
    }
    check(file, &text);
}

/// What is only sent as a part of something.
fn part<T: Serialize + Debug>(text: &mut String, samples: &[T]) {
    for sample in samples {
        writeln!(text, "{} {}", named(sample), hex(&postcard::to_allocvec(sample).unwrap())).unwrap();
    }
    text.push('\n');
}

#[test]
fn what_is_sent_keeps_its_bytes() {
    check_form("wire/commands.txt", &samples::commands(), wire::encode_command, wire::decode_command);
    check_form("wire/outcomes.txt", &samples::outcomes(), wire::encode_outcome, wire::decode_outcome);
    check_form("wire/answers.txt", &samples::answers(), wire::encode_answer, wire::decode_answer);
    check_form("wire/nudges.txt", &samples::nudges(), wire::encode_nudge, wire::decode_nudge);

    let mut text = String::new();
    part(&mut text, &samples::items());
    part(&mut text, &samples::item_answers());
    part(&mut text, &samples::lease_states());
    part(&mut text, &samples::rejections());
    part(&mut text, &samples::fields());
    part(&mut text, &samples::units());
    part(&mut text, &samples::windows());
    part(&mut text, &samples::periods());
    part(&mut text, &samples::dimensions());
    part(&mut text, &samples::enforcements());
    part(&mut text, &samples::on_exhausted());
    check("wire/parts.txt", &text);
}

#[test]
fn a_snapshot_keeps_its_bytes() {
    let mut writer = snapshot::Writer::begin(*b"the one and only", Vec::new()).unwrap();
    writer.item(1, &samples::row_key()).unwrap();
    writer.item(1, &samples::row_key()).unwrap();
    writer.item(2, &samples::row()).unwrap();
    check("wire/snapshot.txt", &format!("{}\n", hex(&writer.finish().unwrap())));
}

fn opened() -> Opened {
    Opened { session: SessionId(3), incarnation: 9, node: NodeId(2), boot: BootId(*b"the tenth reboot") }
}

/// One of each kind, in their order.
fn records() -> Vec<Record<'static>> {
    let lease = LeaseId { slot: 300, generation: 2 };
    let taken = Part { place: Place::Lease(lease), spent: Spent { leased: 100, overrun: 0 } };
    let allowed = Part { place: Place::Bucket(samples::bucket()), spent: Spent { leased: 0, overrun: 40 } };
    let parts = || Cow::Owned(vec![taken.clone(), allowed.clone()]);
    let usage = Usage { input: 10, output: 20, total: 30, ..Usage::default() };
    let intent = Intent { key: samples::row_key().into(), usage, cost_nano_usd: 5, prices: 7 };
    let other = RowKey { backend: "default/other".to_owned(), ..samples::row_key() };
    let reserved = |hold| Record::Reserved { hold, parts: parts(), intent: Cow::Owned(intent.clone()) };
    let settled = |hold| Record::Settled {
        hold,
        parts: Cow::Owned(vec![taken.clone()]),
        key: None,
        row: samples::row(),
    };
    let mut books = Books::default();
    let sent = Record::Sent { sequence: 1, rows: Cow::Owned(vec![(samples::row_key(), samples::row())]) };
    for record in
        [Record::Opened(opened()), reserved(1), reserved(2), reserved(3), settled(2), sent, settled(3)]
    {
        books.apply(record).unwrap();
    }
    let entries = books.entries();
    check_variants(&entries);
    vec![
        Record::Opened(opened()),
        reserved(1),
        Record::Extended { hold: 1, parts: parts(), usage, cost_nano_usd: 5 },
        Record::Settled {
            hold: 1,
            parts: parts(),
            key: Some(Cow::Owned(other.clone())),
            row: samples::row(),
        },
        Record::Released { hold: 2 },
        Record::Leased { bucket: Cow::Owned(samples::bucket()), lease },
        Record::Ended { lease },
        Record::Sent { sequence: 1, rows: Cow::Owned(vec![(other, samples::row())]) },
        Record::Reported { sequence: 1 },
        Record::Checkpoint { pieces_left: 0, entries },
        Record::Clean,
    ]
}

#[test]
fn a_journal_keeps_its_bytes() {
    let mut text = String::new();
    part(&mut text, &records());
    check("journal/records.txt", &text);

    let mut bytes = Vec::new();
    let mut writer = Writer::begin(1, &mut bytes);
    for record in records() {
        match record {
            Record::Released { .. } | Record::Checkpoint { .. } => {}
            Record::Opened(_)
            | Record::Reserved { .. }
            | Record::Extended { .. }
            | Record::Settled { .. }
            | Record::Leased { .. }
            | Record::Ended { .. }
            | Record::Sent { .. }
            | Record::Reported { .. }
            | Record::Clean => writer.append(&record, &mut bytes).unwrap(),
        }
    }
    let read = replay(&bytes, opened().boot).unwrap();
    assert_eq!((read.complete, read.cut), (true, None));
    check("journal/file.txt", &format!("{}\n", hex(&bytes)));
}
