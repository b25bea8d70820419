//! One value for each shape that is kept or sent, in the order in which their types name them.

use tollgate_ratelimit::budget::{BucketName, Budget, BudgetId, Enforcement, Key, OnExhausted};
use tollgate_ratelimit::cover::{Cover, Dimension, Matcher};
use tollgate_ratelimit::ledger::command::{
    Adjustment, Batch, BucketAdjustment, Command, Item, Keep, LeaseId, NodeId, SessionId, Target,
};
use tollgate_ratelimit::ledger::outcome::{
    Answer, BatchVerdict, Field, ItemAnswer, LeaseRecord, LeaseState, Nudge, Outcome, Rejected, Unfinished,
    Verdict, Why,
};
use tollgate_ratelimit::ledger::rows::Change;
use tollgate_ratelimit::time::{Span, Timestamp};
use tollgate_ratelimit::unit::Unit;
use tollgate_ratelimit::window::{Fixed, Period, Rolling, Window};
use tollgate_ratelimit::{Row, RowKey, Usage};

const LEASE: LeaseId = LeaseId { slot: 300, generation: 2 };

fn name(name: &str) -> String {
    name.to_owned()
}

pub(super) fn bucket() -> BucketName {
    BucketName { budget: BudgetId(4), key: Key("bob".into()) }
}

pub(super) fn row_key() -> RowKey {
    RowKey { consumer: name("alice"), model: name("gpt"), backend: name("default/openai"), hour: 480_000 }
}

pub(super) fn row() -> Row {
    let usage =
        Usage { input: 10, cached_input: 4, cache_creation_input: 3, output: 20, reasoning: 5, total: 30 };
    Row { requests: 2, estimated_requests: 1, usage, cost_nano_usd: 1_000_000, prices: 7, ..Row::default() }
}

fn budget(unit: Unit, window: Window, enforcement: Enforcement, on_exhausted: OnExhausted) -> Budget {
    let matcher = Matcher { dimension: Dimension::Organization, patterns: vec![name("acme"), name("a*")] };
    let covers = Cover { matchers: vec![matcher] };
    let per = dimensions();
    Budget {
        name: name("monthly"),
        covers,
        per,
        unit,
        limit: 250_000_000_000,
        window,
        enforcement,
        on_exhausted,
    }
}

pub(super) fn dimensions() -> Vec<Dimension> {
    vec![
        Dimension::Organization,
        Dimension::Team,
        Dimension::User,
        Dimension::ApiKey,
        Dimension::Model,
        Dimension::Route,
        Dimension::Backend,
        Dimension::Label(name("tier")),
        Dimension::Header(name("x-app")),
        Dimension::Consumer,
        Dimension::Source,
    ]
}

pub(super) fn units() -> Vec<Unit> {
    vec![
        Unit::Requests,
        Unit::InputTokens,
        Unit::OutputTokens,
        Unit::TotalTokens,
        Unit::CachedInputTokens,
        Unit::ReasoningTokens,
        Unit::Cost,
        Unit::Expression(name("input + 4 * output")),
    ]
}

pub(super) fn periods() -> Vec<Period> {
    vec![Period::Second, Period::Minute, Period::Hour, Period::Day, Period::Week, Period::Month, Period::Year]
}

pub(super) fn windows() -> Vec<Window> {
    let boundaries = vec![Timestamp(1_727_733_600_000), Timestamp(1_730_415_600_000)];
    vec![
        Window::Fixed(Fixed { every: Period::Month, zone: name("Europe/Berlin"), boundaries }),
        Window::Rolling(Rolling { period_ms: 60_000, burst: 500 }),
        Window::Lifetime,
    ]
}

pub(super) fn enforcements() -> Vec<Enforcement> {
    vec![Enforcement::Strict, Enforcement::Bounded { per_node: 1_000 }, Enforcement::Shadow]
}

pub(super) fn on_exhausted() -> Vec<OnExhausted> {
    vec![OnExhausted::Refuse, OnExhausted::NextPriority]
}

pub(super) fn targets() -> Vec<Target> {
    vec![Target::Current(bucket()), Target::Next(bucket()), Target::Lease(LEASE)]
}

pub(super) fn keeps() -> Vec<Keep> {
    vec![Keep::Open, Keep::Close]
}

/// One item for each target.
pub(super) fn items() -> Vec<Item> {
    let keeps = keeps().into_iter().cycle();
    let item = |(target, keep)| Item {
        target,
        want: 1_000,
        need: 20,
        settled: 70,
        overrun: 3,
        returned: 9,
        idle: 0,
        keep,
    };
    targets().into_iter().zip(keeps).map(item).collect()
}

