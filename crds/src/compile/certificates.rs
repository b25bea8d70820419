//! What listeners prove themselves with, and how Secrets are referred to.

use super::grants::{Grants, Reference};
use super::index::Index;
use crate::load::Loaded;
use crate::problem::{Problem, shown};
use crate::resources::{GATEWAY_GROUP, ListenerTls, SecretContent, SecretReference, TlsMode};
use crate::snapshot::{Certificate, ResourceName, Sensitive};

/// The certificates of a listener; None when it can't be opened.
pub(super) fn read(
    index: &Index<'_>,
    loaded: &Loaded,
    (path, tls): (&str, &ListenerTls),
    problems: &mut Vec<Problem>,
) -> Option<Vec<Certificate>> {
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
        match certificate(index, loaded, reference) {
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
) -> Result<Certificate, String> {
    let from = (GATEWAY_GROUP, "Gateway", loaded.name.namespace.as_str());
    let secret = secret(index, from, reference)?;
    if secret.secret_type.as_deref() != Some("kubernetes.io/tls") {
        return Err("a Secret of type kubernetes.io/tls".to_owned());
    }
    let read = |key: &str, mark: &str| -> Result<Sensitive, String> {
        let text = secret
            .text(key)
            .map_err(|why| format!("a Secret whose key {key} is usable: it {}", why.expected()))?;
        if text.expose().contains(mark) {
            Ok(text)
        } else {
            Err(format!("a Secret whose key {key} is PEM with {mark}"))
        }
    };
    let chain = read("tls.crt", "BEGIN CERTIFICATE")?;
    Ok(Certificate { chain_pem: chain.expose().to_owned(), key_pem: read("tls.key", "PRIVATE KEY")? })
}

/// The Secret that is referred to, if it may be.
pub(super) fn secret<'a>(
    index: &Index<'a>,
    from: (&str, &str, &str),
    reference: &SecretReference,
) -> Result<&'a SecretContent, String> {
    let SecretReference { group, kind, name, namespace } = reference;
    if !group.is_empty() || &**kind != "Secret" {
        return Err("a Secret of the core group".to_owned());
    }
    let target = ResourceName::new(namespace.as_ref().map_or(from.2, |namespace| namespace), &**name);
    let reference = Reference { from, to: ("", "Secret"), target: &target };
    if !index.grants.permit(reference) {
        return Err(Grants::wanted(reference));
    }
    index
        .secrets
        .find(&target)
        .map(|secret| secret.spec)
        .ok_or_else(|| format!("a Secret that exists: {target} does not"))
}
