//! What the tests with real clients and real servers stand on: child processes that end with the test, and virtual
//! environments for Python packages, with a loud skip where they can't be had.

pub(crate) mod child;
pub(crate) mod manifest;
pub(crate) mod python;
pub(crate) mod skip;
