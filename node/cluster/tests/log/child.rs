//! A process of its own that writes to a log and tells of each acknowledged entry, until it is killed.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tollgate_cluster::engine::sled::SledEngine;
use tollgate_cluster::engine::writer::{self, Done};
use tollgate_cluster::engine::{LogEngine, Slot};

use crate::bodies::{OWNER, records};

/// Where a child writes; without it this is no child.
const FOLDER: &str = "TOLLGATE_LOG_FOLDER";
const BATCH: &str = "TOLLGATE_LOG_BATCH";
const PURGE: &str = "TOLLGATE_LOG_PURGE";
/// A child that trusts sled's own flush.
const BARE: &str = "TOLLGATE_LOG_BARE";
/// Entries that stay when the others are purged.
const KEPT: u64 = 400;
/// Batches that are on their way at once.
const IN_FLIGHT: usize = 8;

/// How a child writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode {
    /// Entries in one append.
    pub(crate) batch: u64,
    /// Whether old entries are purged.
    pub(crate) purge: Purge,
    /// What it writes to.
    pub(crate) store: Store,
}

/// What a child writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    /// Our log.
    Log,
    /// sled as it is, trusting its flush: to see that a trial can find a loss.
    BareSled,
}

/// Whether old entries are purged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purge {
    Never,
    Always,
}

/// What a child told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) ready: bool,
    /// The last entry that was acknowledged.
    pub(crate) acknowledged: u64,
    /// The last vote that was saved.
    pub(crate) voted: u64,
    /// How the log failed, and what it said to the next who asked.
    pub(crate) failed: Option<String>,
    pub(crate) refused: Option<String>,
}

/// A child that runs.
pub(crate) struct Running {
    child: Child,
    told: Arc<Mutex<Told>>,
    reader: JoinHandle<()>,
}

/// Starts one that writes to a log that is there. `limit` is the shell's way to keep it from growing files.
pub(crate) fn run(folder: &Path, mode: Mode, limit: Option<&str>) -> Running {
    let test = env::current_exe().unwrap();
    let mut command = match limit {
        None => Command::new(test),
        Some(limit) => {
            let mut shell = Command::new("sh");
            shell.arg("-c").arg(format!("{limit}; exec \"$0\" \"$@\"")).arg(test);
            shell
        }
    };
    command.args(["--exact", "child::writes_until_it_is_killed", "--ignored", "--nocapture"]);
    command.env(FOLDER, folder).env(BATCH, mode.batch.to_string());
    if mode.purge == Purge::Always {
        command.env(PURGE, "1");
    }
    if mode.store == Store::BareSled {
        command.env(BARE, "1");
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let told = Arc::new(Mutex::new(Told::default()));
    let hears = told.clone();
    let reader = std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| hear(&hears, &line)));
    Running { child, told, reader }
}

fn hear(told: &Mutex<Told>, line: &str) {
    let mut told = told.lock().unwrap();
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match word {
        "ready" => told.ready = true,
        "acknowledged" => told.acknowledged = rest.parse().unwrap(),
        "voted" => told.voted = rest.parse().unwrap(),
        "failed" => told.failed = Some(rest.to_owned()),
        "refused" => told.refused = Some(rest.to_owned()),
        // The test harness talks too.
        _ => {}
    }
}

impl Running {
    /// What it told so far.
    pub(crate) fn told(&self) -> Told {
        self.told.lock().unwrap().clone()
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Ends it with SIGKILL, and returns all that it told.
    pub(crate) fn kill(mut self) -> Told {
        // It may have ended by itself.
        drop(self.child.kill());
        self.child.wait().unwrap();
        self.reader.join().unwrap();
        Arc::try_unwrap(self.told).unwrap().into_inner().unwrap()
    }
}

#[tokio::test]
#[ignore = "a child of other tests"]
async fn writes_until_it_is_killed() {
    let Some(folder) = env::var_os(FOLDER) else { return };
    let batch: u64 = env::var(BATCH).unwrap().parse().unwrap();
    if env::var_os(BARE).is_some() {
        return write_bare(Path::new(&folder), batch);
    }
    let purges = env::var_os(PURGE).is_some();
    let engine = SledEngine::open(Path::new(&folder), OWNER).unwrap();
    let mut next = engine.range().unwrap().map_or(1, |(_, last)| last + 1);
    let (log, _thread) = writer::start(engine).unwrap();
    let mut vote =
        log.read(Slot::Vote).unwrap().map_or(0, |vote| u64::from_le_bytes(vote.try_into().unwrap()));
    say("ready");
    let room = Arc::new(tokio::sync::Semaphore::new(IN_FLIGHT));
    let failed = Arc::new(AtomicBool::new(false));
    let outcome = loop {
        let permit = room.clone().acquire_owned().await.unwrap();
        let last = next + batch - 1;
        let fails = failed.clone();
        let done: Done = Box::new(move |outcome: io::Result<()>| {
            match outcome {
                Ok(()) => say(&format!("acknowledged {last}")),
                Err(_) => fails.store(true, Ordering::SeqCst),
            }
            drop(permit);
        });
        if let Err(error) = log.append(records(next, last), done).await {
            break error;
        }
        next = last + 1;
        if next % 50 < batch {
            vote += 1;
            if let Err(error) = log.save(Slot::Vote, vote.to_le_bytes().to_vec()).await {
                break error;
            }
            say(&format!("voted {vote}"));
        }
        if purges && next > KEPT {
            log.purge(next - KEPT).await.ok();
        }
    };
    say(&format!("failed {outcome}"));
    let refused = log.save(Slot::Vote, (vote + 1).to_le_bytes().to_vec()).await;
    say(&refused.map_or_else(|error| format!("refused {error}"), |()| "accepted".to_owned()));
}

fn write_bare(folder: &Path, batch: u64) {
    let db = sled::open(folder.join("bare")).unwrap();
    say("ready");
    for next in (1..).step_by(usize::try_from(batch).unwrap()) {
        let mut entries = sled::Batch::default();
        for record in records(next, next + batch - 1) {
            entries.insert(&record.index.to_be_bytes(), record.body);
        }
        db.apply_batch(entries).unwrap();
        db.flush().unwrap();
        say(&format!("acknowledged {}", next + batch - 1));
    }
}

/// Past the harness's capture, at once.
fn say(what: &str) {
    let mut out = io::stdout().lock();
    out.write_all(format!("\n{what}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}
