//! A test that can't run here says so loudly, and fails where skips are not allowed.

use std::io::Write;

/// Set to `deny`, a skip is a failure; to `deny-but-kubernetes`, if the test needs no API server.
const SKIPS: &str = "TOLLGATE_TEST_SKIPS";

/// What most tests that are skipped need.
pub(crate) const PYTHON: &str = "python3 (3.11 or newer) with its venv module, and PyPI or an index like it";

/// Says on standard error, past the test harness's capture, that `test` did not run, why, and what it needs.
pub(crate) fn skip(test: &str, reason: &str, needs: &str) {
    let notice = format!("\nSKIPPED: {test}: {reason}\n         to run it: {needs}\n");
    let denied = match std::env::var(SKIPS).as_deref() {
        Ok("deny") => true,
        Ok("deny-but-kubernetes") => !test.starts_with("kubernetes::"),
        _ => false,
    };
    assert!(!denied, "{notice}{SKIPS} is set: it may not be skipped here");
    let _nobody_reads = std::io::stderr().write_all(notice.as_bytes());
}
