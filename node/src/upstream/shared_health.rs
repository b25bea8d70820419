//! What nodes tell each other of upstreams: a breaker that opens here is doubted there within two rounds of gossip, and what was
//! said is taken back when it closes.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tollgate_cluster::gossip::health::Verdicts;

use super::Breakers;
use crate::clock;
use crate::gateway::Gateway;

/// Between two looks at the breakers.
const LOOK: Duration = Duration::from_millis(100);

/// Goes on for as long as the node runs.
pub(crate) async fn share(gateway: Arc<Gateway>, breakers: Breakers) {
    let gossip = gateway.member.node.gossip();
    let mut verdicts = gossip.unhealthy();
    let mut said = Said::default();
    let mut beat = interval(LOOK);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        let now_ms = gateway.elapsed_ms();
        for word in said.look(&breakers, now_ms) {
            match word {
                Word::Fails { name, for_ms } => {
                    tracing::info!(upstream = %name, "its breaker opened; other nodes are told");
                    gossip.say_unhealthy(&name, SystemTime::now() + Duration::from_millis(for_ms));
                }
                Word::Works { name } => gossip.say_healthy(&name),
            }
        }
        hear(&mut verdicts, &breakers, now_ms);
    }
}

/// What others know from this node.
#[derive(Debug, Default)]
struct Said {
    until_ms: BTreeMap<String, u64>,
}

/// What they are to be told.
#[derive(Debug, PartialEq, Eq)]
enum Word {
    Fails { name: String, for_ms: u64 },
    Works { name: String },
}

impl Said {
    /// What has changed since the last look.
    fn look(&mut self, breakers: &Breakers, now_ms: u64) -> Vec<Word> {
        let breakers = breakers.lock().unwrap_or_else(PoisonError::into_inner);
        let open = |name: &str| breakers.get(name).and_then(|breaker| breaker.open_until());
        let mut words = Vec::new();
        self.until_ms.retain(|name, _| {
            let stays = open(name).is_some();
            if !stays {
                words.push(Word::Works { name: name.clone() });
            }
            stays
        });
        for (name, breaker) in &*breakers {
            let Some(until_ms) = breaker.open_until().filter(|until_ms| *until_ms > now_ms) else { continue };
            if self.until_ms.get(name) != Some(&until_ms) {
                self.until_ms.insert(name.clone(), until_ms);
                words.push(Word::Fails { name: name.clone(), for_ms: until_ms - now_ms });
            }
        }
        words
    }
}

/// News are believed once: a success of our own, which comes later, counts more.
fn hear(verdicts: &mut watch::Receiver<Verdicts>, breakers: &Breakers, now_ms: u64) {
    if !verdicts.has_changed().unwrap_or(false) {
        return;
    }
    let wall_ms = clock::unix_ms();
    let breakers = breakers.lock().unwrap_or_else(PoisonError::into_inner);
    for (name, verdict) in &*verdicts.borrow_and_update() {
        if let Some(breaker) = breakers.get(name) {
            breaker.doubt(now_ms + verdict.until_ms.saturating_sub(wall_ms));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::breaker::{Breaker, Health};
    use super::*;
    use tollgate_cluster::gossip::health::Verdict;

    fn bed() -> (Breakers, Arc<Breaker>) {
        let (breakers, breaker) = (Breakers::default(), Arc::new(Breaker::default()));
        breakers.lock().unwrap().insert("b".to_owned(), Arc::clone(&breaker));
        (breakers, breaker)
    }

    #[test]
    fn what_opens_is_said_once_and_taken_back() {
        let (breakers, breaker) = bed();
        let mut said = Said::default();
        let name = || "b".to_owned();
        assert_eq!(said.look(&breakers, 10), [], "all is well");
        (0..5).for_each(|_| breaker.failed(10));
        assert_eq!(said.look(&breakers, 110), [Word::Fails { name: name(), for_ms: 1_900 }]);
        assert_eq!(said.look(&breakers, 210), [], "they know");
        assert!(breaker.probe(2_010));
        breaker.failed(2_020);
        assert_eq!(said.look(&breakers, 2_020), [Word::Fails { name: name(), for_ms: 4_000 }], "longer");
        breaker.succeeded();
        assert_eq!(said.look(&breakers, 2_100), [Word::Works { name: name() }]);
        (0..5).for_each(|_| breaker.failed(3_000));
        assert_eq!(said.look(&breakers, 3_000).len(), 1);
        breakers.lock().unwrap().clear();
        assert_eq!(
            said.look(&breakers, 3_100),
            [Word::Works { name: name() }],
            "it is none of ours any more"
        );
    }

    #[test]
    fn what_others_say_is_heard_once() {
        let (breakers, breaker) = bed();
        let (others, mut heard) = watch::channel(Verdicts::default());
        let until_ms = clock::unix_ms() + 60_000;
        let verdict = Verdict { until_ms, by: [2].into() };
        others.send_replace([("b".to_owned(), verdict.clone()), ("other".to_owned(), verdict)].into());
        hear(&mut heard, &breakers, 10);
        assert_eq!(breaker.check(20), Health::Doubted);
        breaker.succeeded();
        hear(&mut heard, &breakers, 30);
        assert_eq!(breaker.check(40), Health::Closed, "we know better");
    }
}
