//! Many seeds, or one of them looked at closely, as the command line asks for it.

use std::fmt::Write as _;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tollgate_ratelimit::fault::{self, Fault};

use super::minimise::minimise;
use super::plan::Plan;
use super::world::Figures;
use super::{Tracing, run};
use crate::properties::Violated;

/// How it is asked.
pub const USAGE: &str = "sim [--seeds A..B] [--events N] [--fault NAME] [--threads N]\n\
                         sim --seed S [--trace] [--events N] [--fault NAME]      (or SEED=S)";

/// Lines of a story that are printed: what came before is seldom what went wrong.
const LINES: usize = 400;
/// Runs that shorten a failing plan.
const TRIES: usize = 400;

/// What the command line asks for.
#[derive(Clone, Debug)]
pub struct Wish {
    seeds: Range<u64>,
    events: u64,
    fault: Option<Fault>,
    tracing: Tracing,
    threads: u64,
}

impl Wish {
    /// Reads it.
    pub fn read(words: &[String], seed: Option<&str>) -> Result<Self, String> {
        let mut wish = Self { seeds: 0..500, events: 10_000, fault: None, tracing: Tracing::Off, threads: 2 };
        if let Some(seed) = seed {
            wish.seeds = one(seed)?;
        }
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("expected a value after {word}"));
            match word.as_str() {
                "--seeds" => wish.seeds = range(value()?)?,
                "--seed" => wish.seeds = one(value()?)?,
                "--events" => wish.events = number(value()?)?,
                "--threads" => wish.threads = number(value()?)?.max(1),
                "--fault" => wish.fault = Some(named(value()?)?),
                "--trace" => wish.tracing = Tracing::On,
                other => return Err(format!("expected an option, {other} came")),
            }
        }
        Ok(wish)
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.replace('_', "").parse().map_err(|_| format!("expected a number, {text} came"))
}

fn one(text: &str) -> Result<Range<u64>, String> {
    let seed = number(text)?;
    Ok(seed..seed + 1)
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or_else(|| format!("expected A..B, {text} came"))?;
    Ok(number(from)?..number(to)?)
}

fn named(name: &str) -> Result<Fault, String> {
    let found = fault::ALL.into_iter().find(|fault| format!("{fault:?}") == name);
    found.ok_or_else(|| format!("expected one of {:?}, {name} came", fault::ALL))
}

/// A seed that failed.
#[derive(Clone, Debug)]
pub struct Failed {
    /// The seed.
    pub seed: u64,
    /// What did not hold.
    pub violated: Violated,
}

/// Many runs.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// Of these seeds.
    pub seeds: Range<u64>,
    /// Each so long.
    pub events: u64,
    /// With this guard taken away.
    pub fault: Option<Fault>,
    /// On so many threads.
    pub threads: u64,
}

/// What a campaign found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Seeds that were run.
    pub seeds: u64,
    /// Things that happened in them.
    pub events: u64,
    /// Failures, by seed.
    pub failed: Vec<Failed>,
    /// What became of requests in all of them.
    pub figures: Figures,
}

impl Campaign {
    /// Runs all seeds, or up to so many failures.
    pub fn run(&self, most_failures: usize) -> Found {
        std::panic::set_hook(Box::new(|_| {})); // A panic is a finding, and reported as one.
        let next = AtomicU64::new(self.seeds.start);
        let found = Mutex::new(Found::default());
        std::thread::scope(|scope| {
            for _ in 0..self.threads {
                scope.spawn(|| {
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        let enough = lock(&found).failed.len() >= most_failures;
                        if seed >= self.seeds.end || enough {
                            return;
                        }
                        let report = run(&Plan::new(seed, self.events), self.fault, Tracing::Off);
                        let mut found = lock(&found);
                        found.seeds += 1;
                        found.events += report.events;
                        found.figures.add(report.figures);
                        found.failed.extend(report.violated.map(|violated| Failed { seed, violated }));
                    }
                });
            }
        });
        drop(std::panic::take_hook()); // What is found is for the caller to tell.
        let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        found.failed.sort_by_key(|failed| failed.seed);
        found
    }
}

fn lock(found: &Mutex<Found>) -> std::sync::MutexGuard<'_, Found> {
    found.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does what was asked for, and prints what came of it.
pub fn grant(wish: &Wish) -> ExitCode {
    let Wish { seeds, events, fault, tracing, threads } = wish.clone();
    let campaign = Campaign { seeds: seeds.clone(), events, fault, threads };
    let found = campaign.run(10);
    println!("{} seeds, {} events: {:?}", found.seeds, found.events, found.figures);
    for Failed { seed, violated } in &found.failed {
        println!("seed {seed} failed: {violated}");
    }
    let Some(first) = found.failed.first() else {
        if tracing == Tracing::On {
            run(&Plan::new(seeds.start, events), fault, tracing)
                .trace
                .iter()
                .for_each(|line| println!("{line}"));
        }
        return ExitCode::SUCCESS;
    };
    print!("{}", story(first.seed, events, fault));
    ExitCode::FAILURE
}

/// A failing seed's shortest plan that still fails, and what happens in it.
pub fn story(seed: u64, events: u64, fault: Option<Fault>) -> String {
    let shortest = minimise(&Plan::new(seed, events), fault, TRIES);
    let report = run(&shortest, fault, Tracing::On);
    let mut text = format!("\nSEED={seed}, {} actions are enough:\n", shortest.actions.len());
    for action in &shortest.actions {
        _ = writeln!(text, "{:>8} {:?}", action.at_ms, action.what);
    }
    text.push_str("\nwhat happened:\n");
    let skipped = report.trace.len().saturating_sub(LINES);
    for line in &report.trace[skipped..] {
        text.push_str(line);
        text.push('\n');
    }
    if let Some(violated) = report.violated {
        _ = writeln!(text, "{violated}");
    }
    text
}
