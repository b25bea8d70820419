//! What happened, in words: for whoever reads a failing run.

use tollgate_ratelimit::ledger::command::Command;
use tollgate_ratelimit::ledger::outcome::Outcome;

/// A command and what became of it, on few lines.
pub(super) fn applied(command: &Command, outcome: &Outcome) -> String {
    match (command, outcome) {
        (Command::Batches(batches), Outcome::Answers(answers)) => {
            let lines = batches.iter().zip(answers).map(|(batch, answer)| {
                format!(
                    "applied session {} batch {} {:?} at {}: {:?} rows {:?} -> {:?}",
                    batch.session.0,
                    batch.sequence,
                    answer.verdict,
                    answer.at.0,
                    batch.items,
                    batch.rows,
                    answer.items
                )
            });
            lines.collect::<Vec<_>>().join("\n         ")
        }
        (command, outcome) => format!("applied {command:?} -> {outcome:?}"),
    }
}
