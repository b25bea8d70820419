//! Nodes, network, leader and clients, and what happens next.

use std::sync::Arc;

use tollgate_ratelimit::budget::{BucketName, BudgetId, Enforcement, Key};
use tollgate_ratelimit::ledger::command::Batch;
use tollgate_ratelimit::ledger::outcome::{Answer, Nudge};
use tollgate_ratelimit::time::NodeTime;
use tollgate_ratelimit::unit::Unit;
use tollgate_ratelimit::wallet::{Asked, Hold, Part, Purse, Refused, Terms, Why, Woken};
use tollgate_ratelimit::{Row, RowKey, Usage};

use super::cluster::{Cluster, Committed, Entry, START};
use super::figures::{Figures, Phase};
use super::load::{Load, Request};
use super::node::{Node, Running, Waiting};
use super::truth::{Pot, PotName, Pots, Refusal};
use super::{Setting, WINDOW_MS};
use crate::sim::dice::Dice;
use crate::sim::queue::Queue;

/// The window that is measured; those before it warm up.
const MEASURED: u64 = 1;
const LENGTH_MS: u64 = (MEASURED + 1) * WINDOW_MS;
/// Within this time the last requests have ended and were told.
const ENDING_MS: u64 = 30_000;
/// A message's way is this long or a millisecond more: three milliseconds there and back on average.
const WAY_MS: u64 = 1;
/// A quorum takes as long as a message there and back.
const QUORUM_MS: u64 = 3;
/// The leader makes an entry so often, if something came.
const GATHER_MS: u64 = 2;
/// And says what time it is so often.
const TICK_MS: u64 = 500;
/// Nodes look after their wallets so often, and a millisecond after something became urgent.
const BEAT_MS: u64 = 10;
/// Requests wait for a lease for at most so long.
const PATIENCE_MS: u64 = 250;

enum Event {
    Arrive,
    Beat(usize),
    Look(usize),
    Said(Batch),
    Propose,
    Commit(Entry),
    Tick,
    Answered(usize, Answer),
    Nudged(usize, Nudge),
    End(usize, Running),
}

/// See the file's purpose.
pub(super) struct World {
    setting: Setting,
    now_ms: u64,
    queue: Queue<Event>,
    dice: Dice,
    load: Load,
    cluster: Cluster,
    nodes: Vec<Node>,
    pots: Pots,
    figures: Figures,
    /// When a tenth of the measured window's limit was left.
    tail_since_ms: Option<u64>,
}

impl World {
    pub(super) fn new(setting: Setting) -> Self {
        let cluster = Cluster::new(&setting);
        let mut queue = Queue::default();
        for node in 0..setting.nodes {
            queue.push(node as u64 % BEAT_MS, Event::Beat(node));
        }
        queue.push(TICK_MS, Event::Tick);
        let mut load = Load::new(&setting, LENGTH_MS);
        if let Some(at_ms) = load.next_moment() {
            queue.push(at_ms, Event::Arrive);
        }
        Self {
            setting,
            now_ms: 0,
            queue,
            dice: Dice::new(setting.seed, 5),
            load,
            nodes: cluster.holders.keys().map(|session| Node::new(*session)).collect(),
            cluster,
            pots: Pots::new(),
            figures: Figures::default(),
            tail_since_ms: None,
        }
    }

