//! Where an upstream is: from a Backend of Envoy Gateway, a Service, or a plain host and port.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::grants::{Grants, Reference};
use super::index::{Entry, Index};
use super::tls::{self, Outcome, Target};
use crate::load::Loaded;
use crate::problem::{Problem, shown};
use crate::resources::{
    AI_GROUP, BackendEndpoint, BackendObjectReference, BackendSpec, BackendType, ENVOY_GROUP, OWN_GROUP,
};
use crate::snapshot::{Endpoint, ResourceName, Roots, UpstreamTls};

/// Addresses and how they are called.
#[derive(Clone, Debug)]
pub(super) struct Site {
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) tls: Option<UpstreamTls>,
    pub(super) h2: bool,
    pub(super) fallback: bool,
}

/// Every Backend's own part, and the policies on top.
pub(super) struct Sites<'a, 'i> {
    index: &'i Index<'a>,
    backends: BTreeMap<&'a ResourceName, Result<Site, ()>>,
    policies: BTreeMap<Target, Outcome>,
}

/// The protocols that mean HTTP/2 without asking.
const H2C: [&str; 2] = ["gateway.envoyproxy.io/h2c", "kubernetes.io/h2c"];
/// The port on which everyone expects TLS.
const TLS_PORT: u16 = 443;

impl<'a, 'i> Sites<'a, 'i> {
    pub(super) fn new(index: &'i Index<'a>, problems: &mut Vec<Problem>) -> Self {
        let policies = tls::policies(index, problems);
        let mut backends = BTreeMap::new();
        for backend in index.backends.iter() {
            let name = &backend.loaded.name;
            if backend.spec.tls.is_some()
                && policies.keys().any(|(kind, of, _)| (*kind, of) == ("Backend", name))
            {
                let what = "no TLS of its own: a BackendTLSPolicy is for it, and counts alone";
                problems.push(backend.loaded.not_honoured("spec.tls", what));
            }
            backends.insert(name, site(index, backend, problems));
        }
        Self { index, backends, policies }
    }

    /// What a backendRef at `spec.backendRef` of `loaded` leads to.
    pub(super) fn find(
        &self,
        loaded: &Loaded,
        reference: &BackendObjectReference,
        problems: &mut Vec<Problem>,
    ) -> Result<Site, String> {
        let BackendObjectReference { group, kind, name, namespace, port } = reference;
        let own = loaded.name.namespace.as_str();
        let target = ResourceName::new(namespace.as_ref().map_or(own, |namespace| namespace), name);
        if &**group != OWN_GROUP {
            let reference =
                Reference { from: (AI_GROUP, "AIServiceBackend", own), to: (group, kind), target: &target };
            if !self.index.grants.permit(reference) {
                return Err(Grants::wanted(reference));
            }
        }
        match (&**group, &**kind) {
            (ENVOY_GROUP, "Backend") => {
                if port.is_some() {
                    problems.push(
                        loaded.not_honoured("spec.backendRef.port", "no port: the Backend names its own"),
                    );
                }
                self.of_backend(target)
            }
            ("", "Service") => self.of_service(target, *port),
            (OWN_GROUP, "Host") => of_host(name),
            _ => Err(format!(
                "a Backend of {ENVOY_GROUP}, a Service of the core group, or a Host of {OWN_GROUP}"
            )),
        }
    }

    fn of_backend(&self, name: ResourceName) -> Result<Site, String> {
        let site = match self.backends.get(&name) {
            None => return Err(self.index.missing("Backend", &name)),
            Some(Err(())) => {
                return Err(format!("a Backend that can be used: {name} has problems of its own"));
            }
            Some(Ok(site)) => site.clone(),
        };
        let ports: Vec<String> = site
            .endpoints
            .iter()
            .filter_map(|endpoint| match endpoint {
                Endpoint::Host { port, .. } => Some(port.to_string()),
                Endpoint::Unix { .. } => None,
            })
            .collect();
        self.with_policy(("Backend", name), &ports, site)
    }

    fn of_service(&self, name: ResourceName, port: Option<u16>) -> Result<Site, String> {
        let Some(port) = port else {
            return Err("a port beside the name of a Service".to_owned());
        };
        let host = format!("{}.{}.svc", name.name, name.namespace);
        let site =
            Site { endpoints: vec![Endpoint::Host { host, port }], tls: None, h2: false, fallback: false };
        self.with_policy(("Service", name), &[port.to_string()], site)
    }