pub(super) fn commands() -> Vec<Command> {
    let monthly = budget(Unit::Cost, windows().remove(0), Enforcement::Strict, OnExhausted::NextPriority);
    let bucket =
        BucketAdjustment { bucket: bucket(), window: Some(Timestamp(1_727_733_600_000)), amount: -5 };
    let change = Change { requests: -1, input: 2, output: -3, total: 4, cost_nano_usd: -5 };
    let adjustment = Adjustment {
        id: name("2024-10-01/1"),
        by: name("carol"),
        reason: name("billed twice"),
        buckets: vec![bucket],
        rows: vec![(row_key(), change)],
    };
    vec![
        Command::SetBudget(Box::new(monthly)),
        Command::DeleteBudget { name: name("monthly") },
        Command::ExtendCalendar { name: name("monthly"), boundaries: vec![Timestamp(1_733_007_600_000)] },
        Command::OpenSession { node: NodeId(2), incarnation: 9 },
        Command::Batches(vec![batch()]),
        Command::CloseSession { session: SessionId(3) },
        Command::ForgetNode { node: NodeId(2) },
        Command::Adjust(Box::new(adjustment)),
        Command::Tick,
    ]
}

fn batch() -> Batch {
    Batch { session: SessionId(3), sequence: 12, items: items(), rows: vec![(row_key(), row())] }
}

pub(super) fn outcomes() -> Vec<Outcome> {
    let record = LeaseRecord { lease: LEASE, granted: 100, settled: 60, overrun: 1, returned: 30 };
    let unfinished =
        Unfinished { session: SessionId(2), incarnation: 8, last_sequence: 11, leases: vec![record] };
    vec![
        Outcome::Done,
        Outcome::BudgetSet { budget: BudgetId(4) },
        Outcome::SessionOpened { session: SessionId(3), earlier: vec![unfinished] },
        Outcome::Answers(answers()),
        Outcome::Rejected(Rejected::UnknownBudget),
    ]
}

pub(super) fn batch_verdicts() -> Vec<BatchVerdict> {
    vec![
        BatchVerdict::Applied,
        BatchVerdict::NoSession,
        BatchVerdict::OutOfSequence { expected: 13 },
        BatchVerdict::TooLarge,
    ]
}

/// One answer for each verdict about a batch.
pub(super) fn answers() -> Vec<Answer> {
    let (session, at) = (SessionId(3), Timestamp(1_727_800_000_000));
    let answer = |verdict| {
        let items = if verdict == BatchVerdict::Applied { item_answers() } else { Vec::new() };
        Answer { session, sequence: 12, at, verdict, items }
    };
    batch_verdicts().into_iter().map(answer).collect()
}

pub(super) fn item_answers() -> Vec<ItemAnswer> {
    let state = lease_states().remove(0);
    vec![ItemAnswer::Lease(state), ItemAnswer::Closed, ItemAnswer::Rejected(Rejected::NotYours)]
}

/// One lease for each verdict about it.
pub(super) fn lease_states() -> Vec<LeaseState> {
    let window = Span { start: Timestamp(1_727_733_600_000), end: Timestamp(1_730_415_600_000) };
    let state = |(at, verdict)| LeaseState {
        lease: LEASE,
        window,
        granted: 100,
        covered: 2,
        verdict,
        recalled: at % 2 == 1,
        scarce: at % 3 == 1,
    };
    verdicts().into_iter().enumerate().map(state).collect()
}

pub(super) fn verdicts() -> Vec<Verdict> {
    vec![
        Verdict::Granted,
        Verdict::Wait,
        Verdict::Held,
        Verdict::Exhausted { until: Timestamp(1_730_415_600_000) },
        Verdict::TooLarge { limit: 500 },
        Verdict::NotKept,
    ]
}

pub(super) fn nudges() -> Vec<Nudge> {
    let nudge = |why| Nudge { session: SessionId(3), lease: LEASE, why };
    whys().into_iter().map(nudge).collect()
}

pub(super) fn whys() -> Vec<Why> {
    vec![Why::Recalled, Why::Changed]
}

pub(super) fn fields() -> Vec<Field> {
    vec![Field::Settled, Field::Overrun, Field::Returned, Field::SettledAndReturned]
}

pub(super) fn rejections() -> Vec<Rejected> {
    vec![
        Rejected::UnknownBudget,
        Rejected::UnknownLease,
        Rejected::UnknownSession,
        Rejected::UnknownNode,
        Rejected::NotYours,
        Rejected::Impossible { field: Field::SettledAndReturned, bound: 100, got: 101 },
        Rejected::Invalid { field: name("limit"), expected: name("at most 2^61") },
        Rejected::Full { what: name("budgets"), most: 10_000 },
        Rejected::NoWindow,
        Rejected::OldIncarnation { newest: 9 },
    ]
}
