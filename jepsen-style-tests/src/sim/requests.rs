//! One request at a node: it reserves, may wait, may ask for more. The provider behind it is the truth.

use std::borrow::Cow;
use std::sync::Arc;

use tollgate_ratelimit::RowKey;
use tollgate_ratelimit::journal::{Intent, Part as Noted, Place, Record, Spent as Notes};
use tollgate_ratelimit::unit::{Amount, Unit};
use tollgate_ratelimit::wallet::{Asked, HeldPart, Hold, Part, Purse, Refused, Wallet};

use super::cost::{PRICE, amount, usage, usage_between};
use super::plan::{Fate, Request};

use super::truth::{Known, Sent, Where};
use super::world::{Event, World};

/// A request that waits for a lease.
#[derive(Debug)]
pub struct Waiting {
    request: Request,
    parts: Vec<(Arc<Purse>, Unit)>,
}

/// A request that went to a provider.
#[derive(Debug)]
pub struct Running {
    pub(super) hold: Hold,
    pub(super) parts: Vec<(Arc<Purse>, Unit)>,
    pub(super) request: Request,
    /// The most tokens that it may cost by what is held.
    pub(super) held: u64,
    /// Its place in the truth's list.
    pub(super) sent: usize,
}

impl World {
    /// A client sends a request.
    pub(super) fn request(&mut self, request: Request) {
        let node = request.node;
        let now = self.nodes[node].clock(self.now_ms);
        let Some(wallet) = self.nodes[node].serving().map(|serving| serving.wallet.clone()) else {
            self.figures.unserved += 1;
            return;
        };
        let parts = self.purses(node, &wallet, request.user);
        let asks = asks(&parts, first_tokens(&request));
        let asks: Vec<Part<'_>> =
            asks.iter().map(|(purse, amount)| Part { purse, amount: *amount }).collect();
        let result = match wallet.reserve(&asks, now) {
            Err(refused) if refused.why.is_dry() => {
                self.figures.waited += 1;
                match wallet.ask(&asks, now.plus(request.patience_ms), now) {
                    Asked::Wait(ticket) => {
                        self.nodes[node].waiting.insert(ticket, Waiting { request, parts });
                        self.look_soon(node);
                        return;
                    }
                    Asked::Known(result) => result,
                }
            }
            known @ (Ok(_) | Err(_)) => known,
        };
        self.decided(node, Waiting { request, parts }, result);
        self.look_soon(node);
    }

    fn purses(&self, node: usize, wallet: &Arc<Wallet>, user: u64) -> Vec<(Arc<Purse>, Unit)> {
        let known = self.nodes[node].terms.iter().enumerate();
        let known = known.filter_map(|(number, terms)| Some((number, terms.as_ref()?)));
        let purses = known.map(|(number, (id, terms))| {
            let name = self.bucket(number, *id, user);
            (wallet.purse(&name, terms).expect("a wallet holds more than a run's users"), terms.unit.clone())
        });
        purses.collect()
    }

