//! One command a file.

mod ask;
pub(crate) mod crds;
pub(crate) mod look;
pub(crate) mod resources;
pub(crate) mod run;
pub(crate) mod simulate_provider;
pub(crate) mod top;
pub(crate) mod validate;

use std::process::ExitCode;

/// Says why a command failed.
fn fail(reason: &str) -> ExitCode {
    eprintln!("tollgate: {reason}");
    ExitCode::FAILURE
}
