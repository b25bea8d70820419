//! Everything there is at one moment: the ledger, its nodes, what the network still holds, and the truth about spend that
//! only the model knows.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde::{Serialize, Serializer};
use tollgate_ratelimit::budget::{Budget, Enforcement, OnExhausted};
use tollgate_ratelimit::cover::Cover;
use tollgate_ratelimit::fault::{Fault, plant};
use tollgate_ratelimit::ledger::command::{Batch, NodeId, SessionId};
use tollgate_ratelimit::ledger::outcome::{Answer, Outcome, Unfinished};
use tollgate_ratelimit::time::Timestamp;
use tollgate_ratelimit::unit::{Amount, Unit};
use tollgate_ratelimit::window::{Fixed, Period, Window};
use tollgate_ratelimit::wire::snapshot::Writer;
use tollgate_ratelimit::{Command, Ledger};

use super::node::{Journal, Node, Run, Tally};
use super::scopes::Copies;

/// The budget starts again each minute.
pub(super) const WINDOW_MS: u64 = 60_000;
/// Windows that are told apart.
pub(super) const WINDOWS: usize = 2;

/// Everything there is.
#[derive(Clone, Serialize)]
pub struct World {
    #[serde(serialize_with = "as_snapshot")]
    pub(super) ledger: Arc<Ledger>,
    pub(super) nodes: Vec<Node>,
    /// Batches that may be delivered, again and in any order. One that never is was lost.
    pub(super) network: Vec<Batch>,
    pub(super) truth: Truth,
    /// Where in the list of moments the leader's clock is.
    pub(super) clock: usize,
    pub(super) spare: Spare,
    pub(super) wrong: Option<Wrong>,
}

/// What was really spent, and what was promised.
#[derive(Clone, Serialize)]
pub(super) struct Truth {
    /// By window, spend of lost runs included.
    pub(super) spent: [Amount; WINDOWS],
    /// The part of it for which nobody held enough.
    pub(super) overran: [Amount; WINDOWS],
    /// The highest limit that was in force in each window.
    pub(super) highest: [Amount; WINDOWS],
    pub(super) limit: Amount,
    pub(super) finished: Tally,
    /// A session was closed without its last words: the ledger may know less, and counts more as spent.
    pub(super) forfeited: bool,
}

/// How often the rare things have happened.
#[derive(Clone, Copy, Default, Serialize)]
pub(super) struct Spare {
    pub(super) crashes: usize,
    pub(super) forgotten: usize,
    pub(super) limits: usize,
}

/// What no state should ever show and no state by itself can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Wrong {
    /// The ledger's own assertions stopped it.
    Stopped,
    /// A batch that was applied before changed something.
    Reapplied,
    /// The ledger refused what an honest node said.
    Disbelieved,
    /// What was asked of the current window came from another.
    Window,
    /// Cluster time ran backwards.
    Backwards,
}

/// The one budget.
pub(super) fn budget(limit: Amount) -> Command {
    Command::SetBudget(Box::new(Budget {
        name: "b".to_owned(),
        covers: Cover::default(),
        per: Vec::new(),
        unit: Unit::TotalTokens,
        limit,
        window: Window::Fixed(Fixed {
            every: Period::Minute,
            zone: "UTC".to_owned(),
            boundaries: Vec::new(),
        }),
        enforcement: Enforcement::Strict,
        on_exhausted: OnExhausted::Refuse,
    }))
}

impl World {
    /// A budget, and nodes that have just started.
    pub(super) fn new(nodes: usize, limit: Amount, at: Timestamp) -> Self {
        let mut world = Self {
            ledger: Arc::new(Ledger::new(0)),
            nodes: vec![Node::default(); nodes],
            network: Vec::new(),
            truth: Truth {
                spent: [0; WINDOWS],
                overran: [0; WINDOWS],
                highest: [limit; WINDOWS],
                limit,
                finished: Tally::default(),
                forfeited: false,
            },
            clock: 0,
            spare: Spare::default(),
            wrong: None,
        };
        world.apply(&budget(limit), at, None);
        for node in 0..nodes {
            world.restart(node, at, None);
        }
        world
    }

