//! A node looks after its wallet: time passes, batches leave, answers come. What the journal must say is said here, in the
//! order in which it must be said.

use std::borrow::Cow;

use tollgate_ratelimit::journal::Record;
use tollgate_ratelimit::ledger::command::Target;
use tollgate_ratelimit::ledger::outcome::{Answer, BatchVerdict, ItemAnswer};
use tollgate_ratelimit::wallet::Woken;

use super::lives::AGAIN_MS;
use super::node::Life;
use super::world::{Event, Saying, Telling, World};

impl World {
    /// The regular look.
    pub(super) fn beat(&mut self, node: usize) {
        match &self.nodes[node].life {
            Life::Down => {}
            Life::Opening => {
                if self.now_ms % AGAIN_MS < self.plan.shape.beat_ms {
                    self.say_open(node);
                }
            }
            Life::Closing(session) => {
                let (session, asker) = (*session, (node, self.nodes[node].run));
                self.send(node, || Event::Said(asker, Saying::Close(session)));
            }
            Life::Serving(serving) => {
                let is_lost = serving.lost.is_some();
                if self.leaving && !serving.leaving {
                    self.drain(node);
                }
                if self.nodes[node].cut_off_until <= self.now_ms {
                    self.nodes[node].terms = self.terms();
                }
                if self.dice.chance(1, 3) {
                    self.nodes[node].disk.flush();
                }
                if self.dice.chance(1, 50) {
                    self.nodes[node].disk.rotate(&mut self.dice);
                }
                if is_lost && self.now_ms % AGAIN_MS < self.plan.shape.beat_ms {
                    self.say_open(node);
                }
                self.recover(node);
                self.look(node);
                self.leave_if_drained(node);
            }
        }
    }

    /// Time passes for the wallet, and it may have something to say.
    pub(super) fn look(&mut self, node: usize) {
        let now = self.nodes[node].clock(self.now_ms);
        let Some(serving) = self.nodes[node].serving() else { return };
        let wallet = serving.wallet.clone();
        let woken = wallet.tick(now);
        self.wake(node, woken);
        let Some(batch) = wallet.poll(now) else { return };
        let one = &mut self.nodes[node];
        if batch.sequence > one.sent {
            one.disk.append(&Record::Sent { sequence: batch.sequence, rows: Cow::Borrowed(&batch.rows) });
            one.disk.flush();
            one.sent = batch.sequence;
            one.copies = 0;
        }
        one.copies += 1;
        one.flight = Some(batch.clone());
        let asker = (node, one.run);
        self.send(node, || Event::Said(asker, Saying::Batch(batch.clone())));
    }

    /// Looks again soon, if that spares somebody a wait.
    pub(super) fn look_soon(&mut self, node: usize) {
        let one = &mut self.nodes[node];
        let urgent = one.serving().is_some_and(|serving| serving.wallet.is_urgent());
        // While a batch is away nothing can be said.
        if urgent && one.flight.is_none() && !one.looks_soon {
            one.looks_soon = true;
            self.queue.push(self.now_ms + 1, Event::Look((node, one.run)));
        }
    }

    /// A node is told something.
    pub(super) fn tell(&mut self, node: usize, telling: Telling) {
        if self.nodes[node].cut_off_until > self.now_ms {
            return;
        }
        match telling {
            Telling::Answer(answer) => self.answered(node, &answer),
            Telling::Opened(incarnation, outcome) => {
                if self.nodes[node].incarnation == incarnation {
                    self.opened(node, outcome);
                }
            }
            Telling::Closed(session) => self.closed(node, session),
            Telling::Nudge(nudge) => {
                let now = self.nodes[node].clock(self.now_ms);
                if let Some(serving) = self.nodes[node].serving() {
                    serving.wallet.nudge(&nudge, now);
                }
            }
        }
        self.look_soon(node);
    }

    fn answered(&mut self, node: usize, answer: &Answer) {
        let now = self.nodes[node].clock(self.now_ms);
        if self.recovered(node, answer) {
            return;
        }
        let Some(serving) = self.nodes[node].serving() else { return };
        if serving.session != answer.session {
            return;
        }
        let wallet = serving.wallet.clone();
        self.note_answer(node, answer);
        let woken = wallet.handle(answer, now);
        self.wake(node, woken);
        if wallet.session_is_lost() {
            self.lose_session(node);
        }
    }

    /// The journal notes what an answer says before anybody spends of it.
    fn note_answer(&mut self, node: usize, answer: &Answer) {
        let one = &mut self.nodes[node];
        let ours = |batch: &tollgate_ratelimit::ledger::command::Batch| batch.sequence == answer.sequence;
        if answer.verdict != BatchVerdict::Applied || !one.flight.as_ref().is_some_and(ours) {
            return;
        }
        let Some(batch) = one.flight.take() else { return };
        for (item, told) in batch.items.iter().zip(&answer.items) {
            match (&item.target, told) {
                (Target::Current(bucket), ItemAnswer::Lease(state)) => {
                    let record = Record::Leased { bucket: Cow::Borrowed(bucket), lease: state.lease };
                    self.truth.place(state.lease, one.disk.append(&record));
                }
                (Target::Lease(lease), ItemAnswer::Closed) => {
                    one.disk.append(&Record::Ended { lease: *lease });
                }
                _ => {}
            }
        }
        one.disk.append(&Record::Reported { sequence: answer.sequence });
    }

    /// An answer to what was said for an earlier session. Whether it was one.
    fn recovered(&mut self, node: usize, answer: &Answer) -> bool {
        let one = &mut self.nodes[node];
        let Some(recovery) = one.recoveries.front_mut().filter(|one| one.session == answer.session) else {
            return false;
        };
        let Some(batch) = recovery.batches.front().filter(|batch| batch.sequence == answer.sequence) else {
            return true;
        };
        recovery.again_at = 0;
        let whole = answer.verdict == BatchVerdict::Applied && answer.items.len() == batch.items.len();
        if whole {
            recovery.batches.pop_front();
            self.recover(node);
        } else if answer.verdict == BatchVerdict::NoSession {
            one.recoveries.pop_front();
        } else {
            one.recoveries.clear();
            self.say_open(node);
        }
        true
    }

    fn wake(&mut self, node: usize, woken: Vec<Woken>) {
        for Woken { ticket, result } in woken {
            let Some(request) = self.nodes[node].waiting.remove(&ticket) else { continue };
            self.decided(node, request, result);
        }
        self.look_soon(node);
    }
}
