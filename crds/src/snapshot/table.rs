//! Who answers which request: an index over all matches of all rules.
//!
//! ```text
//! host ─▶ exact table ─▶ longest wildcard … shortest ─▶ table of no host
//!            │
//!            └─ model ─▶ entries that ask for exactly this model ┐ merged by rank, first that holds wins
//!                        entries that ask for no exact model     ┘
//! ```
//!
//! A lookup touches the tables that the host names and, in each, the entries of one model and those of none.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use http::HeaderMap;
use tollgate_api::models::ListedModel;

use super::{HeaderMatch, HostPattern, MODEL_HEADER, Rule, ValueMatch};

/// The compiled routes, indexed: looking a request up does not scan all routes.
#[derive(Debug, Default)]
pub struct RouteTable {
    exact: HashMap<String, HostTable>,
    /// By suffix with its leading dot.
    wildcard: HashMap<String, HostTable>,
    any: HostTable,
    rules: Vec<Arc<Rule>>,
    #[cfg(test)]
    pub(crate) looked_at: std::sync::atomic::AtomicUsize,
}

/// All entries of one host pattern, each list in order of rank.
#[derive(Debug, Default)]
struct HostTable {
    by_model: HashMap<String, Vec<Entry>>,
    other: Vec<Entry>,
    listed: Vec<Listed>,
}

/// One match of one rule. The exact model is not among the headers: the index holds it.
#[derive(Clone, Debug)]
struct Entry {
    rank: usize,
    places: Arc<[Place]>,
    headers: Arc<[HeaderMatch]>,
    rule: Arc<Rule>,
}

/// A model for the list, with the ports where it is served.
#[derive(Clone, Debug)]
struct Listed {
    model: ListedModel,
    places: Arc<[Place]>,
}

/// A listener that a route hangs on, and the hosts that both serve.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Attachment {
    pub(crate) host: Option<HostPattern>,
    pub(crate) place: Place,
}

/// A port, without the hosts that other listeners of it have for themselves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) port: u16,
    pub(crate) except: Vec<HostPattern>,
}

/// How a rule's models are listed.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    pub(crate) owned_by: String,
    pub(crate) created_at_s: u64,
}

/// One match of one rule, on its way into the table. Entries come in the order of routes, rules and matches.
#[derive(Debug)]
pub(crate) struct NewEntry {
    pub(crate) rule: Arc<Rule>,
    pub(crate) headers: Vec<HeaderMatch>,
    pub(crate) attachments: Arc<[Attachment]>,
    /// None: the rule's models are not listed.
    pub(crate) listing: Option<Listing>,
}

/// Collects entries, then ranks them.
#[derive(Debug, Default)]
pub(crate) struct TableBuilder {
    entries: Vec<NewEntry>,
    rules: Vec<Arc<Rule>>,
}

impl RouteTable {
    /// The rule that answers. `host`: lower case, without port. `port`: the listener's by which the request came,
    /// None for the one door that serves all. `model` is what the body asks for.
    ///
    /// None also where callers have something to prove: who calls this does not ask for it. See [`Self::find_guarded`].
    ///
    /// More specific hosts go first; then Gateway API's precedence: most header matches, older route, name, order.
    pub fn find(
        &self,
        host: &str,
        port: Option<u16>,
        model: &str,
        headers: &HeaderMap,
    ) -> Option<&Arc<Rule>> {
        self.find_guarded(host, port, model, headers).filter(|rule| rule.access.is_none())
    }

    /// As [`Self::find`], for callers of it that see to the rule's `access` before they serve it.
    pub fn find_guarded(
        &self,
        host: &str,
        port: Option<u16>,
        model: &str,
        headers: &HeaderMap,
    ) -> Option<&Arc<Rule>> {
        for table in self.tables(host) {
            let with_model = table.by_model.get(model).map_or(&[][..], Vec::as_slice);
            for entry in merge(with_model, &table.other) {
                #[cfg(test)]
                self.looked_at.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if serves(&entry.places, host, port) && entry.holds(model, headers) {
                    return Some(&entry.rule);
                }
            }
        }
        None
    }

    /// The models of this host for the models endpoint, without duplicates, in order of precedence.
    pub fn models(&self, host: &str, port: Option<u16>) -> Vec<ListedModel> {
        let mut seen = HashSet::new();
        self.tables(host)
            .flat_map(|table| &table.listed)
            .filter(|listed| serves(&listed.places, host, port) && seen.insert(listed.model.id.as_str()))
            .map(|listed| listed.model.clone())
            .collect()
    }

    /// Every rule, by its dense index.
    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    /// The tables that the host names, most specific first.
    fn tables<'a, 'h>(&'a self, host: &'h str) -> impl Iterator<Item = &'a HostTable> + use<'a, 'h> {
        let wildcards = host
            .bytes()
            .enumerate()
            .filter(|(at, byte)| *byte == b'.' && *at > 0)
            .filter_map(|(dot, _)| self.wildcard.get(&host[dot..]));
        self.exact.get(host).into_iter().chain(wildcards).chain(std::iter::once(&self.any))
    }

    /// Each pattern with its entries in order: for [`super::describe`].
    pub(super) fn patterns(&self) -> BTreeMap<String, Vec<String>> {
        let exact = self.exact.iter().map(|(host, table)| (host.clone(), table));
        let wildcard = self.wildcard.iter().map(|(suffix, table)| (format!("*{suffix}"), table));
        let any = std::iter::once(("any host".to_owned(), &self.any));
        exact.chain(wildcard).chain(any).map(|(host, table)| (host, table.lines())).collect()
    }
}