    /// Applies a command as the log would, with a guard taken away if a fault is planted.
    pub(super) fn apply(&mut self, command: &Command, at: Timestamp, fault: Option<Fault>) -> Outcome {
        let before = self.ledger.now();
        let ledger = Arc::make_mut(&mut self.ledger);
        plant(fault);
        let applied = catch_unwind(AssertUnwindSafe(|| ledger.apply(command, at)));
        plant(None);
        if self.ledger.now() < before {
            self.wrong = Some(Wrong::Backwards);
        }
        if let Ok(applied) = applied {
            return applied.outcome;
        }
        self.wrong = Some(Wrong::Stopped);
        Outcome::Done
    }

    fn last_sequence(&self, session: SessionId) -> Option<u64> {
        self.ledger.sessions().find(|(id, ..)| *id == session).map(|(_, _, _, sequence, _)| sequence)
    }

    /// Applies a batch. One that the ledger has seen may change nothing but the time; one of a forgotten node closes its session.
    pub(super) fn tell(&mut self, batch: &Batch, at: Timestamp, fault: Option<Fault>) -> Option<Answer> {
        let known = self.last_sequence(batch.session).is_none_or(|last| batch.sequence <= last);
        let untouched = known.then(|| {
            let mut other = self.clone();
            let is_forgotten = self.ledger.forgotten().any(|(session, ..)| session == batch.session);
            let closing = Command::CloseSession { session: batch.session };
            let nothing = Command::Batches(Vec::new());
            other.apply(if is_forgotten { &closing } else { &nothing }, at, fault);
            other.ledger_bytes()
        });
        let outcome = self.apply(&Command::Batches(vec![batch.clone()]), at, fault);
        if untouched.is_some_and(|bytes| bytes != self.ledger_bytes()) {
            self.wrong = Some(Wrong::Reapplied);
        }
        match outcome {
            Outcome::Answers(mut answers) => answers.pop(),
            Outcome::Done
            | Outcome::BudgetSet { .. }
            | Outcome::SessionOpened { .. }
            | Outcome::Rejected(_) => None,
        }
    }

    fn ledger_bytes(&self) -> Vec<u8> {
        snapshot(&self.ledger)
    }

    /// The network delivers a batch; what is answered can be heard by who waits for it.
    pub(super) fn deliver(&mut self, index: usize, at: Timestamp, fault: Option<Fault>) {
        let batch = self.network[index].clone();
        let Some(answer) = self.tell(&batch, at, fault) else { return };
        let waits = |run: &&mut Run| {
            run.session == answer.session
                && run.flight.as_ref().is_some_and(|flight| flight.sequence == answer.sequence)
        };
        let mut runs = self.nodes.iter_mut().filter_map(|node| node.run.as_mut());
        if let Some(run) = runs.find(waits)
            && !run.replies.contains(&answer)
        {
            run.replies.push(answer);
        }
    }

    /// A node takes in an answer. Batches before the one that it answers are out of the network then, and so is that one
    /// where there are no late copies.
    pub(super) fn hear(&mut self, node: usize, reply: usize, copies: Copies) {
        let Some(run) = self.nodes[node].run.as_mut() else { return };
        let answer = run.replies[reply].clone();
        let kept = match copies {
            Copies::Late => answer.sequence,
            Copies::BeforeTheAnswer => answer.sequence + 1,
        };
        self.network.retain(|one| one.session != answer.session || one.sequence >= kept);
        match run.hear(&answer) {
            Ok(true) => {}
            Ok(false) => {
                self.count_unknown(node);
                self.nodes[node].run = None;
            }
            Err(wrong) => self.wrong = Some(wrong),
        }
    }

    /// A request ends: now its cost is true.
    pub(super) fn finish(&mut self, node: usize, lease: usize, cost: Amount) {
        let Some(run) = self.nodes[node].run.as_mut() else { return };
        let one = Tally { requests: 1, cost };
        run.rows.add(one);
        let lease = &mut run.leases[lease];
        let window = lease.window.min(WINDOWS - 1);
        self.truth.overran[window] += lease.finish(cost);
        self.truth.spent[window] += cost;
        self.truth.finished.add(one);
    }

    /// The process is gone, and with it what it knew; its journal is not. Requests that ran may have cost all they held.
    pub(super) fn crash(&mut self, node: usize) {
        self.spare.crashes += 1;
        self.count_unknown(node);
        let node = &mut self.nodes[node];
        node.journal = node.run.take().map(|run| {
            let run = Run { replies: Vec::new(), ..run };
            Journal { run, applied: None, resent: false }
        });
    }

