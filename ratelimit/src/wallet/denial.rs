//! Refusals that are remembered, so that they cost nobody a round trip: each with what was asked in vain.
//!
//! Three rules say what one of them is worth to another request. What was refused for a need is refused for every larger
//! one, at least for as good a reason. Between two needs that were refused for one reason, that is the reason. And a hint of
//! the ledger that there is something again is only sure to come for the need that it refused last, and for larger ones:
//! what was refused for smaller ones is believed for a moment only.

use super::purse::HELD_MS;
use crate::time::NodeTime;
use crate::unit::Amount;

/// Needs that are remembered: the smallest and the largest for each reason, and some that were asked at the same time.
const MOST: usize = 8;

/// Which no, from the least final to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    Held,
    Exhausted { until: NodeTime },
    NotKept,
    TooLarge { limit: Amount },
}

/// What is asked: a request of `amount` that lacks `need` of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sought {
    pub(super) amount: Amount,
    pub(super) need: Amount,
}

#[derive(Clone, Copy, Debug)]
struct Denial {
    /// What was asked in vain. For [`Denied::TooLarge`] the whole amount, whatever the purse has of it.
    of: Amount,
    what: Denied,
    forget_at: NodeTime,
}

/// See the file's purpose.
#[derive(Debug, Default)]
pub(super) struct Denials {
    /// By need, the smallest first.
    needs: Vec<Denial>,
    too_large: Option<Denial>,
}

impl Denied {
    const fn rank(self) -> u8 {
        match self {
            Self::Held => 0,
            Self::Exhausted { .. } => 1,
            Self::NotKept => 2,
            Self::TooLarge { .. } => 3,
        }
    }
}

impl Denials {
    /// What is known of a request. None if the ledger may say something else: then it is asked. `limit` is what the bucket
    /// is thought to have at most.
    pub(super) fn of(&self, sought: Sought, limit: Amount, now: NodeTime) -> Option<Denied> {
        let valid = |denial: &&Denial| now < denial.forget_at;
        let too_large = self.too_large.as_ref().filter(valid);
        if let Some(denial) = too_large.filter(|denial| sought.amount >= denial.of) {
            return Some(denial.what);
        }
        let below = self.needs.iter().rev().filter(valid).find(|denial| denial.of <= sought.need)?;
        let above = self.needs.iter().filter(valid).find(|denial| denial.of >= sought.need);
        let is_sure = match below.what {
            // Of a larger one not all that others hold may be enough.
            Denied::Held => above.is_some_and(|above| above.what == Denied::Held),
            // A larger one may be more than there ever is.
            Denied::Exhausted { .. } => sought.amount <= limit || above.is_some() || too_large.is_some(),
            Denied::NotKept | Denied::TooLarge { .. } => true,
        };
        is_sure.then_some(below.what)
    }

    /// Whether anything was refused that a larger bucket would not have helped.
    pub(super) fn has_any(&self, now: NodeTime) -> bool {
        self.needs.iter().any(|denial| now < denial.forget_at)
    }

    /// The ledger refused this.
    pub(super) fn add(&mut self, sought: Sought, what: Denied, forget_at: NodeTime, now: NodeTime) {
        let Sought { amount, need } = sought;
        self.doubt(need, now);
        if let Denied::TooLarge { limit } = what {
            let of = amount.min(limit.saturating_add(1));
            self.too_large = Some(Denial { of, what, forget_at });
            return;
        }
        // What was said before and can't be true beside it, is not true any more.
        self.needs.retain(|old| {
            let is_out = old.of == need
                || old.of < need && old.what.rank() > what.rank()
                || old.of > need && old.what.rank() < what.rank();
            !is_out && now < old.forget_at
        });
        if self.needs.len() >= MOST {
            self.needs.remove(MOST / 2);
        }
        let place = self.needs.partition_point(|old| old.of < need);
        self.needs.insert(place, Denial { of: need, what, forget_at });
    }

    /// The ledger granted this much of a need.
    pub(super) fn granted(&mut self, need: Amount, now: NodeTime) {
        self.needs.retain(|old| old.of > need);
        self.doubt(Amount::MAX, now);
    }

