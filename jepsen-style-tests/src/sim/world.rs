//! Nodes, network, cluster and clients, and what happens next. Everything is decided by the plan and by dice of its seed.

use std::collections::BTreeMap;

use tollgate_ratelimit::ledger::command::{Adjustment, Batch, Command, SessionId};
use tollgate_ratelimit::ledger::outcome::{Answer, Nudge, Outcome};

use super::cluster::{Asker, Cluster};
use super::dice::Dice;
use super::node::Node;
use super::plan::{Plan, What};
use super::queue::Queue;
use super::truth::Truth;
use crate::properties::Violated;

/// How often the leader says what time it is.
const TICK_MS: u64 = 500;

/// Something that happens.
#[derive(Debug)]
pub enum Event {
    /// The plan's action of that number.
    Act(usize),
    /// A node looks after its wallet, and will again.
    Beat(usize),
    /// It looks once more in between.
    Look(Asker),
    /// A message reaches the leader's member, if that is one.
    Said(Asker, Saying),
    /// A message reaches a node.
    Told(Asker, Telling),
    /// The leader proposes what came.
    Propose,
    /// A proposal is committed.
    Commit(u64),
    /// The leader says what time it is.
    Tick,
    /// There is a leader again.
    Elected(i64),
    /// The other member applies some more.
    Follow,
    /// A request asks for more on its way.
    Extend(Asker, u64),
    /// A request ends: what it did cost is spent.
    End(Asker, u64),
    /// The journal notes that.
    Settle(Asker, u64),
    /// It is added to the rows that the ledger hears next.
    Book(Asker, u64),
    /// A process starts.
    Start(usize),
    /// An operator says something.
    Operate(Command),
}

/// What a node says.
#[derive(Clone, Debug)]
pub enum Saying {
    /// This run of its process has started.
    Open(u64),
    /// A batch.
    Batch(Batch),
    /// A session has nothing more to say.
    Close(SessionId),
}

/// What a node is told.
#[derive(Clone, Debug)]
pub enum Telling {
    /// An answer to a batch.
    Answer(Answer),
    /// What became of `Open`, for which run.
    Opened(u64, Outcome),
    /// What became of `Close`.
    Closed(SessionId),
    /// A hint.
    Nudge(Nudge),
}

/// See the file's purpose.
pub struct World {
    /// What is tried.
    pub plan: Plan,
    /// True time, in milliseconds since the beginning.
    pub now_ms: u64,
    /// What happens next.
    pub queue: Queue<Event>,
    /// The network's and the cluster's luck.
    pub dice: Dice,
    /// The cluster.
    pub cluster: Cluster,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// Which node has which session.
    pub holders: BTreeMap<SessionId, usize>,
    /// What really happened.
    pub truth: Truth,
    /// What an operator entered last.
    pub last_entry: Option<Adjustment>,
    /// Numbers for requests.
    pub next_request: u64,
    /// Whether all faults are over.
    pub healed: bool,
    /// Whether every node gives everything back.
    pub leaving: bool,
    /// What happened, if anybody wants to read it.
    pub trace: Option<Vec<String>>,
    /// What became of requests.
    pub figures: Figures,
}

/// What became of requests, and what it took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Requests that were let through.
    pub admitted: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// Those among both that waited.
    pub waited: u64,
    /// Requests that met no process.
    pub unserved: u64,
    /// Batches that were applied.
    pub batches: u64,
    /// Their items.
    pub items: u64,
    /// Processes that died.
    pub deaths: u64,
    /// Processes that went on as another session.
    pub resumed: u64,
    /// Leaders that were lost.
    pub leaders: u64,
}

impl Figures {
    /// Adds those of another run.
    pub fn add(&mut self, more: Self) {
        self.admitted += more.admitted;
        self.refused += more.refused;
        self.waited += more.waited;
        self.unserved += more.unserved;
        self.batches += more.batches;
        self.items += more.items;
        self.deaths += more.deaths;
        self.resumed += more.resumed;
        self.leaders += more.leaders;
    }
}

impl World {
    /// The world before anything happened.
    ///
    /// # Panics
    /// If the plan has a budget that no ledger takes.
    pub fn new(plan: &Plan) -> Self {
        let mut dice = Dice::new(plan.seed, 2);
        let mut world = Self {
            plan: plan.clone(),
            now_ms: 0,
            queue: Queue::default(),
            cluster: Cluster::new(plan.shape.start),
            nodes: (0..plan.shape.nodes as u64).map(|number| Node::new(number, skew(&mut dice))).collect(),
            dice,
            holders: BTreeMap::new(),
            truth: Truth { start: plan.shape.start, ..Truth::default() },
            last_entry: None,
            next_request: 0,
            healed: false,
            leaving: false,
            trace: None,
            figures: Figures::default(),
        };
        for budget in &plan.shape.budgets {
            let command = Command::SetBudget(Box::new(budget.clone()));
            world.apply(command, plan.shape.start).expect("an empty ledger takes a budget");
        }
        for (number, action) in plan.actions.iter().enumerate() {
            world.queue.push(action.at_ms, Event::Act(number));
        }
        for node in 0..plan.shape.nodes {
            world.queue.push(node as u64, Event::Start(node));
            world.queue.push(node as u64 * 3 + 5, Event::Beat(node));
        }
        world.queue.push(TICK_MS, Event::Tick);
        world.queue.push(1, Event::Follow);
        world
    }

