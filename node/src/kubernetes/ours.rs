//! Whose objects are: a class names its controller, a Gateway its class, a route its Gateways. What belongs to others is left
//! alone. What belongs to nobody, as backends and policies, is everybody's.

use std::collections::BTreeSet;

use serde_json::Value;

use super::mirror::{Mirror, is_mirrored};
use super::object::Object;
use crate::config::entry::Holdings;

/// Envoy Gateway's controller: Envoy AI Gateway works beside it on the same kinds.
const ENVOY_CONTROLLER: &str = "gateway.envoyproxy.io/gatewayclass-controller";

/// See the file's purpose.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ours {
    classes: BTreeSet<String>,
    /// Namespace and name.
    gateways: BTreeSet<(String, String)>,
    /// Somebody else looks after routes of the same kind.
    pub(super) is_shared: bool,
}

impl Ours {
    /// From what the API server has, and from what else is in the store.
    pub(super) fn find(mirror: &Mirror, holdings: &Holdings) -> Self {
        // Of a kind that the server does not show, what it had before counts on.
        let stored = |kind: &'static str| {
            let is_certain = mirror.is_certain(kind, holdings);
            let of_kind = holdings.iter().filter(move |(key, _)| key.kind == kind);
            of_kind.filter(move |(_, held)| !(is_certain && is_mirrored(held))).map(|(key, _)| key)
        };
        let controller_is =
            |object: &Object, name: &str| object.spec_text("controllerName").is_some_and(|one| one == name);
        let classes = mirror.objects("GatewayClass");
        let mut ours = Self {
            classes: classes
                .filter(|class| controller_is(class, mirror.controller()))
                .map(|class| class.key.name.clone())
                .collect(),
            gateways: BTreeSet::new(),
            is_shared: mirror.objects("GatewayClass").any(|class| controller_is(class, ENVOY_CONTROLLER)),
        };
        ours.classes.extend(stored("GatewayClass").map(|key| key.name.clone()));
        let gateways = mirror.objects("Gateway").filter(|gateway| ours.contains(gateway));
        ours.gateways = gateways.map(|gateway| &gateway.key).chain(stored("Gateway")).map(place).collect();
        ours
    }

    /// Whether it is ours, or everybody's.
    pub(super) fn contains(&self, object: &Object) -> bool {
        match object.key.kind.as_str() {
            "GatewayClass" => self.classes.contains(&object.key.name),
            "Gateway" => {
                object.spec_text("gatewayClassName").is_some_and(|class| self.classes.contains(class))
            }
            "AIGatewayRoute" => self.parents(object).next().is_some(),
            _ => true,
        }
    }

    /// Which of an object's parents are ours, with their places among all of them.
    pub(super) fn parents<'a>(&self, object: &'a Object) -> impl Iterator<Item = (usize, &'a Value)> {
        let parents = object.spec().and_then(|spec| spec.get("parentRefs")).and_then(Value::as_array);
        let namespace = object.key.namespace.as_str();
        let is_ours = move |(_, parent): &(usize, &Value)| {
            let text = |field: &str| parent[field].as_str();
            text("kind").is_none_or(|kind| kind == "Gateway")
                && self.has_gateway(text("namespace").unwrap_or(namespace), text("name").unwrap_or_default())
        };
        parents.into_iter().flatten().enumerate().filter(is_ours)
    }

    pub(super) fn has_gateway(&self, namespace: &str, name: &str) -> bool {
        self.gateways.contains(&(namespace.to_owned(), name.to_owned()))
    }

    /// All of them, by namespace and name.
    pub(super) fn gateways(&self) -> impl Iterator<Item = &(String, String)> {
        self.gateways.iter()
    }
}

fn place(key: &tollgate_cluster::state::resources::ResourceKey) -> (String, String) {
    (key.namespace.clone(), key.name.clone())
}
