//! How openraft is set up: what differs from its defaults, and why. The simulator runs with the same.

use openraft::{Config, ConfigError};

/// How long nodes wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// A leader is heard of this often.
    pub heartbeat_ms: u64,
    /// Without it a node asks for votes after between so long …
    pub election_min_ms: u64,
    /// … and so long. It is the leader's lease, too: after a leader is lost there is a new one after about twice this.
    pub election_max_ms: u64,
}

impl Pace {
    /// Within one region. Shorter, and a busy machine of two cores changes leaders for nothing.
    pub const NEAR: Self = Self { heartbeat_ms: 100, election_min_ms: 300, election_max_ms: 600 };
    /// Voters in several regions.
    pub const FAR: Self = Self { heartbeat_ms: 500, election_min_ms: 1_500, election_max_ms: 3_000 };
}

/// openraft's settings for that pace.
pub fn config(pace: Pace) -> Result<Config, ConfigError> {
    let Pace { heartbeat_ms, election_min_ms, election_max_ms } = pace;
    let config = Config {
        cluster_name: "tollgate".to_owned(),
        heartbeat_interval: heartbeat_ms,
        election_timeout_min: election_min_ms,
        election_timeout_max: election_max_ms,
        // A node that comes back does not disturb those that did well without it.
        enable_pre_vote: Some(true),
        // A leader that restarts has an old state in memory: it has to be elected again.
        enable_leader_restore: Some(false),
        // A leader that hears of no majority lets others try, also where its heartbeats still reach them (openraft#2080).
        quorum_loss_probe_interval: Some(3 * election_max_ms),
        // From the first byte sent to the state replaced; the default of 200 ms is for states that fit into one message.
        install_snapshot_timeout: 60_000,
        // A follower that blinked catches up from the log.
        max_in_snapshot_log_to_keep: 10_000,
        purge_batch_size: 1_000,
        // So many writes wait at most: overload is told early.
        api_channel_size: Some(4_096),
        ..Config::default()
    };
    config.validate()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_paces_are_valid() {
        for pace in [Pace::NEAR, Pace::FAR] {
            let config = config(pace).expect("valid");
            assert_eq!(config.enable_leader_restore, Some(false));
            assert_eq!(config.quorum_loss_probe_interval, Some(3 * pace.election_max_ms));
        }
        let upside_down = Pace { election_min_ms: 700, ..Pace::NEAR };
        assert!(config(upside_down).is_err());
    }
}