    /// It is known whether the request may go.
    pub(super) fn decided(&mut self, node: usize, waiting: Waiting, result: Result<Hold, Refused>) {
        let Waiting { request, parts } = waiting;
        let hold = match result {
            Ok(hold) => hold,
            Err(refused) => {
                self.figures.refused += 1;
                self.note(|| format!("node {node} refuses u{}: {}", request.user, refused.why));
                return;
            }
        };
        let Some(session) = self.nodes[node].serving().map(|one| one.session) else { return };
        self.figures.admitted += 1;
        let key = RowKey {
            consumer: format!("u{}", request.user),
            model: format!("m{}", request.user % 3),
            backend: "default/one".to_owned(),
            hour: self.plan.shape.start.plus(self.now_ms).hour(),
        };
        let bound = first_tokens(&request);
        let intent =
            Intent { key: key.clone().into(), usage: usage(bound), cost_nano_usd: bound * PRICE, prices: 1 };
        let noted: Vec<Noted> = hold.held().map(|one| noted(&one, &parts)).collect();
        let record =
            Record::Reserved { hold: hold.number(), parts: Cow::Owned(noted), intent: Cow::Owned(intent) };
        let reserved_at = self.nodes[node].disk.append(&record);
        self.truth.requests.push(Sent {
            session,
            key: RowKey { hour: 0, ..key },
            known: Known::Open,
            bound,
            more: None,
            reserved_at,
            is_spent: false,
            ended_at: None,
            rest: Vec::new(),
            excess: Vec::new(),
        });
        self.next_request += 1;
        let (number, asker) = (self.next_request, (node, self.nodes[node].run));
        self.note(|| {
            format!("node {node} sends request {number} of u{}, at most {bound} tokens", request.user)
        });
        if request.fate == Fate::Extends {
            self.queue.push(self.now_ms + request.runs_ms / 2, Event::Extend(asker, number));
        }
        self.queue.push(self.now_ms + 1 + request.runs_ms, Event::End(asker, number));
        let sent = self.truth.requests.len() - 1;
        self.nodes[node].running.insert(number, Running { hold, parts, request, held: bound, sent });
    }

    /// A request asks for the rest of its bound. Without it, it ends when what it holds is used up.
    pub(super) fn extend(&mut self, node: usize, number: u64) {
        let now = self.nodes[node].clock(self.now_ms);
        let one = &mut self.nodes[node];
        let Some(running) = one.running.get_mut(&number) else { return };
        let more_tokens = running.request.bound - running.held;
        let (few, many) = (running.held, running.request.bound);
        let more = |(_, unit): &(_, Unit)| amount(unit, many) - amount(unit, few);
        let more: Vec<Amount> = running.parts.iter().map(more).collect();
        let before: Vec<HeldPart> = running.hold.held().collect();
        if running.hold.extend(&more, now).is_err() {
            running.request.actual = running.request.actual.min(running.held);
            return;
        }
        let added = difference(&before, running.hold.held());
        let record = Record::Extended {
            hold: running.hold.number(),
            parts: added.iter().map(|one| noted(one, &running.parts)).collect(),
            usage: usage_between(few, many),
            cost_nano_usd: more_tokens * PRICE,
        };
        running.held += more_tokens;
        let sent = running.sent;
        let at = one.disk.append(&record);
        self.truth.requests[sent].more = Some((at, more_tokens));
    }
}

fn asks(parts: &[(Arc<Purse>, Unit)], tokens: u64) -> Vec<(&Arc<Purse>, Amount)> {
    parts.iter().map(|(purse, unit)| (purse, amount(unit, tokens))).collect()
}

fn first_tokens(request: &Request) -> u64 {
    if request.fate == Fate::Extends { request.bound.div_ceil(2) } else { request.bound }
}

fn noted(held: &HeldPart, parts: &[(Arc<Purse>, Unit)]) -> Noted {
    let bucket = || Place::Bucket(parts[held.part].0.name().clone());
    Noted {
        place: held.lease.map_or_else(bucket, Place::Lease),
        spent: Notes { leased: held.leased, overrun: held.lent },
    }
}

pub(super) fn place(
    held: &HeldPart,
    session: tollgate_ratelimit::ledger::command::SessionId,
    parts: &[(Arc<Purse>, Unit)],
) -> (Where, HeldPart) {
    let unplaced = || Where::Unplaced(session, parts[held.part].0.name().clone());
    (held.lease.map_or_else(unplaced, Where::Lease), *held)
}

fn difference(before: &[HeldPart], after: impl Iterator<Item = HeldPart>) -> Vec<HeldPart> {
    let added = after.enumerate().map(|(at, now)| match before.get(at) {
        Some(was) => HeldPart { leased: now.leased - was.leased, lent: now.lent - was.lent, ..now },
        None => now,
    });
    added.filter(|one| one.leased + one.lent > 0).collect()
}
