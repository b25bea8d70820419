//! Which kinds an API server has, and in which version: asked again and again, since people install them later.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use kube::core::ApiResource;
use kube::{Client, Error};
use tollgate_crds::Kind;

/// What the API server said of one group and version: the plural names of its kinds. None: it did not say.
pub(super) type Said = Option<BTreeMap<String, String>>;

/// What follows for a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Installed(ApiResource),
    Missing,
    /// Nobody knows.
    Unanswered,
}

/// Asks for every kind.
pub(super) async fn discover(client: &Client, kinds: &[Kind]) -> Vec<(Kind, Found)> {
    let mut said: BTreeMap<String, Said> = BTreeMap::new();
    for kind in kinds {
        for version in kind.versions {
            let api_version = api_version(kind, version);
            if let Entry::Vacant(unasked) = said.entry(api_version) {
                let answer = ask(client, unasked.key()).await;
                unasked.insert(answer);
            }
        }
    }
    kinds.iter().map(|kind| (*kind, find(kind, &said))).collect()
}

async fn ask(client: &Client, api_version: &str) -> Said {
    let answer = if api_version.contains('/') {
        client.list_api_group_resources(api_version).await
    } else {
        client.list_core_api_resources(api_version).await
    };
    match answer {
        Ok(list) => {
            let whole = list.resources.into_iter().filter(|one| !one.name.contains('/'));
            Some(whole.map(|one| (one.kind, one.name)).collect())
        }
        Err(Error::Api(status)) if status.code == 404 => Some(BTreeMap::new()),
        Err(error) => {
            tracing::debug!(api_version, "the API server did not say what it has: {error}");
            None
        }
    }
}

/// The best version that is there. As long as one that may be better is not known, nothing is.
fn find(kind: &Kind, said: &BTreeMap<String, Said>) -> Found {
    for version in kind.versions {
        let api_version = api_version(kind, version);
        let Some(Some(names)) = said.get(&api_version) else { return Found::Unanswered };
        if let Some(plural) = names.get(kind.kind) {
            return Found::Installed(ApiResource {
                group: kind.group.to_owned(),
                version: (*version).to_owned(),
                api_version,
                kind: kind.kind.to_owned(),
                plural: plural.clone(),
            });
        }
    }
    Found::Missing
}

fn api_version(kind: &Kind, version: &str) -> String {
    if kind.group.is_empty() { version.to_owned() } else { format!("{}/{version}", kind.group) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind { group: "g", kind: "K", versions: &["v2", "v1"] };

    #[test]
    fn the_best_version_that_is_there_is_taken() {
        let has = |names: &[&str]| -> Said {
            Some(names.iter().map(|kind| ((*kind).to_owned(), "ks".to_owned())).collect())
        };
        #[rustfmt::skip]
        let rows = [
            // v2         v1            the version         why
            (has(&["K"]), has(&["K"]),  Some("g/v2")),   // the better one
            (has(&["X"]), has(&["K"]),  Some("g/v1")),   // an old server
            (has(&["X"]), has(&[]),     None),           // neither
        ];
        for (second, first, want) in rows {
            let said = BTreeMap::from([("g/v2".to_owned(), second), ("g/v1".to_owned(), first)]);
            match find(&KIND, &said) {
                Found::Installed(resource) => assert_eq!(Some(resource.api_version.as_str()), want),
                other @ (Found::Missing | Found::Unanswered) => {
                    assert_eq!((other, want), (Found::Missing, None));
                }
            }
        }
        for (second, first) in [(None, has(&["K"])), (has(&[]), None)] {
            let said = BTreeMap::from([("g/v2".to_owned(), second), ("g/v1".to_owned(), first)]);
            assert_eq!(find(&KIND, &said), Found::Unanswered, "it may be there");
        }
    }
}
