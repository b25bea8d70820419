//! What one request holds of all its budgets: taken all or nothing, ended exactly once. Dropped, it is given back, so no path
//! through a request can leak one.

use std::mem;
use std::sync::Arc;

use smallvec::SmallVec;

use super::cell::{Paid, Taken};
use super::outlet::Outlet;
use super::purse::{Claim, Leased, Part, Purse};
use super::refused::{Refused, Why};
use crate::ledger::command::LeaseId;
use crate::ledger::rows::{Row, RowKey};
use crate::time::NodeTime;
use crate::unit::Amount;

/// Budgets that cover one request without an allocation: organisation, team, user, model.
const USUAL_PARTS: usize = 4;

/// What is held of one lease for one part.
#[derive(Debug)]
struct Piece {
    part: usize,
    leased: Arc<Leased>,
    taken: Taken,
}

/// See the file's purpose.
#[must_use = "a hold that is dropped is given back"]
#[derive(Debug)]
pub struct Hold {
    number: u64,
    parts: usize,
    /// In the order of parts; more than one of a part after an extension past the end of a window.
    pieces: SmallVec<[Piece; USUAL_PARTS]>,
    /// For requests that no budget covers. Others reach it through their leases, so that not all requests of a node count
    /// references to one thing.
    outlet: Option<Arc<Outlet>>,
}

/// What is held of one lease, as the journal notes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldPart {
    /// For which part.
    pub part: usize,
    /// Of which lease. None for an allowance that is spent before the first lease came.
    pub lease: Option<LeaseId>,
    /// How much of the lease.
    pub leased: Amount,
    /// How much of the allowance beside it.
    pub lent: Amount,
}

/// What one part of a settled hold did cost, as the journal notes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaidPart {
    /// For which part.
    pub part: usize,
    /// Of which lease. None where the first lease has not come yet.
    pub lease: Option<LeaseId>,
    /// How much of it, and beyond it.
    pub paid: Paid,
}

/// A hold that was spent and is in no row yet: the moment to note it in the journal. The ledger may hear of the leases'
/// totals meanwhile; a restart takes the hold for spent in full until the note is there.
#[must_use = "what was spent belongs to a row"]
#[derive(Debug)]
pub struct Spending {
    number: u64,
    /// Also the way to the outlet, as for holds.
    pieces: SmallVec<[Spent; USUAL_PARTS]>,
    outlet: Option<Arc<Outlet>>,
}

/// What was spent of one lease for one part.
#[derive(Debug)]
struct Spent {
    part: usize,
    leased: Arc<Leased>,
    paid: Paid,
}

impl Spending {
    /// The hold's number.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// What each part did cost. A first lease may come while the hold is spent and not noted: it is named from then on.
    pub fn parts(&self) -> impl Iterator<Item = PaidPart> {
        self.pieces.iter().map(|piece| PaidPart {
            part: piece.part,
            lease: piece.leased.id.get().copied(),
            paid: piece.paid,
        })
    }

    /// Adds the request's row to what the ledger hears next.
    pub fn book(mut self, (key, row): (impl Into<Arc<RowKey>>, Row)) {
        let (pieces, outlet) = (mem::take(&mut self.pieces), self.outlet.take());
        if let Some(outlet) = pieces.first().map(|piece| &piece.leased.outlet).or(outlet.as_ref()) {
            outlet.book(self.number, key.into(), &row);
        }
    }
}

impl Drop for Spending {
    fn drop(&mut self) {
        let outlet = self.pieces.first().map(|piece| &piece.leased.outlet).or(self.outlet.as_ref());
        if let Some(outlet) = outlet {
            outlet.end(self.number);
        }
    }
}

