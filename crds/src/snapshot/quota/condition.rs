//! Conditions of Envoy Gateway's client selectors that the core's covers do not have: regular expressions, inversion,
//! methods, paths, networks.

use std::fmt;
use std::net::IpAddr;

use http::Method;
use regex::Regex;

use super::RequestFacts;
use crate::snapshot::HeaderMatch;

/// One condition.
#[derive(Clone, Debug)]
pub(crate) enum Condition {
    /// A header, or what it must not be.
    Header {
        matched: HeaderMatch,
        inverted: bool,
    },
    /// One of several methods, each perhaps inverted.
    Methods(Vec<(Method, bool)>),
    Path {
        matched: PathMatch,
        inverted: bool,
    },
    Source(Network),
    /// The model that the upstream is asked for.
    UpstreamModel(String),
}

/// What a path must be.
#[derive(Clone, Debug)]
pub(crate) enum PathMatch {
    Exact(String),
    /// Whole segments, as Gateway API matches prefixes.
    Prefix(String),
    Pattern(Regex),
}

/// Addresses that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    bits: u8,
}

impl Condition {
    /// Whether it looks at more than the model and the candidate.
    pub(super) fn looks_at_requests(&self) -> bool {
        match self {
            Self::Header { .. } | Self::Methods(_) | Self::Path { .. } | Self::Source(_) => true,
            Self::UpstreamModel(_) => false,
        }
    }

    pub(super) fn holds(&self, facts: &RequestFacts<'_>) -> bool {
        match self {
            Self::Header { matched, inverted } => matched.holds(facts.model, facts.headers) != *inverted,
            Self::Methods(methods) => {
                methods.iter().any(|(method, inverted)| (method == facts.method) != *inverted)
            }
            Self::Path { matched, inverted } => matched.fits(facts.path) != *inverted,
            Self::Source(network) => facts.source.is_some_and(|address| network.contains(address)),
            Self::UpstreamModel(model) => model == facts.upstream_model(),
        }
    }
}

impl PathMatch {
    fn fits(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == path,
            Self::Prefix(prefix) => {
                let prefix = prefix.trim_end_matches('/');
                path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            Self::Pattern(pattern) => pattern.is_match(path),
        }
    }
}

impl Network {
    /// Reads `10.0.0.0/8`, or an address alone.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(most), |bits| bits.parse().ok()).filter(|bits| *bits <= most)?;
        Some(Self { address, bits })
    }

    fn contains(&self, address: IpAddr) -> bool {
        let shared = match (self.address, address.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
        };
        shared >= u32::from(self.bits)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = |inverted: &bool| if *inverted { "not " } else { "" };
        match self {
            Self::Header { matched, inverted } => write!(f, "{}{matched}", not(inverted)),
            Self::Methods(methods) => {
                f.write_str("method")?;
                methods.iter().try_for_each(|(method, inverted)| write!(f, " {}{method}", not(inverted)))
            }
            Self::Path { matched, inverted } => write!(f, "{}path {matched}", not(inverted)),
            Self::Source(Network { address, bits }) => write!(f, "from {address}/{bits}"),
            Self::UpstreamModel(model) => write!(f, "asked as {model}"),
        }
    }
}

impl fmt::Display for PathMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => write!(f, "={path}"),
            Self::Prefix(path) => write!(f, "{path}*"),
            Self::Pattern(pattern) => write!(f, "~{pattern}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_and_matched() {
        #[rustfmt::skip]
        let rows = [
            ("10.0.0.0/8",      "10.1.2.3",        Some(true),  "inside"),
            ("10.0.0.0/8",      "11.1.2.3",        Some(false), "outside"),
            ("10.0.0.0/8",      "::ffff:10.1.2.3", Some(true),  "as a socket of both kinds shows it"),
            ("10.1.2.3",        "10.1.2.3",        Some(true),  "one address"),
            ("0.0.0.0/0",       "8.8.8.8",         Some(true),  "all of IPv4"),
            ("0.0.0.0/0",       "::1",             Some(false), "and no IPv6"),
            ("2001:db8::/32",   "2001:db8::1",     Some(true),  "inside"),
            ("2001:db8::/32",   "2001:db9::1",     Some(false), "outside"),
            ("10.0.0.0/33",     "10.0.0.0",        None,        "more bits than it has"),
            ("10.0.0.0/-1",     "10.0.0.0",        None,        "no number"),
            ("10.0.0/8",        "10.0.0.0",        None,        "no address"),
            ("",                "10.0.0.0",        None,        "nothing"),
        ];
        for (network, address, want, why) in rows {
            let address = address.parse().unwrap();
            let got = Network::parse(network).map(|network| network.contains(address));
            assert_eq!(got, want, "{network} {address}: {why}");
        }
    }

    #[test]
    fn prefixes_are_whole_segments() {
        #[rustfmt::skip]
        let rows = [
            ("/",    "/v1/chat", true,  "everything"),
            ("/v1",  "/v1",      true,  "itself"),
            ("/v1/", "/v1/chat", true,  "a slash at the end says nothing"),
            ("/v1",  "/v1beta",  false, "half a segment"),
            ("/v2",  "/v1",      false, "another"),
        ];
        for (prefix, path, want, why) in rows {
            assert_eq!(PathMatch::Prefix(prefix.to_owned()).fits(path), want, "{prefix} {path}: {why}");
        }
    }
}
