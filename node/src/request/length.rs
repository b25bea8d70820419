//! How long an answer may be that is paid for before it is there: what to ask budgets for, in which order.
//!
//! Holding all that an answer could be refuses nearly everyone else once a budget is scarce; holding too little cuts
//! answers short that could have been paid. So a request asks for less as it is refused more:
//!
//! 1. its own cap, whole;
//! 2. as much as leaves room for some others: a fixed share of each budget;
//! 3. what answers of this model took lately, and some more;
//! 4. the least that is worth an answer.
//!
//! What is held is the cap that the upstream is told, so no answer costs more than was held for it.

use std::cell::RefCell;

use hashbrown::HashMap;

/// No own cap: more than this is never held at once. Most models' answers end before it.
const LONGEST: u64 = 16_384;
/// An answer for which nobody asked a length is held this share of a budget's limit at most.
pub(crate) const SHARE: u64 = 16;
/// Before any answer of a model was seen.
const UNSEEN: u64 = 64;
/// The Responses API refuses a lower cap, and fewer tokens answer nothing.
pub(crate) const LEAST: u64 = 16;
/// Models that one worker remembers; past it, it begins anew.
const MOST_MODELS: usize = 1_000;

thread_local! {
    static LATELY: RefCell<HashMap<String, u64>> = RefCell::default();
}

/// The caps to ask for, falling. `fair` is the longest that leaves room for others.
pub(crate) fn steps(own: Option<u64>, fair: impl Fn(u64) -> bool, lately: u64) -> Vec<u64> {
    let longest = own.unwrap_or(LONGEST);
    let mut shared = longest.min(LONGEST);
    while shared > LEAST && !fair(shared) {
        shared /= 2;
    }
    let usual = lately.max(LEAST);
    let mut steps = vec![own.unwrap_or(shared.max(usual)), shared.max(LEAST), usual, LEAST];
    for step in &mut steps {
        *step = (*step).min(longest);
    }
    steps.sort_unstable_by(|one, other| other.cmp(one));
    steps.dedup();
    steps
}

/// How long answers of a model were lately, with some more.
pub(crate) fn lately(model: &str) -> u64 {
    LATELY.with_borrow(|seen| seen.get(model).copied()).unwrap_or(UNSEEN)
}

/// An answer of a model had `output` tokens, of the `cap` that it could have had.
pub(crate) fn learn(model: &str, output: u64, cap: Option<u64>) {
    // One that was cut says only that it would have been longer.
    let cut = cap.is_some_and(|cap| output >= cap);
    let wanted = if cut { output.saturating_mul(2) } else { output.saturating_add(output / 4) };
    LATELY.with_borrow_mut(|seen| {
        if let Some(lately) = seen.get_mut(model) {
            // Long ones are remembered for some time: half of the answers are longer than the mean.
            *lately = wanted.max(*lately - *lately / 8).min(LONGEST);
            return;
        }
        if seen.len() >= MOST_MODELS {
            seen.clear();
        }
        seen.insert(model.to_owned(), wanted.min(LONGEST));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The request's own cap, a budget's share, what answers took lately; what is asked for, and why.
    type Case<'a> = (Option<u64>, u64, u64, &'a [u64], &'a str);

    #[test]
    fn less_is_asked_for_as_more_is_refused() {
        #[rustfmt::skip]
        let rows: [Case<'_>; 8] = [
            // own        a budget's share  lately  steps                   why
            (Some(20),    1_000_000,        64,     &[20, 16],              "a short one is asked for whole"),
            (Some(1_000), 1_000_000,        64,     &[1_000, 64, 16],       "so is a longer one"),
            (Some(1_000), 100,              64,     &[1_000, 64, 62, 16],   "then what leaves room for others"),
            (Some(64_000), 1_000_000,       500,    &[64_000, 16_384, 500, 16], "however long it is"),
            (None,        1_000_000,        64,     &[16_384, 64, 16],      "nobody said: as long as most answers are"),
            (None,        1_000,            64,     &[512, 64, 16],         "or a share of the budget"),
            (None,        30,               64,     &[64, 16],              "or as long as answers usually are"),
            (Some(5),     1_000,            64,     &[5],                   "never more than was asked for"),
        ];
        for (own, share, lately, want, why) in rows {
            assert_eq!(steps(own, |cap| cap <= share, lately), want, "{why}");
        }
    }

    #[test]
    fn what_answers_take_is_learned() {
        assert_eq!(lately("new"), UNSEEN);
        let rows = [
            (20, None, 25, "a quarter more than the first"),
            (20, None, 25, "the same again"),
            (100, None, 125, "a longer one at once"),
            (20, None, 110, "and not forgotten at once"),
            (64, Some(64), 128, "one that was cut would have been longer"),
            (1_000_000, None, LONGEST, "but not without end"),
        ];
        for (output, cap, want, why) in rows {
            learn("m", output, cap);
            assert_eq!(lately("m"), want, "{why}");
        }
    }
}
