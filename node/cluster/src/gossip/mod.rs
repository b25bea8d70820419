//! Who is there, and how it fares: hints that spread by themselves.

mod limit;
pub mod open;
pub mod seal;
