//! How a request ends: what it did cost is spent, then the journal says so, then it is in a row for the ledger. A process may
//! die between every two of these, and speak to the ledger as well.

use std::borrow::Cow;

use tollgate_ratelimit::RowKey;
use tollgate_ratelimit::budget::BucketName;
use tollgate_ratelimit::journal::{Part as Noted, Place, Record, Spent as Notes};
use tollgate_ratelimit::unit::Amount;
use tollgate_ratelimit::wallet::{HeldPart, PaidPart, Spending};

use super::cost::{amount, row};
use super::plan::Fate;
use super::requests::{Running, place};
use super::truth::{Known, Spent};
use super::world::{Event, World};

/// A request that ended and is in no row yet.
#[derive(Debug)]
pub struct Ending {
    spending: Spending,
    /// Which buckets its parts are of.
    buckets: Vec<BucketName>,
    key: RowKey,
    tokens: u64,
    /// Its place in the truth's list.
    sent: usize,
}

impl World {
    /// A request ends.
    pub(super) fn end(&mut self, node: usize, number: u64) {
        let Some(running) = self.nodes[node].running.remove(&number) else { return };
        if running.request.fate == Fate::Vanishes {
            self.release(node, running);
        } else {
            self.spend(node, number, running);
        }
        self.look_soon(node);
    }

    fn release(&mut self, node: usize, running: Running) {
        let session = self.truth.requests[running.sent].session;
        let ended_at = self.nodes[node].disk.append(&Record::Released { hold: running.hold.number() });
        let places = running.hold.held().map(|held| place(&held, session, &running.parts));
        let rest = places.map(|(place, held)| (place, held.leased + held.lent)).collect();
        let sent = &mut self.truth.requests[running.sent];
        (sent.ended_at, sent.known, sent.rest) = (Some(ended_at), Known::Nothing, rest);
        sent.is_spent = true;
        running.hold.release();
    }

    fn spend(&mut self, node: usize, number: u64, running: Running) {
        let tokens = match running.request.fate {
            Fate::Passes(more) => running.held + more,
            Fate::Settles | Fate::Extends | Fate::Vanishes => running.request.actual.min(running.held),
        };
        let Running { hold, parts, sent, .. } = running;
        let session = self.truth.requests[sent].session;
        let actual: Vec<Amount> = parts.iter().map(|(_, unit)| amount(unit, tokens)).collect();
        let held: Vec<HeldPart> = hold.held().collect();
        let spending = hold.spend(&actual);
        let spent: Vec<PaidPart> = spending.parts().collect();
        for (held, PaidPart { paid, .. }) in held.iter().zip(spent) {
            let (place, _) = place(held, session, &parts);
            let lent = paid.overrun.min(held.lent);
            let beyond = paid.overrun - lent;
            self.truth.spend(&place, Spent { leased: paid.leased, lent, beyond, ..Spent::default() });
            self.truth.note_difference(sent, place, *held, paid.leased, paid.overrun);
        }
        self.truth.requests[sent].is_spent = true;
        let hour = self.plan.shape.start.plus(self.now_ms).hour();
        let key = RowKey { hour, ..self.truth.requests[sent].key.clone() };
        self.note(|| format!("node {node}: request {number} did cost {tokens}"));
        let buckets = parts.iter().map(|(purse, _)| purse.name().clone()).collect();
        self.nodes[node].ending.insert(number, Ending { spending, buckets, key, tokens, sent });
        if self.goes_on_at_once() {
            self.settle(node, number);
        } else {
            let (at_ms, asker) = (self.a_bit_later(), (node, self.nodes[node].run));
            self.queue.push(at_ms, Event::Settle(asker, number));
        }
    }

    /// The journal notes what a request did cost.
    pub(super) fn settle(&mut self, node: usize, number: u64) {
        let one = &mut self.nodes[node];
        let Some(ending) = one.ending.get_mut(&number) else { return };
        // Named when it is noted: a first lease may have come since it was spent.
        let parts = ending.spending.parts().map(|PaidPart { part, lease, paid }| Noted {
            place: lease.map_or_else(|| Place::Bucket(ending.buckets[part].clone()), Place::Lease),
            spent: Notes { leased: paid.leased, overrun: paid.overrun },
        });
        let record = Record::Settled {
            hold: ending.spending.number(),
            parts: parts.collect(),
            key: Some(Cow::Borrowed(&ending.key)),
            row: row(ending.tokens),
        };
        let ended_at = one.disk.append(&record);
        let sent = &mut self.truth.requests[ending.sent];
        (sent.ended_at, sent.known) = (Some(ended_at), Known::Cost(ending.tokens));
        if self.goes_on_at_once() {
            self.book(node, number);
        } else {
            let (at_ms, asker) = (self.a_bit_later(), (node, self.nodes[node].run));
            self.queue.push(at_ms, Event::Book(asker, number));
        }
    }

    /// What it did cost is in a row.
    pub(super) fn book(&mut self, node: usize, number: u64) {
        let Some(Ending { spending, key, tokens, .. }) = self.nodes[node].ending.remove(&number) else {
            return;
        };
        spending.book((key, row(tokens)));
    }

    fn goes_on_at_once(&mut self) -> bool {
        self.dice.chance(2, 3)
    }

    /// Late enough now and then for batches to leave, answers to come, windows to end.
    fn a_bit_later(&mut self) -> u64 {
        let mean_ms = self.dice.pick(&[1, 10, 100]);
        self.now_ms + 1 + self.dice.delay_ms(mean_ms)
    }

    /// The process dies: providers spend a part of what was held, and nobody says how much.
    pub(super) fn consume_open(&mut self, node: usize) {
        for (_, running) in std::mem::take(&mut self.nodes[node].running) {
            let session = self.truth.requests[running.sent].session;
            let vanished = running.request.fate == Fate::Vanishes;
            let tokens = if vanished { 0 } else { self.dice.between(1, running.held) };
            let costs = |(_, unit): &(_, _)| if vanished { 0 } else { amount(unit, tokens) };
            let mut unpaid: Vec<Amount> = running.parts.iter().map(costs).collect();
            for held in running.hold.held() {
                let leased = unpaid[held.part].min(held.leased);
                let lent = (unpaid[held.part] - leased).min(held.lent);
                unpaid[held.part] -= leased + lent;
                let (place, _) = place(&held, session, &running.parts);
                self.truth.spend(&place, Spent { leased, lent, ..Spent::default() });
                self.truth.note_difference(running.sent, place, held, leased, lent);
            }
        }
    }
}
