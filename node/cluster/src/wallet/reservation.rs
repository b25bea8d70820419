//! What one request holds, and the journal's word of it.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use tollgate_ratelimit::journal::{Intent, Part as Noted, Place, Record, Spent as Notes};
use tollgate_ratelimit::unit::Amount;
use tollgate_ratelimit::wallet::{HeldPart, Hold, Part, Purse, Refused, Spending, Ticket, Why};
use tollgate_ratelimit::{Row, RowKey, Usage};

use super::{Shared, clock};

/// A request that waits for more than this of a lease while it streams ends where it is.
const PATIENCE_MS: u64 = 250;

/// Ends exactly once: settled, released, or, where the process is gone, forfeited. Dropped, it is released.
#[derive(Debug)]
pub struct Reservation {
    shared: Arc<Shared>,
    purses: Arc<[Arc<Purse>]>,
    hold: Option<Hold>,
    more: Option<More>,
}

/// More that was asked for.
#[derive(Debug)]
struct More {
    ticket: Ticket,
    answer: oneshot::Receiver<Result<Hold, Refused>>,
}

/// A request that has ended and is not in the journal: its disk failed.
#[derive(Debug)]
pub(super) struct Unsettled {
    spending: Spending,
    purses: Arc<[Arc<Purse>]>,
    key: Arc<RowKey>,
    row: Row,
}

impl Reservation {
    /// Notes the hold, before anything of it may be spent.
    pub(super) fn new(
        shared: &Arc<Shared>,
        purses: &Arc<[Arc<Purse>]>,
        hold: Hold,
        intent: &Intent,
    ) -> Result<Self, Refused> {
        let noted = {
            let mut file = shared.journal.lock();
            let parts: Vec<Noted> = hold.held().map(|one| noted(&one, purses)).collect();
            let (parts, intent) = (Cow::Owned(parts), Cow::Borrowed(intent));
            shared.journal.append(&mut file, Record::Reserved { hold: hold.number(), parts, intent })
        };
        match noted {
            Ok(()) => Ok(Self {
                shared: Arc::clone(shared),
                purses: Arc::clone(purses),
                hold: Some(hold),
                more: None,
            }),
            Err(_told_already) => Err(Refused { part: 0, why: Why::Unreachable }),
        }
    }

    /// How much is held for one part.
    pub fn amount(&self, part: usize) -> Amount {
        self.hold.as_ref().map_or(0, |hold| hold.amount(part))
    }

    /// Holds more of each part, at once or not at all.
    pub fn extend(&mut self, more: &[Amount], usage: Usage, cost_nano_usd: Amount) -> Result<(), Refused> {
        let Some(hold) = &mut self.hold else { return Err(Refused { part: 0, why: Why::Draining }) };
        let before: Vec<HeldPart> = hold.held().collect();
        hold.extend(more, clock::now())?;
        self.shared.wake_if_urgent();
        self.note_more(&before, usage, cost_nano_usd)
    }

    /// The same, and waits for a lease where that is needed.
    pub fn poll_extend(
        &mut self,
        context: &mut Context<'_>,
        more: &[Amount],
        (usage, cost_nano_usd): (Usage, Amount),
    ) -> Poll<Result<(), Refused>> {
        if self.more.is_none() {
            match self.extend(more, usage, cost_nano_usd) {
                Err(refused) if refused.why.is_dry() => {}
                known @ (Ok(()) | Err(_)) => return Poll::Ready(known),
            }
            let parts: Vec<Part<'_>> =
                self.purses.iter().zip(more).map(|(purse, amount)| Part { purse, amount: *amount }).collect();
            match self.shared.ask(&parts, PATIENCE_MS) {
                Ok((ticket, answer)) => self.more = Some(More { ticket, answer }),
                Err(known) => return Poll::Ready(self.absorb(*known, usage, cost_nano_usd)),
            }
        }
        let Some(asked) = &mut self.more else { return Poll::Pending };
        let answer = std::task::ready!(Pin::new(&mut asked.answer).poll(context));
        self.more = None;
        let result = answer.unwrap_or(Err(Refused { part: 0, why: Why::Draining }));
        Poll::Ready(self.absorb(result, usage, cost_nano_usd))
    }

