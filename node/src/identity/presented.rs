//! Where a key or a token stands in a request, and how it is taken out: what a client presented to us is for nobody
//! behind us.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, header};
use tollgate_crds::KeySource;

/// A request, as far as keys may stand in it.
pub(crate) struct Places<'a> {
    pub(crate) headers: &'a HeaderMap,
    pub(crate) query: &'a str,
}

/// Where the SDKs of all dialects put a key when nobody tells them otherwise.
pub(crate) const USUAL: [(HeaderName, &str); 4] = [
    (header::AUTHORIZATION, "Bearer "),
    (HeaderName::from_static("x-api-key"), ""),
    (HeaderName::from_static("api-key"), ""),
    (HeaderName::from_static("x-goog-api-key"), ""),
];

impl<'a> Places<'a> {
    /// What stands in one place; None where nothing does.
    pub(crate) fn find(&self, source: &KeySource) -> Option<Cow<'a, str>> {
        let found = match source {
            KeySource::Header { name, prefix } => Cow::Borrowed(self.header(name, prefix)?),
            KeySource::Query(name) => self.parameter(name)?,
            KeySource::Cookie(name) => Cow::Borrowed(self.cookie(name)?),
        };
        (!found.is_empty()).then_some(found)
    }

    /// What stands in a header, without its prefix: a scheme is the same in any letter case (RFC 9110, section 11.1).
    pub(crate) fn header(&self, name: &HeaderName, prefix: &str) -> Option<&'a str> {
        let text = self.headers.get(name)?.to_str().ok()?.trim();
        let begins = text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
        let rest = if begins { text[prefix.len()..].trim() } else { text };
        (!rest.is_empty()).then_some(rest)
    }

    fn parameter(&self, name: &str) -> Option<Cow<'a, str>> {
        let pairs = self.query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let value = pairs.into_iter().find(|(key, _)| decoded(key) == name)?.1;
        Some(decoded(value))
    }

    fn cookie(&self, name: &str) -> Option<&'a str> {
        let lines = self.headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        Some(pairs.find(|(key, _)| *key == name)?.1.trim_matches('"'))
    }
}

/// Takes what stood in a place out of the headers. A query goes no further anyway, nor do cookies.
pub(crate) fn take_out(source: &KeySource, headers: &mut HeaderMap) {
    match source {
        KeySource::Header { name, .. } => {
            headers.remove(name);
        }
        KeySource::Query(_) | KeySource::Cookie(_) => {}
    }
}

fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let escaped = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        plain.push(escaped.unwrap_or(if bytes[at] == b'+' { b' ' } else { bytes[at] }));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    Cow::Owned(String::from_utf8_lossy(&plain).into_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn keys_are_found_where_they_stand() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "bearer  sk-1 "),
            ("x-api-key", "sk-2"),
            ("x-empty", " "),
            ("cookie", "a=1; key=\"sk-3\""),
            ("cookie", "late=sk-4"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let places = Places { headers: &headers, query: "a=b&key=sk%2D5&pl%75s=a+b&bare" };
        let in_header = |name: &'static str, prefix: &str| KeySource::Header {
            name: HeaderName::from_static(name),
            prefix: prefix.to_owned(),
        };
        let (query, cookie) =
            (|name: &str| KeySource::Query(name.to_owned()), |name: &str| KeySource::Cookie(name.to_owned()));
        #[rustfmt::skip]
        let rows = [
            (in_header("authorization", "Bearer "), Some("sk-1"),        "a scheme in any case, blanks around"),
            (in_header("x-api-key", ""),            Some("sk-2"),        "as it is"),
            (in_header("x-api-key", "Bearer "),     Some("sk-2"),        "a prefix is taken off where it is there"),
            (in_header("x-empty", ""),              None,                "nothing"),
            (in_header("x-none", ""),               None,                "no such header"),
            (query("key"),                          Some("sk-5"),        "escapes are read"),
            (query("plus"),                         Some("a b"),         "in names too"),
            (query("bare"),                         None,                "no value"),
            (query("none"),                         None,                "no such parameter"),
            (cookie("key"),                         Some("sk-3"),        "among others, in quotes"),
            (cookie("late"),                        Some("sk-4"),        "in the second header"),
            (cookie("none"),                        None,                "no such cookie"),
        ];
        for (source, want, why) in rows {
            assert_eq!(places.find(&source).as_deref(), want, "{why}");
        }
    }
}
