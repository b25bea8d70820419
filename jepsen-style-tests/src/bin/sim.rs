//! Campaigns of the simulator: `sim --seeds A..B [--events N] [--fault NAME]`, or one seed with its story: `sim --seed S --trace`.

use std::process::ExitCode;

use tollgate_jepsen::sim::campaign::{self, Wish};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match Wish::read(&words, std::env::var("SEED").ok().as_deref()) {
        Ok(wish) => campaign::grant(&wish),
        Err(problem) => {
            eprintln!("{problem}\n{}", campaign::USAGE);
            ExitCode::from(2)
        }
    }
}
