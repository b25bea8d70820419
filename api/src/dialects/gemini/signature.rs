//! Signatures of thinking, told apart by who signed: a conversation may go from one vendor's model to another's, and each
//! refuses what it has not signed itself.
//!
//! | who signed | in the canonical model, and so with chat and messages clients | with Gemini's clients |
//! | --- | --- | --- |
//! | Google | `google:` and the signature | as it is |
//! | others | as it is | in base64, behind a mark of ours, since the API takes bytes only |
//!
//! No signature of any vendor has a colon: all are base64.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};

/// What Google's signatures begin with where others stand, too.
const GOOGLE: &str = "google:";

/// What others' begin with among Google's, once decoded.
const FOREIGN: &str = "tollgate:signature:";
/// And data of thinking that its vendor shows to nobody.
const REDACTED: &str = "tollgate:redacted:";

/// What a `thoughtSignature` holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Held {
    Signature(String),
    /// Not a signature, but a whole block of thinking in itself.
    Redacted(String),
}

/// Reads a `thoughtSignature`.
pub(super) fn read(written: &str) -> Held {
    let ours = decoded(written).and_then(|text| {
        let signature = text.strip_prefix(FOREIGN).map(|other| Held::Signature(other.to_owned()));
        signature.or_else(|| text.strip_prefix(REDACTED).map(|data| Held::Redacted(data.to_owned())))
    });
    ours.unwrap_or_else(|| Held::Signature(format!("{GOOGLE}{written}")))
}

/// `signature` as Google gave it; None: somebody else signed.
pub(super) fn of_google(signature: &str) -> Option<&str> {
    signature.strip_prefix(GOOGLE)
}

/// True for what another vendor must not be sent.
pub(in crate::dialects) fn is_googles(signature: &str) -> bool {
    of_google(signature).is_some()
}

/// For a client of Gemini's API.
pub(super) fn written(signature: &str) -> Cow<'_, str> {
    match of_google(signature) {
        Some(google) => Cow::Borrowed(google),
        None => Cow::Owned(BASE64_STANDARD.encode(format!("{FOREIGN}{signature}"))),
    }
}

/// For a client of Gemini's API, too.
pub(super) fn redacted(data: &str) -> String {
    BASE64_STANDARD.encode(format!("{REDACTED}{data}"))
}

/// Google's SDKs write bytes in either alphabet, whatever they read.
fn decoded(written: &str) -> Option<String> {
    let bytes = BASE64_STANDARD.decode(written).or_else(|_| BASE64_URL_SAFE.decode(written)).ok()?;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_come_back_to_whom_they_belong() {
        let claudes = "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxB/+djrw==";
        let to_client = written(claudes);
        assert_eq!(read(&to_client), Held::Signature(claudes.to_owned()));
        let other_alphabet = to_client.replace('+', "-").replace('/', "_");
        assert_eq!(read(&other_alphabet), Held::Signature(claudes.to_owned()), "an SDK's spelling");
        assert_eq!(of_google(claudes), None);

        for googles in ["CsUB/2Yp+w==", "skip_thought_signature_validator", "not base64!"] {
            let Held::Signature(held) = read(googles) else { panic!("{googles}") };
            assert_eq!((of_google(&held), &*written(&held)), (Some(googles), googles));
            assert!(is_googles(&held));
        }
        assert_eq!(read(&redacted("d+/=")), Held::Redacted("d+/=".to_owned()));
    }
}
