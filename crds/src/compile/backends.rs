//! AIServiceBackends to backends that can be called.

use std::collections::BTreeMap;
use std::sync::Arc;

use tollgate_api::endpoint::Schema;

use super::attach::AttachedRoute;
use super::credentials::{self, Proof, Shown};
use super::edits::{self, Edits};
use super::endpoints::{Site, Sites};
use super::index::{Entry, Index};
use crate::load::Loaded;
use crate::problem::{Problem, shown};
use crate::resources::{AiServiceBackendSpec, HeaderValueFilter, SchemaName, VersionedSchema};
use crate::snapshot::{Backend, ResourceName};

/// A backend before it is known which proxy it takes.
#[derive(Debug)]
pub(super) struct Prepared<'a> {
    loaded: &'a Loaded,
    schema: Schema,
    version: Option<String>,
    prefix: Option<String>,
    site: Site,
    proof: Option<Proof>,
    edits: Edits,
}

/// A backend that rules may call.
#[derive(Debug)]
pub(super) struct Usable {
    pub(super) backend: Arc<Backend>,
    pub(super) edits: Edits,
    pub(super) fallback: bool,
}

/// The schemas that are served, for people.
pub(super) const SERVED: &str =
    "OpenAI, AzureOpenAI, Anthropic, AWSBedrock, AWSAnthropic, AWSOpenAI, GCPVertexAI, GCPAnthropic, Cohere";

/// Prepares every AIServiceBackend that can be called safely; the others have problems.
pub(super) fn prepare<'a>(
    index: &Index<'a>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<ResourceName, Prepared<'a>> {
    let proofs = credentials::compile(index, problems);
    let sites = Sites::new(index, problems);
    let mut prepared = BTreeMap::new();
    for entry in index.service_backends.iter() {
        let proof = proofs.get(&entry.loaded.name).cloned();
        if let Some(backend) = prepare_one(&sites, entry, proof, problems) {
            prepared.insert(entry.loaded.name.clone(), backend);
        }
    }
    prepared
}

fn prepare_one<'a>(
    sites: &Sites<'_, '_>,
    entry: Entry<'a, AiServiceBackendSpec>,
    proof: Option<Proof>,
    problems: &mut Vec<Problem>,
) -> Option<Prepared<'a>> {
    let AiServiceBackendSpec { schema, backend_ref, header_mutation, body_mutation, header_value_filters } =
        entry.spec;
    let VersionedSchema { name, version, prefix } = schema;
    let loaded = entry.loaded;
    for (at, filter) in header_value_filters.iter().enumerate() {
        let HeaderValueFilter { name: _, mode: _, values: _ } = filter;
        let what = "no filter: the values of headers are not filtered yet";
        problems.push(loaded.not_honoured(&format!("spec.headerValueFilters[{at}]"), what));
    }
    let schema = served(*name);
    if schema.is_none() {
        let what = format!("a schema that is served: schema {name:?} is not served yet; served: {SERVED}");
        problems.push(loaded.problem("spec.schema.name", format!("{name:?}"), what));
    }
    let version = match (schema, version) {
        (
            Some(
                Schema::OpenAi
                | Schema::Anthropic
                | Schema::GcpVertexAi
                | Schema::AwsBedrock
                | Schema::AwsOpenAi
                | Schema::Cohere,
            ),
            Some(_),
        ) => {
            let what = "no version: only AzureOpenAI, AWSAnthropic and GCPAnthropic have one here; a path belongs in prefix";
            problems.push(loaded.not_honoured("spec.schema.version", what));
            None
        }
        (_, version) => version.clone(),
    };
    let edits = edits::read(loaded, "spec", (header_mutation.as_ref(), body_mutation.as_ref()), problems);
    let site = sites.find(loaded, backend_ref, problems);
    if let Err(what) = &site {
        problems.push(loaded.problem("spec.backendRef", shown(&backend_ref.name), what.clone()));
    }
    if matches!(proof, Some(Proof::Unusable)) {
        let what = "a usable BackendSecurityPolicy: its policy has problems, and the backend is not called without it";
        problems.push(loaded.problem("", "", what));
        return None;
    }
    if lacks_project(schema, prefix.as_deref(), proof.as_ref()) {
        let what = "a BackendSecurityPolicy of type GCPCredentials for it, which names project and region; the backend is not called without";
        problems.push(loaded.problem("spec.schema.name", format!("{name:?}"), what));
        return None;
    }
    Some(Prepared {
        loaded,
        schema: schema?,
        version,
        prefix: prefix.clone(),
        site: site.ok()?,
        proof,
        edits: edits?,
    })
}

