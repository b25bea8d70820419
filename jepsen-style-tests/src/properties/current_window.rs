//! Who asks for the current window gets the one that cluster time lies in.

use tollgate_ratelimit::ledger::command::{Command, Target};
use tollgate_ratelimit::ledger::outcome::{ItemAnswer, Outcome};

use super::Violated;

pub(super) fn check(command: &Command, outcome: &Outcome) -> Result<(), Violated> {
    let (Command::Batches(batches), Outcome::Answers(answers)) = (command, outcome) else { return Ok(()) };
    for (batch, answer) in batches.iter().zip(answers) {
        for (item, told) in batch.items.iter().zip(&answer.items) {
            if let (Target::Current(bucket), ItemAnswer::Lease(state)) = (&item.target, told)
                && !state.window.holds(answer.at)
            {
                let what = format!("at {} the window of {bucket:?} is {:?}", answer.at.0, state.window);
                return Err(Violated::new("current window", what));
            }
        }
    }
    Ok(())
}
