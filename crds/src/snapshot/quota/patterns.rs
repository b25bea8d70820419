//! Patterns by the values that they may fit: an exact one by its text, others by what stands before their first star. A
//! lookup costs one probe for each length of such a beginning, not one for each pattern.

use std::collections::HashMap;

use tollgate_ratelimit::cover;

/// What is found by patterns.
#[derive(Clone, Debug)]
pub(super) struct PatternIndex<T> {
    exact: HashMap<Box<str>, Vec<T>>,
    by_beginning: HashMap<Box<str>, Vec<(Box<str>, T)>>,
    /// Of the beginnings, each once, ascending.
    lengths: Vec<usize>,
}

impl<T> Default for PatternIndex<T> {
    fn default() -> Self {
        Self { exact: HashMap::new(), by_beginning: HashMap::new(), lengths: Vec::new() }
    }
}

impl<T: Copy> PatternIndex<T> {
    pub(super) fn insert(&mut self, pattern: &str, item: T) {
        let Some((beginning, _)) = pattern.split_once('*') else {
            self.exact.entry(pattern.into()).or_default().push(item);
            return;
        };
        self.by_beginning.entry(beginning.into()).or_default().push((pattern.into(), item));
        if let Err(at) = self.lengths.binary_search(&beginning.len()) {
            self.lengths.insert(at, beginning.len());
        }
    }

    /// Everything whose pattern fits.
    pub(super) fn fitting(&self, value: &str, mut visit: impl FnMut(T)) {
        self.exact.get(value).into_iter().flatten().for_each(|item| visit(*item));
        // A length that ends within a letter is no beginning of this value, but longer ones may be.
        for beginning in self.lengths.iter().filter_map(|length| value.get(..*length)) {
            for (pattern, item) in self.by_beginning.get(beginning).into_iter().flatten() {
                if cover::matches(pattern, value) {
                    visit(*item);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_is_what_fits() {
        let patterns = ["gpt-4o", "gpt-*", "*", "gpt-4*-mini", "ä*", "a*z", "gpt-4o*"];
        let mut index = PatternIndex::default();
        for (at, pattern) in patterns.iter().enumerate() {
            index.insert(pattern, at);
        }
        for value in ["gpt-4o", "gpt-4o-mini", "gpt-", "ä", "äb", "é", "az", "a", "", "€uro"] {
            let mut found = Vec::new();
            index.fitting(value, |at| found.push(at));
            found.sort_unstable();
            let want: Vec<usize> =
                (0..patterns.len()).filter(|at| cover::matches(patterns[*at], value)).collect();
            assert_eq!(found, want, "{value}");
        }
    }
}
