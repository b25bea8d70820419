//! A log that was damaged is refused, or is whole: never a panic, never a part of it without a word.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use tollgate_cluster::engine::sled::{OpenError, Owner, SledEngine};
use tollgate_cluster::engine::{LogEngine, Slot};

use crate::bodies::{OWNER, Random, records, verify};

const LAST: u64 = 400;
/// An entry of two parts.
const LONG: u64 = 111;
const BLOCK: usize = 4096;
const FLIPS: u64 = 150;
const CUTS: u64 = 40;

/// A log of [`LAST`] entries that was closed cleanly.
fn log() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut engine = SledEngine::create(folder.path(), OWNER).unwrap();
    for first in (1..LAST).step_by(20) {
        engine.append(&records(first, first + 19)).unwrap();
        engine.sync().unwrap();
    }
    engine.put(Slot::Vote, b"me").unwrap();
    engine.sync().unwrap();
    engine.sync().unwrap();
    drop(engine);
    folder
}

fn copy(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    copy_folder(from, to.path());
    to
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir(&to).unwrap();
            copy_folder(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// What is done to a log's folder, the error that must come of it, and what it must say.
type Case = (&'static str, fn(&Path), fn(&OpenError) -> bool, &'static str);

#[test]
fn a_log_that_is_not_what_it_was_is_refused_and_says_why() {
    #[rustfmt::skip]
    let cases: [Case; 12] = [
        ("the marker is gone", |at| fs::remove_file(at.join("marker")).unwrap(), is_lost, "its marker is gone"),
        ("the store is gone", |at| fs::remove_dir_all(at.join("sled")).unwrap(), is_lost, "there is none"),
        ("its file is gone", |at| fs::remove_file(at.join("sled/db")).unwrap(), is_lost, "there is none"),
        ("its file is empty", |at| fs::write(at.join("sled/db"), "").unwrap(), is_lost, "entries up to 400 and 1 saved votes, and now no entry"),
        ("the marker is ahead by one", |at| rewrite(at, "reached 400", "reached 401"), is_lost, "up to 401"),
        ("a vote is missing", |at| rewrite(at, "votes 1", "votes 2"), is_lost, "2 saved votes"),
        ("a newer format", |at| rewrite(at, "tollgate-log 1", "tollgate-log 2"), is_newer, "format 2 was written by a newer Tollgate; this one knows up to 1"),
        ("a newer format in another shape", |at| fs::write(at.join("marker"), "tollgate-log 99\n{}").unwrap(), is_newer, "format 99"),
        ("another node's", |at| rewrite(at, "node 7", "node 8"), is_foreign, "of node 7 of cluster 0000000000000000000000000000002a was expected, it is of node 8"),
        ("a marker that is garbage", |at| fs::write(at.join("marker"), [0xff; 40]).unwrap(), is_corrupt, "a last line \"sum"),
        ("an empty marker", |at| fs::write(at.join("marker"), "").unwrap(), is_corrupt, "was expected"),
        ("a marker cut short", |at| cut(&at.join("marker"), 30), is_corrupt, "a last line \"sum"),
    ];
    let whole = log();
    for (why, damage, refusal, says) in cases {
        let damaged = copy(whole.path());
        damage(damaged.path());
        // A refused log is refused again: what sled has done to its file meanwhile changes nothing.
        for _again in 0..2 {
            let error = SledEngine::open(damaged.path(), OWNER).err().expect(why);
            assert!(refusal(&error) && error.to_string().contains(says), "{why}: {error}");
        }
    }
    let stranger = Owner { cluster: 43, ..OWNER };
    assert!(matches!(SledEngine::open(whole.path(), stranger), Err(OpenError::Foreign { .. })));
    assert_eq!(verify(&SledEngine::open(whole.path(), OWNER).unwrap()), Some((1, LAST)));
}

/// What is done to sled's store through sled itself, and what must be said of it.
type Tampering = (&'static str, fn(&sled::Db), &'static str);

#[test]
fn a_store_that_sled_finds_in_order_is_tried_all_the_same() {
    #[rustfmt::skip]
    let cases: [Tampering; 9] = [
        ("an entry is missing", |db| lose(db, &entry(200, 0)), "what follows entry 199"),
        ("the first is missing", |db| lose(db, &entry(1, 0)), "what follows the start"),
        ("the last is missing", |db| lose(db, &entry(400, 0)), "it held entries up to 400 and 1 saved votes, and now entries up to 399"),
        ("an entry is another's", |db| put(db, &entry(200, 0), &db.get(entry(201, 0)).unwrap().unwrap()), "entry 200: checksum"),
        ("a byte is another", |db| put(db, &entry(300, 0), &flipped(&db.get(entry(300, 0)).unwrap().unwrap())), "entry 300: checksum"),
        ("an entry ends early", |db| put(db, &entry(300, 0), &[0; 11]), "entry 300: a head of 12 bytes was expected, 11 came"),
        ("a part is missing", |db| lose(db, &entry(LONG, 1)), "part 1 of entry 111 was expected, part 0 of 112 came"),
        ("the vote is another", |db| put(db, b"sv", &flipped(&db.get(b"sv").unwrap().unwrap())), "Vote: checksum"),
        ("a key that is not ours", |db| put(db, b"x", b"y"), "a key of the log was expected, [78] came"),
    ];
    let whole = log();
    for (why, tamper, says) in cases {
        let damaged = copy(whole.path());
        let db = sled::open(damaged.path().join("sled")).unwrap();
        tamper(&db);
        db.flush().unwrap();
        drop(db);
        let error = SledEngine::open(damaged.path(), OWNER).err().expect(why);
        assert!(error.to_string().contains(says), "{why}: {error}");
    }
}

fn entry(index: u64, part: u16) -> Vec<u8> {
    [b"e", index.to_be_bytes().as_slice(), &part.to_be_bytes()].concat()
}

fn lose(db: &sled::Db, key: &[u8]) {
    db.remove(key).unwrap().expect("it was there");
}

fn put(db: &sled::Db, key: &[u8], value: &[u8]) {
    db.insert(key, value).unwrap();
}

fn flipped(value: &[u8]) -> Vec<u8> {
    let mut value = value.to_vec();
    *value.last_mut().unwrap() ^= 4;
    value
}

/// Changes the marker's text, with a sum that fits.
fn rewrite(folder: &Path, from: &str, to: &str) {
    let marker = folder.join("marker");
    let text = fs::read_to_string(&marker).unwrap();
    assert!(text.contains(from), "{text}");
    let body = text.replace(from, to).split("sum").next().unwrap().to_owned();
    let sum = crc32fast::hash(body.as_bytes());
    fs::write(marker, format!("{body}sum {sum:08x}\n")).unwrap();
}

fn is_lost(error: &OpenError) -> bool {
    matches!(error, OpenError::Lost { .. })
}

fn is_newer(error: &OpenError) -> bool {
    matches!(error, OpenError::Newer { .. })
}

fn is_foreign(error: &OpenError) -> bool {
    matches!(error, OpenError::Foreign { .. })
}

fn is_corrupt(error: &OpenError) -> bool {
    matches!(error, OpenError::Corrupt { .. })
}

fn cut(file: &Path, length: u64) {
    fs::OpenOptions::new().write(true).open(file).unwrap().set_len(length).unwrap();
}

#[test]
fn a_flipped_bit_is_noticed_or_harmless() {
    let whole = log();
    let size = fs::metadata(whole.path().join("sled/db")).unwrap().len();
    let mut random = Random(1);
    let mut refused = 0;
    for flip in 0..FLIPS {
        let damaged = copy(whole.path());
        let file = damaged.path().join("sled/db");
        let mut bytes = fs::read(&file).unwrap();
        // The first part of the file holds the entries; the rest is what sled has reserved.
        let at = random.below(if flip % 2 == 0 { size } else { size / 4 });
        bytes[usize::try_from(at).unwrap()] ^= 1 << random.below(8);
        fs::write(&file, bytes).unwrap();
        refused += refused_or_whole(damaged.path(), &format!("a bit of byte {at} of {size}"));
    }
    assert!(refused > FLIPS / 10, "only {refused} of {FLIPS} flips hit something");
}

#[test]
fn a_block_that_is_empty_or_another_is_noticed_or_harmless() {
    let whole = log();
    let bytes = fs::read(whole.path().join("sled/db")).unwrap();
    let blocks = bytes.len() / BLOCK;
    let mut random = Random(3);
    let mut refused = 0;
    for at in 0..blocks {
        let damaged = copy(whole.path());
        let mut bytes = bytes.clone();
        let other = usize::try_from(random.below(blocks as u64)).unwrap() * BLOCK;
        let (block, what) = if at % 2 == 0 {
            (vec![0; BLOCK], "empty".to_owned())
        } else {
            (bytes[other..other + BLOCK].to_vec(), format!("that at {other}"))
        };
        bytes[at * BLOCK..][..BLOCK].copy_from_slice(&block);
        fs::write(damaged.path().join("sled/db"), bytes).unwrap();
        refused += refused_or_whole(damaged.path(), &format!("the block at {} is {what}", at * BLOCK));
    }
    assert!(refused > 10, "only {refused} of {blocks} hit something");
}

#[test]
fn a_file_cut_short_is_noticed_or_harmless() {
    let whole = log();
    let size = fs::metadata(whole.path().join("sled/db")).unwrap().len();
    let mut random = Random(2);
    let mut refused = 0;
    for _cut in 0..CUTS {
        let damaged = copy(whole.path());
        let length = random.below(size);
        cut(&damaged.path().join("sled/db"), length);
        refused += refused_or_whole(damaged.path(), &format!("cut to {length} of {size}"));
    }
    assert!(refused > CUTS / 10, "only {refused} of {CUTS} cuts hit something");
}

/// 1 if it was refused.
fn refused_or_whole(folder: &Path, what: &str) -> u64 {
    match SledEngine::open(folder, OWNER) {
        Err(OpenError::Lost { .. } | OpenError::Corrupt { .. }) => 1,
        Err(other) => panic!("{what}: {other}"),
        Ok(engine) => {
            assert_eq!(verify(&engine), Some((1, LAST)), "{what}");
            assert_eq!(engine.read(Slot::Vote).unwrap().as_deref(), Some(&b"me"[..]), "{what}");
            0
        }
    }
}
