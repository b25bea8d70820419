//! Campaigns of the consensus simulator: `raft-sim --seeds A..B [--fault NAME]`, or one seed again: `raft-sim --seed S`.

use std::process::ExitCode;

use tollgate_jepsen::raft_sim::campaign::{Campaign, USAGE};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match Campaign::read(&words, std::env::var("SEED").ok().as_deref()) {
        Ok(campaign) => campaign.print(),
        Err(problem) => {
            eprintln!("{problem}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}
