//! How much a session gets, and what it is told when it gets less than it needs (reference: guided self-scheduling; the
//! last part of a bucket is handed out in ever smaller leases, then only as needed).

use super::Ledger;
use super::bucket::Bucket;
use super::command::SessionId;
use super::lease::{Chain, Recall};
use super::outcome::{LeaseState, Nudge, Verdict, Why};
use super::session::is_superseded;
use crate::fault::{self, Fault};
use crate::unit::{Amount, MOST_AMOUNT};

/// A holder gets at most this part of its fair share of what is left at once: with two, shares shrink by half, so that the
/// last tokens are not stranded and no lease is so small that it costs a round trip each request.
const SHARES_A_HOLDER: u64 = 2;
/// A holder that kept what it needs, or was not heard of, is asked again after this long.
const RECALL_AGAIN_MS: u64 = 500;
/// What a silent node holds may come back with it: look again after this long.
const SILENT_AGAIN_MS: u64 = 5_000;

/// A bucket is scarce when less than this part of it is unspent (reference 3.14).
const SCARCE_PART: i128 = 10;

/// What is asked of a bucket.
#[derive(Clone, Copy)]
pub(super) struct Ask {
    pub(super) want: Amount,
    pub(super) need: Amount,
    /// What the asking node has beside it.
    pub(super) idle: Amount,
}

/// How much to grant: the wish, but no more than a share of what is free, unless the need is larger. Less than the need
/// helps nobody, and is not granted.
pub(super) fn size(ask: Ask, free: Amount, holders: u32) -> Amount {
    let share = free / (SHARES_A_HOLDER * u64::from(holders.max(1)));
    let granted = ask.want.max(ask.need).min(ask.need.max(share)).min(free);
    if granted < ask.need { 0 } else { granted }
}

impl Ledger {
    /// Grants what can be granted to the lease at `slot`, and says how it stands.
    pub(super) fn grant(&mut self, slot: u32, ask: Ask, nudges: &mut Vec<Nudge>) -> LeaseState {
        let lease = &self.leases[slot];
        let (bucket_slot, session) = (lease.bucket, lease.session);
        let recalled = matches!(lease.recall, Recall::Asked(_));
        let verdict = match self.decide(slot, ask) {
            Decision::Grant(amount) => {
                self.hand_out(slot, amount);
                Verdict::Granted
            }
            Decision::Deny(verdict) => {
                self.remember_denied(slot, ask.need);
                verdict
            }
            Decision::Recall => {
                self.remember_denied(slot, ask.need);
                self.recall(bucket_slot, Some(session), nudges);
                Verdict::Wait
            }
        };
        let lease = &self.leases[slot];
        LeaseState {
            lease: self.lease_id(slot),
            window: self.buckets[bucket_slot].window,
            granted: lease.granted,
            covered: lease.covered,
            verdict,
            recalled,
            scarce: self.is_scarce(bucket_slot),
        }
    }

    fn is_scarce(&self, bucket: u32) -> bool {
        let bucket = &self.buckets[bucket];
        let Some(entry) = self.budgets.get(&bucket.budget) else { return false };
        let unspent = bucket.free(&entry.budget) + i128::from(bucket.outstanding);
        unspent * SCARCE_PART < i128::from(bucket.most(&entry.budget))
    }

    fn decide(&mut self, slot: u32, ask: Ask) -> Decision {
        if ask.want == 0 && ask.need == 0 {
            return Decision::Grant(0); // A report: what was refused before is refused still.
        }
        let now = self.now;
        let lease = &mut self.leases[slot];
        let (bucket_slot, denied_before) = (lease.bucket, lease.denied_need > 0);
        let room = MOST_AMOUNT.saturating_sub(lease.granted);
        let is_superseded = is_superseded(self.sessions.get(&lease.session));
        lease.denied_need = 0;
        let bucket = &mut self.buckets[bucket_slot];
        bucket.denied -= u32::from(denied_before);
        let Some(entry) = self.budgets.get(&bucket.budget) else {
            return Decision::Deny(Verdict::NotKept);
        };
        if entry.deleted {
            return Decision::Deny(Verdict::NotKept);
        }
        if bucket.window.end <= now || is_superseded {
            return Decision::Deny(Verdict::Exhausted { until: bucket.window.end });
        }
        let rule = &entry.budget;
        bucket.mint(rule, now);
        // A lease counts no further than a bucket: its holder closes it when idle, and begins another.
        let free = bucket.grantable(rule).min(room);
        let granted = size(ask, free, bucket.leases);
        if granted > 0 || ask.need == 0 {
            return Decision::Grant(granted);
        }
        self.refuse(slot, ask)
    }

