//! The replicated state machine: every member applies the same commands and holds the same state.

pub mod command;
pub mod outcome;
pub mod rows;