    /// The ledger will not say when needs below this can be met.
    fn doubt(&mut self, below: Amount, now: NodeTime) {
        for old in self.needs.iter_mut().filter(|old| old.of < below) {
            old.forget_at = old.forget_at.min(now.plus(HELD_MS));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.needs.is_empty() && self.too_large.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELD: Denied = Denied::Held;
    const SPENT: Denied = Denied::Exhausted { until: NodeTime(90_000) };
    const LARGE: Denied = Denied::TooLarge { limit: 100 };
    const LONG: u64 = 10_000;

    /// When, of which need, and how.
    type Refused = (u64, Amount, Denied);
    /// What was refused; then when another need is asked, what is known of it, and why.
    type Case<'a> = (&'a [Refused], u64, Amount, Option<Denied>, &'a str);

    /// What the purse has is nothing.
    fn denials(refused: &[Refused]) -> Denials {
        let mut denials = Denials::default();
        for (at, need, what) in refused {
            let lasts = if *what == HELD { HELD_MS } else { LONG };
            let sought = Sought { amount: *need, need: *need };
            denials.add(sought, *what, NodeTime(at + lasts), NodeTime(*at));
        }
        denials
    }

    #[test]
    fn a_refusal_is_worth_something_to_others() {
        #[rustfmt::skip]
        let cases: [Case<'_>; 19] = [
            (&[(0, 10, HELD)],                 1,     10,  Some(HELD),  "the same again"),
            (&[(0, 10, HELD)],                 1,     9,   None,        "a smaller one may pass"),
            (&[(0, 10, HELD)],                 1,     11,  None,        "a larger one may be spent, or too large"),
            (&[(0, 10, HELD)],                 250,   10,  None,        "not for longer than a moment"),
            (&[(0, 10, HELD), (0, 30, HELD)],  1,     20,  Some(HELD),  "between two that are held"),
            (&[(0, 10, HELD), (0, 30, SPENT)], 1,     20,  None,        "between two reasons"),
            (&[(0, 10, HELD), (0, 30, SPENT)], 1,     30,  Some(SPENT), "each has its own"),
            (&[(0, 10, SPENT)],                9_999, 10,  Some(SPENT), "until a change would have been told"),
            (&[(0, 10, SPENT)],                1,     9,   None,        "a smaller one may pass"),
            (&[(0, 10, SPENT)],                1,     100, Some(SPENT), "nothing for any larger one"),
            (&[(0, 10, SPENT)],                1,     101, None,        "but it may be too large"),
            (&[(0, 10, SPENT), (1, 300, SPENT)], 2,   200, Some(SPENT), "asked: the bucket has more than was thought"),
            (&[(0, 10, SPENT), (1, 300, LARGE)], 2,   200, Some(LARGE), "more than the bucket ever has"),
            (&[(0, 10, SPENT), (1, 300, LARGE)], 2,   100, Some(SPENT), "and no more than that"),
            (&[(0, 300, LARGE)],               1,     100, None,        "says nothing of smaller ones"),
            (&[(0, 10, SPENT), (1, 300, LARGE)], 252, 10,  None,        "the ledger would tell of 300 only"),
            (&[(0, 300, LARGE), (1, 10, SPENT)], 252, 10,  Some(SPENT), "the ledger would tell of 10"),
            (&[(0, 10, SPENT), (1, 30, HELD)], 2,     10,  None,        "30 are there: 10 can't be spent for good"),
            (&[(0, 30, HELD), (1, 10, SPENT)], 2,     30,  Some(SPENT), "10 are not there: 30 are not"),
        ];
        for (refused, at, need, expected, why) in cases {
            let got = denials(refused).of(Sought { amount: need, need }, 100, NodeTime(at));
            assert_eq!(got, expected, "{why}: {refused:?}");
        }
    }

    #[test]
    fn what_lacks_counts_and_not_how_large_the_request_is() {
        let denials = denials(&[(0, 10, SPENT)]);
        let of = |amount, need| denials.of(Sought { amount, need }, 100, NodeTime(1));
        assert_eq!(of(50, 10), Some(SPENT));
        assert_eq!(of(50, 9), None, "the purse has the rest");
    }

    #[test]
    fn a_grant_ends_refusals_of_as_much_and_shortens_others() {
        let mut denials = denials(&[(0, 10, SPENT)]);
        denials.granted(5, NodeTime(100));
        let of = |denials: &Denials, at| denials.of(Sought { amount: 10, need: 10 }, 100, NodeTime(at));
        assert_eq!((of(&denials, 349), of(&denials, 350)), (Some(SPENT), None), "five are not ten");
        denials.granted(10, NodeTime(101));
        assert_eq!(of(&denials, 102), None);
    }

    #[test]
    fn however_many_needs_are_refused_few_are_remembered() {
        let refused: Vec<_> = (1..100).map(|need| (0, 100 - need, HELD)).collect();
        let denials = denials(&refused);
        assert!(denials.needs.len() <= MOST);
        let sure = (1..100).all(|need| denials.of(Sought { amount: need, need }, 100, NodeTime(1)).is_some());
        assert!(sure, "all between the first and the last: {denials:?}");
    }
}
