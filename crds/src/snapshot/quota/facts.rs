//! What is known of a request once its rule and candidate are chosen: the side of a match that the gateway brings.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, Method};
use tollgate_ratelimit::cover::Facts;

use super::Consumer;
use crate::snapshot::{Candidate, MODEL_HEADER, Rule};

/// Letters of the longest address, with room for a mapped IPv4 one.
const ADDRESS_BYTES: usize = 48;

/// What budgets look at. All of it was verified: the consumer by identify, the model by accept.
#[derive(Clone, Copy, Debug)]
pub struct RequestFacts<'a> {
    /// Who calls; None for callers who proved nothing.
    pub consumer: Option<&'a Arc<Consumer>>,
    /// The key that they presented, as [`Holder`](super::Holder) has it.
    pub api_key: Option<&'a str>,
    /// The model that the client asked for.
    pub model: &'a str,
    /// The rule that answers, of the same snapshot.
    pub rule: &'a Rule,
    /// The backend that is asked, and how.
    pub candidate: &'a Candidate,
    /// The request's headers, with what claims put there.
    pub headers: &'a HeaderMap,
    /// The request's method.
    pub method: &'a Method,
    /// The request's path, without its query.
    pub path: &'a str,
    /// The address that it came from.
    pub source: Option<IpAddr>,
}

impl<'a> RequestFacts<'a> {
    /// The model that the upstream is asked for.
    pub fn upstream_model(&self) -> &'a str {
        self.candidate.model_override.as_deref().unwrap_or(self.model)
    }

    /// The value of a header that is text; the first where there are several.
    pub(super) fn header(&self, name: &str) -> Option<&'a str> {
        if name == MODEL_HEADER {
            // Never what the client sent under this name.
            return Some(self.model);
        }
        self.headers.get(name)?.to_str().ok()
    }

    pub(super) fn label(&self, name: &str) -> Option<&'a str> {
        self.consumer?.labels.get(name).map(String::as_str)
    }
}

/// The texts that a match needs and a request does not carry as such.
#[derive(Clone, Copy)]
pub(super) struct Names<'a> {
    pub(super) route: &'a str,
    pub(super) backend: &'a str,
    pub(super) source: Option<&'a str>,
}

/// The same for the core.
pub(super) fn for_core<'f>(
    request: &'f RequestFacts<'f>,
    names: Names<'f>,
    (label, header): (&'f Lookup<'f>, &'f Lookup<'f>),
) -> Facts<'f> {
    let of = request.consumer;
    Facts {
        organization: of.and_then(|consumer| consumer.organization.as_deref()),
        team: of.and_then(|consumer| consumer.team.as_deref()),
        user: of.and_then(|consumer| consumer.user.as_deref()),
        consumer: of.map(|consumer| consumer.full_name.as_str()),
        source: names.source,
        api_key: request.api_key,
        model: Some(request.model),
        route: Some(names.route),
        backend: Some(names.backend),
        label,
        header,
    }
}

/// Finds the value of a name.
pub(super) type Lookup<'f> = dyn Fn(&str) -> Option<&'f str> + Sync + 'f;

/// The text of an address, made without an allocation.
pub(super) struct AddressText {
    bytes: [u8; ADDRESS_BYTES],
    length: usize,
}

impl AddressText {
    pub(super) fn new(address: Option<IpAddr>) -> Self {
        let mut text = Self { bytes: [0; ADDRESS_BYTES], length: 0 };
        if let Some(address) = address {
            // An IPv4 address is one, however the socket shows it: nobody gets a second bucket.
            write!(text, "{}", address.to_canonical()).expect("the longest address fits");
        }
        text
    }

    pub(super) fn get(&self) -> Option<&str> {
        std::str::from_utf8(self.bytes.get(..self.length)?).ok().filter(|text| !text.is_empty())
    }
}

impl std::fmt::Write for AddressText {
    fn write_str(&mut self, part: &str) -> std::fmt::Result {
        let end = self.length + part.len();
        self.bytes.get_mut(self.length..end).ok_or(std::fmt::Error)?.copy_from_slice(part.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_in_place() {
        let longest = "1111:2222:3333:4444:5555:6666:7777:8888";
        #[rustfmt::skip]
        let rows = [
            (Some("10.0.0.1"),         Some("10.0.0.1"), "IPv4"),
            (Some("::ffff:10.0.0.1"),  Some("10.0.0.1"), "the same by a socket of both kinds"),
            (Some("::1"),              Some("::1"),      "IPv6"),
            (Some(longest),            Some(longest),    "the longest"),
            (None,                     None,             "not known"),
        ];
        for (address, want, why) in rows {
            let text = AddressText::new(address.map(|address| address.parse().unwrap()));
            assert_eq!(text.get(), want, "{why}");
        }
    }
}
