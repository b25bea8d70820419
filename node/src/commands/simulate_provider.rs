//! `tollgate simulate-provider`: the provider simulator on its own.

use std::process::ExitCode;

use super::fail;
use crate::simulate;

pub(crate) fn run(options: simulate::Options) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("no runtime: {error}")),
    };
    match runtime.block_on(simulate::run(options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}
