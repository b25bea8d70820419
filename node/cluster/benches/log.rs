//! What durable entries cost: our log beside a plain file that is appended to and synced, in one run, so that a busy machine
//! slows both.
//!
//! ```sh
//! cargo bench -p tollgate-cluster --bench log            # in the machine's folder for temporary files
//! TMPDIR=/data cargo bench -p tollgate-cluster --bench log
//! ```

use std::fs::{self, File};
use std::io::{self, Write};
use std::time::{Duration, Instant};

use tollgate_cluster::engine::sled::{Owner, SledEngine};
use tollgate_cluster::engine::writer::{self, Done, Log};
use tollgate_cluster::engine::{LogEngine, Record};

const ENTRY_BYTES: usize = 512;
const BATCHES: [u64; 3] = [1, 16, 128];
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(1);
/// What `/proc/self/stat` counts in, on every Linux there is.
const TICKS_A_SECOND: f64 = 100.0;

/// Appends a batch whose first index is given, and returns when it is durable.
type Append = Box<dyn FnMut(u64, u64) -> io::Result<()>>;

#[derive(Clone, Copy, Default)]
struct Figures {
    entries: f64,
    seconds: f64,
    cpu_seconds: f64,
    median_ms: f64,
}

fn main() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    println!("{ENTRY_BYTES}-byte entries, durable batch by batch, in {}\n", folder.path().display());
    println!(
        "{:<34} {:>6} {:>11} {:>6} {:>9} {:>13}",
        "", "batch", "entries/s", "ratio", "p50 ms", "CPU us/entry"
    );
    for batch in BATCHES {
        let at = |name: &str| folder.path().join(format!("{name}-{batch}"));
        let (log, thread) = writer::start(new_engine(&at("log"))?)?;
        let ways = [plain_file(&at("plain"))?, on_engine(new_engine(&at("engine"))?), through_writer(log)?];
        let mut ways = ways.map(|append| (append, 1, Vec::new()));
        for _round in 0..ROUNDS {
            // In turns, so that a busy moment of the machine does not fall on one of them alone.
            for (append, next, figures) in &mut ways {
                figures.push(measure(append, next, batch)?);
            }
        }
        let [plain, engine, writer] = ways.map(|(_, _, figures)| median(figures));
        print("plain append + fdatasync", batch, plain, plain);
        print("SledEngine", batch, engine, plain);
        print("SledEngine behind the writer", batch, writer, plain);
        drop(thread);
    }
    Ok(())
}

fn plain_file(path: &std::path::Path) -> io::Result<Append> {
    let mut file = File::create(path)?;
    Ok(Box::new(move |first, batch| {
        let bytes: Vec<u8> = entries(first, batch).into_iter().flat_map(|record| record.body).collect();
        file.write_all(&bytes)?;
        file.sync_data()
    }))
}

fn on_engine(mut engine: SledEngine) -> Append {
    Box::new(move |first, batch| engine.append(&entries(first, batch)).and_then(|()| engine.sync()))
}

fn through_writer(log: Log) -> io::Result<Append> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    Ok(Box::new(move |first, batch| {
        let (told, outcome) = tokio::sync::oneshot::channel();
        let done: Done = Box::new(move |result| drop(told.send(result)));
        runtime.block_on(async {
            log.append(entries(first, batch), done).await?;
            outcome.await.map_err(io::Error::other)?
        })
    }))
}

fn new_engine(folder: &std::path::Path) -> io::Result<SledEngine> {
    SledEngine::create(folder, Owner { cluster: 1, node: 1 }).map_err(io::Error::other)
}

fn entries(first: u64, batch: u64) -> Vec<Record> {
    let body = |index: u64| index.to_le_bytes().repeat(ENTRY_BYTES / 8);
    (first..first + batch).map(|index| Record { index, body: body(index) }).collect()
}

/// One round, from the index where the one before it ended.
fn measure(append: &mut Append, next: &mut u64, batch: u64) -> io::Result<Figures> {
    let (begun, cpu) = (Instant::now(), cpu_seconds()?);
    let mut took = Vec::new();
    while begun.elapsed() < ROUND {
        let asked = Instant::now();
        append(*next, batch)?;
        took.push(asked.elapsed());
        *next += batch;
    }
    took.sort();
    Ok(Figures {
        entries: count(took.len()) * count(usize::try_from(batch).unwrap_or(usize::MAX)),
        seconds: begun.elapsed().as_secs_f64(),
        cpu_seconds: cpu_seconds()? - cpu,
        median_ms: took[took.len() / 2].as_secs_f64() * 1e3,
    })
}

/// Of some rounds, by entries a second.
fn median(mut rounds: Vec<Figures>) -> Figures {
    rounds.sort_by(|one, other| (one.entries / one.seconds).total_cmp(&(other.entries / other.seconds)));
    rounds[rounds.len() / 2]
}

fn print(name: &str, batch: u64, figures: Figures, base: Figures) {
    let rate = figures.entries / figures.seconds;
    let ratio = rate / (base.entries / base.seconds);
    let cpu = figures.cpu_seconds / figures.entries * 1e6;
    println!("{name:<34} {batch:>6} {rate:>11.0} {ratio:>6.2} {:>9.2} {cpu:>13.1}", figures.median_ms);
}

#[expect(clippy::cast_precision_loss, reason = "what is counted here stays far below 2^52")]
fn count(number: usize) -> f64 {
    number as f64
}

/// What all threads of this process have used so far.
fn cpu_seconds() -> io::Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    let ticks: f64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    Ok(ticks / TICKS_A_SECOND)
}
