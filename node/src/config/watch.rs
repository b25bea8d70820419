//! Watches the files: an edit takes effect by itself. Editors replace, truncate and rename; what counts is that
//! something below the watched folders changed, and that it has been quiet for a moment since.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::time::Duration;

use notify::{RecursiveMode, Watcher as _};

use super::Keeper;

/// Quiet time after the last event of a save.
const SETTLE: Duration = Duration::from_millis(100);
/// Looked at this often all the same: events get lost on network file systems and in overfull queues.
const EVEN_IF_QUIET: Duration = Duration::from_secs(30);

/// The file watcher; stops when dropped.
pub(crate) struct Watcher {
    _notify: Option<notify::RecommendedWatcher>,
}

impl Watcher {
    /// Starts to watch; the keeper loads again at each change, on a thread of its own since it reads files.
    pub(crate) fn start(mut keeper: Keeper) -> Self {
        if keeper.paths().is_empty() {
            return Self { _notify: None };
        }
        let (tell, changes) = mpsc::sync_channel::<()>(1);
        let notify = notifier(keeper.paths(), tell);
        std::thread::Builder::new()
            .name("config-watch".to_owned())
            .spawn(move || {
                let mut before = fingerprint(keeper.paths());
                loop {
                    if changes.recv_timeout(EVEN_IF_QUIET) == Err(RecvTimeoutError::Disconnected) {
                        return; // The watcher was dropped.
                    }
                    std::thread::sleep(SETTLE);
                    while changes.try_recv().is_ok() {}
                    let now = fingerprint(keeper.paths());
                    if now != before {
                        before = now;
                        keeper.load();
                    }
                }
            })
            .map_err(|error| tracing::error!(%error, "files are not watched"))
            .ok();
        Self { _notify: notify }
    }
}

/// Watches the folders that hold the files, since an editor's rename would take a watched file away.
fn notifier(paths: &[PathBuf], tell: SyncSender<()>) -> Option<notify::RecommendedWatcher> {
    let created = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            let _full_means_already_told = tell.try_send(());
        }
    });
    let mut watcher = created.map_err(|error| tracing::error!(%error, "files are not watched")).ok()?;
    let folders: BTreeSet<&Path> = paths.iter().map(|path| folder(path)).collect();
    for folder in folders {
        if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
            tracing::error!(folder = %folder.display(), %error, "folder is not watched");
        }
    }
    Some(watcher)
}

fn folder(path: &Path) -> &Path {
    if path.is_dir() {
        return path;
    }
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What a change is told by: the texts themselves. Manifests are small, and time stamps lie.
fn fingerprint(paths: &[PathBuf]) -> Vec<(PathBuf, Result<String, String>)> {
    super::read_files(paths).into_iter().map(|file| (file.path, file.text)).collect()
}