    /// A policy for a section counts where every address is in it (sections of a Backend are its ports); one that
    /// covers only some of them can't be done, and the site is not used.
    fn with_policy(
        &self,
        (kind, name): (&'static str, ResourceName),
        ports: &[String],
        site: Site,
    ) -> Result<Site, String> {
        let whole = (kind, name.clone(), None);
        let sections = self
            .policies
            .range((kind, name.clone(), None)..)
            .take_while(|((k, n, _), _)| *k == kind && *n == name);
        let mut outcome = self.policies.get(&whole);
        for ((_, _, section), of_section) in sections {
            let Some(section) = section else { continue };
            if !ports.is_empty()
                && ports.iter().all(|port| port == section)
                && ports.len() == site.endpoints.len()
            {
                outcome = Some(of_section);
            } else {
                return Err(format!(
                    "BackendTLSPolicies of {kind} {name} without a sectionName, or with the port of all its endpoints: {section} is not"
                ));
            }
        }
        match outcome {
            _ if self.index.without_tls.contains(&(kind.to_owned(), name.clone())) => {
                Err(format!("a BackendTLSPolicy for {kind} {name} that passes its checks"))
            }
            None => Ok(site),
            Some(Ok(tls)) => Ok(Site { tls: Some(tls.clone()), ..site }),
            Some(Err(())) => {
                Err(format!("a usable BackendTLSPolicy for {kind} {name}: it has problems of its own"))
            }
        }
    }
}

/// `host:port`. On the port of TLS it is called over TLS: a credential is not sent there in the clear.
fn of_host(address: &str) -> Result<Site, String> {
    let expected = || "host:port with a port from 1 to 65535".to_owned();
    let (host, port) = address.rsplit_once(':').ok_or_else(expected)?;
    let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(expected)?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let is_name = bare.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    if bare.is_empty() || !(is_name || bare.parse::<IpAddr>().is_ok()) {
        return Err(expected());
    }
    let tls = (port == TLS_PORT).then(|| UpstreamTls {
        server_name: None,
        roots: Roots::System,
        alt_names: Vec::new(),
        skip_verify: false,
    });
    Ok(Site {
        endpoints: vec![Endpoint::Host { host: bare.to_owned(), port }],
        tls,
        h2: false,
        fallback: false,
    })
}

fn site(index: &Index<'_>, backend: Entry<'_, BackendSpec>, problems: &mut Vec<Problem>) -> Result<Site, ()> {
    let Entry { loaded, spec: BackendSpec { backend_type, endpoints, app_protocols, fallback, tls } } =
        backend;
    if *backend_type == BackendType::DynamicResolver {
        let what = "Endpoints: addresses are not taken from requests";
        problems.push(loaded.problem("spec.type", "DynamicResolver", what));
        return Err(());
    }
    let mut found = Vec::new();
    for (at, endpoint) in endpoints.iter().flatten().enumerate() {
        found.extend(address(loaded, (at, endpoint), problems));
    }
    if found.is_empty() {
        problems.push(loaded.problem("spec.endpoints", "", "at least one usable endpoint"));
        return Err(());
    }
    let h2 = app_protocols.iter().any(|protocol| H2C.contains(&protocol.as_str()));
    for (at, protocol) in app_protocols.iter().enumerate() {
        if !H2C.contains(&protocol.as_str()) {
            let what = format!("one of {}", H2C.join(", "));
            problems.push(loaded.not_honoured(&format!("spec.appProtocols[{at}]"), what));
        }
    }
    let tls = tls.as_ref().map(|tls| tls::of_backend(index, loaded, tls, problems)).transpose()?;
    Ok(Site { endpoints: found, tls, h2, fallback: fallback.unwrap_or(false) })
}

fn address(
    loaded: &Loaded,
    (at, endpoint): (usize, &BackendEndpoint),
    problems: &mut Vec<Problem>,
) -> Option<Endpoint> {
    let BackendEndpoint { fqdn, ip, unix, zone, hostname } = endpoint;
    let path = format!("spec.endpoints[{at}]");
    if zone.is_some() {
        problems
            .push(loaded.not_honoured(&format!("{path}.zone"), "no zone: endpoints are not chosen by zone"));
    }
    if hostname.is_some() {
        problems.push(
            loaded
                .not_honoured(&format!("{path}.hostname"), "no hostname: there are no active health checks"),
        );
    }
    match (fqdn, ip, unix) {
        (Some(fqdn), _, _) => Some(Endpoint::Host { host: fqdn.hostname.to_string(), port: fqdn.port }),
        (None, Some(ip), _) => {
            let Ok(address) = ip.address.parse::<IpAddr>() else {
                problems.push(loaded.problem(
                    &format!("{path}.ip.address"),
                    shown(&ip.address),
                    "an IP address",
                ));
                return None;
            };
            Some(Endpoint::Host { host: address.to_string(), port: ip.port })
        }
        (None, None, Some(unix)) => Some(Endpoint::Unix { path: unix.path.clone() }),
        (None, None, None) => None,
    }
}
