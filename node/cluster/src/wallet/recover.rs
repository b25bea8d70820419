//! What earlier runs of this node left: told in their name, then their sessions are closed. Meanwhile the new session serves.

use std::path::Path;
use std::time::Duration;

use tokio::time::sleep;
use tollgate_ratelimit::Command;
use tollgate_ratelimit::journal::{BootId, Replayed, settle_old};
use tollgate_ratelimit::ledger::command::Batch;
use tollgate_ratelimit::ledger::outcome::{Answer, BatchVerdict, Outcome, Unfinished};

use super::clock::stamp;
use super::journal::Leftovers;
use crate::raft::forward::{Forward, Written};
use crate::state::{Applied, Proposal};

/// One try to be heard.
const TRY: Duration = Duration::from_secs(10);
/// Between two tries.
const PAUSE: Duration = Duration::from_secs(1);

/// Tells everything that is left, however long that takes.
pub(super) async fn recover(forward: Forward, earlier: Vec<Unfinished>, mut left: Leftovers) {
    for unfinished in &earlier {
        let session = unfinished.session;
        let replayed = left.replayed(session);
        if replayed.is_none() {
            tracing::warn!(session = session.0, "no journal of an earlier run: what it held counts as spent");
        }
        let (batches, ending) = match settle_old(unfinished, replayed) {
            Ok(told) => told,
            Err(error) => {
                tracing::error!(session = session.0, "{error}");
                continue;
            }
        };
        let open = replayed.map_or(0, Replayed::open_holds);
        for batch in batches {
            tell(&forward, batch).await;
        }
        write(&forward, Command::CloseSession { session }).await;
        let forfeited: u64 = ending.forfeited.iter().map(|(_, amount)| amount).sum();
        tracing::info!(session = session.0, open, forfeited, "what an earlier run left is told");
        left.remove(session);
    }
    for session in left.sessions() {
        left.remove(session); // The ledger has all of it.
    }
}

async fn tell(forward: &Forward, batch: Batch) {
    let (session, sequence) = (batch.session, batch.sequence);
    let outcome = write(forward, Command::Batches(vec![batch])).await;
    let taken = |answer: &Answer| answer.verdict == BatchVerdict::Applied;
    if !matches!(&outcome, Outcome::Answers(answers) if answers.iter().all(taken)) {
        tracing::error!(session = session.0, sequence, "an earlier run's batch was not taken: {outcome:?}");
    }
}

/// Writes a command that does no harm when it is written twice.
pub(super) async fn write(forward: &Forward, command: Command) -> Outcome {
    loop {
        let proposal = Proposal::Quota { at: stamp(), commands: vec![command.clone()] };
        match forward.write_again(proposal, TRY).await {
            Ok(Written { applied: Applied::Quota(outcomes), .. }) => {
                return outcomes.into_iter().next().unwrap_or_default();
            }
            Ok(written) => tracing::info!("the cluster does not take it yet: {:?}", written.applied),
            Err(error) => tracing::info!("no word from the cluster's leader yet: {error}"),
        }
        sleep(PAUSE).await;
    }
}

/// Reads what is left. Blocks.
pub(super) fn leftovers(folder: &Path, boot: BootId) -> std::io::Result<Leftovers> {
    Leftovers::read(folder, boot)
}
