//! The shell around the quota core: which purses a request spends from.

mod purses;

pub(crate) use purses::{NoPurse, Share, covering, forget};
