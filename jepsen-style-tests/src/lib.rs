//! The promises, tried: that the house stays tidy (`tests/tidy.rs`), and the quota's promises in every state of small
//! worlds (`model`, `tests/model.rs`). The simulator and the trials with real processes under faults live here too, one
//! promise a file, as the parts that they try are built.

pub mod model;
