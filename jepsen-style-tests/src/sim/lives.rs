//! A process's life: it starts, gets a session, settles what earlier runs left, and dies in one way or another.

use std::collections::VecDeque;

use tollgate_ratelimit::journal::{LastBatch, Record, settle_old};
use tollgate_ratelimit::ledger::command::SessionId;
use tollgate_ratelimit::ledger::outcome::{Outcome, Rejected, Unfinished};
use tollgate_ratelimit::wallet::{Settings, Wallet};

use super::node::{Life, Recovery, Serving};
use super::plan::Down;
use super::world::{Event, Saying, World};

/// What nobody answered is said again after this long.
pub(super) const AGAIN_MS: u64 = 400;

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Death {
    /// It is killed: files stay.
    Killed,
    /// Its machine loses power: what was not flushed goes.
    PowerLost,
}

impl World {
    /// A process starts, and asks for a session.
    pub(super) fn start(&mut self, node: usize) {
        if matches!(self.nodes[node].life, Life::Down) {
            self.nodes[node].life = Life::Opening;
            self.nodes[node].incarnation += 1;
            self.say_open(node);
        }
    }

    pub(super) fn say_open(&mut self, node: usize) {
        let (asker, incarnation) = ((node, self.nodes[node].run), self.nodes[node].incarnation);
        self.send(node, || Event::Said(asker, Saying::Open(incarnation)));
    }

    /// The session is there.
    pub(super) fn opened(&mut self, node: usize, outcome: Outcome) {
        let Outcome::SessionOpened { session, earlier } = outcome else {
            self.open_refused(node, &outcome);
            return;
        };
        let terms = self.terms();
        let one = &mut self.nodes[node];
        match &one.life {
            Life::Opening => {
                let opened = one.as_opened(session);
                one.disk.flush(); // What earlier runs left is kept before anybody is told of it.
                one.disk.open(opened);
                let wallet = Wallet::new(session, Settings::default());
                one.life = Life::Serving(Serving { session, wallet, leaving: false, lost: None });
                one.terms = terms;
                self.plan_recoveries(node, &earlier);
                self.note(|| format!("node {node} serves as session {}", session.0));
            }
            Life::Serving(Serving { lost: Some(last), .. }) => {
                let last = *last;
                self.resume(node, session, last);
                self.plan_recoveries(node, &earlier);
            }
            // Asked again, because an answer was another one's.
            Life::Serving(serving) if serving.session == session && one.recoveries.is_empty() => {
                self.plan_recoveries(node, &earlier);
            }
            Life::Serving(_) | Life::Down | Life::Closing(_) => {}
        }
    }

    /// A run whose session was closed before it heard of it is forgotten: its node goes on as another run.
    fn open_refused(&mut self, node: usize, outcome: &Outcome) {
        let is_old = matches!(outcome, Outcome::Rejected(Rejected::OldIncarnation { .. }));
        let one = &mut self.nodes[node];
        match &one.life {
            Life::Opening if is_old => {
                one.forget_all(&mut self.dice);
                self.start(node);
            }
            Life::Serving(Serving { lost: Some(_), .. }) if is_old => one.incarnation += 1,
            Life::Opening | Life::Serving(_) | Life::Down | Life::Closing(_) => {}
        }
    }

    /// The ledger has closed the session: the process goes on as another one, or another process does.
    pub(super) fn lose_session(&mut self, node: usize) {
        let one = &mut self.nodes[node];
        let Life::Serving(serving) = &mut one.life else { return };
        if serving.lost.is_some() {
            return;
        }
        let last = if one.copies == 1 { LastBatch::Refused } else { LastBatch::Unknown };
        serving.lost = Some(last);
        let (session, flight) = (serving.session, one.flight.take());
        if let (LastBatch::Unknown, Some(batch)) = (last, flight) {
            self.truth.leave_untold(batch);
        }
        if self.dice.chance(1, 4) {
            self.die(node, Death::Killed, Down::For(10));
            return;
        }
        self.note(|| format!("node {node} lost session {}, last batch {last:?}", session.0));
        self.nodes[node].incarnation += 1;
        self.say_open(node);
    }

