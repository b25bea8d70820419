//! `tollgate crds`: prints the CRD YAML.

use std::io::Write;
use std::process::ExitCode;

use super::fail;

pub(crate) fn run() -> ExitCode {
    match std::io::stdout().write_all(tollgate_crds::crd_yaml().as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        // `tollgate crds | head` is no failure.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}
