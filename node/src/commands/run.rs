//! `tollgate run`: a node.

use std::process::ExitCode;

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::fail;
use crate::settings::Run;
use crate::wiring;

pub(crate) fn run(settings: &Run) -> ExitCode {
    let filter = match filter() {
        Ok(filter) => filter,
        Err(reason) => return fail(&reason),
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
    match wiring::run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => fail(&reason),
    }
}

/// What is logged: RUST_LOG says it, as `info` or `info,openraft=debug`. Consensus and gossip say more than anybody reads.
fn filter() -> Result<Targets, String> {
    match std::env::var("RUST_LOG") {
        Ok(text) if !text.trim().is_empty() => {
            text.parse().map_err(|error| format!("RUST_LOG={text}: {error}"))
        }
        Ok(_) | Err(_) => {
            let quiet = [("openraft", Level::ERROR), ("chitchat", Level::WARN), ("sled", Level::WARN)];
            let all = Targets::new().with_default(LevelFilter::INFO).with_targets(quiet);
            // Who asked says what failed, and for which kind.
            Ok(all.with_target("kube_client", LevelFilter::OFF))
        }
    }
}
