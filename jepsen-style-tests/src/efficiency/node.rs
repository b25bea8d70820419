//! One node: a real wallet, the requests that wait at it, and whether it looks after the wallet soon.

use std::collections::BTreeMap;
use std::sync::Arc;

use tollgate_ratelimit::ledger::command::SessionId;
use tollgate_ratelimit::wallet::{Hold, Settings, Ticket, Wallet};

use super::load::Request;

/// See the file's purpose.
pub(super) struct Node {
    pub(super) wallet: Arc<Wallet>,
    pub(super) waiting: BTreeMap<Ticket, Waiting>,
    pub(super) is_away: bool,
    pub(super) looks_soon: bool,
}

/// A request that waits for a lease.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) request: Request,
    pub(super) since_ms: u64,
}

/// A request that a provider answers.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) hold: Hold,
    pub(super) request: Request,
    /// The number of the window that pays.
    pub(super) window: u64,
}

impl Node {
    pub(super) fn new(session: SessionId) -> Self {
        let wallet = Wallet::new(session, Settings::default());
        Self { wallet, waiting: BTreeMap::new(), is_away: false, looks_soon: false }
    }
}
