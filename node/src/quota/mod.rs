//! The shell around the quota core: which purses a request spends from.

mod purses;

pub(crate) use purses::{Left, NoPurse, Share, covering, forget, left, left_now};
