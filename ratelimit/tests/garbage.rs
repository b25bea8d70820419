//! Bytes that nobody wrote: random ones, and good ones with something changed. Whatever comes, there is an answer.

use std::borrow::Cow;

use tollgate_ratelimit::budget::{BucketName, BudgetId, Key};
use tollgate_ratelimit::journal::{
    BootId, Intent, Opened, Part, Place, Record, Spent, Writer, replay, settle_old,
};
use tollgate_ratelimit::ledger::command::{Batch, Command, Item, Keep, LeaseId, SessionId, Target};
use tollgate_ratelimit::ledger::outcome::{LeaseRecord, Unfinished};
use tollgate_ratelimit::wire::{self, snapshot};
use tollgate_ratelimit::{Row, RowKey, Usage};

const LEASE: LeaseId = LeaseId { slot: 1, generation: 1 };

/// Marsaglia's xorshift: the same numbers in every run.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).expect("below a usize")
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.below(most);
        (0..length).map(|_| self.byte()).collect()
    }

    /// One to four changes: a byte set, a bit flipped, some left out, some put in, the end cut off.
    fn change(&mut self, good: &[u8]) -> Vec<u8> {
        let mut bytes = good.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(5) {
                0 if at < bytes.len() => bytes[at] = self.byte(),
                1 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                2 => drop(bytes.drain(at..(at + self.below(9)).min(bytes.len()))),
                3 => drop(bytes.splice(at..at, self.bytes(9)).collect::<Vec<_>>()),
                _ => bytes.truncate(at),
            }
        }
        bytes
    }
}

fn key() -> RowKey {
    RowKey {
        consumer: "alice".to_owned(),
        model: "gpt".to_owned(),
        backend: "default/openai".to_owned(),
        hour: 1,
    }
}

fn command() -> Command {
    let bucket = BucketName { budget: BudgetId(4), key: Key("bob".into()) };
    let item = |target| Item {
        target,
        want: 9,
        need: 1,
        settled: 7,
        overrun: 3,
        returned: 2,
        idle: 0,
        keep: Keep::Open,
    };
    let items = vec![item(Target::Current(bucket)), item(Target::Lease(LEASE))];
    Command::Batches(vec![Batch {
        session: SessionId(3),
        sequence: 1,
        items,
        rows: vec![(key(), Row::default())],
    }])
}

fn records() -> Vec<Record<'static>> {
    let part = Part { place: Place::Lease(LEASE), spent: Spent { leased: 10, overrun: 1 } };
    let parts = || Cow::Owned(vec![part.clone()]);
    let intent = Intent { key: key().into(), usage: Usage::default(), cost_nano_usd: 5, prices: 7 };
    vec![
        Record::Opened(Opened { session: SessionId(3), ..Opened::default() }),
        Record::Reserved { hold: 1, parts: parts(), intent: Cow::Owned(intent.clone()) },
        Record::Reserved { hold: 2, parts: parts(), intent: Cow::Owned(intent) },
        Record::Settled { hold: 1, parts: parts(), key: None, row: Row::default() },
        Record::Sent { sequence: 1, rows: Cow::Owned(vec![(key(), Row::default())]) },
        Record::Clean,
    ]
}

/// Reads `bytes` as everything that they could be. What is taken says the same when it is written and read again.
fn read(bytes: &[u8]) {
    if let Ok(command) = wire::decode_command(bytes) {
        let again = wire::decode_command(&wire::encode_command(&command).expect("it came in as little"));
        assert_eq!(again, Ok(command));
    }
    drop(wire::decode_outcome(bytes));
    drop(wire::decode_answer(bytes));
    drop(wire::decode_nudge(bytes));
    read_snapshot(bytes);
    read_journal(bytes);
}

fn read_snapshot(bytes: &[u8]) {
    let Ok(mut reader) = snapshot::Reader::begin(bytes) else { return };
    while let Ok(Some(chunk)) = reader.chunk() {
        drop(chunk.items::<(RowKey, Row)>());
    }
}

