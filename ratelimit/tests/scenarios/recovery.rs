//! How processes start and end: sessions are opened, journals replayed, and what an earlier run left is settled in its name.

use std::collections::BTreeMap;
use std::sync::Arc;

use tollgate_ratelimit::journal::{Opened, Record, settle_old};
use tollgate_ratelimit::ledger::command::{Command, SessionId};
use tollgate_ratelimit::ledger::outcome::{BatchVerdict, Outcome, Unfinished};
use tollgate_ratelimit::wallet::{Settings, Wallet};

use crate::node::{Life, Node, Wire};
use crate::words::Words;
use crate::world::World;

/// Batches of the earlier run may get there first so often.
const MOST_ROUNDS: usize = 3;

impl World {
    /// A node that was never there.
    pub(crate) fn start(&mut self, name: &str, ahead_ms: u64) -> Result<(), String> {
        if self.nodes.contains_key(name) {
            return Err(format!("node {name} is there already"));
        }
        let id = self.nodes.len() as u64 + 1;
        self.nodes.insert(name.to_owned(), Node::new(id, ahead_ms));
        self.run_process(name)
    }

    pub(crate) fn node_lives(&mut self, name: &str, verb: &str, mut words: Words) -> Result<(), String> {
        match verb {
            "crashes" => {
                let torn = words.takes("writing");
                let one = self.node(name)?;
                one.life = None;
                one.wire.answer = None;
                if torn {
                    one.disk.tear();
                }
            }
            "loses" => {
                let what = words.next("power or disk")?;
                self.lose_at(name, &what)?;
            }
            "disk" => {
                let fails = words.takes("fails");
                if !fails {
                    words.expect("works")?;
                }
                self.node(name)?.disk.fails = fails;
            }
            "flushes" => self.node(name)?.disk.flush()?,
            "restarts" => self.run_process(name)?,
            "reopens" => self.reopen(name)?,
            _ => self.leave(name)?,
        }
        words.done()
    }

    fn lose_at(&mut self, name: &str, what: &str) -> Result<(), String> {
        let one = self.node(name)?;
        one.life = None;
        one.wire.answer = None;
        one.boots += 1;
        match what {
            "power" => {
                let lost = one.disk.lose_power();
                let kept = if lost == 0 { "all of it was flushed" } else { "what was not flushed is gone" };
                self.say(format!("{name}'s journal: {kept}"));
            }
            "disk" => one.disk.wipe(),
            _ => return Err(format!("expected power or disk, not {what:?}")),
        }
        Ok(())
    }

    fn run_process(&mut self, name: &str) -> Result<(), String> {
        let one = self.node(name)?;
        if one.life.is_some() {
            return Err(format!("{name} runs already"));
        }
        one.run += 1;
        let Some((session, earlier)) = self.open_session(name)? else { return Ok(()) };
        let wallet = Wallet::new(session, Settings::default());
        let life = Life { session, wallet, holds: BTreeMap::new(), waits: BTreeMap::new() };
        let one = self.node(name)?;
        let sent = std::mem::take(&mut one.wire);
        one.wire = Wire { batch: sent.batch, taken: sent.taken, ..Wire::default() };
        one.life = Some(life);
        for unfinished in earlier {
            self.settle_earlier(name, unfinished)?;
        }
        Ok(())
    }

    /// A session for this run, its journal begun, and those of earlier runs. None if the ledger can't be reached.
    fn open_session(&mut self, name: &str) -> Result<Option<(SessionId, Vec<Unfinished>)>, String> {
        let quorum = self.quorum;
        let one = self.node(name)?;
        if one.is_cut_off || !quorum {
            self.say(format!("{name} can't reach the ledger"));
            return Ok(None);
        }
        let (session, earlier) = self.ask_session(name)?;
        self.session_names.insert(session, name.to_owned());
        let one = self.node(name)?;
        let opened = Opened { session, incarnation: one.run, node: one.id, boot: one.boot() };
        one.disk.open(opened)?;
        self.say(format!("{name} serves as session {}", session.0));
        Ok(Some((session, earlier)))
    }

