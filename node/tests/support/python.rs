//! Python packages for the tests, each set in a virtual environment of its own outside the repository.
//!
//! ```text
//! <cache>/tollgate/test-venvs/uv-<hash>/             python3 -m venv, pip install uv: once
//! <cache>/tollgate/test-venvs/<name>-<hash>/         python3 -m venv, uv pip install -r
//!                             <name>-<hash>.lock     held while it is made, by one test of one process
//!                             …/complete             written last: without it, it is made anew
//! ```
//!
//! `<cache>` is `TOLLGATE_TEST_CACHE`, or the user's cache folder. The hash is of the requirements, so that a changed
//! pin makes a new environment.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{env, io, thread};

/// The installer that prepares the others.
const UV: &str = "uv==0.13.9";
/// An installation over a slow line.
const INSTALL_TIMEOUT: Duration = Duration::from_mins(15);
/// How often a running child is asked whether it has ended.
const POLL: Duration = Duration::from_millis(20);

/// An environment that is ready.
pub(crate) struct Venv {
    python: PathBuf,
}

/// What a script needs to run.
pub(crate) struct Script<'a> {
    /// File name under `tests/python`.
    pub(crate) name: &'a str,
    pub(crate) environment: &'a [(&'a str, &'a str)],
    pub(crate) timeout: Duration,
}

impl Venv {
    /// The environment for `tests/python/requirements/<name>.txt`, made if it is not there yet. An error says why it
    /// can't be had: a reason to skip.
    pub(crate) fn prepare(name: &str) -> Result<Self, String> {
        let file = scripts().join("requirements").join(format!("{name}.txt"));
        let requirements =
            fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let uv = made(&place("uv", UV)?, |folder| {
            run(Command::new(python(folder)).args(["-m", "pip", "install", UV]))
        })?;
        let venv = made(&place(name, &requirements)?, |folder| {
            let mut install = Command::new(uv.join("bin/uv"));
            install.args(["pip", "install", "--python"]).arg(python(folder)).arg("-r").arg(&file);
            run(&mut install)
        })?;
        Ok(Self { python: python(&venv) })
    }

    /// The interpreter with a script of `tests/python`, not started yet.
    pub(crate) fn command(&self, script: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(scripts().join(script)).env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUNBUFFERED", "1");
        // Settings of the user's own for these clients would change what is tested.
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if ["OPENAI_", "ANTHROPIC_"].iter().any(|prefix| text.starts_with(prefix))
                || text.to_lowercase().ends_with("_proxy")
            {
                command.env_remove(&name);
            }
        }
        command
    }

    /// Runs a script to its end. An error is what it wrote.
    pub(crate) fn run(&self, script: &Script<'_>) -> Result<String, String> {
        let mut command = self.command(script.name);
        command.envs(script.environment.iter().copied());
        let output =
            finish(&mut command, script.timeout).map_err(|error| format!("{}: {error}", script.name))?;
        let text =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if output.status.success() {
            Ok(text)
        } else {
            Err(format!("{}: {}\n{text}", script.name, output.status))
        }
    }
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python")
}

fn python(venv: &Path) -> PathBuf {
    venv.join("bin/python")
}

fn place(name: &str, requirements: &str) -> Result<PathBuf, String> {
    let mut hasher = DefaultHasher::new();
    requirements.hash(&mut hasher);
    let folder = cache()?.join("tollgate/test-venvs");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder.join(format!("{name}-{:016x}", hasher.finish())))
}

fn cache() -> Result<PathBuf, String> {
    let folder = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    folder("TOLLGATE_TEST_CACHE")
        .or_else(|| folder("XDG_CACHE_HOME"))
        .or_else(|| Some(folder("HOME")?.join(".cache")))
        .ok_or_else(|| "no cache folder: none of TOLLGATE_TEST_CACHE, XDG_CACHE_HOME, HOME is set".to_owned())
}

/// Makes the environment in `folder` unless it is complete, one maker at a time.
fn made(folder: &Path, install: impl Fn(&Path) -> Result<(), String>) -> Result<PathBuf, String> {
    let failed = |error: io::Error| format!("{}: {error}", folder.display());
    let lock = File::create(folder.with_extension("lock")).map_err(failed)?;
    lock.lock().map_err(failed)?; // Until `lock` is dropped, or its process ends.
    let complete = folder.join("complete");
    if !complete.exists() {
        match fs::remove_dir_all(folder) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        install(folder)?;
        File::create(&complete).map_err(failed)?;
    }
    Ok(folder.to_owned())
}

fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = finish(command, INSTALL_TIMEOUT).map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Err(format!("{command:?} failed: {}", text.trim()))
}

/// Runs a command to its end and gives back what it wrote; over its time it is ended.
fn finish(command: &mut Command, timeout: Duration) -> io::Result<Output> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let readers = [
        reader(child.stdout.take().expect("it is piped")),
        reader(child.stderr.take().expect("it is piped")),
    ];
    let deadline = Instant::now() + timeout;
    let mut late = false;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() >= deadline && !late {
            late = true;
            child.kill()?;
        }
        thread::sleep(POLL);
    };
    let [stdout, mut stderr] = readers.map(|reader| reader.join().expect("reading does not panic"));
    if late {
        stderr.extend_from_slice(format!("\nended: it took longer than {timeout:?}\n").as_bytes());
    }
    Ok(Output { status, stdout, stderr })
}

fn reader(mut stream: impl io::Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _what_came_is_kept = stream.read_to_end(&mut bytes);
        bytes
    })
}
