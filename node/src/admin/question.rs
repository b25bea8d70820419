//! What is asked in a query: `consumer=…&group_by=model,day`. An unknown name or value is an error: a typing mistake must not
//! pass for an answer to something else.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use tollgate_ratelimit::ledger::rows::{GroupBy, Query};
use tollgate_ratelimit::time::HOUR_MS;

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
            "since" => asked.query.since_hour = hour("since", &value)?,
            "until" => asked.query.until_hour = Some(hour("until", &value)?),
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

/// For how many hours a join token is valid; none: for ever.
pub(super) fn valid_hours(query: Option<&str>) -> Result<Option<u32>, String> {
    let mut hours = None;
    for (name, value) in pairs(query) {
        if name != "valid_hours" {
            return Err(format!("expected valid_hours, `{name}` came"));
        }
        let number = value.parse().ok().filter(|hours| *hours > 0);
        hours = Some(
            number.ok_or_else(|| format!("valid_hours: expected a whole number above 0, `{value}` came"))?,
        );
    }
    Ok(hours)
}

fn group(asked: &mut LedgerQuestion, value: &str) -> Result<(), String> {
    asked.query.group_by.clear();
    for one in value.split(',').filter(|one| !one.is_empty()) {
        match one {
            "consumer" => asked.query.group_by.push(GroupBy::Consumer),
            "model" => asked.query.group_by.push(GroupBy::Model),
            "backend" => asked.query.group_by.push(GroupBy::Backend),
            "hour" => asked.query.group_by.push(GroupBy::Hour),
            "day" => asked.query.group_by.push(GroupBy::Day),
            "month" => asked.query.group_by.push(GroupBy::Month),
            "organization" => asked.by_people.push(People::Organization),
            "team" => asked.by_people.push(People::Team),
            _ => {
                return Err(format!(
                    "group_by: expected consumer, team, organization, model, backend, hour, day or month, `{one}` came"
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

/// `2026-11-23` or `2026-11-23T14:00Z` as hours since 1970. Minutes would be a finer answer than there is.
fn hour(name: &str, value: &str) -> Result<u32, String> {
    let expected = "expected a day or an hour of UTC as 2026-11-23 or 2026-11-23T14:00Z";
    let wrong = || format!("{name}: {expected}, `{value}` came");
    let moment = match value.parse::<Date>() {
        Ok(day) if !value.contains('T') => day.to_zoned(TimeZone::UTC).map_err(|_| wrong())?.timestamp(),
        Ok(_) | Err(_) => value.parse::<Timestamp>().map_err(|_| wrong())?,
    };
    let ms = u64::try_from(moment.as_millisecond()).map_err(|_| wrong())?;
    if !ms.is_multiple_of(HOUR_MS) {
        return Err(wrong());
    }
    Ok(tollgate_ratelimit::time::Timestamp(ms).hour())
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
        assert_eq!((asked.query.since_hour, asked.query.until_hour), (48, None));
        assert_eq!(asked.query.group_by, [GroupBy::Model]);
        assert_eq!((asked.by_people, asked.format), (vec![People::Team], Format::Csv));
        let asked = ledger(Some("since=1970-01-01T13:00Z&until=1970-01-02&group_by=hour")).unwrap().query;
        assert_eq!((asked.since_hour, asked.until_hour, asked.group_by), (13, Some(24), vec![GroupBy::Hour]));
        assert_eq!(ledger(None).unwrap().freshness, Freshness::Current);

        for (query, field) in [
            ("consumr=x", "`consumr`"),
            ("group_by=modle", "`modle`"),
            ("since=yesterday", "since"),
            ("since=2026-11-23T14:30Z", "14:30"),
            ("until=2026-11-23T14:00", "until"),
            ("since=1969-12-31", "since"),
            ("format=xml", "format"),
            ("freshness=old", "freshness"),
        ] {
            let error = ledger(Some(query)).unwrap_err();
            assert!(error.contains(field), "{query}: {error}");
        }
    }
}
