//! Servers as child processes: started on a free port, ready when their own output says so, ended with the test.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A server that has not said where it listens by then never will.
const START_TIMEOUT: Duration = Duration::from_mins(1);
/// Of a server's output, shown when a test fails.
const SHOWN_LINES: usize = 60;

/// A running server. Dropped, it is ended.
pub(crate) struct Server {
    child: Child,
    output: Arc<Mutex<Vec<String>>>,
    urls: Vec<String>,
    /// Where a node keeps its data; goes with it.
    _data: tempfile::TempDir,
}

impl Server {
    /// Starts `command` and waits until its output had a line with each of `announcements`, each followed by a URL.
    pub(crate) fn start(command: &mut Command, announcements: &[&str]) -> Self {
        let data = tempfile::tempdir().expect("a temporary folder");
        let mut child = command
            .env("TOLLGATE_DATA", data.path())
            .env_remove("KUBERNETES_SERVICE_HOST") // These tests may run in a pod.
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env("NO_COLOR", "1") // Escape sequences in the lines would hide what is looked for.
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (sender, lines) = mpsc::channel();
        let output = Arc::new(Mutex::new(Vec::new()));
        let streams: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().expect("it is piped")),
            Box::new(child.stderr.take().expect("it is piped")),
        ];
        for stream in streams {
            let (sender, output) = (sender.clone(), Arc::clone(&output));
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    output.lock().expect("nobody panics holding it").push(line.clone());
                    let _not_waited_for_any_more = sender.send(line);
                }
            });
        }
        drop(sender); // So that its end is noticed.
        let mut server = Self { child, output, urls: Vec::new(), _data: data };
        server.urls = server.wait_for(announcements, &lines);
        server
    }

    /// The `index`th announced URL.
    pub(crate) fn url(&self, index: usize) -> &str {
        &self.urls[index]
    }

    /// The end of what it wrote, to be shown when a test fails.
    pub(crate) fn last_words(&self) -> String {
        let output = self.output.lock().expect("nobody panics holding it");
        output[output.len().saturating_sub(SHOWN_LINES)..].join("\n")
    }

    fn wait_for(&self, announcements: &[&str], lines: &mpsc::Receiver<String>) -> Vec<String> {
        let deadline = Instant::now() + START_TIMEOUT;
        let mut found = vec![None; announcements.len()];
        while found.iter().any(Option::is_none) {
            let line = match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("not ready within {START_TIMEOUT:?}:\n{}", self.last_words())
                }
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("it ended at its start:\n{}", self.last_words())
                }
            };
            for (announcement, found) in announcements.iter().zip(&mut found) {
                if let Some((_, url)) = line.split_once(announcement) {
                    *found = url.split_whitespace().next().map(str::to_owned);
                }
            }
        }
        found.into_iter().flatten().collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _already_ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// `tollgate run` on free ports, with the manifests in `file`. URL 0 is the clients', URL 1 the admin API's.
pub(crate) fn gateway(file: &Path) -> Server {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command
        .args(["run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .args(["--access-log", "off", "-f"])
        .arg(file);
    Server::start(&mut command, &["clients on ", "admin on "])
}
