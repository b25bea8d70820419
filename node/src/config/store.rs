//! The resources in the cluster's store: read from this node's replica, changed through the leader.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tollgate_cluster::raft::forward::Written;
use tollgate_cluster::run::Changes;
use tollgate_cluster::state::resources::{Edit, ResourceKey};
use tollgate_cluster::state::{Applied, Proposal, Refused};
use tollgate_cluster::transport::CallError;
use tollgate_crds::{KeptBudget, Problem, Severity};
use tollgate_ratelimit::ledger::outcome::Rejected;

use super::entry::{Held, Holdings, Vault, name_of};
use super::plan::Change;
use crate::member::Member;

/// See the file's purpose. One a node.
pub(crate) struct Store {
    member: Arc<Member>,
    vault: Vault,
    read: Mutex<Arc<Standing>>,
    caught_up: AtomicBool,
}

/// The resources as of one revision.
#[derive(Default)]
pub(crate) struct Standing {
    pub(crate) revision: u64,
    pub(crate) holdings: Holdings,
    /// Entries that this program can't read.
    pub(crate) unread: Vec<Problem>,
}

/// Why nothing was changed.
#[derive(Debug)]
pub(crate) enum Unwritten {
    /// Somebody else was faster: to be looked at anew.
    Conflict(String),
    /// It can't be taken.
    Refused(String),
    /// Nobody could be asked, or it is not known what became of it.
    Unreachable(String),
}

impl Store {
    pub(crate) fn new(member: Arc<Member>) -> Self {
        let vault = {
            let home = member.node.home();
            Vault { secret: home.secret().clone(), cluster: home.name().cluster }
        };
        let read = Mutex::default();
        Self { member, vault, read, caught_up: AtomicBool::new(false) }
    }

    /// Told of what changes.
    pub(crate) fn changes(&self) -> watch::Receiver<Changes> {
        self.member.node.events().changes()
    }

    /// Where its tasks run.
    pub(crate) fn runtime(&self) -> &tokio::runtime::Handle {
        self.member.runtime()
    }

    /// The resources as this node has them. Only what changed since the last time is read anew.
    pub(crate) fn standing(&self) -> Arc<Standing> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let stored = self.member.node.replica().look(|state| {
            let resources = state.resources();
            let all = || resources.all().map(|(key, one)| (key.clone(), Arc::clone(one))).collect::<Vec<_>>();
            (resources.revision() != read.revision).then(|| (resources.revision(), all()))
        });
        let Some((revision, all)) = stored else { return Arc::clone(&read) };
        let mut standing = Standing { revision, ..Standing::default() };
        for (key, resource) in all {
            let known = read.holdings.get(&key).filter(|held| held.revision == resource.revision);
            let held = known.cloned().map_or_else(
                || {
                    let entry = self.vault.entry(&key, &resource.manifest);
                    entry.map(|entry| Arc::new(Held::read(resource.revision, entry)))
                },
                Ok,
            );
            match held {
                Ok(held) => _ = standing.holdings.insert(key, held),
                Err(why) => standing.unread.push(unread(&key, why)),
            }
        }
        *read = Arc::new(standing);
        Arc::clone(&read)
    }

    /// Why the ledger does not take a budget as it is written, if so.
    pub(crate) fn counted(&self, kept: &KeptBudget) -> Option<(String, String)> {
        let refused =
            self.member.node.replica().look(|state| state.quota().can_become(&kept.budget)).err()?;
        if let Rejected::Invalid { field, expected } = refused {
            return Some((field, expected));
        }
        Some((String::new(), format!("a budget that the ledger takes: {refused:?}")))
    }

    /// Whether this node had all that was written at some time since its start.
    pub(crate) fn has_caught_up(&self) -> bool {
        self.caught_up.load(Ordering::Relaxed)
    }

    /// Waits for what was written before.
    pub(crate) async fn catch_up(&self, within: Duration) -> Result<(), CallError> {
        self.member.node.forward().catch_up(within).await?;
        self.caught_up.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Changes all of these or none, and returns when this node has them: the revision that they make.
    pub(crate) async fn write(&self, changes: &[Change], within: Duration) -> Result<u64, Unwritten> {
        let written = self.member.node.forward().write(self.proposal(changes), within).await;
        self.edited(written, within).await
    }

    /// The same as the leader of `term`, or not at all.
    pub(crate) async fn write_as_leader(
        &self,
        changes: &[Change],
        term: u64,
        within: Duration,
    ) -> Result<u64, Unwritten> {
        let forward = self.member.node.forward();
        let written = forward.write_as_leader(self.proposal(changes), term, within).await;
        self.edited(written, within).await
    }

    fn proposal(&self, changes: &[Change]) -> Proposal {
        let edits = changes.iter().map(|Change { key, expects, entry }| Edit {
            key: key.clone(),
            expects: *expects,
            manifest: entry.as_ref().map(|entry| self.vault.manifest(key, entry)),
        });
        Proposal::Edit(edits.collect())
    }

    async fn edited(&self, written: Result<Written, CallError>, within: Duration) -> Result<u64, Unwritten> {
        match written.map_err(|error| unreachable(&error))?.applied {
            Applied::ResourcesEdited { revision } => {
                self.catch_up(within).await.map_err(|error| unreachable(&error))?;
                Ok(revision)
            }
            Applied::Refused(conflict @ Refused::Conflict { .. }) => {
                Err(Unwritten::Conflict(conflict.to_string()))
            }
            Applied::Refused(refused) => Err(Unwritten::Refused(refused.to_string())),
            other @ (Applied::Nothing
            | Applied::Quota(_)
            | Applied::Founded
            | Applied::ClusterChanged { .. }
            | Applied::Registered { .. }
            | Applied::Arrived
            | Applied::Forgotten) => {
                Err(Unwritten::Refused(format!("expected edited resources, {other:?} came")))
            }
        }
    }
}

fn unreachable(error: &CallError) -> Unwritten {
    match error {
        CallError::TooLarge { .. } => Unwritten::Refused(error.to_string()),
        CallError::Refused(_)
        | CallError::Unreachable { .. }
        | CallError::TimedOut { .. }
        | CallError::Broken { .. } => Unwritten::Unreachable(error.to_string()),
    }
}

fn unread(key: &ResourceKey, expected: String) -> Problem {
    Problem {
        resource: name_of(key),
        field: String::new(),
        value: String::new(),
        expected,
        severity: Severity::Rejected,
        at: None,
    }
}

impl fmt::Display for Unwritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict(why) | Self::Refused(why) | Self::Unreachable(why) => f.write_str(why),
        }
    }
}
