//! The leader's part: what nodes say is gathered, proposed, committed and answered; leaders come and go.

use tollgate_ratelimit::ledger::command::Command;
use tollgate_ratelimit::ledger::outcome::{Applied, Outcome};
use tollgate_ratelimit::time::Timestamp;

use super::cluster::{Asker, Proposal, Time};
use super::world::{Event, Saying, Telling, World};
use crate::properties::{self, Violated};

impl World {
    /// A message reaches the leader.
    pub(super) fn hear(&mut self, asker: Asker, saying: Saying) {
        if !self.cluster.has_leader || self.nodes[asker.0].cut_off_until > self.now_ms {
            return;
        }
        match saying {
            Saying::Batch(batch) => {
                if self.cluster.inbox.is_empty() {
                    let gather_ms = self.dice.between(1, 5);
                    self.queue.push(self.now_ms + gather_ms, Event::Propose);
                }
                self.cluster.inbox.push((asker, batch));
            }
            Saying::Open(incarnation) => {
                let node = self.nodes[asker.0].id;
                self.propose(Command::OpenSession { node, incarnation }, vec![asker]);
            }
            Saying::Close(session) => self.propose(Command::CloseSession { session }, vec![asker]),
        }
    }

    /// Everything that came goes into one command.
    pub(super) fn propose_inbox(&mut self) {
        if self.cluster.inbox.is_empty() {
            return;
        }
        let (askers, batches) = std::mem::take(&mut self.cluster.inbox).into_iter().unzip();
        self.propose(Command::Batches(batches), askers);
    }

    /// Proposes a command.
    pub(super) fn propose(&mut self, command: Command, askers: Vec<Asker>) {
        let takes_ms = 1 + self.dice.delay_ms(self.plan.shape.commit_ms);
        let (number, at_ms) = self.cluster.propose(command, askers, Time { now_ms: self.now_ms, takes_ms });
        self.queue.push(at_ms, Event::Commit(number));
    }

    /// A proposal is committed, applied and answered.
    pub(super) fn commit(&mut self, number: u64) -> Result<(), Violated> {
        let Some(Proposal { command, stamp, askers, .. }) = self.cluster.committed(number) else {
            return Ok(());
        };
        let (opened, closed) = match &command {
            Command::OpenSession { incarnation, .. } => (*incarnation, None),
            Command::CloseSession { session } => (0, Some(*session)),
            Command::SetBudget(_)
            | Command::DeleteBudget { .. }
            | Command::ExtendCalendar { .. }
            | Command::Batches(_)
            | Command::ForgetNode { .. }
            | Command::Adjust(_)
            | Command::Tick => (0, None),
        };
        let Applied { outcome, nudges } = self.apply(command, stamp)?;
        if let Outcome::Answers(answers) = outcome {
            for (asker, answer) in askers.into_iter().zip(answers) {
                self.send(asker.0, || Event::Told(asker, Telling::Answer(answer.clone())));
            }
        } else {
            let telling = closed.map_or(Telling::Opened(opened, outcome), Telling::Closed);
            for asker in askers {
                self.send(asker.0, || Event::Told(asker, telling.clone()));
            }
        }
        for nudge in nudges {
            let Some(node) = self.holders.get(&nudge.session).copied() else { continue };
            let asker = (node, self.nodes[node].run);
            self.send(node, || Event::Told(asker, Telling::Nudge(nudge)));
        }
        Ok(())
    }

    /// Every member applies it; the promises are looked at.
    pub(super) fn apply(&mut self, command: Command, stamp: Timestamp) -> Result<Applied, Violated> {
        let before = properties::Before::new(&self.cluster.ledger, &command);
        let applied = self.cluster.ledger.apply(&command, stamp);
        self.note(|| super::trace::applied(&command, &applied.outcome));
        self.learn(&command, &applied.outcome);
        properties::after_command(&before, &command, &applied, self)?;
        self.cluster.follow(command, stamp);
        Ok(applied)
    }

    /// The leader is gone. What the next one finds in its log is committed; nobody is answered.
    pub(super) fn depose(&mut self, gap_ms: u64, skew_ms: i64) -> Result<(), Violated> {
        let found = self.cluster.depose(&mut self.dice);
        self.figures.leaders += 1;
        self.note(|| format!("no leader for {gap_ms} ms; the next one finds {} proposals", found.len()));
        for proposal in found {
            self.apply(proposal.command, proposal.stamp)?;
        }
        if self.dice.chance(1, 2) {
            self.cluster.change_places();
        }
        self.queue.push(self.now_ms + gap_ms, Event::Elected(skew_ms));
        Ok(())
    }
}
