//! A batch: what one session says, applied once. The sequence is checked first, and the answer kept, so that a batch that is
//! sent again after a lost answer or a new leader changes nothing and learns what the first one did.

use super::Ledger;
use super::command::{Batch, Item, Keep, LeaseId, SessionId, Target};
use super::grant::Ask;
use super::lease::Recall;
use super::limits::{MOST_BATCH_ROWS, MOST_ITEMS, MOST_LEASES};
use super::outcome::{Answer, BatchVerdict, Field, ItemAnswer, Nudge, Rejected};
use super::session::Standing;
use crate::fault::{self, Fault};
use crate::unit::{Amount, MOST_AMOUNT};

impl Ledger {
    pub(super) fn batch(&mut self, batch: &Batch, nudges: &mut Vec<Nudge>) -> Answer {
        let answer = |verdict, items| Answer {
            session: batch.session,
            sequence: batch.sequence,
            at: self.now,
            verdict,
            items,
        };
        let Some(session) = self.sessions.get(&batch.session) else {
            return answer(BatchVerdict::NoSession, Vec::new());
        };
        if session.standing == Standing::Forgotten {
            // Its process lives, and takes what it has to tell along to another session. Nothing of this one, such as a
            // second copy of this batch, may be taken beside that.
            self.sessions.remove(&batch.session);
            return answer(BatchVerdict::NoSession, Vec::new());
        }
        let expected = session.last_sequence + 1;
        if batch.sequence != expected && !fault::planted(Fault::SequenceUnchecked) {
            return match &session.last_answer {
                Some(last) if last.sequence == batch.sequence => last.clone(),
                Some(_) | None => answer(BatchVerdict::OutOfSequence { expected }, Vec::new()),
            };
        }

        // The number is used up either way: two batches of one number could get each other's answer.
        let (verdict, items) = if batch.items.len() > MOST_ITEMS || batch.rows.len() > MOST_BATCH_ROWS {
            (BatchVerdict::TooLarge, Vec::new())
        } else {
            for (key, row) in &batch.rows {
                self.book(key, row);
            }
            let items = batch.items.iter().map(|item| self.item(batch.session, item, nudges));
            (BatchVerdict::Applied, items.collect())
        };
        let answer =
            Answer { session: batch.session, sequence: batch.sequence, at: self.now, verdict, items };
        let now = self.now;
        if let Some(session) = self.sessions.get_mut(&batch.session) {
            session.last_sequence = batch.sequence;
            session.last_answer = Some(answer.clone());
            session.heard_at = now;
            session.standing = session.standing.heard();
        }
        answer
    }

    /// One item is taken whole or not at all.
    fn item(&mut self, session: SessionId, item: &Item, nudges: &mut Vec<Nudge>) -> ItemAnswer {
        let slot = match self.resolve(session, item) {
            Ok(slot) => slot,
            Err(rejected) => return ItemAnswer::Rejected(rejected),
        };
        self.absorb(slot, item);
        let bucket = self.leases[slot].bucket;
        let answer = match item.keep {
            Keep::Close => {
                self.end_lease(slot);
                ItemAnswer::Closed
            }
            Keep::Open => {
                let ask = Ask { want: item.want, need: item.need, idle: item.idle };
                ItemAnswer::Lease(self.grant(slot, ask, nudges))
            }
        };
        self.tell_denied(bucket, nudges);
        answer
    }

    /// The lease that an item is about: one that is known, or a new one. Nothing is opened for what can't be.
    fn resolve(&mut self, session: SessionId, item: &Item) -> Result<u32, Rejected> {
        let bucket = match &item.target {
            Target::Lease(id) => {
                let slot = self.own_lease(session, *id)?;
                self.check_totals(slot, item)?;
                return Ok(slot);
            }
            Target::Current(_) | Target::Next(_) if self.leases.len() >= MOST_LEASES => {
                return Err(Rejected::full("leases", MOST_LEASES));
            }
            Target::Current(name) => {
                check_new(item)?;
                match item.keep {
                    Keep::Open => self.current_bucket(name)?,
                    Keep::Close => self.bucket_to_charge(name)?,
                }
            }
            Target::Next(name) => {
                check_new(item)?;
                self.next_bucket(name)?
            }
        };
        self.lease_in(bucket, session)
    }

