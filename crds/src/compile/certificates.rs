//! What listeners prove themselves with, and how Secrets are referred to.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error, RootCertStore};

use super::grants::{Grants, Reference};
use super::index::{Entry, Index};
use crate::load::Loaded;
use crate::problem::{Problem, shown};
use crate::resources::{GATEWAY_GROUP, ListenerTls, SecretContent, SecretReference, TlsMode};
use crate::snapshot::{ResourceName, Sensitive};

/// The keys of a Secret of type kubernetes.io/tls.
const CHAIN: &str = "tls.crt";
const KEY: &str = "tls.key";

/// The certificates of a listener; None when it can't be opened.
pub(super) fn read(
    index: &Index<'_>,
    loaded: &Loaded,
    (path, tls): (&str, &ListenerTls),
    problems: &mut Vec<Problem>,
) -> Option<Vec<Arc<CertifiedKey>>> {
    let ListenerTls { mode, certificate_refs, options, frontend_validation } = tls;
    if *mode == TlsMode::Passthrough {
        problems.push(loaded.problem(&format!("{path}.tls.mode"), "Passthrough", "Terminate"));
        return None;
    }
    if frontend_validation.is_some() {
        // Going on would let clients in that the operator wants checked.
        let what = "no client certificates: they are not checked yet, and the listener is not opened without the check";
        problems.push(loaded.problem(&format!("{path}.tls.frontendValidation"), "", what));
        return None;
    }
    if !options.is_empty() {
        problems.push(loaded.not_honoured(&format!("{path}.tls.options"), "no options: none is known"));
    }
    let mut found = Vec::new();
    for (at, reference) in certificate_refs.iter().enumerate() {
        let field = format!("{path}.tls.certificateRefs[{at}]");
        match certificate(index, loaded, reference, problems) {
            Ok(certificate) => found.push(certificate),
            Err(what) => problems.push(loaded.problem(&field, shown(&reference.name), what)),
        }
    }
    if found.is_empty() {
        let what = "at least one usable certificate; the listener is not opened";
        problems.push(loaded.problem(&format!("{path}.tls.certificateRefs"), "", what));
        return None;
    }
    Some(found)
}

fn certificate(
    index: &Index<'_>,
    loaded: &Loaded,
    reference: &SecretReference,
    problems: &mut Vec<Problem>,
) -> Result<Arc<CertifiedKey>, String> {
    let from = (GATEWAY_GROUP, "Gateway", loaded.name.namespace.as_str());
    let secret = secret(index, from, reference)?;
    if secret.spec.secret_type.as_deref() != Some("kubernetes.io/tls") {
        let what = "a Secret of type kubernetes.io/tls".to_owned();
        // Without a certificate it is a good Secret, and the reference is the mistake.
        let is_meant = secret.spec.has(CHAIN);
        return Err(if is_meant { unusable(secret.loaded, "type", what, problems) } else { what });
    }
    let chain = text(secret, CHAIN, problems)?;
    let key = text(secret, KEY, problems)?;
    certified(chain.expose(), key.expose())
        .map(Arc::new)
        .map_err(|(name, what)| unusable(secret.loaded, &secret.spec.field(name), what, problems))
}

/// Chain and key, if a server can use them together; else which of them is at fault. What came is not told: it is secret.
fn certified(chain_pem: &str, key_pem: &str) -> Result<CertifiedKey, (&'static str, String)> {
    let chain = CertificateDer::pem_slice_iter(chain_pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    let Some(chain) = chain.ok().filter(|chain| !chain.is_empty()) else {
        return Err((CHAIN, "certificates as PEM, the server's own first".to_owned()));
    };
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes())
        .map_err(|_| (KEY, "a private key as PEM, not encrypted".to_owned()))?;
    let key = ring::default_provider().key_provider.load_private_key(key);
    let key = key.map_err(|error| (KEY, format!("a private key that can be used ({error})")))?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) => Ok(certified),
        Err(Error::InvalidCertificate(CertificateError::Other(_))) if holds_its_key(&certified) => {
            Ok(certified)
        }
        Err(Error::InvalidCertificate(why)) => Err((CHAIN, format!("certificates that can be read ({why})"))),
        Err(_) => Err((KEY, format!("the private key that belongs to the first certificate of {CHAIN}"))),
    }
}

