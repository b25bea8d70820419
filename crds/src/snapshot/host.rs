//! Host names as Gateway API matches them: exact, or `*.suffix` that stands for one or more leading labels.

use std::fmt;

/// A host name, or a wildcard over one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    /// This host alone.
    Exact(String),
    /// Every host that ends in the suffix and has at least one label before it. Kept with its dot: `.example.com`.
    Wildcard(String),
}

impl HostPattern {
    /// Reads `host` or `*.host`; lower case. The caller has checked the letters.
    pub fn parse(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        match text.strip_prefix('*') {
            Some(suffix) => Self::Wildcard(suffix.to_owned()),
            None => Self::Exact(text),
        }
    }

    /// True when `host` (lower case, no port) is meant.
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == host,
            Self::Wildcard(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_str()),
        }
    }

    /// True when every host of `other` is meant too.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.intersection(other).as_ref() == Some(other)
    }

    /// The hosts that both mean, if any; the narrower of the two (Gateway API, HTTPRouteSpec.hostnames).
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Exact(host), pattern) | (pattern, Self::Exact(host)) => {
                pattern.matches(host).then(|| Self::Exact(host.clone()))
            }
            (Self::Wildcard(a), Self::Wildcard(b)) if a.ends_with(b.as_str()) => Some(self.clone()),
            (Self::Wildcard(a), Self::Wildcard(b)) if b.ends_with(a.as_str()) => Some(other.clone()),
            (Self::Wildcard(_), Self::Wildcard(_)) => None,
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => f.write_str(host),
            Self::Wildcard(suffix) => write!(f, "*{suffix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_matched() {
        #[rustfmt::skip]
        let rows = [
            ("a.example.com", "a.example.com",   true),  // itself
            ("A.Example.com", "a.example.com",   true),  // patterns are read in any case
            ("*.example.com", "a.example.com",   true),  // one label
            ("*.example.com", "b.a.example.com", true),  // any depth
            ("*.example.com", "example.com",     false), // at least one label
            ("*.example.com", "aexample.com",    false), // labels, not letters
            ("a.example.com", "b.example.com",   false), // another host
        ];
        for (pattern, host, want) in rows {
            assert_eq!(HostPattern::parse(pattern).matches(host), want, "{pattern} {host}");
        }
    }

    #[test]
    fn intersections_are_the_narrower_pattern() {
        #[rustfmt::skip]
        let rows = [
            ("a.x.com", "a.x.com",   Some("a.x.com")),   // the same
            ("*.x.com", "a.x.com",   Some("a.x.com")),   // the exact one
            ("a.x.com", "*.x.com",   Some("a.x.com")),   // either way round
            ("*.x.com", "*.a.x.com", Some("*.a.x.com")), // the longer suffix
            ("*.x.com", "*.y.com",   None),              // nothing in common
            ("*.x.com", "x.com",     None),              // a wildcard needs a label
            ("a.com",   "b.com",     None),              // two hosts
        ];
        for (a, b, want) in rows {
            let got = HostPattern::parse(a).intersection(&HostPattern::parse(b));
            assert_eq!(got.map(|host| host.to_string()).as_deref(), want, "{a} {b}");
        }
    }
}
