//! One session crashes at every point of its life, with every fate of the batch that was under way. However it went, the
//! ledger knows each request once, and gets back what was not spent.

use std::borrow::Cow;

use super::*;
use crate::budget::{BucketName, BudgetId, Key};
use crate::journal::frame::Writer;
use crate::journal::record::{BootId, Intent, Opened, Part, Record};
use crate::journal::replay::replay;
use crate::journal::sums::RowsByKey;
use crate::ledger::command::NodeId;
use crate::ledger::rows::{Row, RowKey};
use crate::usage::Usage;

const SESSION: SessionId = SessionId(3);
const BOOT: BootId = BootId([7; 16]);
const OTHER_BOOT: BootId = BootId([8; 16]);
const FIRST: LeaseId = LeaseId { slot: 1, generation: 1 };
const SECOND: LeaseId = LeaseId { slot: 2, generation: 1 };

/// What happens to a session, in order.
#[derive(Clone)]
enum Event {
    Writes(Box<Record<'static>>),
    /// The journal says so, is flushed, and the batch is under way.
    Sends(Batch),
    /// The ledger applies what is under way.
    Applies,
    /// The answer comes, and the journal says so.
    Hears,
}

fn writes(record: Record<'static>) -> Event {
    Event::Writes(Box::new(record))
}

fn key(model: &str) -> RowKey {
    RowKey { consumer: "alice".into(), model: model.into(), backend: "default/openai".into(), hour: 20_000 }
}

fn usage(tokens: u64) -> Usage {
    Usage { output: tokens, total: tokens, ..Usage::default() }
}

fn row(tokens: u64) -> Row {
    Row { requests: 1, usage: usage(tokens), ..Row::default() }
}

fn parts(lease: LeaseId, leased: u64) -> Cow<'static, [Part]> {
    Cow::Owned(vec![Part { place: Place::Lease(lease), spent: Spent { leased, overrun: 0 } }])
}

fn reserves(hold: u64, lease: LeaseId, tokens: u64) -> Event {
    let intent = Intent { key: key("a").into(), usage: usage(tokens), cost_nano_usd: 0, prices: 0 };
    writes(Record::Reserved { hold, parts: parts(lease, tokens), intent: Cow::Owned(intent) })
}

fn settles(hold: u64, lease: LeaseId, tokens: u64) -> Event {
    writes(Record::Settled { hold, parts: parts(lease, tokens), key: None, row: row(tokens) })
}

fn sends(sequence: u64, totals: &[(LeaseId, u64, u64)], rows: &[u64]) -> Event {
    let items = totals.iter().map(|&(lease, settled, returned)| Item {
        target: Target::Lease(lease),
        want: 10,
        need: 0,
        idle: 0,
        settled,
        overrun: 0,
        returned,
        keep: Keep::Open,
    });
    let mut sum = Row::default();
    for tokens in rows {
        sum.merge(&row(*tokens));
    }
    let rows = if rows.is_empty() { Vec::new() } else { vec![(key("a"), sum)] };
    Event::Sends(Batch { session: SESSION, sequence, items: items.collect(), rows })
}

fn life() -> Vec<Event> {
    let opened = Opened { session: SESSION, incarnation: 9, node: NodeId(2), boot: BOOT };
    vec![
        writes(Record::Opened(opened)),
        reserves(1, FIRST, 20),
        reserves(2, FIRST, 15),
        settles(1, FIRST, 12),
        sends(1, &[(FIRST, 12, 0)], &[12]),
        settles(2, FIRST, 9),
        reserves(3, FIRST, 7),
        Event::Applies,
        reserves(4, SECOND, 5),
        Event::Hears,
        settles(4, SECOND, 3),
        writes(Record::Released { hold: 3 }),
        sends(2, &[(FIRST, 21, 30), (SECOND, 3, 0)], &[9, 3]),
        Event::Applies,
        Event::Hears,
        reserves(5, FIRST, 6),
        sends(3, &[(SECOND, 3, 0)], &[]),
        settles(5, FIRST, 6),
        Event::Applies,
        Event::Hears,
        reserves(6, SECOND, 2),
    ]
}

/// As much of a ledger as a session sees.
#[derive(Clone)]
struct Ledger {
    state: Unfinished,
    rows: RowsByKey,
    answered: usize,
}

impl Ledger {
    fn new() -> Self {
        let lease = |lease, granted| LeaseRecord { lease, granted, settled: 0, overrun: 0, returned: 0 };
        let leases = vec![lease(FIRST, 100), lease(SECOND, 40)];
        let state = Unfinished { session: SESSION, incarnation: 9, last_sequence: 0, leases };
        Self { state, rows: RowsByKey::default(), answered: 0 }
    }