    pub(super) fn run(mut self) -> Figures {
        while let Some((at_ms, event)) = self.queue.pop() {
            self.now_ms = at_ms;
            if at_ms > LENGTH_MS + ENDING_MS {
                break;
            }
            self.happen(event);
        }
        let starts_ms = MEASURED * WINDOW_MS;
        let tail_since_ms = self.tail_since_ms.unwrap_or(LENGTH_MS);
        self.figures.steady.length_ms = tail_since_ms - starts_ms;
        self.figures.tail.length_ms = LENGTH_MS - tail_since_ms;
        self.figures.organisation = self.pot((MEASURED, None)).left();
        let measured = self.pots.range((MEASURED, Some(0))..(MEASURED + 1, None));
        let refused = measured.map(|(_, pot)| pot).filter(|pot| pot.was_refused());
        self.figures.users = refused.map(Pot::left).collect();
        self.figures
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive => {
                let request = self.load.request();
                self.arrive(request);
                if let Some(at_ms) = self.load.next_moment() {
                    self.queue.push(at_ms, Event::Arrive);
                }
            }
            Event::Beat(node) => {
                self.look(node);
                self.queue.push(self.now_ms + BEAT_MS, Event::Beat(node));
            }
            Event::Look(node) => {
                self.nodes[node].looks_soon = false;
                self.look(node);
            }
            Event::Said(batch) => {
                if self.cluster.inbox.is_empty() {
                    let at_ms = (self.now_ms / GATHER_MS + 1) * GATHER_MS;
                    self.queue.push(at_ms, Event::Propose);
                }
                self.cluster.inbox.push(batch);
            }
            Event::Propose => {
                let entry = self.cluster.propose(self.now_ms);
                self.queue.push(self.now_ms + QUORUM_MS, Event::Commit(entry));
            }
            Event::Commit(entry) => self.commit(entry),
            Event::Tick => {
                let nudges = self.cluster.tick(self.now_ms);
                self.tell_nudges(nudges);
                self.queue.push(self.now_ms + TICK_MS, Event::Tick);
            }
            Event::Answered(node, answer) => {
                self.nodes[node].is_away = false;
                let woken = self.nodes[node].wallet.handle(&answer, self.clock());
                self.wake(node, woken);
            }
            Event::Nudged(node, nudge) => {
                self.nodes[node].wallet.nudge(&nudge, self.clock());
                self.look_soon(node);
            }
            Event::End(node, running) => self.end(node, running),
        }
    }

    /// All clocks agree: faults are the simulator's business.
    const fn clock(&self) -> NodeTime {
        NodeTime(1 + self.now_ms)
    }

    fn way_ms(&mut self) -> u64 {
        WAY_MS + self.dice.below(2)
    }

    fn look(&mut self, node: usize) {
        let now = self.clock();
        let woken = self.nodes[node].wallet.tick(now);
        if let Some(batch) = self.nodes[node].wallet.poll(now) {
            self.nodes[node].is_away = true;
            let at_ms = self.now_ms + self.way_ms();
            self.queue.push(at_ms, Event::Said(batch));
        }
        self.wake(node, woken);
    }

    fn look_soon(&mut self, node: usize) {
        let one = &mut self.nodes[node];
        if one.wallet.is_urgent() && !one.is_away && !one.looks_soon {
            one.looks_soon = true;
            self.queue.push(self.now_ms + 1, Event::Look(node));
        }
    }

    fn commit(&mut self, entry: Entry) {
        let Committed { answers, nudges, items } = self.cluster.commit(entry);
        if let Some(phase) = self.phase(self.now_ms) {
            phase.entries += 1;
            phase.items.add(items);
        }
        for answer in answers {
            let Some(node) = self.cluster.holders.get(&answer.session).copied() else { continue };
            let at_ms = self.now_ms + self.way_ms();
            self.queue.push(at_ms, Event::Answered(node, answer));
        }
        self.tell_nudges(nudges);
    }

    fn tell_nudges(&mut self, nudges: Vec<Nudge>) {
        for nudge in nudges {
            let Some(node) = self.cluster.holders.get(&nudge.session).copied() else { continue };
            let at_ms = self.now_ms + self.way_ms();
            self.queue.push(at_ms, Event::Nudged(node, nudge));
        }
    }

    fn arrive(&mut self, request: Request) {
        if let Some(phase) = self.phase(self.now_ms) {
            phase.requests += 1;
        }
        let (node, now) = (request.node, self.clock());
        let wallet = Arc::clone(&self.nodes[node].wallet);
        let [user, organisation] = self.purses(&request);
        let parts = [&user, &organisation].map(|purse| Part { purse, amount: request.bound });
        let result = match wallet.reserve(&parts, now) {
            Err(refused) if refused.why.is_dry() => match wallet.ask(&parts, now.plus(PATIENCE_MS), now) {
                Asked::Wait(ticket) => {
                    self.nodes[node].waiting.insert(ticket, Waiting { request, since_ms: self.now_ms });
                    let lacks = u64::from(organisation.avail(now) < request.bound);
                    if let Some(phase) = self.phase(self.now_ms) {
                        phase.waited_for_organisation += lacks;
                    }
                    self.look_soon(node);
                    return;
                }
                Asked::Known(result) => result,
            },
            known @ (Ok(_) | Err(_)) => known,
        };
        self.decide(request, self.now_ms, result);
        self.look_soon(node);
    }

    fn purses(&self, request: &Request) -> [Arc<Purse>; 2] {
        let user = (self.cluster.user, format!("u{}", request.user), self.setting.user_limit());
        let organisation = (self.cluster.organisation, String::new(), self.setting.limit());
        [user, organisation].map(|(budget, key, limit): (BudgetId, String, u64)| {
            let name = BucketName { budget, key: Key(key.into()) };
            let terms = Terms { unit: Unit::TotalTokens, enforcement: Enforcement::Strict, limit };
            self.nodes[request.node].wallet.purse(&name, &terms).expect("fewer users than purses")
        })
    }

    fn wake(&mut self, node: usize, woken: Vec<Woken>) {
        for Woken { ticket, result } in woken {
            let Some(Waiting { request, since_ms }) = self.nodes[node].waiting.remove(&ticket) else {
                continue;
            };
            let waited_ms = self.now_ms - since_ms;
            let refused = u64::from(result.is_err());
            if let Some(phase) = self.phase(since_ms) {
                phase.waits_ms.push(waited_ms);
                phase.refused_after_asking += refused;
            }
            self.decide(request, since_ms, result);
        }
        self.look_soon(node);
    }

    fn decide(&mut self, request: Request, since_ms: u64, result: Result<Hold, Refused>) {
        // Who was let through pays now; who was refused had asked of the window that was current then.
        let window = if result.is_ok() { self.now_ms } else { since_ms } / WINDOW_MS;
        let names = [(window, Some(request.user)), (window, None)];
        let is_admitted = result.is_ok();
        match result {
            Ok(hold) => {
                for name in names {
                    self.pot(name).hold(request.bound);
                }
                let running = Running { hold, request, window };
                self.queue.push(self.now_ms + request.runs_ms, Event::End(request.node, running));
            }
            Err(Refused { part, why }) => {
                let refusal = if let Why::Exhausted { .. } = why { Refusal::Final } else { Refusal::ForNow };
                // Who waited in vain is told the first part that it lacked, and may have lacked the one after it, too.
                let in_vain = refusal == Refusal::ForNow && self.now_ms - since_ms >= PATIENCE_MS;
                let lacked = if in_vain { &names[part..] } else { &names[part..=part] };
                let name =
                    *lacked.iter().min_by_key(|name| self.free(**name)).expect("at least the first part");
                self.pot(name).refuse(request.bound, refusal);
            }
        }
        if let Some(phase) = self.phase(since_ms) {
            phase.admitted += u64::from(is_admitted);
            phase.refused += u64::from(!is_admitted);
        }
        let organisation = self.pot((window, None));
        let is_tail = organisation.free() <= organisation.limit() / 10;
        if window == MEASURED && is_tail {
            self.tail_since_ms.get_or_insert(self.now_ms);
        }
    }

    fn end(&mut self, node: usize, running: Running) {
        let Running { hold, request, window } = running;
        let Request { actual, bound, user, .. } = request;
        for name in [(window, Some(user)), (window, None)] {
            self.pot(name).settle(bound, actual);
        }
        let usage = Usage { total: actual, ..Usage::default() };
        let row = Row { requests: 1, usage, ..Row::default() };
        let key = RowKey {
            consumer: format!("u{user}"),
            model: "model".to_owned(),
            backend: "backend".to_owned(),
            hour: START.hour(),
        };
        hold.settle(&[actual, actual], (key, row));
        self.look_soon(node);
    }

    fn free(&self, name: PotName) -> u64 {
        self.pots.get(&name).map_or(u64::MAX, Pot::free)
    }

    fn pot(&mut self, name: PotName) -> &mut Pot {
        let limit = if name.1.is_some() { self.setting.user_limit() } else { self.setting.limit() };
        self.pots.entry(name).or_insert_with(|| Pot::new(limit))
    }

    /// Where things of that moment are counted.
    fn phase(&mut self, at_ms: u64) -> Option<&mut Phase> {
        if at_ms / WINDOW_MS != MEASURED {
            return None;
        }
        let is_tail = self.tail_since_ms.is_some_and(|since_ms| since_ms <= at_ms);
        Some(if is_tail { &mut self.figures.tail } else { &mut self.figures.steady })
    }
}
