//! Which headers go no further than one hop, in either direction (RFC 9110, section 7.6.1): those that the standard
//! names, and those that a message names itself, in its `Connection` header.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::refusal::SHOULD_RETRY;

const OF_ONE_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"), // In no standard, and still sent by clients that think we are a proxy.
];

/// The provider's relation with us, which is not the client's.
const KEPT_BACK: [HeaderName; 9] = [
    header::SET_COOKIE,
    header::SERVER,
    header::ALT_SVC,
    header::STRICT_TRANSPORT_SECURITY,
    HeaderName::from_static("openai-organization"),
    HeaderName::from_static("openai-project"),
    HeaderName::from_static("anthropic-organization-id"),
    HeaderName::from_static("anthropic-workspace-id"),
    SHOULD_RETRY, // It would make a client retry against us what the provider meant for itself.
];

/// The headers of a message that are not for its next hop alone.
pub(crate) fn end_to_end(headers: &HeaderMap) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
    let names_some = headers.contains_key(header::CONNECTION);
    let ends_here =
        move |name: &HeaderName| OF_ONE_HOP.contains(name) || (names_some && is_named(headers, name));
    headers.iter().filter(move |(name, _)| !ends_here(name))
}

/// Those headers of an upstream's answer that its client gets to see.
pub(crate) fn told_to_clients(upstream: &HeaderMap) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
    end_to_end(upstream).filter(|(name, _)| !KEPT_BACK.contains(name))
}

fn is_named(headers: &HeaderMap, name: &HeaderName) -> bool {
    headers.get_all(header::CONNECTION).iter().any(|listed| {
        listed
            .to_str()
            .is_ok_and(|listed| listed.split(',').any(|one| one.trim().eq_ignore_ascii_case(name.as_str())))
    })
}
