//! The task that owns chitchat: passes on what this node has to say, publishes what others say, and starts it again where it ended.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chitchat::transport::Transport;
use chitchat::{
    ChitchatConfig, ChitchatHandle, ChitchatId, FailureDetectorConfig, NodeState, ProtocolVersion,
};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Config;
use super::health::{Heard, Verdicts};
use super::socket::unix_ms;
use super::view::{News, View, say, view};

/// Dead after so many mean intervals (phi is a ratio in chitchat, no logarithm).
const PHI: f64 = 5.0;
/// Intervals that count for the mean, beside five of two rounds each that chitchat assumes beforehand. So few that these keep their
/// weight: heartbeats come more often than rounds where each node hears of them by several others, and a short pause of a busy machine
/// would be taken for a death. With four rounds a second a death is known after 1.1 to 2.1 seconds, however often heartbeats come.
const WINDOW: usize = 8;
/// An interval that is longer says nothing of the next one.
const INTERVAL_MOST: Duration = Duration::from_secs(10);
/// How long the dead, and deleted keys, are remembered.
const GRACE: Duration = Duration::from_mins(15);
/// Nodes that are shown urgent news at once. They show it to others within the next round.
const SHOWN_MOST: usize = 64;
/// Urgent news in one round. What comes above is said with the round.
const URGENT_MOST: u32 = 4;
/// Between an end of chitchat and its next start.
const RESTART_PAUSE: Duration = Duration::from_secs(1);
/// How often gossip had to be started again.
pub(crate) const RESTARTS: &str = "tollgate.gossip.restarts";
/// Nodes that are there, this one among them.
pub(crate) const PEERS: &str = "tollgate.gossip.peers";

/// What the handle hands over to the task.
#[derive(Debug)]
pub(super) struct Outlets {
    pub(super) news: watch::Sender<News>,
    pub(super) applied: Arc<AtomicU64>,
}

/// The task's side.
pub(super) struct Runner {
    pub(super) transport: Box<dyn Transport>,
    pub(super) config: Config,
    /// Where peers reach this node.
    pub(super) address: SocketAddr,
    pub(super) news: watch::Receiver<News>,
    pub(super) applied: Arc<AtomicU64>,
    pub(super) peers: watch::Sender<View>,
    pub(super) verdicts: watch::Sender<Verdicts>,
    pub(super) heard: Heard,
    pub(super) stopped: watch::Receiver<()>,
}

impl Runner {
    /// Until it is stopped.
    pub(super) async fn run(mut self) {
        let mut generation = 0;
        loop {
            generation = started_at_ns().max(generation + 1);
            let ended = match self.spawn(generation).await {
                Ok(chitchat) => self.serve(chitchat).await,
                Err(error) => Err(error),
            };
            let Err(error) = ended else { return };
            tracing::error!(%error, "gossip ended and is started again");
            metrics::counter!(RESTARTS).increment(1);
            if timeout(RESTART_PAUSE, self.stopped.changed()).await.is_ok() {
                return;
            }
        }
    }

    async fn spawn(&mut self, generation: u64) -> anyhow::Result<ChitchatHandle> {
        let config = ChitchatConfig {
            chitchat_id: ChitchatId::new(self.config.node.to_string(), generation, self.address),
            cluster_id: self.config.cluster.clone(),
            gossip_interval: self.config.interval,
            listen_addr: self.config.listen,
            seed_nodes: self.config.seeds.clone(),
            failure_detector_config: FailureDetectorConfig::new(
                PHI,
                WINDOW,
                INTERVAL_MOST,
                2 * self.config.interval,
                GRACE,
            ),
            marked_for_deletion_grace_period: GRACE,
            catchup_callback: None,
            extra_liveness_predicate: None,
            // The compressed digest: no node of ours knows only the other one.
            protocol_version: ProtocolVersion::V1,
        };
        let said = self.said().into_iter().collect();
        chitchat::spawn_chitchat(config, said, self.transport.as_ref()).await
    }

    /// Ok when it is stopped; the reason when chitchat ended by itself.
    async fn serve(&mut self, chitchat: ChitchatHandle) -> anyhow::Result<()> {
        let mut live = chitchat.with_chitchat(|chitchat| chitchat.live_nodes_watcher()).await;
        let mut round = interval(self.config.interval);
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut urgent = URGENT_MOST;
        let ended = chitchat.termination_watcher();
        tokio::pin!(ended);
        loop {
            tokio::select! {
                _ = self.stopped.changed() => return chitchat.shutdown().await,
                end = &mut ended => {
                    end?;
                    anyhow::bail!("chitchat stopped without being told to");
                }
                changed = live.changed() => {
                    changed?;
                    let now_live = live.borrow_and_update().clone();
                    self.publish(&now_live);
                }
                Ok(()) = self.news.changed(), if urgent > 0 => {
                    urgent -= 1;
                    self.pass_on(&chitchat).await;
                    self.show(&chitchat);
                }
                _ = round.tick() => {
                    urgent = URGENT_MOST;
                    self.pass_on(&chitchat).await;
                    self.judge();
                }
            }
        }
    }

    fn publish(&mut self, live: &BTreeMap<ChitchatId, NodeState>) {
        let now = view(live);
        #[expect(clippy::cast_precision_loss, reason = "a count of nodes")]
        metrics::gauge!(PEERS).set(now.len() as f64);
        self.peers.send_if_modified(|known| {
            let changed = *known != now;
            *known = now;
            changed
        });
        self.judge();
    }

    /// What others say of backends, without what is over.
    fn judge(&mut self) {
        let now = self.heard.verdicts(&self.peers.borrow(), self.config.node, unix_ms());
        self.verdicts.send_if_modified(|known| {
            let changed = *known != now;
            *known = now;
            changed
        });
    }

    /// Makes chitchat say what this node has to say, and no more.
    async fn pass_on(&mut self, chitchat: &ChitchatHandle) {
        let said = self.said();
        chitchat
            .with_chitchat(|chitchat| {
                let state = chitchat.self_node_state();
                let over: Vec<String> = state
                    .key_values()
                    .map(|(key, _)| key.to_owned())
                    .filter(|key| !said.contains_key(key))
                    .collect();
                for key in over {
                    state.delete(&key);
                }
                for (key, value) in &said {
                    state.set(key, value);
                }
            })
            .await;
    }

    fn said(&mut self) -> BTreeMap<String, String> {
        let mut news = self.news.borrow_and_update().clone();
        let now_ms = unix_ms();
        news.unhealthy.retain(|_, until_ms| *until_ms > now_ms);
        say(&self.config.about, &news, self.applied.load(Ordering::Relaxed))
    }

    /// Gossips with the live nodes now instead of at the next round.
    fn show(&self, chitchat: &ChitchatHandle) {
        let others: Vec<_> = self.peers.borrow().values().map(|peer| peer.gossip).collect();
        for address in others.into_iter().filter(|address| *address != self.address).take(SHOWN_MOST) {
            // It fails only where chitchat ended, which is seen above.
            let _shown = chitchat.gossip(address);
        }
    }
}

fn started_at_ns() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "run_test.rs"]
mod tests;
