//! Which backends others found unhealthy. A hint that ends by itself: a breaker opens on it sooner, and closes as it always does.

use std::collections::{BTreeMap, BTreeSet};

use super::view::{NodeId, View};

/// The longest that a node believes another one, so that a fast clock cannot shut a backend for long.
pub const BELIEVED_MOST_MS: u64 = 60_000;

/// What others say of one backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The longest that any of them says, in milliseconds since 1970.
    pub until_ms: u64,
    /// Who says so.
    pub by: BTreeSet<NodeId>,
}

/// By backend.
pub type Verdicts = BTreeMap<String, Verdict>;

/// What was heard, and when.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// By node and backend: until when it was said, and when that was heard.
    first: BTreeMap<(NodeId, String), (u64, u64)>,
}

impl Heard {
    /// What is said at `now_ms` by all but `own`. Each is believed until the time that it says, and for [`BELIEVED_MOST_MS`] after it
    /// was first heard.
    pub(super) fn verdicts(&mut self, view: &View, own: NodeId, now_ms: u64) -> Verdicts {
        let mut first = BTreeMap::new();
        let mut verdicts = Verdicts::new();
        for (&node, peer) in view.iter().filter(|(node, _)| **node != own) {
            for (backend, &said_until_ms) in &peer.news.unhealthy {
                let key = (node, backend.clone());
                let heard_at_ms = match self.first.get(&key) {
                    Some((until_ms, at_ms)) if *until_ms == said_until_ms => *at_ms,
                    Some(_) | None => now_ms,
                };
                first.insert(key, (said_until_ms, heard_at_ms));
                let until_ms = said_until_ms.min(heard_at_ms.saturating_add(BELIEVED_MOST_MS));
                if until_ms > now_ms {
                    let verdict = verdicts
                        .entry(backend.clone())
                        .or_insert_with(|| Verdict { until_ms, by: BTreeSet::new() });
                    verdict.until_ms = verdict.until_ms.max(until_ms);
                    verdict.by.insert(node);
                }
            }
        }
        self.first = first;
        verdicts
    }
}

#[cfg(test)]
mod tests {
    use super::super::view::{About, Duty, News, Peer};
    use super::*;

    fn view(said: &[(NodeId, u64)]) -> View {
        let peer = |until_ms| Peer {
            about: About::default(),
            news: News { duty: Duty::Serving, unhealthy: [("b".to_owned(), until_ms)].into() },
            applied: 0,
            generation: 1,
            gossip: ([127, 0, 0, 1], 1).into(),
        };
        said.iter().map(|(node, until_ms)| (*node, peer(*until_ms))).collect()
    }

    #[test]
    #[rustfmt::skip]
    fn a_verdict_ends_by_itself() {
        /// At, who says until when, what is believed until when for whom.
        type Step = (u64, &'static [(NodeId, u64)], Option<(u64, &'static [NodeId])>);
        const FAR: u64 = u64::MAX;
        let mut heard = Heard::default();
        let steps: [Step; 9] = [
            // now   said by, until          believed until, by              why
            (  1_000, &[],                   None),                          // nobody says anything
            (  1_000, &[(1, 9_000)],         None),                          // its own word is not news
            (  1_000, &[(2, 9_000)],         Some((9_000, &[2]))),
            (  8_999, &[(2, 9_000)],         Some((9_000, &[2]))),           // to the last moment
            (  9_000, &[(2, 9_000)],         None),                          // over, though it is still said
            ( 10_000, &[(2, FAR), (3, 11_000)], Some((70_000, &[2, 3]))),    // two say it; nobody is believed for ever
            ( 12_000, &[(2, FAR), (3, 11_000)], Some((70_000, &[2]))),       // counted from when it was first heard
            ( 70_000, &[(2, FAR)],           None),
            ( 70_000, &[(2, 80_000)],        Some((80_000, &[2]))),          // said anew
        ];
        for (step, (now_ms, said, expected)) in steps.into_iter().enumerate() {
            let verdicts = heard.verdicts(&view(said), 1, now_ms);
            let expected = expected.map(|(until_ms, by)| Verdict { until_ms, by: by.iter().copied().collect() });
            assert_eq!(verdicts.get("b"), expected.as_ref(), "step {step}");
        }
        assert!(heard.verdicts(&view(&[]), 1, 70_000).is_empty(), "who is dead says nothing");
        assert!(heard.first.is_empty(), "and is forgotten");
    }
}
