//! `tollgate run`: a node.

use std::process::ExitCode;

use super::fail;
use crate::settings::Run;
use crate::wiring;

pub(crate) fn run(settings: &Run) -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false).init();
    match wiring::run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => fail(&reason),
    }
}
