//! Gateways to listeners: protocols, certificates, who may attach, and what a GatewayConfig adds.

use std::collections::BTreeMap;

use super::certificates;
use super::clients::Bounds;
use super::costs;
use super::index::{Entry, Index};
use crate::load::Loaded;
use crate::problem::{Problem, shown};
use crate::resources::{
    AI_GROUP, ExtProc, ForwardProxy, FromNamespaces, GATEWAY_GROUP, GatewayConfigSpec, GatewayListener,
    GatewaySpec,
};
use crate::snapshot::{Cost, HostPattern, Listener, Protocol, ResourceName};

/// The annotation by which a Gateway names its GatewayConfig.
const CONFIG_ANNOTATION: &str = "aigateway.envoyproxy.io/gateway-config";
/// The one label that every namespace carries by itself: its name.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// A Gateway that serves.
#[derive(Debug)]
pub(super) struct CompiledGateway {
    pub(super) name: ResourceName,
    pub(super) doors: Vec<Door>,
    pub(super) costs: Vec<Cost>,
    pub(super) forward_proxy: Option<String>,
}

/// A listener, and which routes may attach to it.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) listener: Listener,
    pub(super) allowed: AllowedNamespaces,
    /// False when the listener takes only kinds that are not ours.
    pub(super) takes_our_routes: bool,
}

/// The namespaces from which routes may attach.
#[derive(Clone, Debug)]
pub(super) enum AllowedNamespaces {
    All,
    One(String),
    None,
}

/// What a GatewayConfig comes to.
#[derive(Debug, Default)]
struct CompiledConfig {
    costs: Vec<Cost>,
    forward_proxy: Option<String>,
    /// It names a proxy that can't be used.
    unusable: bool,
}

impl CompiledGateway {
    pub(super) fn into_listeners(self) -> impl Iterator<Item = Listener> {
        self.doors.into_iter().map(|door| door.listener)
    }
}

impl AllowedNamespaces {
    pub(super) fn contains(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::One(one) => one == namespace,
            Self::None => false,
        }
    }
}

/// Compiles every Gateway, in order.
pub(super) fn compile(
    index: &Index<'_>,
    bounds: &Bounds,
    problems: &mut Vec<Problem>,
) -> Vec<CompiledGateway> {
    let configs: BTreeMap<&ResourceName, CompiledConfig> =
        index.configs.iter().map(|config| (&config.loaded.name, compile_config(config, problems))).collect();
    let mut gateways = Vec::new();
    let mut ports = BTreeMap::new();
    for gateway in index.gateways.iter() {
        if let Some(mut compiled) = compile_gateway(index, gateway, &configs, problems) {
            for Door { listener, .. } in &mut compiled.doors {
                listener.body_bytes = bounds.of(&listener.gateway, &listener.name);
            }
            gateways.push(refuse_conflicts(gateway.loaded, compiled, &mut ports, problems));
        }
    }
    gateways
}

fn compile_config(config: Entry<'_, GatewayConfigSpec>, problems: &mut Vec<Problem>) -> CompiledConfig {
    let GatewayConfigSpec { ext_proc, global_llm_request_costs, forward_proxy } = config.spec;
    if let Some(ExtProc { kubernetes, metadata_forwarding_namespaces }) = ext_proc {
        if kubernetes.is_some() {
            let what = "no container: there is no sidecar here, the gateway does the work itself";
            problems.push(config.loaded.not_honoured("spec.extProc.kubernetes", what));
        }
        if !metadata_forwarding_namespaces.is_empty() {
            let what = "no metadata: there are no other filters here";
            problems.push(config.loaded.not_honoured("spec.extProc.metadataForwardingNamespaces", what));
        }
    }
    let costs =
        costs::compile(config.loaded, "spec.globalLLMRequestCosts", global_llm_request_costs, problems);
    let wanted = forward_proxy.is_some();
    let forward_proxy = forward_proxy.as_ref().and_then(|ForwardProxy { address }| {
        let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        if port.is_none_or(|port| port == 0) {
            let field = "spec.forwardProxy.address";
            problems.push(config.loaded.problem(
                field,
                shown(address),
                "host:port with a port from 1 to 65535",
            ));
            return None;
        }
        Some(address.clone())
    });
    CompiledConfig { costs, unusable: wanted && forward_proxy.is_none(), forward_proxy }
}