impl HostTable {
    fn lines(&self) -> Vec<String> {
        let with_model = self.by_model.iter().flat_map(|(model, entries)| {
            entries.iter().map(move |entry| (entry.rank, format!("model {model}"), entry))
        });
        let other = self.other.iter().map(|entry| (entry.rank, "any model".to_owned(), entry));
        let mut all: Vec<_> = with_model.chain(other).collect();
        all.sort_by_key(|(rank, ..)| *rank);
        all.into_iter()
            .map(|(_, what, entry)| {
                let headers: Vec<String> = entry.headers.iter().map(|header| format!(" {header}")).collect();
                let headers = headers.concat();
                let places: Vec<String> = entry.places.iter().map(ToString::to_string).collect();
                format!("{what}{headers} on [{}] -> rule {}", places.join(", "), entry.rule.index)
            })
            .collect()
    }
}

impl Entry {
    fn holds(&self, model: &str, headers: &HeaderMap) -> bool {
        self.headers.iter().all(|header| header.holds(model, headers))
    }
}

fn serves(places: &[Place], host: &str, port: Option<u16>) -> bool {
    places.iter().any(|place| {
        port.is_none_or(|port| port == place.port) && !place.except.iter().any(|other| other.matches(host))
    })
}

/// Both lists as one, by rank.
fn merge<'a>(mut a: &'a [Entry], mut b: &'a [Entry]) -> impl Iterator<Item = &'a Entry> {
    std::iter::from_fn(move || {
        let from = match (a.first(), b.first()) {
            (Some(left), Some(right)) if right.rank < left.rank => &mut b,
            (Some(_), _) => &mut a,
            (None, _) => &mut b,
        };
        let (first, rest) = from.split_first()?;
        *from = rest;
        Some(first)
    })
}

impl TableBuilder {
    /// The index that the next rule must carry.
    pub(crate) fn next_index(&self) -> usize {
        self.rules.len()
    }

    /// Takes a rule; its entries follow by [`Self::add`].
    pub(crate) fn add_rule(&mut self, rule: &Arc<Rule>) {
        self.rules.push(Arc::clone(rule));
    }

    /// Takes one match of a rule.
    pub(crate) fn add(&mut self, entry: NewEntry) {
        self.entries.push(entry);
    }

    /// Ranks everything. The sort is stable, so that equals stay in the order in which they came.
    pub(crate) fn build(mut self) -> RouteTable {
        self.entries.sort_by_key(|entry| std::cmp::Reverse(entry.headers.len()));
        let mut table = RouteTable { rules: self.rules, ..RouteTable::default() };
        for (rank, entry) in self.entries.into_iter().enumerate() {
            insert(&mut table, rank, entry);
        }
        table
    }
}

fn insert(table: &mut RouteTable, rank: usize, entry: NewEntry) {
    let (models, headers): (Vec<_>, Vec<_>) =
        entry.headers.into_iter().partition(HeaderMatch::is_exact_model);
    let model = models.into_iter().find_map(|header| match header.value {
        ValueMatch::Exact(model) => Some(model),
        ValueMatch::Pattern(_) => None,
    });
    let headers: Arc<[HeaderMatch]> = headers.into();
    let mut places_by_host: BTreeMap<&Option<HostPattern>, Vec<Place>> = BTreeMap::new();
    for attachment in entry.attachments.iter() {
        places_by_host.entry(&attachment.host).or_default().push(attachment.place.clone());
    }
    for (host, mut places) in places_by_host {
        places.dedup();
        let places: Arc<[Place]> = places.into();
        let of_host = match host {
            Some(HostPattern::Exact(host)) => table.exact.entry(host.clone()).or_default(),
            Some(HostPattern::Wildcard(suffix)) => table.wildcard.entry(suffix.clone()).or_default(),
            None => &mut table.any,
        };
        if let (Some(model), Some(listing)) = (&model, &entry.listing) {
            of_host.listed.push(Listed {
                model: ListedModel {
                    id: model.clone(),
                    owned_by: listing.owned_by.clone(),
                    created_at_s: listing.created_at_s,
                },
                places: Arc::clone(&places),
            });
        }
        let entries = match &model {
            Some(model) => of_host.by_model.entry(model.clone()).or_default(),
            None => &mut of_host.other,
        };
        entries.push(Entry { rank, places, headers: Arc::clone(&headers), rule: Arc::clone(&entry.rule) });
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { port, except } = self;
        write!(f, "{port}")?;
        except.iter().try_for_each(|host| write!(f, " but {host}"))
    }
}

impl HeaderMatch {
    fn is_exact_model(&self) -> bool {
        self.name == MODEL_HEADER && matches!(self.value, ValueMatch::Exact(_))
    }
}

#[cfg(test)]
#[path = "table_test.rs"]
mod tests;
