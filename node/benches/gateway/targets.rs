//! What is measured: the provider itself, and the proxies before it, each a process of its own on loopback.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::options::Options;
use crate::process::{Process, free_address};
use crate::{envoy, gateway};

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The provider, with nothing before it.
    Direct,
    /// The least that a proxy on hyper can do.
    Bare,
    Tollgate,
    Envoy,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Bare => "bare hyper",
            Self::Tollgate => "tollgate",
            Self::Envoy => "envoy",
        }
    }
}

/// One that runs.
pub(crate) struct Target {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    /// Of a proxy.
    pub(crate) process: Option<Process>,
}

impl Target {
    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }
}

/// Starts targets, all before the same upstream.
pub(crate) struct Starter {
    pub(crate) upstream: SocketAddr,
    pub(crate) folder: PathBuf,
    pub(crate) workers: usize,
    pub(crate) gateway: Option<PathBuf>,
    envoy: Option<PathBuf>,
    _upstream: Process,
}

impl Starter {
    /// Starts the upstream, and says loudly which targets there will not be.
    pub(crate) async fn new(options: &Options, folder: &Path) -> Result<Self, String> {
        let gateway = gateway::binary().map_err(|reason| skipped("tollgate", &reason)).ok();
        let envoy = envoy::binary(options.envoy).map_err(|reason| skipped("envoy", &reason)).ok();
        let upstream = free_address()?;
        let mut command = role("upstream", upstream)?;
        let mut process = Process::start("upstream", threads(&mut command, options.workers), folder)?;
        process.accepts(upstream).await?;
        Ok(Self {
            upstream,
            folder: folder.to_owned(),
            workers: options.workers,
            gateway,
            envoy,
            _upstream: process,
        })
    }

    /// Every target that can be had.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        let mut kinds = vec![Kind::Direct, Kind::Bare];
        kinds.extend(self.gateway.as_ref().map(|_| Kind::Tollgate));
        kinds.extend(self.envoy.as_ref().map(|_| Kind::Envoy));
        kinds
    }

    /// A fresh one, which accepts connections.
    pub(crate) async fn start(&self, kind: Kind) -> Result<Target, String> {
        let address = match kind {
            Kind::Direct => self.upstream,
            Kind::Bare | Kind::Tollgate | Kind::Envoy => free_address()?,
        };
        let command = match kind {
            Kind::Direct => None,
            Kind::Bare => {
                let mut command = role("bare-proxy", address)?;
                command.arg(self.upstream.to_string());
                Some(command)
            }
            Kind::Tollgate => {
                let binary = self.gateway.as_deref().ok_or("no tollgate")?;
                Some(gateway::command(binary, address, self)?)
            }
            Kind::Envoy => {
                let binary = self.envoy.as_deref().ok_or("no envoy")?;
                let mut command = envoy::command(binary, address, self)?;
                command.arg("--concurrency").arg(self.workers.to_string());
                Some(command)
            }
        };
        let Some(mut command) = command else {
            return Ok(Target { kind, address, process: None });
        };
        let name = kind.name().replace(' ', "-");
        let mut process = Process::start(&name, threads(&mut command, self.workers), &self.folder)?;
        process.accepts(address).await?;
        Ok(Target { kind, address, process: Some(process) })
    }
}

/// This binary in another part.
fn role(name: &str, address: SocketAddr) -> Result<Command, String> {
    let this = std::env::current_exe().map_err(|error| format!("this program's own path: {error}"))?;
    let mut command = Command::new(this);
    command.arg(name).arg(address.to_string());
    Ok(command)
}

/// As many threads of work for everybody; tokio's runtimes read this.
pub(crate) fn threads(command: &mut Command, workers: usize) -> &mut Command {
    command.env("TOKIO_WORKER_THREADS", workers.to_string())
}

/// A table without one of its rows should not go unnoticed.
pub(crate) fn skipped(name: &str, reason: &str) {
    println!("!!! {name} is NOT measured: {reason}");
}
