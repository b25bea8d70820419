//! How configuration gets from files to the store, and from the store to this node.
//!
//! ```text
//!  config-watch: files ─ settle ─ plan ─▶ Store::write ─▶ … every node … ─▶ config: Store::standing ─ revise ─▶ Active
//!                           └──── Local (what the store can't tell) ───────────▲
//! ```
//!
//! Two threads: while there is no leader to write to, what others wrote before is served all the same.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tollgate_cluster::run::Changes;

use super::entry::Holdings;
use super::keeper::{Keeper, Local, made};
use super::plan::{Files, Plan, Text, plan};
use super::store::{Store, Unwritten};
use super::watch::Watcher;
use super::{Config, files};
use crate::telemetry::metrics::Gauges;
use crate::upstream::Upstreams;

/// A start waits this long for what was written before, and for the files to be in the store; then it serves what it has.
const START: Duration = Duration::from_secs(10);
/// One try to change the store.
const TRY: Duration = Duration::from_secs(5);
/// Others write, too: so many times it is looked at anew at once.
const MOST_CONFLICTS: usize = 5;
/// Until it is tried again to know all that was written.
const AGAIN: Duration = Duration::from_secs(1);

/// What this node was given.
pub(crate) enum Given {
    /// Files and folders.
    Files(Vec<PathBuf>),
    /// A manifest that was made at start.
    Made(String),
}

/// What following takes.
pub(crate) struct Setup {
    pub(crate) given: Given,
    pub(crate) store: Arc<Store>,
    pub(crate) config: Config,
    pub(crate) gauges: Gauges,
    pub(crate) upstreams: Upstreams,
}

/// Follows files and store until it is dropped.
pub(crate) struct Follower {
    _files: Option<Watcher>,
    _local: watch::Sender<Local>,
}

impl Setup {
    /// Begins; returns when the first revision is in force, or when it took too long. Blocks.
    pub(crate) fn start(self) -> Result<Follower, String> {
        let Self { given, store, config, gauges, upstreams } = self;
        let (paths, made) = match given {
            Given::Files(paths) => (paths, Holdings::new()),
            Given::Made(manifest) => {
                let (made, problems) = made(&manifest);
                for problem in problems {
                    tracing::error!("{problem}");
                }
                (Vec::new(), made)
            }
        };
        let local = watch::Sender::new(Local { is_stored: paths.is_empty(), ..Local::default() });
        let keeper = Keeper {
            store: Arc::clone(&store),
            config,
            gauges,
            upstreams,
            made,
            published: None,
            waits: false,
        };
        let source =
            FileSource { paths, store, local: local.clone(), loaded: Vec::new(), is_unfinished: true };
        let (tell, told) = mpsc::sync_channel(1);
        let said = local.subscribe();
        std::thread::Builder::new()
            .name("config".to_owned())
            .spawn(move || begin(keeper, source, (&tell, said)))
            .map_err(|error| format!("no thread for the configuration: {error}"))?;
        let source = told.recv().map_err(|_| "the configuration's thread ended".to_owned())?;
        let watcher = (!source.paths.is_empty()).then(|| Watcher::start(source));
        Ok(Follower { _files: watcher, _local: local })
    }
}

fn begin(
    mut keeper: Keeper,
    mut source: FileSource,
    (tell, mut said): (&SyncSender<FileSource>, watch::Receiver<Local>),
) {
    let store = Arc::clone(&keeper.store);
    if let Err(error) = store.runtime().block_on(store.catch_up(START)) {
        tracing::warn!("this node could not yet learn what the cluster was told last: {error}");
    }
    if !source.paths.is_empty() {
        let texts = source.read();
        source.take(texts);
    }
    let mut changes = store.changes();
    changes.mark_unchanged();
    let mut is_known = keeper.load(&said.borrow_and_update().clone());
    let _nobody_waits_any_more = tell.send(source);
    drop(store);
    while wait(&keeper.store, &mut changes, (&mut said, is_known)) {
        is_known = keeper.load(&said.borrow_and_update().clone());
    }
}

/// Until there is something to look at. False: nobody wants to know any more.
fn wait(
    store: &Arc<Store>,
    resources: &mut watch::Receiver<Changes>,
    (said, is_known): (&mut watch::Receiver<Local>, bool),
) -> bool {
    store.runtime().block_on(async {
        tokio::select! {
            news = resources.changed() => news.is_ok(),
            news = said.changed() => news.is_ok(),
            () = sleep(AGAIN), if !is_known => {
                let _tried_again_after_a_while = store.catch_up(TRY).await;
                true
            }
        }
    })
}

/// The files of this node, and what the store knows of them.
pub(super) struct FileSource {
    paths: Vec<PathBuf>,
    store: Arc<Store>,
    local: watch::Sender<Local>,
    loaded: Vec<Text>,
    is_unfinished: bool,
}

impl FileSource {
    /// What to look at.
    pub(super) fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// The files as they are now.
    pub(super) fn read(&self) -> Vec<Text> {
        let files = files::read(&self.paths).into_iter();
        files.map(|file| Text { name: file.path.display().to_string(), text: file.text }).collect()
    }

    /// What was taken last.
    pub(super) fn loaded(&self) -> &[Text] {
        &self.loaded
    }

    /// Whether not all of it is in the store.
    pub(super) fn is_unfinished(&self) -> bool {
        self.is_unfinished
    }

    /// Tries again to put there what was taken last.
    pub(super) fn take_again(&mut self) {
        let texts = std::mem::take(&mut self.loaded);
        self.take(texts);
    }

    /// Puts what these texts say into the store.
    pub(super) fn take(&mut self, texts: Vec<Text>) {
        self.loaded = texts;
        for _ in 0..MOST_CONFLICTS {
            let plan = self.plan();
            let written = if plan.changes.is_empty() {
                Ok(0)
            } else {
                self.store.runtime().block_on(self.store.write(&plan.changes, TRY))
            };
            match written {
                Ok(_) => return self.say(plan, None),
                Err(Unwritten::Conflict(why)) => tracing::info!("files are compared anew: {why}"),
                Err(unwritten @ (Unwritten::Refused(_) | Unwritten::Unreachable(_))) => {
                    return self.say(plan, Some(&unwritten));
                }
            }
        }
        self.is_unfinished = true;
    }

    fn plan(&self) -> Plan {
        let files = Files {
            texts: &self.loaded,
            variable: &|name| std::env::var(name).ok(),
            written_at_s: files::written_at_s(&self.paths).unwrap_or_default(),
            counted: &|kept| self.store.counted(kept),
        };
        plan(&self.store.standing().holdings, &files)
    }

    fn say(&mut self, plan: Plan, unwritten: Option<&Unwritten>) {
        let Plan { problems, kept, taken, .. } = plan;
        if let Some(why) = unwritten {
            tracing::error!("what the files say is not in the store yet: {why}");
        }
        self.is_unfinished = unwritten.is_some() || taken > 0;
        let is_stored = unwritten.is_none();
        self.local.send_if_modified(|local| {
            // Who was in the store once, is.
            let said = Local { problems, kept, is_stored: is_stored || local.is_stored };
            let is_new = *local != said;
            *local = said;
            is_new
        });
    }
}
