//! The binary as a child process: what it writes is kept, and it ends with the test.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use super::until;

/// A running `tollgate`. Dropped, it is ended.
pub(crate) struct Process {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    /// Where a node keeps its data, unless it is told another place.
    _data: tempfile::TempDir,
}

impl Process {
    /// Starts `tollgate` with these arguments, and with these variables on top of an environment without any that it
    /// reads.
    pub(crate) fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            let read = [
                "OPENAI_",
                "AZURE_",
                "ANTHROPIC_",
                "TOLLGATE_",
                "RUST_LOG",
                "KUBE",
                "AWS_",
                "GOOGLE_",
                "GCE_",
            ];
            if read.iter().any(|prefix| text.starts_with(prefix)) {
                command.env_remove(&name);
            }
        }
        let data = tempfile::tempdir().unwrap();
        let mut child = command
            .args(arguments)
            .env("TOLLGATE_DATA", data.path())
            .envs(variables.iter().copied())
            .env("NO_COLOR", "1") // Escape sequences in the lines would hide what is looked for.
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = Arc::default();
        keep_lines(child.stdout.take().unwrap(), &lines);
        keep_lines(child.stderr.take().unwrap(), &lines);
        Self { child, lines, _data: data }
    }

    /// Runs a command to its end: its exit code and what it wrote.
    pub(crate) async fn run(arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String) {
        let mut process = Self::start(arguments, variables);
        let status = process.ended().await;
        (status.code().expect("no signal ended it"), process.output())
    }

    /// The word that follows `words` in a line that it wrote, or will write.
    pub(crate) async fn announced(&mut self, words: &str) -> String {
        until(words, async || {
            let found = self.find(words);
            if found.is_none() && self.child.try_wait().unwrap().is_some() {
                self.drained().await;
                let found = self.find(words);
                assert!(found.is_some(), "ended without `{words}`:\n{}", self.output());
                return found;
            }
            found
        })
        .await
    }

    /// Everything that it wrote so far.
    pub(crate) fn output(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// By which the kernel knows it.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// How many files it may have open from now on.
    pub(crate) fn limit_files(&self, most: u32) {
        let (id, limit) = (self.child.id().to_string(), format!("--nofile={most}:"));
        let set = Command::new("prlimit").args(["--pid", &id, &limit]).status();
        assert!(set.unwrap().success());
    }

    /// How long a file may become from now on: a write beyond it fails, as on a full disk.
    pub(crate) fn limit_file_size(&self, most: &str) {
        let (id, limit) = (self.child.id().to_string(), format!("--fsize={most}:"));
        let set = Command::new("prlimit").args(["--pid", &id, &limit]).status();
        assert!(set.unwrap().success());
    }

    /// Waits until it has ended by itself, and until all that it wrote is here.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let status = until("the end of the process", async || self.child.try_wait().unwrap()).await;
        self.drained().await;
        status
    }

    async fn drained(&self) {
        until("the end of its output", async || (Arc::strong_count(&self.lines) == 1).then_some(())).await;
    }

    fn find(&self, words: &str) -> Option<String> {
        let lines = self.lines.lock().unwrap();
        let rest = lines.iter().find_map(|line| line.split_once(words))?.1;
        rest.split_whitespace().next().map(str::to_owned)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _already_ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn keep_lines(stream: impl Read + Send + 'static, lines: &Arc<Mutex<Vec<String>>>) {
    let lines = Arc::clone(lines);
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            lines.lock().unwrap().push(line);
        }
    });
}