    /// Notes something for a reader.
    pub fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>8} {}", self.now_ms, text()));
        }
    }

    /// The next thing happens. Whether there was one.
    pub fn step(&mut self) -> Result<bool, Violated> {
        let Some((at_ms, event)) = self.queue.pop() else { return Ok(false) };
        self.now_ms = at_ms;
        if let Some(until) = self.asleep(&event) {
            self.queue.push(until, event);
            return Ok(true);
        }
        match event {
            Event::Act(number) => {
                if !self.healed {
                    let what = self.plan.actions[number].what.clone();
                    self.act(what)?;
                }
            }
            Event::Beat(node) => {
                self.beat(node);
                self.queue.push(at_ms + self.plan.shape.beat_ms, Event::Beat(node));
            }
            Event::Look(asker) => {
                if self.is_alive(asker) {
                    self.nodes[asker.0].looks_soon = false;
                    self.look(asker.0);
                }
            }
            Event::Said(asker, saying) => self.hear(asker, saying),
            Event::Told(asker, telling) => {
                if self.is_alive(asker) {
                    self.tell(asker.0, telling);
                }
            }
            Event::Propose => self.propose_inbox(),
            Event::Commit(number) => self.commit(number)?,
            Event::Tick => {
                if self.cluster.has_leader {
                    self.propose(Command::Tick, Vec::new());
                    self.extend_calendars();
                }
                self.queue.push(at_ms + TICK_MS, Event::Tick);
            }
            Event::Elected(skew_ms) => {
                self.note(|| format!("a leader, its clock is off by {skew_ms} ms"));
                self.cluster.has_leader = true;
                self.cluster.skew_ms = skew_ms;
            }
            Event::Follow => {
                let most = self.dice.index(40);
                self.cluster.catch_up(most);
                self.queue.push(at_ms + 300, Event::Follow);
            }
            Event::Extend(asker, request) => self.go_on(asker, request, Self::extend),
            Event::End(asker, request) => self.go_on(asker, request, Self::end),
            Event::Settle(asker, request) => self.go_on(asker, request, Self::settle),
            Event::Book(asker, request) => self.go_on(asker, request, Self::book),
            Event::Start(node) => self.start(node),
            Event::Operate(command) => self.operate(command),
        }
        crate::properties::after_event(&mut self.truth, &self.cluster.ledger)?;
        Ok(true)
    }

    /// A request of a process that is still there goes on.
    fn go_on(&mut self, asker: Asker, request: u64, how: fn(&mut Self, usize, u64)) {
        if self.is_alive(asker) {
            how(self, asker.0, request);
        }
    }

    /// Whether nobody has anything more to say.
    pub fn is_settled(&self) -> bool {
        let gone = |node: &Node| matches!(node.life, super::node::Life::Down);
        self.nodes.iter().all(gone) && self.cluster.ledger.sessions().next().is_none()
    }

    /// When a node wakes up that this is about, if it sleeps.
    fn asleep(&self, event: &Event) -> Option<u64> {
        let node = match event {
            Event::Beat(node)
            | Event::Start(node)
            | Event::Look((node, _))
            | Event::Told((node, _), _)
            | Event::Extend((node, _), _)
            | Event::End((node, _), _)
            | Event::Settle((node, _), _)
            | Event::Book((node, _), _) => *node,
            Event::Act(number) => match &self.plan.actions[*number].what {
                What::Request(request) => request.node,
                What::Kill(..)
                | What::PowerLoss(..)
                | What::Suspend(..)
                | What::CutOff(..)
                | What::Drain(_)
                | What::Forget(_)
                | What::GiveUp(..)
                | What::NewLeader(..)
                | What::SetLimit(..)
                | What::Remake(..)
                | What::Credit(..)
                | What::LateCredit(..)
                | What::Correct(..)
                | What::Repeat
                | What::Restore => return None,
            },
            Event::Said(..)
            | Event::Propose
            | Event::Commit(_)
            | Event::Tick
            | Event::Elected(_)
            | Event::Operate(_)
            | Event::Follow => return None,
        };
        let until = self.nodes[node].sleeps_until;
        (until > self.now_ms).then_some(until)
    }

    /// Whether that run of the node goes on.
    pub fn is_alive(&self, (node, run): Asker) -> bool {
        self.nodes[node].run == run
    }

    /// A message that may get lost, be late, or come twice.
    pub fn send(&mut self, node: usize, mut event: impl FnMut() -> Event) {
        let shape = &self.plan.shape;
        let (delay_ms, lost, doubled) = (shape.delay_ms, shape.lost, shape.doubled);
        if self.nodes[node].cut_off_until > self.now_ms || !self.healed && self.dice.chance(lost, 1_000) {
            return;
        }
        let copies = if !self.healed && self.dice.chance(doubled, 1_000) { 2 } else { 1 };
        for _ in 0..copies {
            let late_ms = if self.dice.chance(1, 200) { 20 * delay_ms + 100 } else { 0 };
            let at_ms = self.now_ms + 1 + self.dice.delay_ms(delay_ms) + late_ms;
            self.queue.push(at_ms, event());
        }
    }
}

fn skew(dice: &mut Dice) -> i64 {
    i64::try_from(dice.below(300)).expect("small") - 150
}
