//! Watches the files: an edit takes effect by itself, as soon as the texts stand still.
//!
//! Events only say when to look. Folders are watched anew before each look, so that one that was moved away, deleted or
//! replaced is watched again when its name is back; until then the folder above it is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Weak};
use std::time::Duration;

use notify::{RecursiveMode, Watcher as _};

use super::follow::FileSource;
use super::settling::{Look, Settling};

/// Between two looks. Those who write a file in pieces are faster than that; [`super::settling::MOST_LOOKS`] bounds all.
const SETTLE: Duration = Duration::from_millis(100);
/// Looked at this often all the same: events get lost on network file systems and in overfull queues.
const EVEN_IF_QUIET: Duration = Duration::from_secs(30);
/// What could not be put into the store is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// The file watcher; stops when dropped.
pub(super) struct Watcher {
    _tell: Arc<SyncSender<()>>,
}

impl Watcher {
    /// Starts to watch; the files are taken again at each change, on a thread of its own since it reads them.
    pub(super) fn start(source: FileSource) -> Self {
        let (tell, changes) = mpsc::sync_channel::<()>(1);
        let tell = Arc::new(tell);
        let folders = Folders::new(Arc::downgrade(&tell));
        std::thread::Builder::new()
            .name("config-watch".to_owned())
            .spawn(move || follow(source, folders, &changes))
            .map_err(|error| tracing::error!(%error, "files are not watched"))
            .ok();
        Self { _tell: tell }
    }
}

/// Until the watcher is dropped.
fn follow(mut source: FileSource, mut folders: Folders, changes: &Receiver<()>) {
    let mut settling = Settling::default();
    loop {
        // In this order: a change after the read is told by an event.
        folders.watch(source.paths());
        while changes.try_recv().is_ok() {}
        match settling.look(source.loaded(), source.read()) {
            Look::Again => {
                std::thread::sleep(SETTLE);
                continue;
            }
            Look::Settled(texts) => source.take(texts),
            Look::Unchanged if source.is_unfinished() => source.take_again(),
            // Files of others in the same folder may change without end.
            Look::Unchanged => std::thread::sleep(SETTLE),
        }
        let quiet = if source.is_unfinished() { AGAIN } else { EVEN_IF_QUIET };
        if changes.recv_timeout(quiet) == Err(RecvTimeoutError::Disconnected) {
            return;
        }
    }
}

/// The folders that hold the files: watched in place of them, since an editor's rename would take a watched file away.
struct Folders {
    notify: Option<notify::RecommendedWatcher>,
    /// Could not be watched: told once.
    failed: BTreeSet<PathBuf>,
}

impl Folders {
    fn new(tell: Weak<SyncSender<()>>) -> Self {
        let created = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !event.kind.is_access())
                && let Some(tell) = tell.upgrade()
            {
                let _full_means_already_told = tell.try_send(());
            }
        });
        let every_s = EVEN_IF_QUIET.as_secs();
        let notify = created
            .map_err(
                |error| tracing::error!(%error, every_s, "files are not watched, only read now and then"),
            )
            .ok();
        Self { notify, failed: BTreeSet::new() }
    }

    /// Watches what now has the names. Again is no harm.
    fn watch(&mut self, paths: &[PathBuf]) {
        let Some(notify) = &mut self.notify else { return };
        let folders: BTreeSet<&Path> = paths.iter().map(|path| folder(path)).collect();
        for folder in folders {
            match notify.watch(folder, RecursiveMode::NonRecursive) {
                Ok(()) => _ = self.failed.remove(folder),
                Err(error) => {
                    if self.failed.insert(folder.to_owned()) {
                        tracing::error!(folder = %folder.display(), %error, "folder is not watched");
                    }
                }
            }
        }
    }
}

fn folder(path: &Path) -> &Path {
    if path.is_dir() {
        return path;
    }
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
