//! Many seeds of the consensus simulator, or one of them again, as the command line asks for it.

use std::ops::Range;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{ALL, Figures, Planted, run};
use crate::properties::Violated;

/// How it is asked.
pub const USAGE: &str = "raft-sim [--seeds A..B] [--fault NAME] [--threads N]\n\
                         raft-sim --seed S [--fault NAME]      (or SEED=S)";

/// Many runs.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// Of these seeds.
    pub seeds: Range<u64>,
    /// With this guard taken away.
    pub planted: Option<Planted>,
    /// On so many threads.
    pub threads: u64,
}

/// A seed that failed.
#[derive(Clone, Debug)]
pub struct Failed {
    /// The seed.
    pub seed: u64,
    /// What did not hold.
    pub violated: Violated,
}

/// What a campaign found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Seeds that were run.
    pub seeds: u64,
    /// Failures, by seed.
    pub failed: Vec<Failed>,
    /// What happened in all of them.
    pub figures: Figures,
}

impl Campaign {
    /// Reads it from the command line; a seed may come from the environment.
    pub fn read(words: &[String], seed: Option<&str>) -> Result<Self, String> {
        let mut campaign = Self { seeds: 0..300, planted: None, threads: 2 };
        if let Some(seed) = seed {
            campaign.seeds = one(seed)?;
        }
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("expected a value after {word}"));
            match word.as_str() {
                "--seeds" => campaign.seeds = range(value()?)?,
                "--seed" => campaign.seeds = one(value()?)?,
                "--threads" => campaign.threads = number(value()?)?.max(1),
                "--fault" => campaign.planted = Some(named(value()?)?),
                other => return Err(format!("expected an option, {other} came")),
            }
        }
        Ok(campaign)
    }

    /// Runs all seeds, or up to so many failures.
    pub fn run(&self, most_failures: usize) -> Found {
        std::panic::set_hook(Box::new(|_| {})); // A panic is a finding, and reported as one.
        let next = AtomicU64::new(self.seeds.start);
        let found = Mutex::new(Found::default());
        let lock = || found.lock().unwrap_or_else(PoisonError::into_inner);
        std::thread::scope(|scope| {
            for _ in 0..self.threads {
                scope.spawn(|| {
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= self.seeds.end || lock().failed.len() >= most_failures {
                            return;
                        }
                        let report = run(seed, self.planted);
                        let mut found = lock();
                        found.seeds += 1;
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

    /// Runs it, and prints what came of it.
    pub fn print(&self) -> ExitCode {
        let found = self.run(10);
        println!("{} seeds: {:?}", found.seeds, found.figures);
        for failed in &found.failed {
            println!("{}", self.replay(failed));
        }
        if found.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// What failed, and how to see it again.
    pub fn replay(&self, failed: &Failed) -> String {
        let Failed { seed, violated } = failed;
        let fault = self.planted.map_or(String::new(), |planted| format!(" -- --fault {planted:?}"));
        format!(
            "seed {seed} failed: {violated}\n  again: SEED={seed} cargo run -p tollgate-jepsen --bin raft-sim{fault}"
        )
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

fn named(name: &str) -> Result<Planted, String> {
    let found = ALL.into_iter().find(|planted| format!("{planted:?}") == name);
    found.ok_or_else(|| format!("expected one of {ALL:?}, {name} came"))
}
