//! Requests that wait for a lease, first come first served at each purse. They are served here, under the clerk's lock, so
//! that what was granted for them is not lost on the way to them.

use smallvec::SmallVec;
use std::sync::Arc;

use super::Clerk;
use crate::time::NodeTime;
use crate::unit::Amount;
use crate::wallet::hold::{Hold, reserve};
use crate::wallet::purse::{Claim, Part, Purse};
use crate::wallet::refused::{Refused, Why};

/// Requests that may wait for one purse: more of them would not be served before their clients give up.
pub(super) const MOST_WAITERS: usize = 4_096;

/// Names a request that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What asking led to.
#[derive(Debug)]
pub enum Asked {
    /// The answer comes later, under this ticket.
    Wait(Ticket),
    /// It is known already.
    Known(Result<Hold, Refused>),
}

/// A request that does not wait any more.
#[derive(Debug)]
pub struct Woken {
    /// Which one.
    pub ticket: Ticket,
    /// What it got. After the deadline [`Why::Held`] if the ledger has answered meanwhile, so that others have what it lacks,
    /// and [`Why::Unreachable`] if it has not. Never [`Why::Dry`].
    pub result: Result<Hold, Refused>,
}

/// A request that waits.
#[derive(Debug)]
pub(super) struct Waiter {
    parts: SmallVec<[(Arc<Purse>, Amount); 4]>,
    asked_at: NodeTime,
    deadline: NodeTime,
}

