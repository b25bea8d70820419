//! The command line: as typed, then as needed.

use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::envoy::Wish;

const DESCRIPTION: &str =
    "Loads Tollgate, a bare hyper proxy, Envoy and the provider itself in turn, and prints the ratios.";

const USAGE: &str = "cargo bench -p tollgate --bench gateway -- [OPTIONS]";

/// As typed.
#[derive(Debug, Parser)]
#[command(about = DESCRIPTION, override_usage = USAGE, after_help = READING)]
struct Typed {
    /// Under 40 seconds instead of 4 minutes: one short round, for a first look only
    #[arg(long)]
    quick: bool,

    /// Only these parts
    #[arg(long, value_delimiter = ',', value_name = "PART,…")]
    only: Vec<Part>,

    /// How often each measurement is repeated, targets in turn; medians are printed [default: 3, with --quick 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    rounds: Option<u8>,

    /// Makes every measurement so many times as long
    #[arg(long, value_name = "FACTOR", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    longer: u32,

    /// Worker threads of the provider and of each proxy
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    workers: u16,

    /// Leaves Envoy out; nothing is installed
    #[arg(long)]
    no_envoy: bool,

    /// Given by `cargo bench`; without it nothing runs, so that `cargo test --all-targets` stays fast
    #[arg(long, hide = true)]
    bench: bool,
}

const READING: &str = "\
How to read it: `of bare` is the ratio to the bare hyper proxy, `added` the difference to the provider asked directly,
each taken within a round and then the median over rounds. `CPU` is that of the proxy's own process: the figure to trust
on a machine that does other things too. Requests a second are of one machine that the load, the provider and the proxy
share.

TOLLGATE_BENCH_GATEWAY and TOLLGATE_BENCH_ENVOY name other binaries than those that cargo and pip provide.";

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Requests and answers of one piece
    Plain,
    /// Streams of 20 chunks: as fast as they go, and paced
    Stream,
    /// The memory of streams in which nothing happens
    Idle,
    /// Three nodes that are one cluster: with keys and budgets, and without
    Cluster,
    /// Three nodes, a strict budget of 20 requests, and 100 at once
    Burst,
}

/// As needed.
pub(crate) struct Options {
    pub(crate) parts: Vec<Part>,
    pub(crate) rounds: usize,
    pub(crate) workers: usize,
    pub(crate) envoy: Wish,
    pub(crate) times: Times,
}

/// How long the windows are.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    pub(crate) warm_up: Duration,
    pub(crate) plain: Duration,
    /// Of streams as fast as they go.
    pub(crate) burst: Duration,
    /// Of paced streams, which take 0.2 s each.
    pub(crate) paced: Duration,
    /// Of the many paced streams, which take 1 s each.
    pub(crate) many: Duration,
    /// Of a cluster, and of what comes before it until its leases are as large as they get.
    pub(crate) cluster: Duration,
}

const FULL: Times = Times {
    warm_up: Duration::from_millis(150),
    plain: Duration::from_millis(1100),
    burst: Duration::from_secs(1),
    paced: Duration::from_millis(1200),
    many: Duration::from_secs(2),
    cluster: Duration::from_secs(6),
};

const QUICK: Times = Times {
    warm_up: Duration::from_millis(100),
    plain: Duration::from_millis(300),
    burst: Duration::from_millis(300),
    paced: Duration::from_millis(600),
    many: Duration::from_secs(1),
    cluster: Duration::from_secs(2),
};

/// What was asked for; `None` if this is not a run of `cargo bench`.
pub(crate) fn read() -> Option<Options> {
    let typed = Typed::parse();
    if !typed.bench {
        return None;
    }
    let times = if typed.quick { QUICK } else { FULL };
    let default_rounds = if typed.quick { 1 } else { 3 };
    let all = || Part::value_variants().to_vec();
    Some(Options {
        parts: if typed.only.is_empty() { all() } else { typed.only },
        rounds: typed.rounds.unwrap_or(default_rounds).into(),
        workers: typed.workers.into(),
        envoy: if typed.no_envoy { Wish::Skip } else { Wish::Measure },
        times: Times {
            warm_up: times.warm_up,
            plain: times.plain * typed.longer,
            burst: times.burst * typed.longer,
            paced: times.paced * typed.longer,
            many: times.many * typed.longer,
            cluster: times.cluster * typed.longer,
        },
    })
}