    fn own_lease(&self, session: SessionId, id: LeaseId) -> Result<u32, Rejected> {
        let lease = self.leases.get(id.slot).ok_or(Rejected::UnknownLease)?;
        if self.leases.generation(id.slot) != id.generation {
            return Err(Rejected::UnknownLease);
        }
        if lease.session == session { Ok(id.slot) } else { Err(Rejected::NotYours) }
    }

    /// Totals only grow, and pay for no more than was granted.
    fn check_totals(&self, slot: u32, item: &Item) -> Result<(), Rejected> {
        let lease = &self.leases[slot];
        for (field, got, before) in
            [(Field::Settled, item.settled, lease.settled), (Field::Returned, item.returned, lease.returned)]
        {
            if got < before {
                return Err(Rejected::Impossible { field, bound: before, got });
            }
        }
        let ended = item.settled.saturating_add(item.returned);
        if ended > lease.granted {
            let field = Field::SettledAndReturned;
            return Err(Rejected::Impossible { field, bound: lease.granted, got: ended });
        }
        check_overrun(lease.overrun, item.overrun)
    }

    /// Books what the totals say beyond what they said before.
    fn absorb(&mut self, slot: u32, item: &Item) {
        self.mint(self.leases[slot].bucket);
        let lease = &self.leases[slot];
        let returned = item.returned - lease.returned;
        let settled = item.settled - lease.settled;
        let overrun = item.overrun.saturating_sub(lease.overrun);
        if returned > 0 {
            self.give_back(slot, returned);
        }
        if settled > 0 {
            self.spend(slot, settled);
        }
        if overrun > 0 {
            self.overrun(slot, overrun);
        }
        self.cover(slot);
        let now = self.now;
        let lease = &mut self.leases[slot];
        if matches!(lease.recall, Recall::Asked(_)) {
            lease.recall = Recall::Answered(now);
        }
    }

    /// To be done before anything is booked as spent: a rolling window that was full until now made nothing free meanwhile.
    pub(super) fn mint(&mut self, bucket: u32) {
        let bucket = &mut self.buckets[bucket];
        if let Some(entry) = self.budgets.get(&bucket.budget) {
            bucket.mint(&entry.budget, self.now);
        }
    }

    /// Unspent value becomes free again.
    pub(super) fn give_back(&mut self, slot: u32, amount: Amount) {
        let lease = &mut self.leases[slot];
        lease.returned += amount;
        let bucket = &mut self.buckets[lease.bucket];
        bucket.outstanding -= amount;
        if fault::planted(Fault::ReturnedTwice) {
            bucket.adjusted += i64::try_from(amount).unwrap_or(0);
        }
    }

    /// Leased value becomes spent.
    pub(super) fn spend(&mut self, slot: u32, amount: Amount) {
        let lease = &mut self.leases[slot];
        lease.settled += amount;
        let bucket = &mut self.buckets[lease.bucket];
        bucket.outstanding -= amount;
        bucket.spent += amount;
    }
}

/// Of a new lease nothing can have been spent; of an allowance before it, it can.
fn check_new(item: &Item) -> Result<(), Rejected> {
    match item.settled.max(item.returned) {
        0 => check_overrun(0, item.overrun),
        got => Err(Rejected::Impossible { field: Field::SettledAndReturned, bound: 0, got }),
    }
}

fn check_overrun(before: Amount, got: Amount) -> Result<(), Rejected> {
    let field = Field::Overrun;
    match got {
        got if got < before => Err(Rejected::Impossible { field, bound: before, got }),
        got if got > MOST_AMOUNT => Err(Rejected::Impossible { field, bound: MOST_AMOUNT, got }),
        _ => Ok(()),
    }
}