/// Whether a backend can't be called since nobody says in which project. By a key, Gemini can: below a prefix.
fn lacks_project(schema: Option<Schema>, prefix: Option<&str>, proof: Option<&Proof>) -> bool {
    let named = matches!(proof, Some(Proof::Usable { shown: Shown::Google(_), .. }));
    match schema {
        Some(Schema::GcpVertexAi) => !named && prefix.is_none(),
        Some(Schema::GcpAnthropic) => !named,
        Some(
            Schema::OpenAi
            | Schema::AzureOpenAi
            | Schema::Anthropic
            | Schema::AwsBedrock
            | Schema::AwsAnthropic
            | Schema::AwsOpenAi
            | Schema::Cohere,
        )
        | None => false,
    }
}

/// The schema, if it is served.
pub(super) fn served(name: SchemaName) -> Option<Schema> {
    match name {
        SchemaName::OpenAI => Some(Schema::OpenAi),
        SchemaName::AzureOpenAI => Some(Schema::AzureOpenAi),
        SchemaName::Anthropic => Some(Schema::Anthropic),
        SchemaName::GCPVertexAI => Some(Schema::GcpVertexAi),
        SchemaName::GCPAnthropic => Some(Schema::GcpAnthropic),
        SchemaName::AWSBedrock => Some(Schema::AwsBedrock),
        SchemaName::AWSAnthropic => Some(Schema::AwsAnthropic),
        SchemaName::AWSOpenAI => Some(Schema::AwsOpenAi),
        SchemaName::Cohere => Some(Schema::Cohere),
        SchemaName::TypeSafe => None,
    }
}

/// The proxy of each backend: that of the Gateways whose routes use it. Where they do not agree the first proxy
/// counts, so that nothing goes around a proxy that someone asked for.
pub(super) fn proxies(
    routes: &[AttachedRoute<'_>],
    prepared: &BTreeMap<ResourceName, Prepared<'_>>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<ResourceName, Option<String>> {
    let mut wanted: BTreeMap<ResourceName, Vec<&Option<String>>> = BTreeMap::new();
    for route in routes {
        for reference in route.spec.rules.iter().flat_map(|rule| &rule.backend_refs) {
            let namespace =
                reference.namespace.as_ref().map_or(&*route.loaded.name.namespace, |namespace| namespace);
            let name = ResourceName::new(namespace, &*reference.name);
            wanted
                .entry(name)
                .or_default()
                .extend(route.gateways.iter().map(|gateway| &gateway.forward_proxy));
        }
    }
    let mut proxies = BTreeMap::new();
    for (name, wishes) in wanted {
        let Some(backend) = prepared.get(&name) else {
            continue;
        };
        let first = wishes.iter().find_map(|wish| (*wish).clone());
        if wishes.iter().any(|wish| **wish != first) {
            let what =
                "Gateways that agree on the forward proxy of this backend; the first proxy counts for all";
            let problem = backend.loaded.not_honoured("", what);
            problems.push(Problem { value: first.clone().unwrap_or_default(), ..problem });
        }
        proxies.insert(name, first);
    }
    proxies
}

impl Prepared<'_> {
    /// Done, with its proxy.
    pub(super) fn finish(self, forward_proxy: Option<String>) -> Usable {
        let Self { loaded, schema, version, prefix, site, proof, edits } = self;
        let Site { endpoints, tls, h2, fallback } = site;
        let (credential, cloud, credential_override) = match proof {
            Some(Proof::Usable { shown: Shown::Key(credential), own }) => {
                (Some(credential), (None, None, None), own)
            }
            Some(Proof::Usable { shown: Shown::Google(google), own }) => {
                (None, (Some(google), None, None), own)
            }
            Some(Proof::Usable { shown: Shown::Aws(aws), own }) => (None, (None, Some(aws), None), own),
            Some(Proof::Usable { shown: Shown::Azure(app), own }) => (None, (None, None, Some(app)), own),
            Some(Proof::Unusable) | None => (None, (None, None, None), None),
        };
        let (google, aws, azure) = cloud;
        let backend = Backend {
            name: loaded.name.clone(),
            schema,
            version,
            prefix,
            endpoints,
            tls,
            h2,
            credential,
            google,
            aws,
            azure,
            credential_override,
            forward_proxy,
        };
        Usable { backend: Arc::new(backend), edits, fallback }
    }
}
