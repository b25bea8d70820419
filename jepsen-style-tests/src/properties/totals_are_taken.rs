//! What a node says it spent and gave back is never more than the ledger knows that it had, nor less than it said before.

use tollgate_ratelimit::ledger::command::Command;
use tollgate_ratelimit::ledger::outcome::{ItemAnswer, Outcome, Rejected};

use super::Violated;

pub(super) fn check(command: &Command, outcome: &Outcome) -> Result<(), Violated> {
    let (Command::Batches(batches), Outcome::Answers(answers)) = (command, outcome) else { return Ok(()) };
    for (batch, answer) in batches.iter().zip(answers) {
        for (item, told) in batch.items.iter().zip(&answer.items) {
            if let ItemAnswer::Rejected(why @ Rejected::Impossible { .. }) = told {
                let what = format!("session {} batch {}: {item:?}: {why:?}", batch.session.0, batch.sequence);
                return Err(Violated::new("totals are taken", what));
            }
        }
    }
    Ok(())
}
