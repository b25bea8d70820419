//! All resources by kind and name. The first of a name counts; later ones are problems.

use std::borrow::Borrow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::grants::Grants;
use crate::load::Loaded;
use crate::problem::Problem;
use crate::resources::{
    AiGatewayRouteSpec, AiServiceBackendSpec, BackendSecurityPolicySpec, BackendSpec, BackendTlsPolicySpec,
    BackendTrafficPolicySpec, BudgetSpec, ClientTrafficPolicySpec, ConfigMapContent, ConsumerSpec,
    GatewayClassSpec, GatewayConfigSpec, GatewaySpec, PriceListSpec, Protection, QuotaPolicySpec,
    RejectedPolicy, Resource, SecretContent, SecurityPolicySpec,
};
use crate::snapshot::ResourceName;

/// A resource and its content.
#[derive(Debug)]
pub(super) struct Entry<'a, T> {
    pub(super) loaded: &'a Loaded,
    pub(super) spec: &'a T,
}

impl<T> Clone for Entry<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Entry<'_, T> {}

/// Resources of one kind: found by name, walked in the order in which they came.
#[derive(Debug)]
pub(super) struct Entries<'a, T> {
    in_order: Vec<Entry<'a, T>>,
    by_name: BTreeMap<&'a ResourceName, usize>,
}

/// All resources.
#[derive(Debug, Default)]
pub(super) struct Index<'a> {
    pub(super) classes: Entries<'a, GatewayClassSpec>,
    pub(super) gateways: Entries<'a, GatewaySpec>,
    pub(super) configs: Entries<'a, GatewayConfigSpec>,
    pub(super) routes: Entries<'a, AiGatewayRouteSpec>,
    pub(super) service_backends: Entries<'a, AiServiceBackendSpec>,
    pub(super) security_policies: Entries<'a, BackendSecurityPolicySpec>,
    pub(super) backends: Entries<'a, BackendSpec>,
    pub(super) tls_policies: Entries<'a, BackendTlsPolicySpec>,
    secrets: Entries<'a, SecretContent>,
    config_maps: Entries<'a, ConfigMapContent>,
    /// Of the two above, what was looked for.
    referred: RefCell<BTreeSet<(&'static str, ResourceName)>>,
    pub(super) traffic_policies: Entries<'a, BackendTrafficPolicySpec>,
    pub(super) client_policies: Entries<'a, ClientTrafficPolicySpec>,
    pub(super) access_policies: Entries<'a, SecurityPolicySpec>,
    pub(super) quota_policies: Entries<'a, QuotaPolicySpec>,
    pub(super) consumers: Entries<'a, ConsumerSpec>,
    pub(super) budgets: Entries<'a, BudgetSpec>,
    pub(super) price_lists: Entries<'a, PriceListSpec>,
    pub(super) grants: Grants<'a>,
    /// Of the kinds above, by kind: written, and not of use.
    rejected: BTreeSet<(&'a str, &'a ResourceName)>,
    /// AIServiceBackends whose credential was rejected.
    pub(super) without_credential: BTreeSet<ResourceName>,
    /// Backends and Services, by kind, whose TLS was rejected.
    pub(super) without_tls: BTreeSet<(String, ResourceName)>,
    /// Gateways and routes whose callers were to be checked in a way that is not served, by kind and name; everything in
    /// a namespace where both are empty.
    without_access: BTreeSet<(String, ResourceName)>,
}

