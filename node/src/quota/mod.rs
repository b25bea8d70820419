//! The shell around the quota core: which purses a request spends from.

mod calls;
mod purses;
mod shares;

pub(crate) use purses::{Left, NoPurse, covering, forget, left, left_now};
pub(crate) use shares::{Share, Shares};