fn compile_gateway(
    index: &Index<'_>,
    gateway: Entry<'_, GatewaySpec>,
    configs: &BTreeMap<&ResourceName, CompiledConfig>,
    problems: &mut Vec<Problem>,
) -> Option<CompiledGateway> {
    let GatewaySpec {
        gateway_class_name,
        listeners,
        tls,
        // Reported, not read.
        addresses: _,
        infrastructure: _,
        allowed_listeners: _,
        default_scope: _,
    } = gateway.spec;
    let loaded = gateway.loaded;
    report_unread(gateway, problems);
    if tls.as_ref().is_some_and(|tls| tls.0.get("frontend").is_some()) {
        // Going on would let clients in that the operator wants checked.
        let what = "no client certificates: they are not checked yet, and the Gateway is not opened without the check";
        problems.push(loaded.problem("spec.tls.frontend", "", what));
        return None;
    }
    if index.is_unguarded(&["Gateway"], &loaded.name) {
        let what = "a SecurityPolicy or ClientTrafficPolicy that can be kept: the one for it has problems, and the Gateway is not opened without it";
        problems.push(loaded.problem("", "", what));
        return None;
    }
    let class = ResourceName::new("", &**gateway_class_name);
    if index.classes.find(&class).is_none() {
        let what = index.missing("GatewayClass", &class);
        problems.push(loaded.problem("spec.gatewayClassName", shown(gateway_class_name), what));
        return None;
    }
    let config = find_config(loaded, configs, problems).ok()?;
    let mut doors = Vec::new();
    for (at, listener) in listeners.iter().enumerate() {
        doors.extend(compile_listener(index, loaded, (at, listener), problems));
    }
    let (costs, forward_proxy) =
        config.map_or_else(Default::default, |config| (config.costs.clone(), config.forward_proxy.clone()));
    for door in &mut doors {
        door.listener.forward_proxy.clone_from(&forward_proxy);
    }
    Some(CompiledGateway { name: loaded.name.clone(), doors, costs, forward_proxy })
}

fn report_unread(gateway: Entry<'_, GatewaySpec>, problems: &mut Vec<Problem>) {
    let Entry { loaded, spec } = gateway;
    let unread = [
        (
            "spec.addresses",
            !spec.addresses.is_empty(),
            "no addresses: the node's settings say where it listens",
        ),
        (
            "spec.infrastructure",
            spec.infrastructure.is_some(),
            "no wishes for machines: the gateway starts none",
        ),
        ("spec.allowedListeners", spec.allowed_listeners.is_some(), "no ListenerSets: they are not served"),
        ("spec.defaultScope", spec.default_scope.is_some(), "routes that name their Gateway"),
        ("spec.tls", spec.tls.is_some(), "TLS settings on listeners and backends"),
    ];
    problems.extend(
        unread
            .into_iter()
            .filter(|(_, set, _)| *set)
            .map(|(field, _, what)| loaded.not_honoured(field, what)),
    );
}

fn find_config<'c>(
    loaded: &Loaded,
    configs: &'c BTreeMap<&ResourceName, CompiledConfig>,
    problems: &mut Vec<Problem>,
) -> Result<Option<&'c CompiledConfig>, Unusable> {
    let Some(name) = loaded.metadata.annotations.get(CONFIG_ANNOTATION) else { return Ok(None) };
    let found = configs.get(&ResourceName::new(&loaded.name.namespace, name));
    if found.is_none() {
        let field = format!("metadata.annotations[{CONFIG_ANNOTATION}]");
        problems.push(loaded.problem(
            &field,
            shown(name),
            "the name of a usable GatewayConfig in the Gateway's namespace; the Gateway is not opened without it",
        ));
    }
    found.filter(|config| !config.unusable).map(Some).ok_or(Unusable)
}

/// The configuration that a Gateway asks for can't be had. Going on would send its traffic around a proxy, or uncharged.
struct Unusable;