    fn resume(&mut self, node: usize, session: SessionId, last: LastBatch) {
        let one = &mut self.nodes[node];
        let opened = one.as_opened(session);
        one.disk.flush();
        one.disk.resume(opened, last);
        (one.sent, one.copies, one.flight) = (0, 0, None);
        let now = one.clock(self.now_ms);
        let Life::Serving(serving) = &mut one.life else { return };
        let old = std::mem::replace(&mut serving.session, session);
        serving.lost = None;
        serving.wallet.resume(session, now);
        self.truth.go_on_as(old, session);
        self.figures.resumed += 1;
        self.note(|| format!("node {node} goes on as session {}", session.0));
    }

    fn plan_recoveries(&mut self, node: usize, earlier: &[Unfinished]) {
        let one = &self.nodes[node];
        let mut recoveries = VecDeque::new();
        for unfinished in earlier {
            let replayed = one.disk.read(unfinished.session, one.boot());
            if replayed.as_ref().is_none_or(|replayed| !replayed.complete) {
                self.truth.lost.insert(unfinished.session);
            }
            let (batches, ending) = settle_old(unfinished, replayed.as_ref()).expect("its own journal");
            recoveries.push_back(Recovery { session: ending.session, batches: batches.into(), again_at: 0 });
        }
        self.nodes[node].recoveries = recoveries;
    }

    /// Says the next thing that an earlier session has to say.
    pub(super) fn recover(&mut self, node: usize) {
        let now_ms = self.now_ms;
        let asker = (node, self.nodes[node].run);
        let Some(recovery) = self.nodes[node].recoveries.front_mut() else { return };
        if now_ms < recovery.again_at {
            return;
        }
        recovery.again_at = now_ms + AGAIN_MS;
        let saying = match recovery.batches.front() {
            Some(batch) => Saying::Batch(batch.clone()),
            None => Saying::Close(recovery.session),
        };
        self.send(node, || Event::Said(asker, saying.clone()));
    }

    /// A session is closed.
    pub(super) fn closed(&mut self, node: usize, session: SessionId) {
        let one = &mut self.nodes[node];
        if one.recoveries.front().is_some_and(|recovery| recovery.session == session) {
            one.recoveries.pop_front();
            one.disk.remove(session);
        }
        if matches!(one.life, Life::Closing(closing) if closing == session) {
            one.disk.remove(session);
            one.forget_all(&mut self.dice);
            if !self.healed {
                let back_ms = self.dice.between(50, 5_000);
                self.queue.push(self.now_ms + back_ms, Event::Start(node));
            }
            self.note(|| format!("node {node} left"));
        }
    }

    /// All was given back: the session may be closed.
    pub(super) fn leave_if_drained(&mut self, node: usize) {
        let one = &mut self.nodes[node];
        let Some(serving) = one.serving() else { return };
        let session = serving.session;
        let is_idle = serving.lost.is_none()
            && one.recoveries.is_empty()
            && one.running.is_empty()
            && one.ending.is_empty();
        if serving.leaving && serving.wallet.drained() && is_idle {
            one.disk.append(&Record::Clean);
            one.disk.flush();
            one.life = Life::Closing(session);
            self.truth.leave_unplaced(session);
        }
    }

    /// A process dies with everything in its memory.
    pub(super) fn die(&mut self, node: usize, how: Death, down: Down) {
        if !matches!(self.nodes[node].life, Life::Down) {
            self.figures.deaths += 1;
            self.note(|| format!("node {node} dies: {how:?}, down {down:?}"));
            if let Some(session) = self.nodes[node].serving().map(|serving| serving.session) {
                self.consume_open(node);
                if how == Death::Killed {
                    self.truth.cut(session, usize::MAX);
                    self.truth.leave_unplaced(session);
                }
            }
            self.nodes[node].forget_all(&mut self.dice);
            if let Down::For(down_ms) = down {
                self.queue.push(self.now_ms + down_ms, Event::Start(node));
            }
        }
        if how == Death::PowerLost {
            let one = &mut self.nodes[node];
            one.boots += 1;
            let dice = &mut self.dice;
            for (session, kept) in one.disk.lose_power(dice) {
                self.truth.cut(session, kept);
                self.truth.leave_unplaced(session);
                self.truth.lost.insert(session);
            }
        }
    }
}
