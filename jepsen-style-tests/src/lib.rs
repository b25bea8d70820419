//! The promises, tried. Today: that the house stays tidy (`tests/tidy.rs`). The simulator and the trials with real
//! processes under faults live here too, one promise a file, as the parts that they try are built.
