//! How fast the ledger applies, how much a bucket weighs, and how long a snapshot takes. Prints figures; asserts nothing
//! about time.
//!
//! `cargo bench -p tollgate-ratelimit --bench ledger`

use std::hint::black_box;
use std::time::Instant;

use tollgate_ratelimit::budget::{BucketName, Budget, BudgetId, Enforcement, Key, OnExhausted};
use tollgate_ratelimit::cover::{Cover, Dimension};
use tollgate_ratelimit::ledger::command::{Batch, Command, Item, Keep, LeaseId, NodeId, SessionId, Target};
use tollgate_ratelimit::ledger::outcome::{ItemAnswer, Outcome};
use tollgate_ratelimit::time::Timestamp;
use tollgate_ratelimit::unit::Unit;
use tollgate_ratelimit::window::{Fixed, Period, Window};
use tollgate_ratelimit::wire::snapshot::{Reader, Writer};
use tollgate_ratelimit::{Ledger, Row, RowKey};

const USERS: u32 = 1_000_000;
const ITEMS: usize = 1_000;
const ROUNDS: u64 = 2_000;

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn main() {
    let before = resident_bytes();
    let started = Instant::now();
    let (mut ledger, leases) = filled();
    let took = started.elapsed();
    let weight = resident_bytes().saturating_sub(before) / u64::from(USERS);
    println!(
        "{USERS} buckets with a lease each opened in {took:.2?}: {:.2} million a second",
        rate(USERS.into(), took)
    );
    println!("{weight} bytes a bucket with its lease, index included (resident memory)");

    let started = Instant::now();
    let view = black_box(ledger.clone());
    println!("cloned, as for a snapshot that is written while more is applied, in {:.2?}", started.elapsed());
    drop(view);

    let started = Instant::now();
    let mut writer = Writer::begin([0; 16], Vec::new()).expect("memory can be written");
    ledger.write(&mut writer).expect("memory can be written");
    let bytes = writer.finish().expect("memory can be written");
    let written = started.elapsed();
    let mut reader = Reader::begin(bytes.as_slice()).expect("a header");
    let restored = Ledger::read(&mut reader, 2).expect("what was written");
    let took = started.elapsed();
    assert_eq!(restored.buckets().count(), USERS as usize, "all of them came back");
    drop(restored);
    println!(
        "snapshot of {} MiB written in {written:.2?}, written and restored in {took:.2?}",
        bytes.len() >> 20
    );
    drop(bytes);

    for (name, spread) in
        [("scattered over all leases", leases.len() as u64), ("on 10,000 busy leases", 10_000)]
    {
        let batches = batches(&leases, spread);
        let started = Instant::now();
        for batch in batches {
            let command = Command::Batches(vec![batch]);
            black_box(ledger.apply(&command, Timestamp(2_000)));
        }
        let took = started.elapsed();
        let items = ROUNDS * ITEMS as u64;
        println!("{items} sub-commands {name} in {took:.2?}: {:.2} million a second", rate(items, took));
        ledger = filled().0;
    }
}

fn filled() -> (Ledger, Vec<LeaseId>) {
    let mut ledger = Ledger::new(1);
    let budget = Budget {
        name: "per-user".to_owned(),
        covers: Cover::default(),
        per: vec![Dimension::User],
        unit: Unit::TotalTokens,
        limit: 1_000_000,
        window: Window::Fixed(Fixed {
            every: Period::Minute,
            zone: "UTC".to_owned(),
            boundaries: Vec::new(),
        }),
        enforcement: Enforcement::Strict,
        on_exhausted: OnExhausted::Refuse,
    };
    ledger.apply(&Command::SetBudget(Box::new(budget)), Timestamp(1_000));
    ledger.apply(&Command::OpenSession { node: NodeId(1), incarnation: 1 }, Timestamp(1_000));
    let mut leases = Vec::with_capacity(USERS as usize);
    let users: Vec<u32> = (0..USERS).collect();
    for (sequence, users) in (1..).zip(users.chunks(ITEMS)) {
        let items = users.iter().map(|user| item(Target::Current(name(*user)), 10_000, 1, 0)).collect();
        let batch = Batch { session: SessionId(1), sequence, items, rows: Vec::new() };
        let applied = ledger.apply(&Command::Batches(vec![batch]), Timestamp(1_000));
        let Outcome::Answers(answers) = applied.outcome else { continue };
        leases.extend(answers.iter().flat_map(|answer| &answer.items).filter_map(|answer| match answer {
            ItemAnswer::Lease(state) => Some(state.lease),
            ItemAnswer::Closed | ItemAnswer::Rejected(_) => None,
        }));
    }
    assert_eq!(leases.len(), USERS as usize, "every user has a lease");
    (ledger, leases)
}

/// Each settles, and asks for as much again. A batch touches ten ledger rows.
fn batches(leases: &[LeaseId], spread: u64) -> Vec<Batch> {
    let mut settled = vec![0; leases.len()];
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
    let first = u64::from(USERS) / ITEMS as u64;
    (1..=ROUNDS)
        .map(|round| {
            let items = (0..ITEMS)
                .map(|_| {
                    dice ^= dice << 13;
                    dice ^= dice >> 7;
                    dice ^= dice << 17;
                    let which = usize::try_from(dice % spread).expect("an index");
                    settled[which] += 10;
                    item(Target::Lease(leases[which]), 10, 0, settled[which])
                })
                .collect();
            let rows =
                (0..10).map(|row| (row_key(round, row), Row { requests: 100, ..Row::default() })).collect();
            Batch { session: SessionId(1), sequence: first + round, items, rows }
        })
        .collect()
}

fn row_key(round: u64, row: u64) -> RowKey {
    RowKey {
        consumer: format!("user-{}", (round * 10 + row) % 5_000),
        model: "gpt-5-mini".to_owned(),
        backend: "default/openai".to_owned(),
        hour: 0,
    }
}

fn item(target: Target, want: u64, need: u64, settled: u64) -> Item {
    Item { target, want, need, settled, overrun: 0, returned: 0, idle: 0, keep: Keep::Open }
}

fn name(user: u32) -> BucketName {
    BucketName { budget: BudgetId(1), key: Key(format!("user-{user}").into()) }
}

#[expect(clippy::cast_precision_loss, reason = "a figure to read")]
fn rate(count: u64, took: std::time::Duration) -> f64 {
    count as f64 / took.as_secs_f64() / 1e6
}

#[expect(clippy::disallowed_methods, reason = "a benchmark looks at its own process")]
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap_or_default();
    kib * 1024
}
