//! Client selectors to what the core's covers can say, and conditions for the rest.

use http::{HeaderName, Method};
use tollgate_ratelimit::cover::{Dimension, Matcher};

use crate::load::Loaded;
use crate::problem::{Problem, shown};
use crate::resources::{
    ClientSelector, HeaderSelector, HeaderSelectorType, MethodSelector, PathSelector, PathSelectorType,
    SourceSelector, SourceSelectorType,
};
use crate::snapshot::{Condition, HeaderMatch, MODEL_HEADER, Network, PathMatch, ValueMatch};

/// The longest value that a cover can match.
const MOST_MATCHED_BYTES: usize = 256;

/// Which requests a limit is for, and what it is divided by.
#[derive(Debug, Default)]
pub(super) struct Selected {
    pub(super) matchers: Vec<Matcher>,
    pub(super) conditions: Vec<Condition>,
    pub(super) per: Vec<Dimension>,
}

/// Reads all selectors that stand at `path`. None: a condition could not be read, and without it the limit would be for
/// others than those that are meant.
pub(super) fn read(
    loaded: &Loaded,
    path: &str,
    selectors: &[ClientSelector],
    problems: &mut Vec<Problem>,
) -> Option<Selected> {
    let mut selected = Selected::default();
    let before = problems.len();
    for (at, selector) in selectors.iter().enumerate() {
        let ClientSelector { headers, methods, path: of_path, source_cidr, query_params } = selector;
        let path = format!("{path}.clientSelectors[{at}]");
        let mut wrong = |field: &str, value: &str, what: String| {
            problems.push(loaded.problem(&format!("{path}.{field}"), shown(value), what));
        };
        for (number, header) in headers.iter().enumerate() {
            if let Err((field, what)) = selected.header(header) {
                let value = header.value.as_deref().unwrap_or_default();
                wrong(&format!("headers[{number}].{field}"), value, what);
            }
        }
        if !methods.is_empty() && selected.methods(methods).is_none() {
            wrong("methods", "", "HTTP methods".to_owned());
        }
        if let Some(of_path) = of_path
            && let Err(what) = selected.path(of_path)
        {
            wrong("path.value", &of_path.value, what);
        }
        if let Some(source) = source_cidr
            && selected.source(source).is_none()
        {
            wrong("sourceCIDR.value", &source.value, "a network such as 192.168.0.0/24".to_owned());
        }
        if !query_params.is_empty() {
            wrong("queryParams", "", "no conditions on the query: they are not served".to_owned());
        }
    }
    (problems.len() == before).then_some(selected)
}

impl Selected {
    fn header(&mut self, header: &HeaderSelector) -> Result<(), (&'static str, String)> {
        let HeaderSelector { selector_type, name, value, invert } = header;
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| ("name", "the name of a header".to_owned()))?;
        let value = match (selector_type, value) {
            (HeaderSelectorType::Distinct, Some(_)) => {
                return Err(("value", "no value: Distinct means each".to_owned()));
            }
            (HeaderSelectorType::Distinct, None) if *invert => {
                return Err(("invert", "no inversion: Distinct means each value".to_owned()));
            }
            (HeaderSelectorType::Distinct, None) => {
                self.divide(dimension(&name));
                return Ok(());
            }
            (HeaderSelectorType::Exact | HeaderSelectorType::RegularExpression, None) => {
                return Err(("value", "a value to compare with".to_owned()));
            }
            (HeaderSelectorType::Exact, Some(value)) => ValueMatch::Exact(value.clone()),
            (HeaderSelectorType::RegularExpression, Some(value)) => {
                let what = |error| format!("a regular expression of moderate size ({error})");
                ValueMatch::pattern(value).map_err(|error| ("value", what(error)))?
            }
        };
        match value {
            ValueMatch::Exact(exact) if !invert && is_matchable(&exact) => {
                self.matchers.push(Matcher { dimension: dimension(&name), patterns: vec![exact] });
            }
            value @ (ValueMatch::Exact(_) | ValueMatch::Pattern(_)) => {
                let matched = HeaderMatch { name, value };
                self.conditions.push(Condition::Header { matched, inverted: *invert });
            }
        }
        Ok(())
    }

    fn methods(&mut self, methods: &[MethodSelector]) -> Option<()> {
        let read = |MethodSelector { value, invert }: &MethodSelector| {
            Some((Method::from_bytes(value.as_bytes()).ok()?, *invert))
        };
        self.conditions.push(Condition::Methods(methods.iter().map(read).collect::<Option<_>>()?));
        Some(())
    }

    fn path(&mut self, PathSelector { selector_type, value, invert }: &PathSelector) -> Result<(), String> {
        let matched = match selector_type {
            PathSelectorType::Exact => PathMatch::Exact(value.clone()),
            PathSelectorType::PathPrefix => PathMatch::Prefix(value.clone()),
            PathSelectorType::RegularExpression => PathMatch::Pattern(
                ValueMatch::anchored(value)
                    .map_err(|error| format!("a regular expression of moderate size ({error})"))?,
            ),
        };
        self.conditions.push(Condition::Path { matched, inverted: *invert });
        Ok(())
    }

    fn source(&mut self, SourceSelector { selector_type, value }: &SourceSelector) -> Option<()> {
        self.conditions.push(Condition::Source(Network::parse(value)?));
        match selector_type {
            SourceSelectorType::Exact => {}
            SourceSelectorType::Distinct => self.divide(Dimension::Source),
        }
        Some(())
    }

    fn divide(&mut self, dimension: Dimension) {
        if !self.per.contains(&dimension) {
            self.per.push(dimension);
        }
    }
}

fn dimension(name: &HeaderName) -> Dimension {
    if *name == MODEL_HEADER { Dimension::Model } else { Dimension::Header(name.as_str().to_owned()) }
}

/// In a cover a star is not itself, and nothing is no pattern.
fn is_matchable(value: &str) -> bool {
    !value.contains('*') && (1..=MOST_MATCHED_BYTES).contains(&value.len())
}
