//! Whom a budget covers, and which of its buckets a request falls into.

use serde::{Deserialize, Serialize};

/// What a budget can be divided by, and what its matchers look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Dimension {
    /// The consumer's organisation.
    Organization,
    /// The consumer's team.
    Team,
    /// The consumer's user.
    User,
    /// The name of the API key that was used.
    ApiKey,
    /// The model that the client asked for.
    Model,
    /// The route that was taken.
    Route,
    /// The backend that is asked, as `namespace/name`.
    Backend,
    /// One of the consumer's labels.
    Label(String),
    /// One of the request's headers, by its name in lower case.
    Header(String),
}

/// All of these must match. Without any, everybody is covered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cover {
    /// Each names a dimension and the patterns of which one must match.
    pub matchers: Vec<Matcher>,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matcher {
    /// What is looked at.
    pub dimension: Dimension,
    /// One of them must match; `*` stands for any run of characters.
    pub patterns: Vec<String>,
}
