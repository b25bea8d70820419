//! Who spent what in any period, by any of what rows are told apart by.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::names::NameId;
use super::{Change, Grain, Place, Row, Rows, Term};

/// What rows are told apart by. What is not asked for is summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GroupBy {
    /// By who called.
    Consumer,
    /// By the model that was asked for.
    Model,
    /// By the backend that answered.
    Backend,
    /// By hour of UTC.
    Hour,
    /// By day of UTC. Together with hours, by hours.
    Day,
    /// By month of UTC. Together with anything shorter, by that.
    Month,
}

/// A question.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// The first hour, since 1970-01-01.
    pub since_hour: u32,
    /// The first hour that is not asked for any more; none for all.
    pub until_hour: Option<u32>,
    /// Only this consumer.
    pub consumer: Option<String>,
    /// Only this model.
    pub model: Option<String>,
    /// Only this backend.
    pub backend: Option<String>,
    /// What the answer's lines are told apart by.
    pub group_by: Vec<GroupBy>,
}

/// One line of the answer. What it is not told apart by is None.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Who called.
    pub consumer: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// The backend.
    pub backend: Option<String>,
    /// When: as fine as was asked for, or as the rows still are.
    pub term: Option<Term>,
    /// What was settled.
    pub row: Row,
    /// What operators added or took away.
    pub change: Change,
    /// Rows in it were folded into what is longer than what was asked for: it holds more hours than it says,
    /// all of those in `term` if there is one.
    pub coarse: bool,
}

/// A line's place in the answer.
type Group = (Option<NameId>, Option<NameId>, Option<NameId>, Option<Term>);

impl Rows {
    /// The lines that answer a question, ordered by consumer, model, backend and time.
    pub fn query(&self, query: &Query) -> Vec<Line> {
        let Some(asked) = Asked::of(query, self) else { return Vec::new() };
        let mut lines = BTreeMap::new();
        for (place, row) in &self.booked {
            if let Some(line) = asked.line(place, &mut lines) {
                line.row.merge(row);
            }
        }
        for (place, change) in &self.changes {
            if let Some(line) = asked.line(place, &mut lines) {
                line.change.merge(change);
            }
        }
        let named = |id: Option<NameId>| id.map(|id| self.names.name(id).to_owned());
        let mut lines: Vec<_> = lines
            .into_iter()
            .map(|((consumer, model, backend, term), line)| Line {
                consumer: named(consumer),
                model: named(model),
                backend: named(backend),
                term,
                ..line
            })
            .collect();
        lines.sort_by(|one, other| one.place().cmp(&other.place()));
        lines
    }
}

impl Line {
    fn place(&self) -> (&Option<String>, &Option<String>, &Option<String>, Option<Term>) {
        (&self.consumer, &self.model, &self.backend, self.term)
    }
}

/// A question, in numbers.
struct Asked<'a> {
    query: &'a Query,
    consumer: Option<NameId>,
    model: Option<NameId>,
    backend: Option<NameId>,
    grain: Option<Grain>,
}

impl<'a> Asked<'a> {
    /// None where it asks for a name that no row has.
    fn of(query: &'a Query, rows: &Rows) -> Option<Self> {
        let number = |name: &Option<String>| match name {
            Some(name) => rows.names.known(name).map(Some),
            None => Some(None),
        };
        let finest =
            [(GroupBy::Hour, Grain::Hour), (GroupBy::Day, Grain::Day), (GroupBy::Month, Grain::Month)];
        Some(Self {
            consumer: number(&query.consumer)?,
            model: number(&query.model)?,
            backend: number(&query.backend)?,
            grain: finest.iter().find(|(group, _)| query.group_by.contains(group)).map(|(_, grain)| *grain),
            query,
        })
    }

    /// The line that what stands at `place` goes to. None where it was not asked for.
    fn line<'l>(&self, place: &Place, lines: &'l mut BTreeMap<Group, Line>) -> Option<&'l mut Line> {
        let wanted = |filter: Option<NameId>, id| filter.is_none_or(|filter| filter == id);
        let (first_hour, end_hour) = (place.term.first_hour, place.term.end_hour());
        let (since_hour, until_hour) = (self.query.since_hour, self.query.until_hour.unwrap_or(u32::MAX));
        let named = wanted(self.consumer, place.consumer)
            && wanted(self.model, place.model)
            && wanted(self.backend, place.backend);
        if !named || end_hour <= since_hour || until_hour <= first_hour {
            return None;
        }
        let by = |group: GroupBy, id| self.query.group_by.contains(&group).then_some(id);
        let group = (
            by(GroupBy::Consumer, place.consumer),
            by(GroupBy::Model, place.model),
            by(GroupBy::Backend, place.backend),
            self.grain.map(|grain| place.term.within(grain)),
        );
        let line = lines.entry(group).or_default();
        let longer = self.grain.is_some_and(|grain| place.term.grain > grain);
        line.coarse |= longer || first_hour < since_hour || until_hour < end_hour;
        Some(line)
    }
}
