//! Mutations of a backend and of a route's reference to it, made one. What the route says wins; what one level both
//! sets and removes is set.

use http::{HeaderName, HeaderValue};
use serde::de::IgnoredAny;
use tollgate_api::edit::BodyEdits;

use crate::load::Loaded;
use crate::problem::{Problem, shown};
use crate::resources::{BodyMutation, HeaderMutation};
use crate::snapshot::HeaderEdits;

/// The mutations of one level, checked.
#[derive(Clone, Debug, Default)]
pub(super) struct Edits {
    headers: HeaderEdits,
    set_fields: Vec<(String, String)>,
    remove_fields: Vec<String>,
}

/// Checks the mutations that stand under `path` of a resource; None when one of them can't be done.
pub(super) fn read(
    loaded: &Loaded,
    path: &str,
    (headers, body): (Option<&HeaderMutation>, Option<&BodyMutation>),
    problems: &mut Vec<Problem>,
) -> Option<Edits> {
    let before = problems.len();
    let mut edits = Edits::default();
    if let Some(mutation) = headers {
        edits.headers = read_headers(loaded, &format!("{path}.headerMutation"), mutation, problems);
    }
    if let Some(BodyMutation { set, remove }) = body {
        for (index, field) in set.iter().enumerate() {
            if let Err(error) = serde_json::from_str::<IgnoredAny>(&field.value) {
                let at = format!("{path}.bodyMutation.set[{index}].value");
                let what = format!("a JSON literal, such as \"\\\"text\\\"\" or \"42\" ({error})");
                problems.push(loaded.problem(&at, shown(&field.value), what));
            }
            edits.set_fields.push((field.path.clone(), field.value.clone()));
        }
        edits.remove_fields.clone_from(remove);
    }
    (problems.len() == before).then_some(edits)
}

/// Both levels as one.
pub(super) fn merge(route: &Edits, backend: &Edits) -> (HeaderEdits, BodyEdits) {
    let (set, remove) = merge_level(
        (&route.headers.set, &route.headers.remove),
        (&backend.headers.set, &backend.headers.remove),
    );
    let headers = HeaderEdits { set, remove };
    let (set, remove) =
        merge_level((&route.set_fields, &route.remove_fields), (&backend.set_fields, &backend.remove_fields));
    let body = BodyEdits::new(set, remove).expect("every literal was checked when it was read");
    (headers, body)
}

type Level<'a, N, V> = (&'a [(N, V)], &'a [N]);

fn merge_level<N: Clone + PartialEq, V: Clone>(
    upper: Level<'_, N, V>,
    lower: Level<'_, N, V>,
) -> (Vec<(N, V)>, Vec<N>) {
    let sets = |(set, _): Level<'_, N, V>, name: &N| set.iter().any(|(other, _)| other == name);
    let mentions = |level: Level<'_, N, V>, name: &N| sets(level, name) || level.1.contains(name);
    let set: Vec<(N, V)> =
        upper.0.iter().chain(lower.0.iter().filter(|(name, _)| !mentions(upper, name))).cloned().collect();
    let mut remove: Vec<N> = Vec::new();
    for name in upper.1.iter().chain(lower.1) {
        if !set.iter().any(|(other, _)| other == name) && !remove.contains(name) {
            remove.push(name.clone());
        }
    }
    (set, remove)
}

fn read_headers(
    loaded: &Loaded,
    path: &str,
    mutation: &HeaderMutation,
    problems: &mut Vec<Problem>,
) -> HeaderEdits {
    let HeaderMutation { set, remove } = mutation;
    let mut edits = HeaderEdits::default();
    for (index, header) in set.iter().enumerate() {
        let name = HeaderName::from_bytes(header.name.as_bytes());
        let value = HeaderValue::from_str(&header.value);
        match (name, value) {
            (Ok(name), Ok(value)) => edits.set.push((name, value)),
            (Err(_), _) => problems.push(loaded.problem(
                &format!("{path}.set[{index}].name"),
                shown(&header.name),
                "the name of a header",
            )),
            (_, Err(_)) => problems.push(loaded.problem(
                &format!("{path}.set[{index}].value"),
                shown(&header.value),
                "the value of a header: visible letters and spaces",
            )),
        }
    }
    for (index, name) in remove.iter().enumerate() {
        match HeaderName::from_bytes(name.as_bytes()) {
            Ok(name) => edits.remove.push(name),
            Err(_) => problems.push(loaded.problem(
                &format!("{path}.remove[{index}]"),
                shown(name),
                "the name of a header",
            )),
        }
    }
    edits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upper_level_wins() {
        #[rustfmt::skip]
        let rows = [
            // upper set, remove        lower set, remove          set                       remove
            (vec![("a", 1)], vec![],    vec![("a", 2)], vec![],    vec![("a", 1)],           vec![]),    // its value
            (vec![], vec!["a"],         vec![("a", 2)], vec![],    vec![],                   vec!["a"]), // its removal
            (vec![("a", 1)], vec![],    vec![], vec!["a"],         vec![("a", 1)],           vec![]),    // over a removal
            (vec![("a", 1)], vec!["a"], vec![], vec![],            vec![("a", 1)],           vec![]),    // set over removed
            (vec![("a", 1)], vec!["b"], vec![("c", 3)], vec!["b"], vec![("a", 1), ("c", 3)], vec!["b"]), // the rest adds up
        ];
        for (upper_set, upper_remove, lower_set, lower_remove, set, remove) in rows {
            let got = merge_level((&upper_set, &upper_remove), (&lower_set, &lower_remove));
            assert_eq!(
                got,
                (set, remove),
                "{upper_set:?} {upper_remove:?} over {lower_set:?} {lower_remove:?}"
            );
        }
    }
}