    fn absorb(
        &mut self,
        result: Result<Hold, Refused>,
        usage: Usage,
        cost_nano_usd: Amount,
    ) -> Result<(), Refused> {
        let more = result?;
        let Some(hold) = &mut self.hold else { return Ok(()) };
        let before: Vec<HeldPart> = hold.held().collect();
        hold.absorb(more);
        self.note_more(&before, usage, cost_nano_usd)
    }

    fn note_more(&self, before: &[HeldPart], usage: Usage, cost_nano_usd: Amount) -> Result<(), Refused> {
        let Some(hold) = &self.hold else { return Ok(()) };
        let journal = &self.shared.journal;
        let mut file = journal.lock();
        let parts: Vec<Noted> =
            difference(before, hold.held()).map(|one| noted(&one, &self.purses)).collect();
        let record = Record::Extended { hold: hold.number(), parts: Cow::Owned(parts), usage, cost_nano_usd };
        // What is held and not noted is given back with the rest; it just must not be counted on.
        journal.append(&mut file, record).map_err(|_told_already| Refused { part: 0, why: Why::Unreachable })
    }

    /// The request has ended and did cost this, part by part; it is booked as this row, under the key that its intent named.
    pub fn settle(mut self, actual: &[Amount], key: Arc<RowKey>, row: Row) {
        self.cancel();
        let Some(hold) = self.hold.take() else { return };
        let spending = hold.spend(actual);
        let purses = Arc::clone(&self.purses);
        self.shared.settle(Unsettled { spending, purses, key, row });
    }

    /// The request never reached a provider.
    pub fn release(self) {
        drop(self);
    }

    fn cancel(&mut self) {
        if let Some(More { ticket, .. }) = self.more.take() {
            self.shared.forget(ticket);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.cancel();
        if let Some(hold) = self.hold.take() {
            let journal = &self.shared.journal;
            let released = Record::Released { hold: hold.number() };
            // Not noted, it would be taken for spent by a restart, and by nobody else.
            let _told_already = journal.append(&mut journal.lock(), released);
            hold.release();
            self.shared.wake_if_urgent();
        }
    }
}

impl Shared {
    pub(super) fn settle(&self, ended: Unsettled) {
        let noted = {
            let mut file = self.journal.lock();
            let parts = ended.spending.parts().map(|one| Noted {
                place: place(one.lease, one.part, &ended.purses),
                spent: Notes { leased: one.paid.leased, overrun: one.paid.overrun },
            });
            let record = Record::Settled {
                hold: ended.spending.number(),
                parts: parts.collect(),
                key: None, // As was intended.
                row: ended.row,
            };
            self.journal.append(&mut file, record)
        };
        match noted {
            Ok(()) => {
                ended.spending.book((ended.key, ended.row));
                self.wake_if_urgent();
            }
            Err(_told_already) => self.unsettled().push(ended),
        }
    }
}

fn noted(held: &HeldPart, purses: &[Arc<Purse>]) -> Noted {
    Noted {
        place: place(held.lease, held.part, purses),
        spent: Notes { leased: held.leased, overrun: held.lent },
    }
}

fn place(
    lease: Option<tollgate_ratelimit::ledger::command::LeaseId>,
    part: usize,
    purses: &[Arc<Purse>],
) -> Place {
    lease.map_or_else(|| Place::Bucket(purses[part].name().clone()), Place::Lease)
}

/// What came to a hold: pieces grow, and new ones come last.
fn difference(before: &[HeldPart], after: impl Iterator<Item = HeldPart>) -> impl Iterator<Item = HeldPart> {
    let added = after.enumerate().map(|(at, now)| match before.get(at) {
        Some(was) => HeldPart { leased: now.leased - was.leased, lent: now.lent - was.lent, ..now },
        None => now,
    });
    added.filter(|one| one.leased + one.lent > 0)
}
