//! How many datagrams of unknown sessions are tried in a second: what a stranger can make this node compute and remember.

use std::collections::HashMap;
use std::net::IpAddr;

/// A new peer opens one session; a handful behind one address may start at once.
const PER_SOURCE_MOST: u32 = 64;
/// Sources that are told apart in one second. Past it, no further one is heard in that second.
const SOURCES_MOST: usize = 1_024;

/// Counts by source, forgotten each second.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    second: u64,
    tried: HashMap<IpAddr, u32>,
}

impl Strangers {
    /// Whether one more datagram of `from` may be tried.
    pub(super) fn admit(&mut self, from: IpAddr, now_ms: u64) -> bool {
        let second = now_ms / 1_000;
        if second != self.second {
            self.second = second;
            self.tried.clear();
        }
        if self.tried.len() >= SOURCES_MOST && !self.tried.contains_key(&from) {
            return false;
        }
        let tried = self.tried.entry(from).or_default();
        *tried += 1;
        *tried <= PER_SOURCE_MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(strangers: &mut Strangers, from: IpAddr, tries: u32) -> u32 {
        (0..tries).map(|_| u32::from(strangers.admit(from, 5_000))).sum()
    }

    #[test]
    fn one_source_does_not_take_the_place_of_another() {
        let mut strangers = Strangers::default();
        assert_eq!(admitted(&mut strangers, [10, 0, 0, 1].into(), 1_000), PER_SOURCE_MOST);
        assert_eq!(admitted(&mut strangers, [10, 0, 0, 2].into(), 1), 1, "another source is heard");
        assert!(strangers.admit([10, 0, 0, 1].into(), 6_000), "and the first one again in the next second");
    }

    #[test]
    fn the_table_has_a_bound() {
        let mut strangers = Strangers::default();
        for number in 0..10_000_u32 {
            strangers.admit(IpAddr::V4(number.into()), 5_000);
        }
        assert_eq!(strangers.tried.len(), SOURCES_MOST);
        assert!(
            strangers.admit(IpAddr::V4(9_999.into()), 6_000),
            "who came too late is heard in the next second"
        );
    }
}
