//! Routes to listeners: parent references, permissions, and the hosts that both serve (Gateway API).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::gateways::{CompiledGateway, Door};
use super::index::{Entry, Index};
use crate::load::Loaded;
use crate::problem::{Problem, shown};
use crate::resources::{AiGatewayRouteSpec, GATEWAY_GROUP, ParentReference};
use crate::schema::seconds;
use crate::snapshot::{Attachment, HostPattern, Place, ResourceName};

/// A route and where it hangs. Empty `attachments`: nowhere.
#[derive(Debug)]
pub(super) struct AttachedRoute<'a> {
    pub(super) loaded: &'a Loaded,
    pub(super) spec: &'a AiGatewayRouteSpec,
    pub(super) attachments: Arc<[Attachment]>,
    /// The Gateways, in the order of the references, each once.
    pub(super) gateways: Vec<&'a CompiledGateway>,
    pub(super) created_at_s: u64,
}

/// All listeners, and the hostnames of each port.
struct Doors<'a> {
    gateways: &'a [CompiledGateway],
    hostnames: BTreeMap<u16, BTreeSet<&'a HostPattern>>,
}

/// Attaches every route. They come in Gateway API's order: older ones first, then by name.
pub(super) fn routes<'a>(
    index: &Index<'a>,
    gateways: &'a [CompiledGateway],
    problems: &mut Vec<Problem>,
) -> Vec<AttachedRoute<'a>> {
    let doors = Doors::new(gateways);
    let mut routes: Vec<AttachedRoute<'a>> =
        index.routes.iter().map(|route| attach(index, &doors, route, problems)).collect();
    routes.sort_by(|a, b| (a.created_at_s, &a.loaded.name).cmp(&(b.created_at_s, &b.loaded.name)));
    routes
}

fn attach<'a>(
    index: &Index<'_>,
    doors: &Doors<'a>,
    route: Entry<'a, AiGatewayRouteSpec>,
    problems: &mut Vec<Problem>,
) -> AttachedRoute<'a> {
    let Entry { loaded, spec } = route;
    if index.is_unguarded(&["HTTPRoute", "AIGatewayRoute"], &loaded.name) {
        let what = "a SecurityPolicy that can be kept: the one for it has problems, and the route is not served without it";
        problems.push(loaded.problem("", "", what));
        let created_at_s = created(loaded);
        return AttachedRoute { loaded, spec, attachments: [].into(), gateways: Vec::new(), created_at_s };
    }
    let hosts: Vec<HostPattern> = spec.hostnames.iter().map(|host| HostPattern::parse(host)).collect();
    let mut attachments = Vec::new();
    let mut found: Vec<&'a CompiledGateway> = Vec::new();
    for (at, parent) in spec.parent_refs.iter().enumerate() {
        let field = format!("spec.parentRefs[{at}]");
        match parent_attachments(index, doors, (loaded, &hosts), parent) {
            Ok((gateway, places)) => {
                attachments.extend(places);
                if !found.iter().any(|other| other.name == gateway.name) {
                    found.push(gateway);
                }
            }
            Err(what) => problems.push(loaded.problem(&field, shown(&parent.name), what)),
        }
    }
    if spec.parent_refs.is_empty() {
        problems.push(loaded.problem(
            "spec.parentRefs",
            "none",
            "at least one Gateway to attach to; the route is not served",
        ));
    }
    attachments.sort();
    attachments.dedup();
    let created_at_s = created(loaded);
    AttachedRoute { loaded, spec, attachments: attachments.into(), gateways: found, created_at_s }
}

/// When the object was made; 0 where that is not known, as for files.
pub(super) fn created(loaded: &Loaded) -> u64 {
    loaded.metadata.creation_timestamp.as_deref().and_then(seconds).unwrap_or(0)
}

fn parent_attachments<'a>(
    index: &Index<'_>,
    all: &Doors<'a>,
    (loaded, hosts): (&Loaded, &[HostPattern]),
    parent: &ParentReference,
) -> Result<(&'a CompiledGateway, Vec<Attachment>), String> {
    let ParentReference { group, kind, namespace, name, section_name, port } = parent;
    if &**group != GATEWAY_GROUP || &**kind != "Gateway" {
        return Err(format!("a Gateway of {GATEWAY_GROUP}"));
    }
    let own = loaded.name.namespace.as_str();
    let target = ResourceName::new(namespace.as_ref().map_or(own, |namespace| namespace), &**name);
    let Some(gateway) = all.gateways.iter().find(|gateway| gateway.name == target) else {
        return Err(match index.gateways.find(&target) {
            Some(_) => format!("a Gateway that is served: {target} has problems of its own"),
            None => index.missing("Gateway", &target),
        });
    };
    let named = |door: &&Door| {
        section_name.as_ref().is_none_or(|section| **section == *door.listener.name)
            && port.is_none_or(|port| port == door.listener.port)
    };
    let doors: Vec<&Door> = gateway.doors.iter().filter(named).collect();
    if doors.is_empty() {
        return Err("the name and port of a listener that is served".to_owned());
    }
    let doors: Vec<&Door> =
        doors.into_iter().filter(|door| door.allowed.contains(own) && door.takes_our_routes).collect();
    if doors.is_empty() {
        return Err(format!("a listener whose allowedRoutes take AIGatewayRoutes of namespace {own}"));
    }
    let places: Vec<Attachment> = doors.into_iter().flat_map(|door| all.places(door, hosts)).collect();
    if places.is_empty() {
        let what = "a listener whose hostname meets spec.hostnames, and no other listener of the port that has them for itself";
        return Err(what.to_owned());
    }
    Ok((gateway, places))
}

impl<'a> Doors<'a> {
    fn new(gateways: &'a [CompiledGateway]) -> Self {
        let mut hostnames: BTreeMap<u16, BTreeSet<&HostPattern>> = BTreeMap::new();
        for door in gateways.iter().flat_map(|gateway| &gateway.doors) {
            hostnames.entry(door.listener.port).or_default().extend(&door.listener.hostname);
        }
        Self { gateways, hostnames }
    }

    /// The hosts that a door and a route both serve, without those that a narrower listener of the port has for itself.
    fn places(&self, door: &Door, hosts: &[HostPattern]) -> Vec<Attachment> {
        let port = door.listener.port;
        let own = door.listener.hostname.as_ref();
        let both: Vec<Option<HostPattern>> = match (own, hosts) {
            (own, []) => vec![own.cloned()],
            (None, hosts) => hosts.iter().cloned().map(Some).collect(),
            (Some(own), hosts) => hosts.iter().filter_map(|host| own.intersection(host)).map(Some).collect(),
        };
        let narrower: Vec<&HostPattern> = self
            .hostnames
            .get(&port)
            .into_iter()
            .flatten()
            .copied()
            .filter(|other| own.is_none_or(|own| own != *other && own.covers(other)))
            .collect();
        both.into_iter()
            .filter(|host| host.as_ref().is_none_or(|host| !narrower.iter().any(|other| other.covers(host))))
            .map(|host| {
                let within = |other: &&&HostPattern| host.as_ref().is_none_or(|host| host.covers(other));
                let except = narrower.iter().filter(within).map(|other| (*other).clone()).collect();
                Attachment { host, place: Place { port, except } }
            })
            .collect()
    }
}

#[cfg(test)]
#[path = "attach_test.rs"]
mod tests;
