//! Prices by model, backend and day. The most exact that is in force counts.

use tollgate_api::endpoint::Schema;
use tollgate_ratelimit::cover;
use tollgate_ratelimit::price::Prices;

use super::patterns::PatternIndex;
use crate::snapshot::{Backend, ResourceName};

/// What a model costs, and by which text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// Names the text that it was read from: the list, the entry, and the start of its content's SHA-256. The same text
    /// keeps its version.
    pub version: String,
    /// The prices.
    pub prices: Prices,
}

/// All prices.
#[derive(Debug, Default)]
pub struct PriceTable {
    /// The most exact first.
    rows: Vec<PriceRow>,
    by_model: PatternIndex<usize>,
}

/// One price for one pattern of models.
#[derive(Clone, Debug)]
pub(crate) struct PriceRow {
    pub(crate) model: String,
    pub(crate) of: PriceFor,
    /// Days since 1970-01-01, UTC.
    pub(crate) from_day: Option<u32>,
    /// The last day on which it holds.
    pub(crate) until_day: Option<u32>,
    /// Comes with the gateway.
    pub(crate) built_in: bool,
    pub(crate) price: Price,
}

/// Whose price it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PriceFor {
    /// Patterns of namespace and name.
    Backends(Vec<(String, String)>),
    Provider(Schema),
    Any,
}

impl PriceTable {
    /// What `model`, as the upstream is asked for it, costs at `backend` on a day (days since 1970-01-01, UTC). None: nobody
    /// knows, and a budget of cost has to refuse.
    pub fn find(&self, backend: &Backend, model: &str, day: u32) -> Option<&Price> {
        let mut best: Option<usize> = None;
        self.by_model.fitting(model, |at| {
            let row = &self.rows[at];
            let better = best.is_none_or(|best| at < best);
            if better && row.holds_on(day) && row.of.is_for(backend) {
                best = Some(at);
            }
        });
        best.map(|at| &self.rows[at].price)
    }

    /// Whether any price, of whatever day, is for the model there.
    pub(crate) fn knows(&self, backend: &Backend, model: &str) -> bool {
        let mut known = false;
        self.by_model.fitting(model, |at| known |= self.rows[at].of.is_for(backend));
        known
    }

    pub(crate) fn new(mut rows: Vec<PriceRow>) -> Self {
        rows.sort_by_key(PriceRow::exactness);
        let mut by_model = PatternIndex::default();
        for (at, row) in rows.iter().enumerate() {
            by_model.insert(&row.model, at);
        }
        Self { rows, by_model }
    }

    pub(crate) fn rows(&self) -> &[PriceRow] {
        &self.rows
    }
}

impl PriceRow {
    fn holds_on(&self, day: u32) -> bool {
        self.from_day.is_none_or(|from| from <= day) && self.until_day.is_none_or(|until| day <= until)
    }

    /// Less is more exact. Of two that are alike the one that began later counts, then the first.
    fn exactness(&self) -> impl Ord + use<> {
        let of = match &self.of {
            PriceFor::Backends(_) => 0,
            PriceFor::Provider(_) => 1,
            PriceFor::Any => 2,
        };
        let letters = self.model.bytes().filter(|byte| *byte != b'*').count();
        (
            self.built_in,
            of,
            self.model.contains('*'),
            std::cmp::Reverse(letters),
            std::cmp::Reverse(self.from_day),
        )
    }
}

impl PriceFor {
    fn is_for(&self, backend: &Backend) -> bool {
        match self {
            Self::Backends(patterns) => {
                let ResourceName { namespace, name } = &backend.name;
                let fits = |(of, pattern): &(String, String)| {
                    cover::matches(of, namespace) && cover::matches(pattern, name)
                };
                patterns.iter().any(fits)
            }
            Self::Provider(schema) => *schema == backend.schema,
            Self::Any => true,
        }
    }
}

#[cfg(test)]
#[path = "prices_test.rs"]
mod tests;
