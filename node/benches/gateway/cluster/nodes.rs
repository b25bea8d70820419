//! Nodes of one cluster, as operators start them.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::admin;
use crate::process::{Process, free_address};
use crate::targets::{Starter, threads};

/// Until all three vote and are ready.
const PATIENCE: Duration = Duration::from_mins(1);

/// Waits for what the first node writes once it has founded the cluster.
async fn there(token: &Path) -> Result<(), String> {
    let start = Instant::now();
    while !token.exists() {
        if start.elapsed() > PATIENCE {
            return Err(format!("no {} within {PATIENCE:?}", token.display()));
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// A provider that counts tokens truly.
pub(crate) async fn provider(starter: &Starter) -> Result<(Process, SocketAddr), String> {
    let binary = starter.gateway.as_deref().ok_or("no tollgate")?;
    let address = free_address()?;
    let mut command = Command::new(binary);
    command.args(["simulate-provider", "--listen", &address.to_string()]);
    let mut process = Process::start("provider", &mut command, &starter.folder)?;
    process.accepts(address).await?;
    Ok((process, address))
}

/// Three that run.
pub(crate) struct Nodes {
    pub(crate) clients: Vec<SocketAddr>,
    pub(crate) admins: Vec<SocketAddr>,
    processes: Vec<Process>,
}

impl Nodes {
    pub(crate) async fn start(name: &str, manifest: &str, starter: &Starter) -> Result<Self, String> {
        let binary = starter.gateway.as_deref().ok_or("no tollgate")?;
        let folder = starter.folder.join(name);
        let file = folder.join("manifest.yaml");
        std::fs::create_dir_all(&folder)
            .and_then(|()| std::fs::write(&file, manifest))
            .map_err(|error| format!("{}: {error}", file.display()))?;
        let mut nodes = Self { clients: Vec::new(), admins: Vec::new(), processes: Vec::new() };
        let first = free_address()?;
        for number in 0..3 {
            let mut command = Command::new(binary);
            let (clients, admin) = (free_address()?, free_address()?);
            let cluster = if number == 0 { first } else { free_address()? };
            command.args(["run", "--listen", &clients.to_string(), "--admin", &admin.to_string()]);
            command.args(["--cluster", &cluster.to_string(), "--node", &format!("{name}-{number}")]);
            command.arg("--data").arg(folder.join(format!("data-{number}")));
            command.arg("--access-log").arg(folder.join(format!("access-{number}.log")));
            if number == 0 {
                command.arg("-f").arg(&file);
            } else {
                command.args(["--join", &first.to_string()]);
                command.arg("--join-token-file").arg(folder.join("data-0/join-token"));
            }
            let name = format!("{name}-{number}");
            nodes.add(&name, &mut command, (clients, admin), (starter.workers, &folder)).await?;
            there(&folder.join("data-0/join-token")).await?;
        }
        nodes.settled().await?;
        Ok(nodes)
    }

    async fn add(
        &mut self,
        name: &str,
        command: &mut Command,
        (clients, admin): (SocketAddr, SocketAddr),
        (workers, folder): (usize, &Path),
    ) -> Result<(), String> {
        let mut process = Process::start(name, threads(command, workers), folder)?;
        process.accepts(clients).await?;
        self.clients.push(clients);
        self.admins.push(admin);
        self.processes.push(process);
        Ok(())
    }

    async fn settled(&self) -> Result<(), String> {
        let start = Instant::now();
        loop {
            let mut settled = 0;
            for admin in &self.admins {
                let voters = admin::metric(*admin, "tollgate_raft_voters").await.unwrap_or(0.0);
                let config = admin::metric(*admin, "tollgate_config_revision").await.unwrap_or(0.0);
                let ready = admin::get(*admin, "/readyz").await.is_ok();
                settled += usize::from(voters >= 3.0 && config >= 1.0 && ready);
            }
            if settled == self.admins.len() {
                sleep(Duration::from_secs(2)).await; // Budgets are told to the ledger by and by.
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                let words: Vec<String> = self.processes.iter().map(Process::last_words).collect();
                return Err(format!("not three voters within {PATIENCE:?}; {}", words.join("\n")));
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    pub(crate) fn pids(&self) -> Vec<u32> {
        self.processes.iter().map(Process::pid).collect()
    }
}