impl<'a> Index<'a> {
    pub(super) fn new<L: Borrow<Loaded>>(resources: &'a [L], problems: &mut Vec<Problem>) -> Self {
        let mut index = Self::default();
        for loaded in resources {
            let loaded: &Loaded = loaded.borrow();
            let fresh = match &loaded.resource {
                Resource::GatewayClass(spec) => index.classes.add(loaded, spec),
                Resource::Gateway(spec) => index.gateways.add(loaded, spec),
                Resource::AiGatewayRoute(spec) => index.routes.add(loaded, spec),
                Resource::AiServiceBackend(spec) => index.service_backends.add(loaded, spec),
                Resource::BackendSecurityPolicy(spec) => index.security_policies.add(loaded, spec),
                Resource::GatewayConfig(spec) => index.configs.add(loaded, spec),
                Resource::Backend(spec) => index.backends.add(loaded, spec),
                Resource::BackendTlsPolicy(spec) => index.tls_policies.add(loaded, spec),
                Resource::Secret(content) => index.secrets.add(loaded, content),
                Resource::ConfigMap(content) => index.config_maps.add(loaded, content),
                Resource::BackendTrafficPolicy(spec) => index.traffic_policies.add(loaded, spec),
                Resource::ClientTrafficPolicy(spec) => index.client_policies.add(loaded, spec),
                Resource::SecurityPolicy(spec) => index.access_policies.add(loaded, spec),
                Resource::QuotaPolicy(spec) => index.quota_policies.add(loaded, spec),
                Resource::Consumer(spec) => index.consumers.add(loaded, spec),
                Resource::Budget(spec) => index.budgets.add(loaded, spec),
                Resource::PriceList(spec) => index.price_lists.add(loaded, spec),
                Resource::ReferenceGrant(spec) => index.grants.add(loaded, spec),
                Resource::Rejected => {
                    index.rejected.insert((loaded.kind, &loaded.name));
                    true
                }
                Resource::RejectedPolicy(policy) => {
                    index.protect(&loaded.name.namespace, policy);
                    true
                }
            };
            if !fresh {
                let what = "a name that no earlier resource of the kind has; the earlier one counts";
                problems.push(loaded.problem("metadata.name", loaded.name.to_string(), what));
            }
        }
        for class in index.classes.iter() {
            // Every controllerName is taken as ours; the description is for people.
            let GatewayClassSpec { controller_name: _, parameters_ref, description: _ } = class.spec;
            if parameters_ref.is_some() {
                let what = "no parameters: a class has none here";
                problems.push(class.loaded.not_honoured("spec.parametersRef", what));
            }
        }
        index
    }

    /// The Secret of that name, or what to say of the reference.
    pub(super) fn secret(&self, name: &ResourceName) -> Result<Entry<'a, SecretContent>, String> {
        self.note("Secret", name);
        self.secrets.find(name).ok_or_else(|| self.missing("Secret", name))
    }

    /// The ConfigMap of that name, or what to say of the reference.
    pub(super) fn config_map(&self, name: &ResourceName) -> Result<Entry<'a, ConfigMapContent>, String> {
        self.note("ConfigMap", name);
        self.config_maps.find(name).ok_or_else(|| self.missing("ConfigMap", name))
    }

    fn note(&self, kind: &'static str, name: &ResourceName) {
        self.referred.borrow_mut().insert((kind, name.clone()));
    }

    /// The Secrets and ConfigMaps that were looked for, by kind, whether they are there or not.
    pub(super) fn into_referred(self) -> BTreeSet<(&'static str, ResourceName)> {
        self.referred.into_inner()
    }

    /// What to say of a reference to a resource that was not found.
    pub(super) fn missing(&self, kind: &str, name: &ResourceName) -> String {
        let article = if kind.starts_with('A') { "an" } else { "a" };
        if self.rejected.contains(&(kind, name)) {
            format!("{article} {kind} that can be used: {name} was rejected, see its problem")
        } else {
            format!("{article} {kind} that exists: {name} does not")
        }
    }

    /// Whether a check of callers was asked for that is not done here.
    pub(super) fn is_unguarded(&self, kinds: &[&str], name: &ResourceName) -> bool {
        let everything = (String::new(), ResourceName::new(&*name.namespace, ""));
        let named = |kind: &&str| self.without_access.contains(&((*kind).to_owned(), name.clone()));
        self.without_access.contains(&everything) || kinds.iter().any(named)
    }

    /// Leaves out what a policy that can't be kept was to protect.
    pub(super) fn protect(&mut self, namespace: &str, policy: &RejectedPolicy) {
        if policy.kind == Protection::Access && policy.targets.is_empty() {
            // By selector, or not readable: it may mean any of them.
            self.without_access.insert((String::new(), ResourceName::new(namespace, "")));
        }
        for (kind, name) in &policy.targets {
            let name = ResourceName::new(namespace, name);
            match policy.kind {
                Protection::Credential => self.without_credential.insert(name),
                Protection::Tls => self.without_tls.insert((kind.clone(), name)),
                Protection::Access => self.without_access.insert((kind.clone(), name)),
            };
        }
    }
}

impl<T> Default for Entries<'_, T> {
    fn default() -> Self {
        Self { in_order: Vec::new(), by_name: BTreeMap::new() }
    }
}

impl<'a, T> Entries<'a, T> {
    /// False when the name is taken.
    fn add(&mut self, loaded: &'a Loaded, spec: &'a T) -> bool {
        if self.by_name.contains_key(&loaded.name) {
            return false;
        }
        self.by_name.insert(&loaded.name, self.in_order.len());
        self.in_order.push(Entry { loaded, spec });
        true
    }

    pub(super) fn find(&self, name: &ResourceName) -> Option<Entry<'a, T>> {
        self.by_name.get(name).map(|at| self.in_order[*at])
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Entry<'a, T>> {
        self.in_order.iter().copied()
    }
}
