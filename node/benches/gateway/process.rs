//! Processes that the benchmark starts, and ends again whatever happens: also when it panics or is interrupted.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::time::sleep;

/// From its start to its first accepted connection.
const START_LIMIT: Duration = Duration::from_secs(20);

/// From SIGTERM to SIGKILL.
const STOP_LIMIT: Duration = Duration::from_secs(2);

const POLL: Duration = Duration::from_millis(20);

/// A running process; dropping it ends it.
pub(crate) struct Process {
    child: Child,
    name: String,
    log: std::path::PathBuf,
}

impl Process {
    /// Starts it with what it prints going to `<folder>/<name>.log`.
    pub(crate) fn start(name: &str, command: &mut Command, folder: &Path) -> Result<Self, String> {
        let log = folder.join(format!("{name}.log"));
        let file = |error: std::io::Error| format!("{}: {error}", log.display());
        let out = File::create(&log).map_err(file)?;
        let errors = out.try_clone().map_err(file)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(errors)
            .spawn()
            .map_err(|error| format!("starting {name} ({}): {error}", command.get_program().display()))?;
        Ok(Self { child, name: name.to_owned(), log })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it accepts connections.
    pub(crate) async fn accepts(&mut self, address: SocketAddr) -> Result<(), String> {
        let start = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            let ended = self.child.try_wait().map_err(|error| format!("{}: {error}", self.name))?;
            if let Some(status) = ended {
                return Err(format!("{} ended with {status}; {}", self.name, self.last_words()));
            }
            if start.elapsed() > START_LIMIT {
                let limit = START_LIMIT.as_secs();
                return Err(format!(
                    "{} does not accept on {address} after {limit} s; {}",
                    self.name,
                    self.last_words()
                ));
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    /// The end of what it printed.
    pub(crate) fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        format!("it said: {}", lines[lines.len().saturating_sub(8)..].join("\n    "))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The standard library can only kill; a shell's built-in asks first, so that logs are written to the end.
        if matches!(self.child.try_wait(), Ok(None)) {
            let ask = format!("kill {}", self.child.id());
            let _asked = Command::new("sh").arg("-c").arg(ask).stderr(Stdio::null()).status();
        }
        let start = Instant::now();
        while start.elapsed() < STOP_LIMIT {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(POLL);
        }
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A port of loopback that was free a moment ago, for a process that can't tell which one it took.
pub(crate) fn free_address() -> Result<SocketAddr, String> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| format!("no free port: {error}"))?;
    listener.local_addr().map_err(|error| format!("no free port: {error}"))
}