fn read_journal(bytes: &[u8]) {
    let Ok(replayed) = replay(bytes, BootId::default()) else { return };
    let lease = LeaseRecord { lease: LEASE, granted: 50, settled: 5, overrun: 0, returned: 10 };
    let session = replayed.opened().session;
    let state = Unfinished { session, incarnation: 1, last_sequence: 0, leases: vec![lease] };
    let (batches, _) = settle_old(&state, Some(&replayed)).expect("its own session");
    for item in batches.iter().flat_map(|batch| &batch.items) {
        if item.target == Target::Lease(LEASE) {
            assert!(item.settled + item.returned <= lease.granted, "{item:?}");
        }
    }
}

#[test]
fn random_bytes_are_answered() {
    let mut dice = Dice(0x5eed);
    for round in 0..20_000_u32 {
        let mut bytes = dice.bytes(200);
        match round % 4 {
            0 => {}
            1 => drop(bytes.splice(0..0, [b'C', 1]).collect::<Vec<_>>()),
            2 => drop(bytes.splice(0..0, *b"tollsnap\x01\x00").collect::<Vec<_>>()),
            _ => {
                let mut begun = Vec::new();
                Writer::begin(1, &mut begun);
                drop(bytes.splice(0..0, begun).collect::<Vec<_>>());
            }
        }
        read(&bytes);
    }
}

#[test]
fn changed_bytes_are_answered() {
    let mut journal = Vec::new();
    let mut writer = Writer::begin(1, &mut journal);
    for record in records() {
        writer.append(&record, &mut journal).unwrap();
    }
    let mut writer = snapshot::Writer::begin([1; 16], Vec::new()).unwrap();
    writer.item(1, &(key(), Row::default())).unwrap();
    let snapshot = writer.finish().unwrap();
    let command = wire::encode_command(&command()).unwrap();

    let mut dice = Dice(0xca5e);
    for _ in 0..10_000 {
        read(&dice.change(&journal));
        read(&dice.change(&snapshot));
        read(&dice.change(&command));
    }
}

/// Checksums keep accidents out, not programs that are wrong: these frames are whole, what they say is not.
#[test]
fn whole_frames_with_changed_records_are_answered() {
    let mut dice = Dice(0xf4a3e);
    for _ in 0..10_000 {
        let mut bytes = Vec::new();
        Writer::begin(1, &mut bytes);
        let mut chain = u32::from_le_bytes(*bytes.last_chunk().unwrap());
        for record in records() {
            let mut body = postcard::to_allocvec(&record).unwrap();
            if dice.below(3) == 0 {
                body = dice.change(&body);
            }
            let length = u32::try_from(body.len()).unwrap().to_le_bytes();
            let mut hasher = crc32fast::Hasher::new_with_initial(chain);
            hasher.update(&length);
            hasher.update(&body);
            chain = hasher.finalize();
            bytes.extend_from_slice(&length);
            bytes.extend_from_slice(&chain.to_le_bytes());
            bytes.extend_from_slice(&body);
        }
        read_journal(&bytes);
    }
}

/// A length of four billion in a few bytes: the end of the bytes refuses it, at once and at every depth.
#[test]
fn a_claimed_length_makes_no_room() {
    let many = [0xff, 0xff, 0xff, 0xff, 0x0f];
    let claims: [&[u8]; 4] = [
        &[b'C', 1, 4],          // batches
        &[b'C', 1, 4, 1, 3, 1], // items of the first of them
        &[b'C', 1, 1],          // a budget's name
        &[b'O', 1, 3],          // answers
    ];
    for claim in claims {
        let bytes = [claim, &many].concat();
        wire::decode_command(&bytes).unwrap_err();
        wire::decode_outcome(&bytes).unwrap_err();
    }
}
