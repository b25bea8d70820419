//! Which candidate is next? Pure: health and chance are arguments.
//!
//! The lowest priority number that still has an untried, usable candidate is chosen from, by weight. A candidate of
//! weight 0 gets nothing (Gateway API's meaning). If nothing is usable and nothing was tried yet, health is ignored:
//! better a try than a certain no.

/// What choosing needs to know of a candidate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) priority: u32,
    pub(crate) weight: u32,
    pub(crate) usable: bool,
    pub(crate) tried: bool,
}

/// The next candidate's index. `draw` is uniform in 0..2^32.
pub(crate) fn next(candidates: impl Iterator<Item = Standing> + Clone, draw: u32) -> Option<usize> {
    let fresh = pick(candidates.clone(), draw, |one| !one.tried && one.usable);
    fresh.or_else(|| {
        let untouched = candidates.clone().all(|one| !one.tried);
        untouched.then(|| pick(candidates, draw, |one| !one.tried)).flatten()
    })
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

    const fn standing(priority: u32, weight: u32, usable: bool, tried: bool) -> Standing {
        Standing { priority, weight, usable, tried }
    }

    #[test]
    fn priority_first_then_weight_then_whatever_is_left() {
        const A: Standing = standing(0, 3, true, false);
        const B: Standing = standing(0, 1, true, false);
        const BROKEN: Standing = standing(0, 3, false, false);
        const TRIED: Standing = standing(0, 3, true, true);
        const NEVER: Standing = standing(0, 0, true, false);
        const LATER: Standing = standing(1, 1, true, false);
        let cases: [(&[Standing], u32, Option<usize>, &str); 10] = [
            (&[A, B], 0, Some(0), "the low part of the draw is the first's"),
            (&[A, B], u32::MAX, Some(1), "the high part the second's"),
            (&[A, B], u32::MAX / 4 * 3 - 1, Some(0), "three of four go to weight 3"),
            (&[LATER, B], 0, Some(1), "the lower number first, wherever it stands"),
            (&[BROKEN, LATER], 0, Some(1), "a broken one is passed over"),
            (&[TRIED, LATER], 0, Some(1), "a tried one too"),
            (&[BROKEN], 0, Some(0), "the only one is tried even when broken"),
            (&[TRIED, BROKEN], 0, None, "but not after another was tried"),
            (&[NEVER], 0, None, "weight 0 gets nothing"),
            (&[], 0, None, "nothing to choose from"),
        ];
        for (candidates, draw, expected, why) in cases {
            assert_eq!(next(candidates.iter().copied(), draw), expected, "{why}");
        }
    }

    #[test]
    fn weights_split_traffic() {
        let candidates = [standing(0, 3, true, false), standing(0, 1, true, false)];
        let mut counts = [0_u32; 2];
        for step in 0..4_000_u32 {
            counts[next(candidates.into_iter(), step * (u32::MAX / 4_000)).unwrap()] += 1;
        }
        assert!((2_990..=3_010).contains(&counts[0]), "{counts:?}");
    }
}
