//! The budgets that cover a request, each with the purse that pays for it.

use std::ops::Deref;
use std::sync::Arc;

use tollgate_crds::KeptBudget;
use tollgate_ratelimit::wallet::Purse;

/// A budget that covers a request, and the purse of the request's bucket.
#[derive(Clone)]
pub(crate) struct Share {
    pub(crate) budget: Arc<KeptBudget>,
    pub(crate) purse: Arc<Purse>,
}

/// All of them, for all requests that have them in common.
#[derive(Default)]
pub(crate) struct Shares {
    all: Box<[Share]>,
    /// The same purses again, as reservations hold them.
    purses: Arc<[Arc<Purse>]>,
}

impl Shares {
    pub(crate) fn purses(&self) -> &Arc<[Arc<Purse>]> {
        &self.purses
    }

    /// All but one.
    pub(crate) fn without(&self, part: usize) -> Self {
        let others = self.all.iter().enumerate().filter(|(at, _)| *at != part);
        others.map(|(_, share)| share.clone()).collect()
    }
}

impl FromIterator<Share> for Shares {
    fn from_iter<I: IntoIterator<Item = Share>>(shares: I) -> Self {
        let all: Box<[Share]> = shares.into_iter().collect();
        let purses = all.iter().map(|share| Arc::clone(&share.purse)).collect();
        Self { all, purses }
    }
}

impl Deref for Shares {
    type Target = [Share];

    fn deref(&self) -> &[Share] {
        &self.all
    }
}