impl Waiter {
    fn try_reserve(&self, clerk: &Clerk, ticket: u64, now: NodeTime) -> Result<Hold, Refused> {
        let parts: SmallVec<[Part<'_>; 4]> =
            self.parts.iter().map(|(purse, amount)| Part { purse, amount: *amount }).collect();
        let claim = |purse: &Purse| match clerk.entries.get(purse.place as usize) {
            Some(Some(entry)) if entry.is_first(ticket) => Claim::First,
            Some(_) | None => Claim::New,
        };
        reserve(&clerk.outlet, &parts, claim, now)
    }

    /// Why a request that was refused has waited in vain.
    fn too_late(&self, clerk: &Clerk, refused: Refused) -> Refused {
        if !refused.why.is_dry() {
            return refused;
        }
        let purse = &self.parts[refused.part].0;
        let entry = clerk.entries.get(purse.place as usize).and_then(Option::as_ref);
        let is_answered = entry.is_some_and(|entry| entry.answered_at >= self.asked_at);
        let budget = purse.name().budget;
        Refused { why: if is_answered { Why::Held { budget } } else { Why::Unreachable }, ..refused }
    }

    fn lacks_at(&self, place: u32, now: NodeTime) -> bool {
        let mut here = self.parts.iter().filter(|(purse, _)| purse.place == place);
        here.any(|(purse, amount)| purse.avail(now) < *amount)
    }
}

impl Clerk {
    pub(in crate::wallet) fn ask(
        &mut self,
        parts: &[Part<'_>],
        deadline: NodeTime,
        now: NodeTime,
        ticketed: impl FnOnce(Ticket),
    ) -> Asked {
        for part in parts {
            if self.entry(part.purse.place).is_some_and(|entry| entry.roll(now)) {
                self.set_timer(part.purse.place, Some(now)); // Those who wait already are served at the next tick.
            }
        }
        let refused = match reserve(&self.outlet, parts, |_| Claim::New, now) {
            Err(refused) if refused.why.is_dry() => refused,
            known @ (Ok(_) | Err(_)) => return Asked::Known(known),
        };
        let lacking = lacking(parts, refused.part, now);
        for part in &lacking {
            let place = parts[*part].purse.place;
            if self.entry(place).is_some_and(|entry| entry.waiting.len() >= MOST_WAITERS) {
                let why = Why::Crowded { most: MOST_WAITERS };
                return Asked::Known(Err(Refused { part: *part, why }));
            }
        }
        self.next_ticket += 1;
        let ticket = self.next_ticket;
        let waiter = Waiter {
            parts: parts.iter().map(|part| (Arc::clone(part.purse), part.amount.max(1))).collect(),
            asked_at: now,
            deadline,
        };
        self.waiters.insert(ticket, waiter);
        self.deadlines.insert((deadline, ticket));
        for part in lacking {
            let place = parts[part].purse.place;
            self.queue_at(place, ticket, now);
        }
        ticketed(Ticket(ticket));
        Asked::Wait(Ticket(ticket))
    }

    fn queue_at(&mut self, place: u32, ticket: u64, now: NodeTime) {
        let Some(waiter) = self.waiters.get(&ticket) else { return };
        let of_purse = waiter.parts.iter().filter(|(purse, _)| purse.place == place);
        let amount = of_purse.fold(0, |sum: Amount, (_, amount)| sum.saturating_add(*amount));
        if let Some(entry) = self.entry(place) {
            entry.join_queue(ticket, amount);
        }
        self.ask_on(place, now);
    }

    pub(in crate::wallet) fn cancel(&mut self, ticket: Ticket) {
        self.forget_waiter(ticket.0);
    }

    fn forget_waiter(&mut self, ticket: u64) {
        let Some(waiter) = self.waiters.remove(&ticket) else { return };
        self.deadlines.remove(&(waiter.deadline, ticket));
        for (purse, _) in &waiter.parts {
            self.forget_at(purse.place, ticket);
        }
    }

    /// Gives those who wait here what there is, in their order, up to the first one that it is not enough for.
    pub(super) fn serve(&mut self, place: u32, now: NodeTime, woken: &mut Vec<Woken>) {
        loop {
            let Some(entry) = self.entry(place) else { return };
            let Some(ticket) = entry.waiting.keys().next().copied() else {
                break;
            };
            let Some(waiter) = self.waiters.get(&ticket) else {
                self.forget_at(place, ticket);
                continue;
            };
            match waiter.try_reserve(self, ticket, now) {
                Err(refused) if refused.why.is_dry() => {
                    let lacks_at = waiter.parts[refused.part].0.place;
                    // What lacks elsewhere, too, is asked for in both places at the same time.
                    if lacks_at == place || waiter.lacks_at(place, now) {
                        break;
                    }
                    // There is enough here; it waits on elsewhere.
                    self.forget_at(place, ticket);
                    self.queue_at(lacks_at, ticket, now);
                }
                result @ (Ok(_) | Err(_)) => {
                    self.forget_waiter(ticket);
                    woken.push(Woken { ticket: Ticket(ticket), result });
                }
            }
        }
        self.ask_on(place, now);
    }

    fn forget_at(&mut self, place: u32, ticket: u64) {
        if let Some(entry) = self.entry(place) {
            entry.leave_queue(ticket);
        }
    }

    /// Somebody waits still: ask again, now or later.
    fn ask_on(&mut self, place: u32, now: NodeTime) {
        let Some(entry) = self.entry(place) else { return };
        if !entry.waiting.is_empty() && now >= entry.ask_again_at {
            self.make_urgent(place);
        }
        self.reschedule(place, now);
    }

    /// Ends the wait of those whose deadline has come.
    pub(super) fn expire(&mut self, now: NodeTime, woken: &mut Vec<Woken>) {
        while let Some((deadline, ticket)) = self.deadlines.first().copied() {
            if deadline > now {
                break;
            }
            let waiter = self.waiters.get(&ticket);
            let last_try = waiter.map(|waiter| {
                waiter.try_reserve(self, ticket, now).map_err(|refused| waiter.too_late(self, refused))
            });
            self.forget_waiter(ticket);
            self.deadlines.remove(&(deadline, ticket));
            if let Some(result) = last_try {
                woken.push(Woken { ticket: Ticket(ticket), result });
            }
        }
    }

    /// Ends the wait of all.
    pub(super) fn dismiss(&mut self, now: NodeTime) -> Vec<Woken> {
        let mut woken = Vec::new();
        while let Some((ticket, waiter)) = self.waiters.first_key_value() {
            let (ticket, result) = (*ticket, waiter.try_reserve(self, *ticket, now));
            self.forget_waiter(ticket);
            woken.push(Woken { ticket: Ticket(ticket), result });
        }
        woken
    }
}

/// All parts that have too little, so that they are asked for at the same time; `known` is one of them.
fn lacking(parts: &[Part<'_>], known: usize, now: NodeTime) -> SmallVec<[usize; 4]> {
    let lacks = |part: &Part<'_>| part.purse.avail(now) < part.amount.max(1);
    (0..parts.len()).filter(|at| *at == known || lacks(&parts[*at])).collect()
}