    /// Why there is nothing for `ask`, from the most final reason to the least.
    fn refuse(&self, asking: u32, ask: Ask) -> Decision {
        let bucket = &self.buckets[self.leases[asking].bucket];
        let rule = &self.budgets[&bucket.budget].budget;
        let most = bucket.most(rule);
        let own = &self.leases[asking];
        let idle = ask.idle.min(own.outstanding());
        if ask.need.saturating_add(idle) > most {
            return Decision::Deny(Verdict::TooLarge { limit: most });
        }
        // Its own requests will end, too.
        let mut held = own.outstanding() > idle;
        let mut recall = false;
        let mut in_reach = bucket.free(rule) + i128::from(own.outstanding() - idle);
        let mut silent: i128 = 0;
        for (slot, lease) in self.chain(bucket) {
            if slot == asking || lease.outstanding() == 0 {
                continue;
            }
            if !self.speaks(lease.session) {
                silent += i128::from(lease.outstanding()); // It does not come back by waiting, but with its node.
                continue;
            }
            in_reach += i128::from(lease.outstanding());
            if lease.session == own.session {
                held = true; // Laid down, with requests that will end.
                continue;
            }
            match lease.recall {
                Recall::Answered(at) if self.now.since(at) < RECALL_AGAIN_MS => held = true,
                Recall::No | Recall::Asked(_) | Recall::Answered(_) => recall = true,
            }
        }
        // Not even if all of it came back.
        let missing = Amount::try_from(i128::from(ask.need) - in_reach).unwrap_or(0);
        match (missing, recall, held) {
            (0, true, _) => Decision::Recall,
            (0, false, true) => Decision::Deny(Verdict::Held),
            _ => {
                let until = bucket.when(rule, self.now, missing);
                let may_return = silent > 0 && i128::from(missing) <= silent;
                let until = if may_return { until.min(self.now.plus(SILENT_AGAIN_MS)) } else { until };
                Decision::Deny(Verdict::Exhausted { until })
            }
        }
    }

    /// So that its holder is told when there is as much again.
    fn remember_denied(&mut self, slot: u32, need: Amount) {
        let lease = &mut self.leases[slot];
        lease.denied_need = need;
        self.buckets[lease.bucket].denied += u32::from(need > 0);
    }

    fn hand_out(&mut self, slot: u32, amount: Amount) {
        if amount == 0 {
            return;
        }
        let lease = &mut self.leases[slot];
        lease.granted += amount;
        lease.recall = match lease.recall {
            Recall::Answered(_) | Recall::No => Recall::No,
            asked @ Recall::Asked(_) => asked,
        };
        if !fault::planted(Fault::GrantUncounted) {
            self.buckets[lease.bucket].outstanding += amount;
        }
    }

    /// Asks every holder of the bucket but one to give back what it does not need.
    pub(super) fn recall(&mut self, bucket: u32, but: Option<SessionId>, nudges: &mut Vec<Nudge>) {
        let now = self.now;
        let mut at = self.buckets[bucket].first_lease;
        while let Some(lease) = self.leases.get_mut(at) {
            let slot = at;
            at = lease.next;
            let due = match lease.recall {
                Recall::No => true,
                // Nobody knows whether it was heard.
                Recall::Asked(at) | Recall::Answered(at) => now.since(at) >= RECALL_AGAIN_MS,
            };
            if !due || lease.outstanding() == 0 || Some(lease.session) == but {
                continue;
            }
            lease.recall = Recall::Asked(now);
            let session = lease.session;
            nudges.push(Nudge { session, lease: self.lease_id(slot), why: Why::Recalled });
        }
    }

    /// Tells those who were refused that there is as much as they needed.
    pub(super) fn tell_denied(&mut self, bucket: u32, nudges: &mut Vec<Nudge>) {
        let now = self.now;
        let Some(held) = self.buckets.get_mut(bucket).filter(|bucket| bucket.denied > 0) else { return };
        let Some(entry) = self.budgets.get(&held.budget) else { return };
        if entry.deleted || held.window.end <= now {
            return; // Nothing of it is granted any more, whatever is free.
        }
        held.mint(&entry.budget, now);
        let free = held.grantable(&entry.budget);
        let mut at = held.first_lease;
        while let Some(lease) = self.leases.get_mut(at) {
            let slot = at;
            at = lease.next;
            if lease.denied_need == 0 || lease.denied_need > free {
                continue;
            }
            lease.denied_need = 0;
            let session = lease.session;
            self.buckets[bucket].denied -= 1;
            nudges.push(Nudge { session, lease: self.lease_id(slot), why: Why::Changed });
        }
    }

    pub(super) fn chain<'a>(&'a self, bucket: &Bucket) -> Chain<'a> {
        Chain { leases: &self.leases, at: bucket.first_lease }
    }
}

enum Decision {
    Grant(Amount),
    Deny(Verdict),
    Recall,
}