    fn count_unknown(&mut self, node: usize) {
        for (window, cost) in self.nodes[node].run.iter().flat_map(Run::unknown) {
            self.truth.spent[window.min(WINDOWS - 1)] += cost;
            self.truth.finished.add(Tally { requests: 1, cost });
        }
    }

    /// The next run of a node opens a session, and learns what earlier ones left.
    pub(super) fn restart(&mut self, node: usize, at: Timestamp, fault: Option<Fault>) {
        self.nodes[node].incarnation += 1;
        if let Some((session, earlier)) = self.open(node, at, fault) {
            let node = &mut self.nodes[node];
            node.run = Some(Run::new(session));
            if let Some(journal) = &mut node.journal {
                let left = earlier.iter().find(|left| left.session == journal.run.session);
                match left {
                    Some(left) => journal.applied = Some(left.last_sequence),
                    None => node.journal = None, // Closed meanwhile, by an operator.
                }
            }
        }
    }

    fn open(
        &mut self,
        node: usize,
        at: Timestamp,
        fault: Option<Fault>,
    ) -> Option<(SessionId, Vec<Unfinished>)> {
        let command =
            Command::OpenSession { node: NodeId(node as u64), incarnation: self.nodes[node].incarnation };
        match self.apply(&command, at, fault) {
            Outcome::SessionOpened { session, earlier } => Some((session, earlier)),
            Outcome::Done | Outcome::BudgetSet { .. } | Outcome::Answers(_) | Outcome::Rejected(_) => None,
        }
    }

    /// The next step of settling what an earlier run left: first what was under way, then the last words and the end.
    pub(super) fn settle(&mut self, node: usize, at: Timestamp, fault: Option<Fault>) {
        let Some(journal) = self.nodes[node].journal.clone() else { return };
        let resend = journal.resend().filter(|_| !journal.resent && fault != Some(Fault::RowsSentTwice));
        if let Some(batch) = resend {
            self.tell(&batch, at, fault);
            if let Some(journal) = &mut self.nodes[node].journal {
                journal.resent = true;
            }
            return;
        }
        let earlier = self.open(node, at, fault).map(|(_, earlier)| earlier).unwrap_or_default();
        let session = journal.run.session;
        if let Some(left) = earlier.iter().find(|left| left.session == session) {
            self.tell(&journal.last_words(left, fault), at, fault);
            self.apply(&Command::CloseSession { session }, at, fault);
        }
        self.nodes[node].journal = None;
    }

    /// The journal is lost: the earlier run is closed as it stands.
    pub(super) fn forfeit(&mut self, node: usize, at: Timestamp, fault: Option<Fault>) {
        self.truth.forfeited = true;
        if let Some(journal) = self.nodes[node].journal.take() {
            self.apply(&Command::CloseSession { session: journal.run.session }, at, fault);
        }
    }

    /// An operator gives a node up, rightly or not.
    pub(super) fn forget(&mut self, node: usize, at: Timestamp, fault: Option<Fault>) {
        self.spare.forgotten += 1;
        self.truth.forfeited = true;
        self.apply(&Command::ForgetNode { node: NodeId(node as u64) }, at, fault);
    }

    /// A new limit holds for the window that is current, and for those to come.
    pub(super) fn limit(&mut self, limit: Amount, at: Timestamp, fault: Option<Fault>) {
        self.spare.limits += 1;
        self.apply(&budget(limit), at, fault);
        self.truth.limit = limit;
        let current = self.window();
        for (window, highest) in self.truth.highest.iter_mut().enumerate().skip(current) {
            *highest = if window == current { limit.max(*highest) } else { limit };
        }
    }

    /// The number of the window that is current in cluster time.
    pub(super) fn window(&self) -> usize {
        usize::try_from(self.ledger.now().0 / WINDOW_MS).map_or(WINDOWS - 1, |window| window.min(WINDOWS - 1))
    }
}

/// A ledger's identity: the bytes that any member with the same state would write.
fn snapshot(ledger: &Ledger) -> Vec<u8> {
    let mut writer = Writer::begin([0; 16], Vec::with_capacity(512)).expect("memory takes all");
    ledger.write(&mut writer).expect("memory takes all");
    writer.finish().expect("memory takes all")
}

fn as_snapshot<S: Serializer>(ledger: &Ledger, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(&snapshot(ledger))
}