    /// How many items the answer has. Panics where a real ledger would reject.
    fn apply(&mut self, batch: &Batch) -> usize {
        if batch.sequence == self.state.last_sequence {
            return self.answered;
        }
        assert_eq!((batch.session, batch.sequence), (SESSION, self.state.last_sequence + 1), "{batch:?}");
        for item in &batch.items {
            let Target::Lease(lease) = item.target else { continue };
            let known = self.state.leases.iter_mut().find(|known| known.lease == lease).expect("a lease");
            known.granted += item.want;
            known.settled = known.settled.max(item.settled);
            known.overrun = known.overrun.max(item.overrun);
            known.returned = known.returned.max(item.returned);
            assert!(known.settled + known.returned <= known.granted, "{item:?} of {known:?}");
            if item.keep == Keep::Close {
                known.returned = known.granted - known.settled;
            }
        }
        for (key, row) in &batch.rows {
            self.rows.entry(key.clone().into()).or_default().merge(row);
        }
        self.state.last_sequence = batch.sequence;
        self.answered = batch.items.len();
        self.answered
    }

    fn free(&self) -> u64 {
        self.state.leases.iter().filter_map(rest).map(|(_, amount)| amount).sum()
    }
}

/// What is left when a session ends in the midst of its life.
struct Crash {
    ledger: Ledger,
    records: Vec<Record<'static>>,
    /// How many of the records are flushed.
    flushed: usize,
    under_way: Option<Batch>,
    /// What requests have spent, the open ones in full.
    spent: u64,
    requests: u64,
}

fn crash(events: &[Event]) -> Crash {
    let mut left = Crash {
        ledger: Ledger::new(),
        records: Vec::new(),
        flushed: 1,
        under_way: None,
        spent: 0,
        requests: 0,
    };
    let mut applied = 0;
    for event in events {
        match event {
            Event::Writes(record) => left.records.push(Record::clone(record)),
            Event::Sends(batch) => {
                left.records
                    .push(Record::Sent { sequence: batch.sequence, rows: Cow::Owned(batch.rows.clone()) });
                left.flushed = left.records.len();
                left.under_way = Some(batch.clone());
            }
            Event::Applies => {
                let batch = left.under_way.take().expect("the script sends before");
                left.ledger.apply(&batch);
                applied = batch.sequence;
            }
            Event::Hears => left.records.push(Record::Reported { sequence: applied }),
        }
    }
    let mut books = crate::journal::Books::default();
    left.records.iter().for_each(|record| books.apply(record.clone()).expect("in order"));
    let open = books.open.values().flat_map(|open| &open.parts).map(|part| part.spent.leased);
    left.spent = open.chain(books.spent.values().map(|spent| spent.leased)).sum();
    let count = |of: fn(&Record<'_>) -> bool| left.records.iter().filter(|record| of(record)).count() as u64;
    left.requests = count(|record| matches!(record, Record::Reserved { .. }))
        - count(|record| matches!(record, Record::Released { .. }));
    left
}

/// When the batch that was under way gets there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Lost,
    BeforeTheRestartAsks,
    BeforeTheFirstBatch,
    AfterTheFirstBatch,
}

const FATES: [Fate; 4] =
    [Fate::Lost, Fate::BeforeTheRestartAsks, Fate::BeforeTheFirstBatch, Fate::AfterTheFirstBatch];

/// Restarts, and gives what closing the session would forfeit.
fn restart(left: &Crash, kept: usize, boot: BootId, fate: Fate) -> (Ledger, u64) {
    let mut bytes = Vec::new();
    let mut writer = Writer::begin(1, &mut bytes);
    for record in &left.records[..kept] {
        writer.append(record, &mut bytes).expect("short");
    }
    let replayed = replay(&bytes, boot).expect("begun");
    let mut ledger = left.ledger.clone();
    let mut late = left.under_way.clone();
    let mut arrives = |ledger: &mut Ledger, now: Fate| {
        if now == fate
            && let Some(batch) = late.take()
            && batch.sequence == ledger.state.last_sequence + 1
        {
            ledger.apply(&batch);
        }
    };
    arrives(&mut ledger, Fate::BeforeTheRestartAsks);
    'asks: for _ in 0..3 {
        let (batches, ending) = settle_old(&ledger.state, Some(&replayed)).expect("its journal");
        arrives(&mut ledger, Fate::BeforeTheFirstBatch);
        for batch in &batches {
            let answered = ledger.apply(batch);
            arrives(&mut ledger, Fate::AfterTheFirstBatch);
            if answered != batch.items.len() {
                continue 'asks;
            }
        }
        assert_eq!(ending.session, SESSION);
        let forfeited = ending.forfeited.iter().map(|(_, amount)| amount).sum();
        assert_eq!(ledger.free(), forfeited, "what is left is what was said to be forfeited");
        return (ledger, forfeited);
    }
    panic!("one batch under way can only once be in the way");
}

