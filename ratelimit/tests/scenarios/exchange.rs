//! Batches on their way to the ledger, and answers on their way back: in one go, step by step, lost, or once more.

use std::borrow::Cow;
use std::sync::Arc;

use tollgate_ratelimit::journal::Record;
use tollgate_ratelimit::ledger::command::{Batch, Command, Target};
use tollgate_ratelimit::ledger::outcome::{Answer, BatchVerdict, ItemAnswer, Outcome};

use crate::words::Words;
use crate::world::{World, restored, written};

/// Batches that one exchange may take: more of them go round in a circle.
const MOST_ROUNDS: usize = 8;

impl World {
    /// Everything that the node has to say now, and the answers.
    pub(crate) fn sync(&mut self, node: &str) -> Result<(), String> {
        self.tick_node(node)?;
        for _ in 0..MOST_ROUNDS {
            if !self.send(node)? {
                return Ok(());
            }
            self.take(node)?;
            if self.node(node)?.wire.answer.is_none() {
                return Ok(());
            }
            self.hear(node)?;
        }
        Err("the node and the ledger go round in a circle".to_owned())
    }

    /// Puts the node's next batch on the wire. Whether it has one.
    pub(crate) fn send(&mut self, node: &str) -> Result<bool, String> {
        let now = self.clock(node)?;
        let one = self.node(node)?;
        let Some(batch) = one.life()?.wallet.poll(now) else { return Ok(false) };
        let is_new = !one.wire.sent.contains(&(batch.session, batch.sequence));
        if is_new {
            if let Err(why) = one.note_sent(&batch) {
                self.say(format!("{why}: {node} says nothing"));
                return Ok(false);
            }
            one.wire.sent.insert((batch.session, batch.sequence));
        }
        let again = if is_new { "" } else { " (again)" };
        let text = self.batch_text(&batch);
        self.say(format!("{node} > {}{again}: {text}", batch.sequence));
        self.node(node)?.wire.batch = Some(batch);
        Ok(true)
    }

    pub(crate) fn ledger_does(&mut self, mut words: Words) -> Result<(), String> {
        if words.takes("takes") {
            let node = words.next("a node")?;
            words.done()?;
            return self.take(&node);
        }
        words.expect("restarts")?;
        words.done()?;
        let bytes = written(&self.ledger)?;
        self.ledger = restored(&bytes)?;
        let same = written(&self.ledger)? == bytes;
        self.say(if same { "same bytes" } else { "OTHER BYTES" });
        Ok(())
    }

    /// The ledger takes what the node has sent, if it gets there.
    fn take(&mut self, node: &str) -> Result<(), String> {
        let quorum = self.quorum;
        let one = self.node(node)?;
        let batch = one.wire.batch.take().ok_or_else(|| format!("{node} has sent nothing"))?;
        if one.is_cut_off || !quorum {
            self.say(format!("... {} does not get there", batch.sequence));
            return Ok(());
        }
        let answer = self.tell(&batch)?;
        let wire = &mut self.node(node)?.wire;
        wire.taken.push(batch);
        wire.answer = Some(answer);
        Ok(())
    }

    /// Tells the ledger one batch.
    pub(crate) fn tell(&mut self, batch: &Batch) -> Result<Answer, String> {
        let outcome = self.apply(&Command::Batches(vec![batch.clone()]))?;
        let Outcome::Answers(mut answers) = outcome else { return Err(format!("no answer: {outcome:?}")) };
        let answer = answers.pop().ok_or("no answer")?;
        for (item, said) in batch.items.iter().zip(&answer.items) {
            if let ItemAnswer::Lease(state) = said {
                let name = self.target_text(&item.target);
                self.lease_names.insert(state.lease, name.trim_start_matches("next ").to_owned());
            }
        }
        let text = self.answer_text(batch, &answer);
        self.say(format!("{} < {}: {text}", self.session_name(batch.session), answer.sequence));
        Ok(answer)
    }

    /// The node hears the answer that is on the wire.
    pub(crate) fn hear(&mut self, node: &str) -> Result<(), String> {
        let now = self.clock(node)?;
        let one = self.node(node)?;
        let answer = one.wire.answer.take().ok_or_else(|| format!("no answer to {node} is on its way"))?;
        if one.is_cut_off {
            self.say(format!("... the answer to {node} does not get there"));
            return Ok(());
        }
        let batch = one.wire.taken.iter().rev().find(|batch| batch.sequence == answer.sequence).cloned();
        if answer.verdict == BatchVerdict::Applied
            && let Some(batch) = batch
        {
            self.note_answer(node, &batch, &answer)?;
        }
        let wallet = Arc::clone(&self.node(node)?.life()?.wallet);
        let woken = wallet.handle(&answer, now);
        if wallet.session_is_lost() {
            self.say(format!("{node} has no session any more"));
        }
        self.wake(node, woken)
    }

    fn note_answer(&mut self, node: &str, batch: &Batch, answer: &Answer) -> Result<(), String> {
        let one = self.node(node)?;
        one.append(&Record::Reported { sequence: answer.sequence })?;
        for (item, said) in batch.items.iter().zip(&answer.items) {
            match (&item.target, said) {
                (Target::Current(bucket), ItemAnswer::Lease(state)) => {
                    one.append(&Record::Leased { bucket: Cow::Borrowed(bucket), lease: state.lease })?;
                }
                (Target::Lease(lease), ItemAnswer::Closed) => one.append(&Record::Ended { lease: *lease })?,
                (Target::Current(_) | Target::Next(_) | Target::Lease(_), _) => {}
            }
        }
        Ok(())
    }

    pub(crate) fn lose(&mut self, mut words: Words) -> Result<(), String> {
        let what = words.next("batch or answer")?;
        let node = words.next("a node")?;
        words.done()?;
        let wire = &mut self.node(&node)?.wire;
        let was_there = match what.as_str() {
            "batch" => wire.batch.take().is_some(),
            "answer" => wire.answer.take().is_some(),
            _ => return Err(format!("expected batch or answer, not {what:?}")),
        };
        if was_there { Ok(()) } else { Err(format!("no {what} of {node} is on its way")) }
    }

    /// A batch that the ledger has taken comes once more.
    pub(crate) fn again(&mut self, mut words: Words) -> Result<(), String> {
        let node = words.next("a node")?;
        let wire = &self.node(&node)?.wire;
        let batch = if words.is_empty() {
            wire.taken.last().cloned()
        } else {
            let sequence = words.number("a batch's number")?;
            self.node(&node)?.wire.taken.iter().find(|batch| batch.sequence == sequence).cloned()
        };
        words.done()?;
        let batch = batch.ok_or_else(|| format!("the ledger has taken no such batch of {node}"))?;
        let answer = self.tell(&batch)?;
        self.node(&node)?.wire.answer = Some(answer);
        Ok(())
    }
}
