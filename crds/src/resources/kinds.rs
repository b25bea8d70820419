//! The names of what is served, for those who ask others for it.

use super::definitions;

/// A Kind that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Empty for the core's.
    pub group: &'static str,
    /// As `AIGatewayRoute`. No two kinds that are served have the same name.
    pub kind: &'static str,
    /// Those that can be read; the one that is stored comes first.
    pub versions: &'static [&'static str],
}

/// Every Kind that is served.
pub fn kinds() -> Vec<Kind> {
    let all = definitions().into_iter();
    all.map(|one| Kind { group: one.group, kind: one.kind, versions: one.versions }).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn kinds_are_told_apart_by_their_names() {
        let all = kinds();
        let names: BTreeSet<&str> = all.iter().map(|one| one.kind).collect();
        assert_eq!(names.len(), all.len());
    }
}