#[test]
fn killed_anywhere_each_request_is_booked_once_and_the_rest_comes_back() {
    let life = life();
    for point in 1..=life.len() {
        let left = crash(&life[..point]);
        for fate in FATES {
            let (ledger, forfeited) = restart(&left, left.records.len(), BOOT, fate);
            let case = format!("killed after event {point}, the batch under way: {fate:?}");
            let total = |of: fn(&Row) -> u64| ledger.rows.values().map(of).sum::<u64>();
            assert_eq!(total(|row| row.requests), left.requests, "{case}");
            assert_eq!(total(|row| row.usage.output), left.spent, "{case}");
            let settled: u64 = ledger.state.leases.iter().map(|lease| lease.settled).sum();
            assert_eq!((settled, forfeited), (left.spent, 0), "{case}");
        }
    }
}

/// Whoever restarts dies as well, after some of its batches were applied, and is restarted.
#[test]
fn killed_while_it_settles_each_request_is_booked_once() {
    let life = life();
    for point in 1..=life.len() {
        let left = crash(&life[..point]);
        let mut bytes = Vec::new();
        let mut writer = Writer::begin(1, &mut bytes);
        left.records.iter().for_each(|record| writer.append(record, &mut bytes).expect("short"));
        let journal = replay(&bytes, BOOT).expect("begun");
        for said in 0..4 {
            let mut ledger = left.ledger.clone();
            let (batches, _) = settle_old(&ledger.state, Some(&journal)).expect("its journal");
            for batch in batches.iter().take(said) {
                ledger.apply(batch);
            }
            let (batches, ending) = settle_old(&ledger.state, Some(&journal)).expect("its journal");
            for batch in &batches {
                ledger.apply(batch);
            }
            let case = format!("killed after event {point}, and again after {said} batches");
            let requests: u64 = ledger.rows.values().map(|row| row.requests).sum();
            assert_eq!((requests, ending.forfeited), (left.requests, vec![]), "{case}");
        }
    }
}

#[test]
fn without_power_nothing_is_booked_twice_and_nothing_spent_comes_back() {
    let life = life();
    for point in 1..=life.len() {
        let left = crash(&life[..point]);
        for kept in left.flushed..=left.records.len() {
            for fate in FATES {
                let (ledger, forfeited) = restart(&left, kept, OTHER_BOOT, fate);
                let case = format!("after event {point} with {kept} records, the batch under way: {fate:?}");
                let requests: u64 = ledger.rows.values().map(|row| row.requests).sum();
                // Those whose release is forgotten count as unknown; nothing else may add to them.
                let most =
                    left.records.iter().filter(|record| matches!(record, Record::Reserved { .. })).count();
                assert!(requests <= most as u64, "{case}: {requests} of {most}");
                let settled: u64 = ledger.state.leases.iter().map(|lease| lease.settled).sum();
                assert!(
                    settled + forfeited >= left.spent,
                    "{case}: {settled} + {forfeited} of {}",
                    left.spent
                );
            }
        }
    }
}

fn unfinished(last_sequence: u64, lease: LeaseRecord) -> Unfinished {
    Unfinished { session: SESSION, incarnation: 9, last_sequence, leases: vec![lease] }
}

fn replayed(records: &[Record<'_>], boot: BootId) -> Replayed {
    let opened = Opened { session: SESSION, incarnation: 9, node: NodeId(2), boot: BOOT };
    let mut bytes = Vec::new();
    let mut writer = Writer::begin(1, &mut bytes);
    writer.append(&Record::Opened(opened), &mut bytes).expect("short");
    for record in records {
        writer.append(record, &mut bytes).expect("short");
    }
    replay(&bytes, boot).expect("begun")
}

fn written(event: Event) -> Record<'static> {
    match event {
        Event::Writes(record) => *record,
        Event::Sends(_) | Event::Applies | Event::Hears => panic!("no record"),
    }
}

