//! How events are cut out of a body that arrives in chunks.

pub(crate) mod sse;