/// A certificate that rustls as a client would not trust may be what others trust: of version 1, say, as `openssl x509`
/// makes it without extensions. To be shown to clients it need only hold the public key, as the bytes that it is.
fn holds_its_key(certified: &CertifiedKey) -> bool {
    let (Ok(certificate), Some(key)) = (certified.end_entity_cert(), certified.key.public_key()) else {
        return false;
    };
    certificate.windows(key.len()).any(|bytes| bytes == key.as_ref())
}

/// PEM certificates of authorities that clients can trust.
pub(super) fn are_authorities(pem: &str) -> bool {
    let mut roots = RootCertStore::empty();
    let all = CertificateDer::pem_slice_iter(pem.as_bytes())
        .all(|certificate| certificate.is_ok_and(|certificate| roots.add(certificate).is_ok()));
    all && !roots.is_empty()
}

/// The text under a key of a Secret. A fault of it is the Secret's.
pub(super) fn text(
    secret: Entry<'_, SecretContent>,
    key: &str,
    problems: &mut Vec<Problem>,
) -> Result<Sensitive, String> {
    let Entry { loaded, spec } = secret;
    spec.text(key).map_err(|why| {
        let what = format!("a value that can be used, since others refer to it: {key} {}", why.expected());
        unusable(loaded, &spec.field(key), what, problems)
    })
}

/// Content that is of no use is a problem of the resource that has it, told once, so that its own last good version can
/// go on. Gives what those who refer to it should say.
pub(super) fn unusable(
    loaded: &Loaded,
    field: &str,
    expected: impl Into<String>,
    problems: &mut Vec<Problem>,
) -> String {
    let problem = loaded.problem(field, "", expected);
    if !problems.contains(&problem) {
        problems.push(problem);
    }
    format!("a {} that can be used: {} has problems of its own", loaded.kind, loaded.name)
}

/// The Secret that is referred to, if it may be.
pub(super) fn secret<'a>(
    index: &Index<'a>,
    from: (&str, &str, &str),
    reference: &SecretReference,
) -> Result<Entry<'a, SecretContent>, String> {
    let SecretReference { group, kind, name, namespace } = reference;
    if !group.is_empty() || &**kind != "Secret" {
        return Err("a Secret of the core group".to_owned());
    }
    let target = ResourceName::new(namespace.as_ref().map_or(from.2, |namespace| namespace), &**name);
    let reference = Reference { from, to: ("", "Secret"), target: &target };
    if !index.grants.permit(reference) {
        return Err(Grants::wanted(reference));
    }
    index.secret(&target)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use rcgen::KeyPair;

    use super::*;

    #[test]
    fn what_a_server_can_prove_itself_with() {
        let own = rcgen::generate_simple_self_signed(["a.test".to_owned()]).unwrap();
        let (key, other) = (own.signing_key.serialize_pem(), KeyPair::generate().unwrap().serialize_pem());
        let version_3 = own.cert.der().to_vec();
        let version_1 = swapped(&version_3, &[0xa0, 3, 2, 1, 2], &[0xa0, 3, 2, 1, 0]);
        let mut cut = version_3.clone();
        cut.truncate(version_3.len() - 1);
        #[rustfmt::skip]
        let cases = [
            // certificate  key     at fault     why
            (&version_3, &key,   None,        "they belong together"),
            (&version_3, &other, Some(KEY),   "another's key"),
            (&version_1, &key,   None,        "what `openssl x509 -req` makes, and rustls alone would not take"),
            (&version_1, &other, Some(CHAIN), "another's key, but nothing says more than that it can't be read"),
            (&cut,       &key,   Some(CHAIN), "no client can read it"),
        ];
        for (certificate, key, at_fault, why) in cases {
            let body = BASE64_STANDARD.encode(certificate);
            let pem = format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
            let found = certified(&pem, key).err();
            assert_eq!(found.as_ref().map(|(name, _)| *name), at_fault, "{why}: {found:?}");
        }
    }

    fn swapped(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
        let at = bytes.windows(old.len()).position(|some| some == old).unwrap();
        [&bytes[..at], new, &bytes[at + old.len()..]].concat()
    }
}
