//! A disk whose power can be cut, out of what Linux has: a file system in a file that lies on another file system, which is
//! frozen while the file is copied.
//!
//! ```text
//!  log ──▶ ext4 "inner" ──loop──▶ inner.img on ext4 "outer" ──loop──▶ outer.img
//!                                     └─ freeze outer, copy inner.img, thaw: all that the inner disk had received by then
//! ```
//!
//! Needs root and loop devices. The copy holds every block that the inner file system had handed to its disk, synced or
//! not, and nothing that it still had in memory: the kindest power cut there is, of a drive that never loses its cache.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// What the outer file system needs for itself.
const OUTER_BYTES: u64 = 200 << 20;
/// In memory, where there is such a place: the machine's own disk is not what is tried.
const MEMORY: &str = "/dev/shm";

/// Both file systems, mounted.
pub(crate) struct Rig {
    folder: TempDir,
}

impl Rig {
    /// Sets it up, with so much room; where this machine does not let us, says what it said.
    pub(crate) fn new(bytes: u64) -> Result<Self, String> {
        let folder =
            if Path::new(MEMORY).is_dir() { tempfile::tempdir_in(MEMORY) } else { tempfile::tempdir() };
        let rig = Self { folder: folder.map_err(|error| error.to_string())? };
        // From here on, dropping it takes down what is up.
        make_disk(&rig.path("outer.img"), bytes + OUTER_BYTES)?;
        mount(&rig.path("outer.img"), &rig.path("outer"))?;
        make_disk(&rig.path("outer/inner.img"), bytes)?;
        mount(&rig.path("outer/inner.img"), &rig.inner())?;
        Ok(rig)
    }

    /// The folder that power is cut for.
    pub(crate) fn inner(&self) -> PathBuf {
        self.path("inner")
    }

    /// What the disk has received at this moment, in a file.
    pub(crate) fn cut(&self, number: usize) -> PathBuf {
        let image = self.path(&format!("cut-{number}.img"));
        let outer = self.path("outer");
        command("fsfreeze", &["-f", text(&outer)]).unwrap();
        let copied = command("cp", &["--sparse=always", text(&self.path("outer/inner.img")), text(&image)]);
        command("fsfreeze", &["-u", text(&outer)]).unwrap();
        copied.unwrap();
        image
    }

    /// Starts a machine with what was left on the disk.
    pub(crate) fn inspect<T>(&self, image: &Path, look: impl FnOnce(&Path) -> T) -> T {
        let at = self.path("inspected");
        mount(image, &at).unwrap();
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| look(&at)));
        command("umount", &[text(&at)]).unwrap();
        fs::remove_file(image).unwrap();
        found.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let outer = self.path("outer");
        // Whatever of these was never there.
        drop(command("fsfreeze", &["-u", text(&outer)]));
        drop(command("umount", &["-l", text(&self.path("inspected"))]));
        drop(command("umount", &["-l", text(&self.inner())]));
        drop(command("umount", &["-l", text(&outer)]));
    }
}

fn make_disk(image: &Path, bytes: u64) -> Result<(), String> {
    File::create(image).and_then(|file| file.set_len(bytes)).map_err(|error| error.to_string())?;
    command("mkfs.ext4", &["-q", "-F", text(image)])
}

fn mount(image: &Path, at: &Path) -> Result<(), String> {
    fs::create_dir_all(at).map_err(|error| error.to_string())?;
    command("mount", &["-o", "loop", text(image), text(at)])
}

fn command(name: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(name).args(arguments).output().map_err(|error| format!("{name}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{name} {}: {said}", arguments.join(" "))) }
}

/// Says that a trial did not run, and what it needs.
pub(crate) fn skip(trial: &str, reason: &str) {
    say(&format!(
        "SKIPPED: {trial}: {reason}\n         to run it: root, loop devices, mkfs.ext4 and fsfreeze"
    ));
}

/// Past the harness's capture.
pub(crate) fn say(what: &str) {
    std::io::stderr().write_all(format!("\n{what}\n").as_bytes()).unwrap();
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary folder has a plain name")
}