/// Takes all of `parts` or nothing; `claim` says of each whether it has waited.
pub(super) fn reserve(
    outlet: &Arc<Outlet>,
    parts: &[Part<'_>],
    claim: impl Fn(&Purse) -> Claim,
    now: NodeTime,
) -> Result<Hold, Refused> {
    if outlet.is_closed() {
        return Err(Refused { part: 0, why: Why::Draining });
    }
    let mut pieces: SmallVec<[Piece; USUAL_PARTS]> = SmallVec::new();
    for (part, Part { purse, amount }) in parts.iter().enumerate() {
        match purse.take((*amount).max(1), claim(purse), now) {
            Ok((leased, taken)) => pieces.push(Piece { part, leased, taken }),
            Err(why) => {
                give_back(&pieces);
                return Err(Refused { part, why });
            }
        }
    }
    let number = outlet.begin(pieces.last().map_or(0, |piece| piece.leased.place));
    let own = pieces.is_empty().then(|| Arc::clone(outlet));
    Ok(Hold { number, parts: parts.len(), pieces, outlet: own })
}

fn give_back(pieces: &[Piece]) {
    for piece in pieces {
        piece.leased.release(piece.taken);
    }
}

impl Hold {
    /// Names the hold in this session's journal.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// What is held, lease by lease.
    pub fn held(&self) -> impl Iterator<Item = HeldPart> {
        self.pieces.iter().map(|piece| HeldPart {
            part: piece.part,
            lease: piece.leased.id.get().copied(),
            leased: piece.taken.leased,
            lent: piece.taken.lent,
        })
    }

    /// How much is held for one part.
    pub fn amount(&self, part: usize) -> Amount {
        let of_part = self.pieces.iter().filter(|piece| piece.part == part);
        of_part.fold(0, |sum: Amount, piece| sum.saturating_add(piece.taken.total()))
    }

    /// Holds more of each part, all or nothing: `more` has an amount for each part, in their order. What the hold's own lease
    /// can't give is taken from the one that is current now.
    pub fn extend(&mut self, more: &[Amount], now: NodeTime) -> Result<(), Refused> {
        let mut added: SmallVec<[Piece; USUAL_PARTS]> = SmallVec::new();
        for (part, amount) in more.iter().take(self.parts).enumerate().filter(|(_, amount)| **amount > 0) {
            match self.take_more(part, *amount, now) {
                Ok(piece) => added.push(piece),
                Err(why) => {
                    give_back(&added);
                    return Err(Refused { part, why });
                }
            }
        }
        self.join(added);
        Ok(())
    }

    fn take_more(&self, part: usize, amount: Amount, now: NodeTime) -> Result<Piece, Why> {
        let last = self.pieces.iter().rev().find(|piece| piece.part == part);
        let last = last.expect("a hold has a piece for each of its parts");
        if last.leased.outlet.is_closed() {
            return Err(Why::Draining);
        }
        // Its own lease first: the request belongs to the window that it began in.
        if let Some(taken) = last.leased.take(amount, Claim::First, now) {
            return Ok(Piece { part, leased: Arc::clone(&last.leased), taken });
        }
        let purse = last.leased.purse.upgrade().ok_or(Why::Dry)?;
        let (leased, taken) = purse.take(amount, Claim::First, now)?;
        Ok(Piece { part, leased, taken })
    }

    /// Takes over what another hold of the same parts, in the same order, holds: what a ticket that asked for more got.
    pub fn absorb(&mut self, mut other: Self) {
        let pieces = mem::take(&mut other.pieces);
        if let Some(piece) = pieces.first() {
            piece.leased.outlet.end(other.number);
        }
        self.join(pieces);
    }

    fn join(&mut self, added: SmallVec<[Piece; USUAL_PARTS]>) {
        for piece in added {
            let same = |own: &&mut Piece| own.part == piece.part && Arc::ptr_eq(&own.leased, &piece.leased);
            match self.pieces.iter_mut().find(same) {
                Some(own) => {
                    own.taken.leased = own.taken.leased.saturating_add(piece.taken.leased);
                    own.taken.lent = own.taken.lent.saturating_add(piece.taken.lent);
                }
                None => self.pieces.push(piece),
            }
        }
    }

    /// The request ended: [`Hold::spend`] and [`Spending::book`] in one, for who keeps no journal.
    pub fn settle(self, actual: &[Amount], row: (impl Into<Arc<RowKey>>, Row)) {
        self.spend(actual).book(row);
    }

    /// The request ended. `actual` says what it did cost of each part, in their order; a part that is left out did cost what
    /// was held. The rest goes back at once.
    pub fn spend(mut self, actual: &[Amount]) -> Spending {
        let pieces = mem::take(&mut self.pieces);
        let paid: SmallVec<[Paid; USUAL_PARTS]> = (0..pieces.len())
            .map(|at| pieces[at].leased.settle(pieces[at].taken, pays(&pieces, at, actual)))
            .collect();
        let spent = pieces.into_iter().zip(paid);
        let pieces = spent.map(|(Piece { part, leased, .. }, paid)| Spent { part, leased, paid }).collect();
        Spending { number: self.number, pieces, outlet: self.outlet.take() }
    }

    /// The request never reached an upstream: all goes back.
    pub fn release(self) {
        drop(self);
    }
}

/// What one piece pays.
fn pays(pieces: &[Piece], at: usize, actual: &[Amount]) -> Amount {
    let piece = &pieces[at];
    let Some(actual) = actual.get(piece.part) else { return piece.taken.total() };
    // Earlier pieces of the part pay first; its last one pays whatever is left, more than is held if need be.
    let earlier = pieces[..at].iter().filter(|other| other.part == piece.part);
    let left = actual.saturating_sub(earlier.map(|other| other.taken.total()).sum());
    let is_last = !pieces[at + 1..].iter().any(|other| other.part == piece.part);
    if is_last { left } else { left.min(piece.taken.total()) }
}

impl Drop for Hold {
    fn drop(&mut self) {
        give_back(&self.pieces);
        let outlet = self.pieces.first().map(|piece| &piece.leased.outlet).or(self.outlet.as_ref());
        if let Some(outlet) = outlet {
            outlet.end(self.number); // Unless it was spent, and goes on as that.
        }
    }
}
