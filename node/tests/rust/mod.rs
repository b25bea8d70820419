//! What the tests through the real binary stand on: the gateway and the provider simulator as child processes, a client
//! that sees every byte and every cut, and manifests as a user would write them.
//!
//! ```text
//! Ask ─▶ Client ─▶ Gateway (tollgate run) ─▶ Simulator (tollgate simulate-provider) ─▶ stats, requests
//!                      └── log lines, /v1/ledger, /v1/status, /metrics
//! ```
//!
//! Nothing sleeps to let something happen: [`until`] asks again and again, up to [`PATIENCE`].

#![expect(clippy::unwrap_used, reason = "what can't be unwrapped fails the test")]

pub(crate) mod ask;
pub(crate) mod canned;
pub(crate) mod client;
pub(crate) mod cluster;
pub(crate) mod gateway;
pub(crate) mod google;
pub(crate) mod kubernetes;
pub(crate) mod manifest;
pub(crate) mod process;
pub(crate) mod simulator;

use std::time::{Duration, Instant};

pub(crate) use ask::Ask;
pub(crate) use client::{Answer, Client};
pub(crate) use gateway::Gateway;
pub(crate) use process::Process;
pub(crate) use simulator::Simulator;

/// What has not happened by then never will. Far above what anything takes, since tests share a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);

/// Asks until there is an answer.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(POLL).await;
    }
}
