//! What the wallet's hot path costs: `cargo bench -p tollgate-ratelimit --bench wallet`. Prints one line a figure, the best of
//! several runs: what else runs on the machine only adds.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

use tollgate_ratelimit::budget::{BucketName, BudgetId, Enforcement, Key};
use tollgate_ratelimit::ledger::command::{Batch, LeaseId, SessionId, Target};
use tollgate_ratelimit::ledger::outcome::{Answer, BatchVerdict, ItemAnswer, LeaseState, Verdict};
use tollgate_ratelimit::ledger::rows::{Row, RowKey};
use tollgate_ratelimit::time::{NodeTime, Span, Timestamp};
use tollgate_ratelimit::unit::Unit;
use tollgate_ratelimit::wallet::{Part, Purse, Settings, Terms, Wallet};

const RUNS: usize = 201;
const PAIRS: u32 = 20_000;
const NOW: NodeTime = NodeTime(1_000);
const PLENTY: u64 = 1 << 50;

fn main() {
    let one = best(|| pairs(1, 4, Share::Own));
    println!("reserve + settle over 4 budgets, 1 thread          {one:8.1} ns a pair (goal < 500)");
    let two = best(|| pairs(2, 4, Share::Own));
    println!("the same, 2 threads on different users             {two:8.1} ns a pair and thread");
    println!(
        "so 2 threads do                                    {:8.2} times as much (goal >= 1.8)",
        2.0 * one / two
    );
    let stacked = best(|| pairs(2, 4, Share::Top));
    println!("2 users below one organisation                     {stacked:8.1} ns a pair and thread");
    let hot_one = best(|| pairs(1, 1, Share::All));
    println!(
        "one hot bucket, 1 thread                           {:8.2} million pairs a second (goal >= 5)",
        1e3 / hot_one
    );
    let hot_two = best(|| pairs(2, 1, Share::All));
    println!(
        "one hot bucket, 2 threads                          {:8.2} million pairs a second (goal >= 5)",
        2e3 / hot_two
    );
    let refused = best(refusals);
    println!("a refusal from the cache                           {refused:8.1} ns");
}

/// Which purses threads have in common.
#[derive(Clone, Copy)]
enum Share {
    Own,
    Top,
    All,
}

fn best(run: impl Fn() -> f64) -> f64 {
    (0..RUNS).map(|_| run()).fold(f64::MAX, f64::min)
}

/// Nanoseconds a pair, of each of `threads`.
fn pairs(threads: u32, budgets: u32, share: Share) -> f64 {
    let wallet = Wallet::new(SessionId(1), Settings::default());
    let of_thread = |thread: u32| -> Vec<Arc<Purse>> {
        let names = (0..budgets).map(|budget| match share {
            Share::All => (budget, 0),
            Share::Top if budget == 0 => (budget, 0),
            Share::Own | Share::Top => (budget, thread),
        });
        names.map(|(budget, user)| purse(&wallet, budget, user)).collect()
    };
    let purses: Vec<Vec<Arc<Purse>>> = (0..threads).map(of_thread).collect();
    fill(&wallet, &purses, Verdict::Granted);
    let barrier = Barrier::new(threads as usize);
    let (wallet, barrier) = (&wallet, &barrier);
    let times: Vec<(Instant, Instant)> = thread::scope(|scope| {
        let running: Vec<_> = purses
            .iter()
            .enumerate()
            .map(|(user, purses)| scope.spawn(move || spend(wallet, purses, row(user), barrier)))
            .collect();
        running.into_iter().map(|one| one.join().expect("no thread panics")).collect()
    });
    // From the first one's start to the last one's end: threads that did not run at the same time count as slow.
    let start = times.iter().map(|time| time.0).min().expect("a thread");
    let end = times.iter().map(|time| time.1).max().expect("a thread");
    (end - start).as_secs_f64() * 1e9 / f64::from(PAIRS)
}

fn spend(
    wallet: &Arc<Wallet>,
    purses: &[Arc<Purse>],
    row: (RowKey, Row),
    barrier: &Barrier,
) -> (Instant, Instant) {
    let parts: Vec<Part<'_>> = purses.iter().map(|purse| Part { purse, amount: 700 }).collect();
    let actual = vec![300; parts.len()];
    let rows: Vec<(RowKey, Row)> = vec![row; PAIRS as usize];
    barrier.wait();
    let start = Instant::now();
    for row in rows {
        let hold = wallet.reserve(black_box(&parts), NOW).expect("there is plenty");
        hold.settle(black_box(&actual), row);
    }
    (start, Instant::now())
}

fn refusals() -> f64 {
    let wallet = Wallet::new(SessionId(1), Settings::default());
    let purse = purse(&wallet, 0, 0);
    fill(&wallet, &[vec![Arc::clone(&purse)]], Verdict::Exhausted { until: Timestamp(u64::MAX / 2) });
    let parts = [Part { purse: &purse, amount: 700 }];
    let start = Instant::now();
    for _ in 0..PAIRS {
        let refused = wallet.reserve(black_box(&parts), NOW).expect_err("nothing is left");
        assert!(!refused.why.is_dry(), "{refused:?}");
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(PAIRS)
}

fn purse(wallet: &Wallet, budget: u32, user: u32) -> Arc<Purse> {
    let name = BucketName { budget: BudgetId(budget), key: Key(user.to_string().into()) };
    let terms = Terms { unit: Unit::TotalTokens, enforcement: Enforcement::Strict, limit: PLENTY };
    wallet.purse(&name, &terms).expect("few purses")
}

fn row(user: usize) -> (RowKey, Row) {
    let consumer = format!("user-{user}");
    let (model, backend) = ("gpt-4o-mini".to_owned(), "default/openai".to_owned());
    (RowKey { consumer, model, backend, hour: 480_000 }, Row { requests: 1, ..Row::default() })
}

/// Lets every purse ask once, and answers `verdict`.
fn fill(wallet: &Arc<Wallet>, purses: &[Vec<Arc<Purse>>], verdict: Verdict) {
    for purse in purses.iter().flatten() {
        let _ = wallet.ask(&[Part { purse, amount: 1 }], NOW.plus(50), NOW);
    }
    let batch = wallet.poll(NOW).expect("somebody waits");
    drop(wallet.handle(&answer(&batch, verdict), NOW));
}

fn answer(batch: &Batch, verdict: Verdict) -> Answer {
    let granted = if verdict == Verdict::Granted { PLENTY } else { 0 };
    let mut slot = 0;
    let items = batch.items.iter().map(|item| {
        assert!(matches!(item.target, Target::Current(_)));
        slot += 1;
        let lease = LeaseId { slot, generation: 1 };
        let window = Span::ALWAYS;
        ItemAnswer::Lease(LeaseState {
            lease,
            window,
            granted,
            covered: 0,
            verdict,
            recalled: false,
            scarce: false,
        })
    });
    let items = items.collect();
    let verdict = BatchVerdict::Applied;
    Answer { session: batch.session, sequence: batch.sequence, at: Timestamp(1), verdict, items }
}