#[test]
fn only_what_is_proven_is_given_back() {
    let spent = || vec![written(reserves(1, FIRST, 20)), written(settles(1, FIRST, 12))];
    let all =
        [spent(), vec![Record::Sent { sequence: 1, rows: Cow::Owned(vec![(key("a"), row(12))]) }]].concat();
    let lease = LeaseRecord { lease: FIRST, granted: 100, settled: 0, overrun: 0, returned: 0 };
    let journal = |records: &[Record<'_>]| Some(replayed(records, BOOT));
    #[rustfmt::skip]
    let cases = [
        // journal                          last  what the ledger knows                        settled overrun returned keep   forfeited why
        (journal(&all),                     1, lease,                                          Some((12,  0, 88, Keep::Close)),  0), // all of it
        (journal(&[]),                      0, lease,                                          Some(( 0,  0, 100, Keep::Close)), 0), // never used
        (journal(&all[..1]),                0, lease,                                          Some((20,  0, 80, Keep::Close)),  0), // open: in full
        (Some(replayed(&all, OTHER_BOOT)),  1, lease,                                          Some((12,  0,  0, Keep::Open)),  88), // more may have been spent
        (Some(replayed(&all, OTHER_BOOT)),  1, LeaseRecord { settled: 12, ..lease },           None,                            88), // nothing new to tell
        (None,                              1, LeaseRecord { settled: 5, returned: 30, ..lease }, None,                         65), // the disk is lost
        (journal(&all),                     3, lease,                                          Some((12,  0,  0, Keep::Open)),  88), // a batch that it never heard of
        (journal(&all),                     1, LeaseRecord { settled: 13, ..lease },           None,                            87), // told more than it knows
        (journal(&all),                     1, LeaseRecord { overrun: 1, ..lease },            Some((12,  1,  0, Keep::Open)),  88), // the same for overrun
        (journal(&all),                     1, LeaseRecord { granted: 10, ..lease },           Some((10,  2,  0, Keep::Close)),  0), // past the lease is overrun
        (journal(&all),                     1, LeaseRecord { returned: 90, ..lease },          Some((10,  2, 90, Keep::Close)),  0), // and what was returned is gone
    ];
    for (row, (journal, last, lease, expected, forfeited)) in cases.into_iter().enumerate() {
        let (batches, ending) = settle_old(&unfinished(last, lease), journal.as_ref()).expect("its journal");
        let items: Vec<_> = batches.iter().flat_map(|batch| &batch.items).collect();
        let told = items.first().map(|item| (item.settled, item.overrun, item.returned, item.keep));
        assert_eq!(told, expected, "row {row}");
        let lost: u64 = ending.forfeited.iter().map(|(_, amount)| amount).sum();
        assert_eq!(lost, forfeited, "row {row}");
    }
}

#[test]
fn what_was_spent_before_there_was_a_lease_is_told_by_its_bucket() {
    let name = BucketName { budget: BudgetId(4), key: Key("bob".into()) };
    let place = Place::Bucket(name.clone());
    let parts = Cow::Owned(vec![Part { place, spent: Spent { leased: 0, overrun: 9 } }]);
    let intent = Intent { key: key("a").into(), usage: usage(9), cost_nano_usd: 0, prices: 0 };
    let replayed = replayed(&[Record::Reserved { hold: 1, parts, intent: Cow::Owned(intent) }], BOOT);
    let state = Unfinished { leases: Vec::new(), ..Ledger::new().state };
    let (batches, ending) = settle_old(&state, Some(&replayed)).expect("its journal");
    let [_, batch] = batches.as_slice() else { panic!("{batches:?}") };
    let [item] = batch.items.as_slice() else { panic!("{batch:?}") };
    assert_eq!((&item.target, item.overrun, item.keep), (&Target::Current(name), 9, Keep::Close));
    assert_eq!((batch.rows[0].1.unknown_requests, batch.rows[0].1.unknown_usage.output), (1, 9));
    assert_eq!(ending.forfeited, []);
}

#[test]
fn batches_have_a_bound_and_are_numbered_on() {
    let mut records = Vec::new();
    for hold in 0..5_000 {
        let Record::Settled { hold, parts, row, .. } = written(settles(hold, FIRST, 0)) else {
            panic!("settled")
        };
        records.push(written(reserves(hold, FIRST, 0)));
        records.push(Record::Settled { hold, parts, key: Some(Cow::Owned(key(&hold.to_string()))), row });
    }
    let state = Ledger::new().state;
    let (batches, _) = settle_old(&state, Some(&replayed(&records, BOOT))).expect("its journal");
    let shape: Vec<_> =
        batches.iter().map(|batch| (batch.sequence, batch.rows.len(), batch.items.len())).collect();
    assert_eq!(shape, [(1, 0, 0), (2, 4096, 2), (3, 904, 0)], "sent was 0: nothing stands alone");
}

#[test]
fn a_journal_of_another_session_is_refused() {
    let replayed = replayed(&[], BOOT);
    let state = Unfinished { session: SessionId(4), ..Ledger::new().state };
    let refused = settle_old(&state, Some(&replayed)).expect_err("another's");
    assert_eq!(refused.to_string(), "expected the journal of session 4, that of 3 came");
}
