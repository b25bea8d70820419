//! Which candidate is next? Pure: health and chance are arguments.
//!
//! The lowest priority number that still has an untried, ready candidate is chosen from, by weight. A candidate of
//! weight 0 gets nothing (Gateway API's meaning). Where none is ready, one that asked for a rest is disturbed, and
//! before anything was tried, even one that is broken: better a try than a certain no. One that other nodes doubt is as good
//! as ready, but for others of its priority.

/// Whether a candidate should be called now. The later, the worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Readiness {
    /// It is healthy, or due for a probe.
    Ready,
    /// It is not known to fail, but other nodes say that it does.
    Doubted,
    /// It asked to be left alone.
    Resting,
    /// It failed again and again.
    Broken,
}

/// What choosing needs to know of a candidate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) priority: u32,
    pub(crate) weight: u32,
    pub(crate) readiness: Readiness,
    pub(crate) tried: bool,
}

/// The next candidate's index. `draw` is uniform in 0..2^32.
pub(crate) fn next(candidates: impl Iterator<Item = Standing> + Clone, draw: u32) -> Option<usize> {
    let is = |readiness| move |one: &Standing| !one.tried && one.readiness == readiness;
    let untouched = candidates.clone().all(|one| !one.tried);
    let usable = |one: &Standing| !one.tried && one.readiness <= Readiness::Doubted;
    let weighty = |one: &Standing| one.weight > 0 && usable(one);
    let tier = candidates.clone().filter(weighty).map(|one| one.priority).min();
    let sure = |one: &Standing| Some(one.priority) == tier && is(Readiness::Ready)(one);
    let ready = pick(candidates.clone(), draw, sure).or_else(|| pick(candidates.clone(), draw, usable));
    let found = ready.or_else(|| pick(candidates.clone(), draw, is(Readiness::Resting)));
    found.or_else(|| untouched.then(|| pick(candidates, draw, is(Readiness::Broken))).flatten())
}

fn pick(
    candidates: impl Iterator<Item = Standing> + Clone,
    draw: u32,
    eligible: impl Fn(&Standing) -> bool + Copy,
) -> Option<usize> {
    let eligible = move |one: &Standing| one.weight > 0 && eligible(one);
    let tier = candidates.clone().filter(eligible).map(|one| one.priority).min()?;
    let in_tier = move |one: &Standing| one.priority == tier && eligible(one);
    let total: u64 = candidates.clone().filter(in_tier).map(|one| u64::from(one.weight)).sum();
    let mut point = (u64::from(draw) * total) >> 32;
    for (index, one) in candidates.enumerate() {
        if in_tier(&one) {
            match point.checked_sub(u64::from(one.weight)) {
                Some(rest) => point = rest,
                None => return Some(index),
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn standing(priority: u32, weight: u32, readiness: Readiness, tried: bool) -> Standing {
        Standing { priority, weight, readiness, tried }
    }

    #[test]
    fn priority_first_then_weight_then_whatever_is_left() {
        use Readiness::{Broken, Doubted, Ready, Resting};
        const A: Standing = standing(0, 3, Ready, false);
        const B: Standing = standing(0, 1, Ready, false);
        const BROKEN: Standing = standing(0, 3, Broken, false);
        const RESTING: Standing = standing(0, 3, Resting, false);
        const TRIED: Standing = standing(0, 3, Ready, true);
        const DOUBTED: Standing = standing(0, 3, Doubted, false);
        const NEVER: Standing = standing(0, 0, Ready, false);
        const LATER: Standing = standing(1, 1, Ready, false);
        let cases: [(&[Standing], u32, Option<usize>, &str); 16] = [
            (&[A, B], 0, Some(0), "the low part of the draw is the first's"),
            (&[A, B], u32::MAX, Some(1), "the high part the second's"),
            (&[A, B], u32::MAX / 4 * 3 - 1, Some(0), "three of four go to weight 3"),
            (&[LATER, B], 0, Some(1), "the lower number first, wherever it stands"),
            (&[BROKEN, LATER], 0, Some(1), "a broken one is passed over"),
            (&[RESTING, LATER], 0, Some(1), "so is one that rests"),
            (&[TRIED, LATER], 0, Some(1), "a tried one too"),
            (&[BROKEN], 0, Some(0), "the only one is tried even when broken"),
            (&[TRIED, BROKEN], 0, None, "but not after another was tried"),
            (&[TRIED, RESTING], 0, Some(1), "one that rests is disturbed when nobody else is left"),
            (&[BROKEN, RESTING], 0, Some(1), "and rather than one that is broken"),
            (&[DOUBTED, B], 0, Some(1), "one that others doubt is passed over for its like"),
            (&[DOUBTED, LATER], 0, Some(0), "but not for a later one"),
            (&[DOUBTED, RESTING], 0, Some(0), "nor for one that wants none"),
            (&[NEVER], 0, None, "weight 0 gets nothing"),
            (&[], 0, None, "nothing to choose from"),
        ];
        for (candidates, draw, expected, why) in cases {
            assert_eq!(next(candidates.iter().copied(), draw), expected, "{why}");
        }
    }

    #[test]
    fn weights_split_traffic() {
        let ready = |weight| standing(0, weight, Readiness::Ready, false);
        let candidates = [ready(3), ready(1)];
        let mut counts = [0_u32; 2];
        for step in 0..4_000_u32 {
            counts[next(candidates.into_iter(), step * (u32::MAX / 4_000)).unwrap()] += 1;
        }
        assert!((2_990..=3_010).contains(&counts[0]), "{counts:?}");
    }
}
