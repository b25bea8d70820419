//! How upstreams are authenticated: BackendTLSPolicy, or what an Envoy Gateway Backend says itself.

use std::collections::{BTreeMap, btree_map};

use super::attach::created;
use super::certificates;
use super::index::{Entry, Index};
use crate::load::Loaded;
use crate::problem::{Problem, shown};
use crate::resources::{
    AltName, BackendTls, BackendTlsPolicySpec, ENVOY_GROUP, LocalReference, Validation, WellKnownAuthorities,
};
use crate::snapshot::{ResourceName, Roots, UpstreamTls};

/// The key of a ConfigMap or Secret that holds authorities (Gateway API, `caCertificateRefs`).
const AUTHORITIES: &str = "ca.crt";

/// What a policy is for: kind (Backend or Service), name, and a section of it.
pub(super) type Target = (&'static str, ResourceName, Option<String>);

/// What a policy comes to; Err: its problems say why, and its targets are not called without it.
pub(super) type Outcome = Result<UpstreamTls, ()>;

/// Every BackendTLSPolicy, by what it is for. The oldest counts, then the first by name.
pub(super) fn policies(index: &Index<'_>, problems: &mut Vec<Problem>) -> BTreeMap<Target, Outcome> {
    let mut in_order: Vec<Entry<'_, BackendTlsPolicySpec>> = index.tls_policies.iter().collect();
    in_order.sort_by(|a, b| (created(a.loaded), &a.loaded.name).cmp(&(created(b.loaded), &b.loaded.name)));
    let mut by_target = BTreeMap::new();
    for policy in in_order {
        let Entry { loaded, spec: BackendTlsPolicySpec { target_refs, validation, options } } = policy;
        if !options.is_empty() {
            problems.push(loaded.not_honoured("spec.options", "no options: none is known"));
        }
        let outcome = validated(index, loaded, validation, problems);
        for (at, target) in target_refs.iter().enumerate() {
            let field = format!("spec.targetRefs[{at}]");
            let kind = match (&*target.group, &*target.kind) {
                (ENVOY_GROUP, "Backend") => "Backend",
                ("", "Service") => "Service",
                (group, kind) => {
                    let what = format!("a Backend of {ENVOY_GROUP} or a Service of the core group");
                    problems.push(loaded.problem(&field, shown(&format!("{kind} of {group:?}")), what));
                    continue;
                }
            };
            let section = target.section_name.as_ref().map(|section| section.to_string());
            let place = (kind, ResourceName::new(&*loaded.name.namespace, &*target.name), section);
            if let btree_map::Entry::Vacant(vacant) = by_target.entry(place) {
                vacant.insert(outcome.clone());
            } else {
                let what = "a target that no older policy is for; the older one counts";
                problems.push(loaded.problem(&field, shown(&target.name), what));
            }
        }
    }
    by_target
}

fn validated(
    index: &Index<'_>,
    loaded: &Loaded,
    validation: &Validation,
    problems: &mut Vec<Problem>,
) -> Outcome {
    let Validation { ca_certificate_refs, well_known_ca_certificates, hostname, subject_alt_names } =
        validation;
    let refs = (!ca_certificate_refs.is_empty()).then_some(ca_certificate_refs.as_slice());
    let roots = roots(index, loaded, ("spec.validation", refs, *well_known_ca_certificates), problems)?;
    let mut alt_names = Vec::new();
    for (at, name) in subject_alt_names.iter().enumerate() {
        let AltName { name_type: _, hostname, uri } = name;
        let Some(hostname) = hostname else {
            // Without the check another server could answer, so that nothing is called.
            let field = format!("spec.validation.subjectAltNames[{at}]");
            let value = shown(uri.as_deref().unwrap_or_default());
            problems.push(loaded.problem(&field, value, "the type Hostname"));
            return Err(());
        };
        alt_names.push(hostname.to_string());
    }
    Ok(UpstreamTls { server_name: Some(hostname.to_string()), roots, alt_names, skip_verify: false })
}

/// What the tls of a Backend comes to.
pub(super) fn of_backend(
    index: &Index<'_>,
    loaded: &Loaded,
    tls: &BackendTls,
    problems: &mut Vec<Problem>,
) -> Outcome {
    let BackendTls {
        ca_certificate_refs,
        well_known_ca_certificates,
        insecure_skip_verify,
        sni,
        client_certificate_ref,
        min_version,
        max_version,
        ciphers,
        ecdh_curves,
        signature_algorithms,
        alpn_protocols,
    } = tls;
    let own = "the gateway's own choice, which is TLS 1.2 and 1.3 with modern suites";
    let unread = [
        (
            "clientCertificateRef",
            client_certificate_ref.is_some(),
            "no client certificate: none is shown yet",
        ),
        ("minVersion", min_version.is_some(), own),
        ("maxVersion", max_version.is_some(), own),
        ("ciphers", ciphers.is_some(), own),
        ("ecdhCurves", ecdh_curves.is_some(), own),
        ("signatureAlgorithms", signature_algorithms.is_some(), own),
        ("alpnProtocols", alpn_protocols.is_some(), "the gateway's own choice, or appProtocols"),
    ];
    let set = unread.into_iter().filter(|(_, set, _)| *set);
    problems.extend(set.map(|(name, _, what)| loaded.not_honoured(&format!("spec.tls.{name}"), what)));
    let skip_verify = insecure_skip_verify.unwrap_or(false);
    let roots = if skip_verify {
        Roots::System
    } else {
        // Envoy Gateway needs one of them; the machine's own are the careful reading of neither.
        let authorities = match ca_certificate_refs {
            None => Some(WellKnownAuthorities::System),
            Some(_) => *well_known_ca_certificates,
        };
        roots(index, loaded, ("spec.tls", ca_certificate_refs.as_deref(), authorities), problems)?
    };
    let server_name = sni.as_ref().map(|sni| sni.to_string());
    Ok(UpstreamTls { server_name, roots, alt_names: Vec::new(), skip_verify })
}

fn roots(
    index: &Index<'_>,
    loaded: &Loaded,
    (path, refs, well_known): (&str, Option<&[LocalReference]>, Option<WellKnownAuthorities>),
    problems: &mut Vec<Problem>,
) -> Result<Roots, ()> {
    if let (Some(WellKnownAuthorities::System), None) = (well_known, refs) {
        return Ok(Roots::System);
    }
    let mut pem = String::new();
    for (at, reference) in refs.into_iter().flatten().enumerate() {
        match authority(index, &loaded.name.namespace, reference, problems) {
            Ok(text) => {
                pem.push_str(text.trim_end());
                pem.push('\n');
            }
            Err(what) => {
                let field = format!("{path}.caCertificateRefs[{at}]");
                problems.push(loaded.problem(&field, shown(&reference.name), what));
            }
        }
    }
    // Some of several authorities are enough to be safe; none is not.
    if pem.is_empty() {
        let what = "at least one usable authority; what needs it is not called";
        problems.push(loaded.problem(&format!("{path}.caCertificateRefs"), "", what));
        return Err(());
    }
    Ok(Roots::Pem(pem))
}

fn authority(
    index: &Index<'_>,
    namespace: &str,
    reference: &LocalReference,
    problems: &mut Vec<Problem>,
) -> Result<String, String> {
    let LocalReference { group, kind, name } = reference;
    let name = ResourceName::new(namespace, &**name);
    let (loaded, field, text) = match (&**group, &**kind) {
        ("", "ConfigMap") => {
            let map = index.config_map(&name)?;
            let text = map.spec.data.get(AUTHORITIES).cloned().unwrap_or_default();
            (map.loaded, format!("data[{AUTHORITIES}]"), text)
        }
        ("", "Secret") => {
            let secret = index.secret(&name)?;
            let text = certificates::text(secret, AUTHORITIES, problems)?;
            (secret.loaded, secret.spec.field(AUTHORITIES), text.expose().to_owned())
        }
        _ => return Err("a ConfigMap or a Secret of the core group".to_owned()),
    };
    if certificates::are_authorities(&text) {
        return Ok(text);
    }
    Err(certificates::unusable(loaded, &field, "certificates of authorities as PEM", problems))
}