    fn ask_session(&mut self, name: &str) -> Result<(SessionId, Vec<Unfinished>), String> {
        let one = self.node(name)?;
        let command = Command::OpenSession { node: one.id, incarnation: one.run };
        match self.apply(&command)? {
            Outcome::SessionOpened { session, earlier } => Ok((session, earlier)),
            other @ (Outcome::Done
            | Outcome::BudgetSet { .. }
            | Outcome::Answers(_)
            | Outcome::Rejected(_)) => Err(format!("no session: {other:?}")),
        }
    }

    /// Says in the name of an earlier run what its journal tells, and closes its session.
    fn settle_earlier(&mut self, name: &str, mut unfinished: Unfinished) -> Result<(), String> {
        let session = unfinished.session;
        for round in 0..MOST_ROUNDS {
            let one = self.node(name)?;
            let replayed = one.disk.read(session, one.boot());
            let replayed = replayed.transpose().map_err(|error| error.to_string())?;
            if round == 0 {
                let state = match &replayed {
                    None => "there is no journal",
                    Some(replayed) if replayed.cut.is_some() => {
                        "its journal is cut before a record that is not whole"
                    }
                    Some(replayed) if replayed.complete => "its journal is whole",
                    Some(_) => "nothing proves where its journal ended",
                };
                self.say(format!("session {}: {state}", session.0));
            }
            let (batches, ending) = settle_old(&unfinished, replayed.as_ref())
                .map_err(|wrong| format!("the journal is session {}'s", wrong.got.0))?;
            let mut was_first = true;
            for batch in &batches {
                let text = self.batch_text(batch);
                self.say(format!("{name} > {} (for session {}): {text}", batch.sequence, session.0));
                let answer = self.tell(batch)?;
                let as_told = answer.items.len() == batch.items.len();
                was_first &= answer.verdict == BatchVerdict::Applied && as_told;
            }
            if was_first {
                for (lease, amount) in ending.forfeited {
                    let lease = self.lease_name(lease);
                    self.say(format!("session {}: {amount} of {lease} forfeited", session.0));
                }
                self.apply(&Command::CloseSession { session })?;
                return Ok(());
            }
            self.say("a batch of the earlier run got there first: once more");
            let (_, earlier) = self.ask_session(name)?;
            let same = earlier.into_iter().find(|one| one.session == session);
            unfinished = same.ok_or("the session is closed already")?;
        }
        Err("the earlier session can't be settled".to_owned())
    }

    /// A node whose session is gone goes on under another one.
    fn reopen(&mut self, name: &str) -> Result<(), String> {
        let now = self.clock(name)?;
        let one = self.node(name)?;
        let wallet = Arc::clone(&one.life()?.wallet);
        if !wallet.session_is_lost() {
            return Err(format!("{name} has a session"));
        }
        one.run += 1;
        let Some((session, earlier)) = self.open_session(name)? else { return Ok(()) };
        if !earlier.is_empty() {
            return Err(format!("a session that is gone is open: {earlier:?}"));
        }
        wallet.resume(session, now); // What it had to tell goes on under the new one's name.
        self.node(name)?.life()?.session = session;
        Ok(())
    }

    /// A node that has drained closes its session: nothing follows.
    fn leave(&mut self, name: &str) -> Result<(), String> {
        let one = self.node(name)?;
        let session = one.life()?.session;
        if !one.life()?.wallet.drained() {
            self.say(format!("{name} has still to settle"));
            return Ok(());
        }
        one.append(&Record::Clean)?;
        one.disk.flush()?;
        one.life = None;
        self.apply(&Command::CloseSession { session })?;
        self.say(format!("session {} is closed", session.0));
        Ok(())
    }
}
