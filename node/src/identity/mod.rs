//! What callers present, and what it proves: apart from requests, so that it can be tried without one.

mod key_set;
pub(crate) mod key_sets;
pub(crate) mod presented;
pub(crate) mod token;