fn compile_listener(
    index: &Index<'_>,
    loaded: &Loaded,
    (at, written): (usize, &GatewayListener),
    problems: &mut Vec<Problem>,
) -> Option<Door> {
    let GatewayListener { name, hostname, port, protocol, tls, allowed_routes } = written;
    let path = format!("spec.listeners[{at}]");
    let protocol = match protocol.as_str() {
        "HTTP" => Protocol::Http,
        "HTTPS" => Protocol::Https,
        other => {
            problems.push(loaded.problem(&format!("{path}.protocol"), shown(other), "HTTP or HTTPS"));
            return None;
        }
    };
    let certificates = match (protocol, tls) {
        (Protocol::Http, _) => Vec::new(),
        (Protocol::Https, None) => {
            problems.push(loaded.problem(
                &format!("{path}.tls"),
                "",
                "tls with certificateRefs for the protocol HTTPS",
            ));
            return None;
        }
        (Protocol::Https, Some(tls)) => certificates::read(index, loaded, (&path, tls), problems)?,
    };
    let kinds = &allowed_routes.kinds;
    // An AIGatewayRoute is an HTTPRoute to those who write kinds.
    let is_ours = |group: &str, kind: &str| {
        (group == AI_GROUP && kind == "AIGatewayRoute") || (group == GATEWAY_GROUP && kind == "HTTPRoute")
    };
    let takes_our_routes = kinds.is_empty() || kinds.iter().any(|kind| is_ours(&kind.group, &kind.kind));
    let listener = Listener {
        gateway: loaded.name.clone(),
        name: name.to_string(),
        port: *port,
        protocol,
        hostname: hostname.as_ref().map(|host| HostPattern::parse(host)),
        certificates,
        forward_proxy: None,
        body_bytes: None,
    };
    let namespaces = &allowed_routes.namespaces;
    let allowed = match namespaces.from {
        FromNamespaces::Same => AllowedNamespaces::One(loaded.name.namespace.clone()),
        FromNamespaces::All => AllowedNamespaces::All,
        FromNamespaces::None => AllowedNamespaces::None,
        FromNamespaces::Selector => select(loaded, &path, namespaces.selector.as_ref(), problems),
    };
    Some(Door { listener, allowed, takes_our_routes })
}

/// Labels of namespaces are not known here, but for the one that is the namespace's own name.
fn select(
    loaded: &Loaded,
    path: &str,
    selector: Option<&serde_json::Map<String, serde_json::Value>>,
    problems: &mut Vec<Problem>,
) -> AllowedNamespaces {
    let by_name = selector.and_then(|selector| {
        let labels = selector.get("matchLabels")?.as_object()?;
        let name = labels.get(NAME_LABEL)?.as_str()?;
        (selector.len() == 1 && labels.len() == 1).then(|| name.to_owned())
    });
    if let Some(name) = by_name {
        return AllowedNamespaces::One(name);
    }
    let what = format!("a selector of the label {NAME_LABEL} alone: no other is known; no route attaches");
    problems.push(loaded.not_honoured(&format!("{path}.allowedRoutes.namespaces.selector"), what));
    AllowedNamespaces::None
}

/// One port speaks one protocol, over all Gateways; inside a Gateway a port and host belong to one listener.
fn refuse_conflicts(
    loaded: &Loaded,
    mut gateway: CompiledGateway,
    ports: &mut BTreeMap<u16, (Protocol, ResourceName)>,
    problems: &mut Vec<Problem>,
) -> CompiledGateway {
    let mut seen: Vec<(u16, Option<HostPattern>)> = Vec::new();
    gateway.doors.retain(|door| {
        let Listener { port, protocol, hostname, name, .. } = &door.listener;
        let place = (*port, hostname.clone());
        let (taken_by, first) = ports.entry(*port).or_insert_with(|| (*protocol, loaded.name.clone()));
        if taken_by != protocol {
            let what = format!("the protocol {taken_by} on port {port}, as an earlier listener has it");
            problems.push(loaded.problem("spec.listeners", format!("{protocol} of listener {name}"), what));
            return false;
        }
        if *first != loaded.name && !seen.iter().any(|(other, _)| other == port) {
            let what = format!(
                "a port of its own: port {port} is also Gateway {first}'s, and both are served there as one"
            );
            problems.push(loaded.not_honoured("spec.listeners", what));
        }
        if seen.contains(&place) {
            let what = format!("another port or hostname than an earlier listener's for listener {name}");
            problems.push(loaded.problem("spec.listeners", format!("port {port}"), what));
            return false;
        }
        seen.push(place);
        true
    });
    gateway
}
