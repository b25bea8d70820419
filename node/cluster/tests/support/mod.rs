//! Nodes with their tills, as the program starts them.

use std::time::{Duration, Instant};

use tollgate_cluster::identity::token::JoinToken;
use tollgate_cluster::run::{Door, Node, Settings};
use tollgate_cluster::state::{Applied, Proposal};
use tollgate_cluster::wallet::Till;
use tollgate_ratelimit::budget::{Budget, Enforcement, OnExhausted};
use tollgate_ratelimit::cover::Cover;
use tollgate_ratelimit::journal::Intent;
use tollgate_ratelimit::ledger::outcome::Outcome;
use tollgate_ratelimit::time::Timestamp;
use tollgate_ratelimit::unit::{Amount, Unit};
use tollgate_ratelimit::window::Window;
use tollgate_ratelimit::{Command, Row, RowKey, Usage};

pub(crate) const SOON: Duration = Duration::from_secs(40);

/// A node and its till.
pub(crate) struct Member {
    pub(crate) node: Node,
    pub(crate) till: Till,
    folder: tempfile::TempDir,
}

/// So many nodes that are one cluster.
pub(crate) async fn cluster(count: usize) -> Vec<Member> {
    let mut members = vec![Member::start(tempfile::tempdir().unwrap(), None).await];
    while members.len() < count {
        let member = Member::start(tempfile::tempdir().unwrap(), Some(&members[0].node)).await;
        members.push(member);
    }
    let wanted = if count < 3 { 1 } else { 3 };
    until("voters", || {
        let voters = members[0].node.metrics().membership_config.membership().voter_ids().count();
        (voters == wanted).then_some(())
    })
    .await;
    members
}

impl Member {
    pub(crate) async fn start(folder: tempfile::TempDir, door: Option<&Node>) -> Self {
        let token: Option<JoinToken> = door.map(|door| door.home().token().unwrap().unwrap());
        let settings = Settings {
            data: folder.path().to_owned(),
            door: Door::open("127.0.0.1:0".parse().unwrap(), None).unwrap(),
            join: door.iter().map(|node| node.member().address.clone()).collect(),
            token,
            voters: None,
            stays_learner: false,
            name: "a node".to_owned(),
            region: String::new(),
            zone: String::new(),
            admin: String::new(),
            version: "test".to_owned(),
        };
        let node = Node::start(settings).await.unwrap();
        let till = Till::start(&node, folder.path()).await.unwrap();
        Self { node, till, folder }
    }

    /// Everything that was written before is here.
    pub(crate) async fn caught_up(&self) {
        self.node.forward().catch_up(SOON).await.unwrap();
    }

    /// Ends without a word to the ledger.
    pub(crate) async fn crash(self) -> tempfile::TempDir {
        self.till.abandon().await;
        self.node.stop().await;
        self.folder
    }
}

pub(crate) async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + SOON;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "not within {SOON:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Makes a strict budget of tokens.
pub(crate) async fn budget(member: &Member, name: &str, limit: Amount) {
    let budget = Budget {
        name: name.to_owned(),
        covers: Cover::default(),
        per: Vec::new(),
        unit: Unit::TotalTokens,
        limit,
        window: Window::Lifetime,
        enforcement: Enforcement::Strict,
        on_exhausted: OnExhausted::Refuse,
    };
    let commands = vec![Command::SetBudget(Box::new(budget))];
    let proposal = Proposal::Quota { at: Timestamp(0), commands };
    let written = member.node.forward().write_again(proposal, SOON).await.unwrap();
    let Applied::Quota(outcomes) = &written.applied else { panic!("{written:?}") };
    assert!(matches!(outcomes[..], [Outcome::BudgetSet { .. }]), "{outcomes:?}");
}

pub(crate) fn intent(consumer: &str) -> Intent {
    let usage = Usage { total: 100, ..Usage::default() };
    Intent { key: key(consumer).into(), usage, cost_nano_usd: 0, prices: 0 }
}

pub(crate) fn row(consumer: &str, total: u64) -> (RowKey, Row) {
    let usage = Usage { total, ..Usage::default() };
    (key(consumer), Row { requests: 1, usage, ..Row::default() })
}

fn key(consumer: &str) -> RowKey {
    RowKey { consumer: consumer.to_owned(), model: "m".to_owned(), backend: "b".to_owned(), hour: 480_000 }
}
