//! What callers present, and what it proves: apart from requests, so that it can be tried without one.

pub(crate) mod presented;
