//! What is asked in a query: `consumer=…&group_by=model,day`. An unknown name or value is an error: a typing mistake must not
//! pass for an answer to something else.

use tollgate_ratelimit::ledger::rows::{GroupBy, Query};

/// What `/v1/ledger` is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LedgerQuestion {
    pub(super) query: Query,
    /// `organization` or `team`, found by the consumers as they are now.
    pub(super) by_people: Vec<People>,
    pub(super) format: Format,
    pub(super) freshness: Freshness,
}

/// What consumers belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum People {
    Organization,
    Team,
}

/// How it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Csv,
}

/// Of when the answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    /// Everything that any node was told before.
    Current,
    /// What this node has, at once.
    Replica,
}

/// Reads a query string.
pub(super) fn ledger(query: Option<&str>) -> Result<LedgerQuestion, String> {
    let mut asked = LedgerQuestion {
        query: Query {
            group_by: vec![GroupBy::Consumer, GroupBy::Model, GroupBy::Backend, GroupBy::Day],
            ..Query::default()
        },
        by_people: Vec::new(),
        format: Format::Json,
        freshness: Freshness::Current,
    };
    for (name, value) in pairs(query) {
        match name.as_str() {
            "consumer" => asked.query.consumer = Some(value),
            "model" => asked.query.model = Some(value),
            "backend" => asked.query.backend = Some(value),
            "since" => asked.query.since_day = day("since", &value)?,
            "until" => asked.query.until_day = Some(day("until", &value)?),
            "group_by" => group(&mut asked, &value)?,
            "format" => asked.format = format(&value)?,
            "freshness" => asked.freshness = freshness(&value)?,
            _ => {
                return Err(format!(
                    "expected consumer, model, backend, since, until, group_by, format or freshness, `{name}` came"
                ));
            }
        }
    }
    Ok(asked)
}

fn group(asked: &mut LedgerQuestion, value: &str) -> Result<(), String> {
    asked.query.group_by.clear();
    for one in value.split(',').filter(|one| !one.is_empty()) {
        match one {
            "consumer" => asked.query.group_by.push(GroupBy::Consumer),
            "model" => asked.query.group_by.push(GroupBy::Model),
            "backend" => asked.query.group_by.push(GroupBy::Backend),
            "day" => asked.query.group_by.push(GroupBy::Day),
            "month" => asked.query.group_by.push(GroupBy::Month),
            "organization" => asked.by_people.push(People::Organization),
            "team" => asked.by_people.push(People::Team),
            _ => {
                return Err(format!(
                    "group_by: expected consumer, team, organization, model, backend, day or month, `{one}` came"
                ));
            }
        }
    }
    Ok(())
}

fn format(value: &str) -> Result<Format, String> {
    match value {
        "json" => Ok(Format::Json),
        "csv" => Ok(Format::Csv),
        _ => Err(format!("format: expected json or csv, `{value}` came")),
    }
}

fn freshness(value: &str) -> Result<Freshness, String> {
    match value {
        "current" => Ok(Freshness::Current),
        "replica" => Ok(Freshness::Replica),
        _ => Err(format!("freshness: expected current or replica, `{value}` came")),
    }
}

/// `2026-11-23` as days since 1970.
fn day(name: &str, value: &str) -> Result<u32, String> {
    let wrong = || format!("{name}: expected a day as 2026-11-23, `{value}` came");
    let date: jiff::civil::Date = value.parse().map_err(|_| wrong())?;
    let since = date.since(jiff::civil::date(1970, 1, 1)).map_err(|_| wrong())?;
    u32::try_from(since.get_days()).map_err(|_| wrong())
}

/// Names and values, decoded.
pub(super) fn pairs(query: Option<&str>) -> Vec<(String, String)> {
    let pieces = query.unwrap_or_default().split('&').filter(|piece| !piece.is_empty());
    pieces
        .map(|piece| {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            (decoded(name), decoded(value))
        })
        .collect()
}

/// `%2F` is a slash, and a plus a space.
pub(super) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'%')
            .then(|| u8::from_str_radix(std::str::from_utf8(after.get(..2)?).ok()?, 16).ok())
            .flatten();
        bytes.push(match (first, escaped) {
            (_, Some(escaped)) => escaped,
            (b'+', None) => b' ',
            (other, None) => *other,
        });
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_read_whole_or_not_at_all() {
        let asked =
            ledger(Some("consumer=default%2Falice&group_by=model,team&since=1970-01-03&format=csv")).unwrap();
        assert_eq!(asked.query.consumer.as_deref(), Some("default/alice"));
        assert_eq!((asked.query.since_day, asked.query.until_day), (2, None));
        assert_eq!(asked.query.group_by, [GroupBy::Model]);
        assert_eq!((asked.by_people, asked.format), (vec![People::Team], Format::Csv));
        assert_eq!(ledger(None).unwrap().freshness, Freshness::Current);

        for (query, field) in [
            ("consumr=x", "`consumr`"),
            ("group_by=modle", "`modle`"),
            ("since=yesterday", "since"),
            ("format=xml", "format"),
            ("freshness=old", "freshness"),
        ] {
            let error = ledger(Some(query)).unwrap_err();
            assert!(error.contains(field), "{query}: {error}");
        }
    }
}
