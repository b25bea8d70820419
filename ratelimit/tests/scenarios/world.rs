//! Everything that a scenario acts on: time, one ledger, nodes, and what is on its way between them. Nothing happens that no
//! command says.

use std::collections::BTreeMap;

use tollgate_ratelimit::Ledger;
use tollgate_ratelimit::budget::{BucketName, Budget, BudgetId, Key};
use tollgate_ratelimit::ledger::command::{Command, LeaseId, SessionId};
use tollgate_ratelimit::ledger::outcome::{Nudge, Outcome, Why};
use tollgate_ratelimit::time::{NodeTime, Timestamp};
use tollgate_ratelimit::wire::{self, snapshot};

use crate::node::Node;
use crate::texts;
use crate::words::{Words, duration};

/// 2026-03-02 00:00, a Monday.
pub(crate) const START: Timestamp = Timestamp(1_772_409_600_000);

/// See the file's purpose.
pub(crate) struct World {
    pub(crate) ledger: Ledger,
    /// All that the ledger was told: replayed, it must give the same bytes.
    pub(crate) log: Vec<(Command, Timestamp)>,
    pub(crate) now: Timestamp,
    /// How far the leader's clock is behind.
    pub(crate) stamps_behind_ms: u64,
    pub(crate) quorum: bool,
    pub(crate) ids: BTreeMap<String, BudgetId>,
    /// Budgets as nodes last heard of them.
    pub(crate) rules: BTreeMap<BudgetId, Budget>,
    pub(crate) nodes: BTreeMap<String, Node>,
    pub(crate) nudges: Vec<Nudge>,
    pub(crate) lease_names: BTreeMap<LeaseId, String>,
    pub(crate) session_names: BTreeMap<SessionId, String>,
    pub(crate) entries: u32,
    out: Vec<String>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            ledger: Ledger::new(1),
            log: Vec::new(),
            now: START,
            stamps_behind_ms: 0,
            quorum: true,
            ids: BTreeMap::new(),
            rules: BTreeMap::new(),
            nodes: BTreeMap::new(),
            nudges: Vec::new(),
            lease_names: BTreeMap::new(),
            session_names: BTreeMap::new(),
            entries: 0,
            out: Vec::new(),
        }
    }

    /// Runs one command. What happened, or what is wrong with it.
    pub(crate) fn run(&mut self, line: &str) -> Result<Vec<String>, String> {
        self.out.clear();
        let mut words = Words::of(line);
        let first = words.next("a command")?;
        if self.nodes.contains_key(&first) {
            let verb = words.next("what the node does")?;
            self.node_does(&first, &verb, words)?;
        } else if first.starts_with(char::is_uppercase) {
            return Err(format!("no node {first}"));
        } else {
            self.happens(&first, words)?;
        }
        self.ledger.check().map_err(|violation| violation.0)?;
        Ok(std::mem::take(&mut self.out))
    }

    fn happens(&mut self, first: &str, mut words: Words) -> Result<(), String> {
        if let Some(ms) = first.strip_prefix('+') {
            self.now = self.now.plus(duration(ms)?);
            return words.done();
        }
        match first {
            "at" => {
                let mut text = words.next("a day or a time")?;
                while !words.is_empty() {
                    text = format!("{text} {}", words.next("a time")?);
                }
                self.go_to(&text)?;
                words.done()
            }
            "node" => {
                let name = words.next("a node's name")?;
                let ahead_ms = words.named("ahead").map_or(Ok(0), |text| duration(&text))?;
                words.done()?;
                self.start(&name, ahead_ms)
            }
            "tick" => {
                words.done()?;
                self.apply(&Command::Tick).map(|_| ())
            }
            "nudges" => {
                let are_lost = words.takes("lost");
                if !are_lost {
                    words.expect("delivered")?;
                }
                words.done()?;
                self.nudge(are_lost);
                Ok(())
            }
            "cut" | "heal" => {
                let name = words.next("a node")?;
                words.done()?;
                self.node(&name)?.is_cut_off = first == "cut";
                Ok(())
            }
            "quorum" => {
                self.quorum = words.takes("back");
                if !self.quorum {
                    words.expect("lost")?;
                }
                words.done()
            }
            "leader" => {
                words.expect("changes")?;
                self.stamps_behind_ms = words.named("behind").map_or(Ok(0), |text| duration(&text))?;
                words.done()
            }
            "ledger" => self.ledger_does(words),
            "lose" => self.lose(words),
            "again" => self.again(words),
            "show" => self.show(words),
            _ => self.operate(first, words),
        }
    }

    fn go_to(&mut self, text: &str) -> Result<(), String> {
        let today = texts::moment(Timestamp(self.now.0 / 86_400_000 * 86_400_000));
        let today = today.split(' ').next().unwrap_or_default().to_owned();
        let whole = match text.split_once(' ') {
            Some(_) => text.replace(' ', "T"),
            None if text.contains(':') => format!("{today}T{text}"),
            None => format!("{text}T00:00"),
        };
        let instant: jiff::Timestamp = format!("{whole}Z").parse().map_err(|_| {
            format!("expected a day such as 2026-03-28, a time such as 10:00, or both, not {text:?}")
        })?;
        let at = Timestamp(u64::try_from(instant.as_millisecond()).unwrap_or(0));
        if at < self.now {
            return Err(format!("time does not run backwards: it is {}", texts::moment(self.now)));
        }
        self.now = at;
        Ok(())
    }

    /// Applies a command, as it travels: in bytes.
    pub(crate) fn apply(&mut self, command: &Command) -> Result<Outcome, String> {
        let bytes = wire::encode_command(command).map_err(|error| error.to_string())?;
        let command = wire::decode_command(&bytes).map_err(|error| error.to_string())?;
        let stamp = Timestamp(self.now.0.saturating_sub(self.stamps_behind_ms));
        let applied = self.ledger.apply(&command, stamp);
        self.log.push((command, stamp));
        for nudge in &applied.nudges {
            let node = self.session_name(nudge.session);
            let what = match nudge.why {
                Why::Recalled => "give back what you can",
                Why::Changed => "there is more to be had",
            };
            let lease = self.lease_name(nudge.lease);
            self.say(format!("nudge to {node}: {lease}: {what}"));
        }
        self.nudges.extend(applied.nudges);
        Ok(applied.outcome)
    }

    fn nudge(&mut self, are_lost: bool) {
        for nudge in std::mem::take(&mut self.nudges) {
            let name = self.session_name(nudge.session);
            let now = self.now;
            let Some(node) = self.nodes.get_mut(&name).filter(|node| !are_lost && !node.is_cut_off) else {
                continue;
            };
            let at = node.clock(now);
            if let Some(life) = &node.life {
                life.wallet.nudge(&nudge, at);
            }
        }
    }

    /// What must hold at the end of every scenario: another member that applies the same commands has the same bytes, and a
    /// snapshot restores to them.
    pub(crate) fn end(&self) -> Result<(), String> {
        let bytes = written(&self.ledger)?;
        let mut other = Ledger::new(2);
        for (command, stamp) in &self.log {
            other.apply(command, *stamp);
        }
        let restored = restored(&bytes)?;
        let same = written(&other)? == bytes && written(&restored)? == bytes;
        same.then_some(()).ok_or("another member, or a snapshot, has other bytes".to_owned())
    }

    pub(crate) fn say(&mut self, line: impl Into<String>) {
        self.out.push(line.into());
    }

    pub(crate) fn say_all(&mut self, lines: Vec<String>) {
        self.out.extend(lines);
    }

    pub(crate) fn node(&mut self, name: &str) -> Result<&mut Node, String> {
        self.nodes.get_mut(name).ok_or_else(|| format!("no node {name}"))
    }

    pub(crate) fn clock(&mut self, name: &str) -> Result<NodeTime, String> {
        let now = self.now;
        Ok(self.node(name)?.clock(now))
    }

    pub(crate) fn session_name(&self, session: SessionId) -> String {
        self.session_names.get(&session).cloned().unwrap_or_else(|| format!("session {}", session.0))
    }

    pub(crate) fn lease_name(&self, lease: LeaseId) -> String {
        self.lease_names.get(&lease).cloned().unwrap_or_else(|| format!("lease {}", lease.slot))
    }

    /// `budget/key`, or the budget's name alone.
    pub(crate) fn bucket(&self, text: &str) -> Result<BucketName, String> {
        let (name, key) = text.split_once('/').unwrap_or((text, ""));
        let budget = *self.ids.get(name).ok_or_else(|| format!("no budget {name}"))?;
        Ok(BucketName { budget, key: Key(key.into()) })
    }

    pub(crate) fn rule(&self, id: BudgetId) -> &Budget {
        self.rules.get(&id).expect("budgets are named only after they were made")
    }

    pub(crate) fn bucket_text(&self, bucket: &BucketName) -> String {
        let name = self.rules.get(&bucket.budget).map_or("?", |rule| rule.name.as_str());
        if bucket.key.0.is_empty() { name.to_owned() } else { format!("{name}/{}", bucket.key.0) }
    }
}

/// A ledger's snapshot.
pub(crate) fn written(ledger: &Ledger) -> Result<Vec<u8>, String> {
    let mut writer = snapshot::Writer::begin([7; 16], Vec::new()).map_err(|error| format!("{error:?}"))?;
    ledger.write(&mut writer).map_err(|error| format!("{error:?}"))?;
    writer.finish().map_err(|error| format!("{error:?}"))
}

/// The ledger of a snapshot.
pub(crate) fn restored(bytes: &[u8]) -> Result<Ledger, String> {
    let mut reader = snapshot::Reader::begin(bytes).map_err(|error| format!("{error:?}"))?;
    Ledger::read(&mut reader, 3).map_err(|error| format!("{error:?}"))
}
