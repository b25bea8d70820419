//! Tables of rows: sums, bounds, questions and folding.

use super::*;
use crate::dice::Dice;
use crate::wire::snapshot::{Reader, Writer};

/// 2024-10-04.
const DAY: u32 = 20_000;

/// Midday of a day.
fn key(consumer: &str, model: &str, day: u32) -> RowKey {
    at(consumer, model, day * 24 + 12)
}

fn at(consumer: &str, model: &str, hour: u32) -> RowKey {
    let owned = str::to_owned;
    RowKey { consumer: owned(consumer), model: owned(model), backend: owned("default/openai"), hour }
}

fn settlement(model: &str, output: u64, certainty: Certainty) -> Settlement {
    Settlement {
        key: key("alice", model, DAY),
        usage: Usage { input: 1, output, total: 1 + output, ..Usage::default() },
        certainty,
    }
}

fn row(requests: u64) -> Row {
    Row { requests, cost_nano_usd: requests * 10, ..Row::default() }
}

fn total(rows: &Rows) -> (u64, i64) {
    let all = rows.query(&Query::default());
    assert!(all.len() <= 1, "nothing is told apart");
    all.first().map_or((0, 0), |line| (line.row.requests, line.change.requests))
}

#[test]
fn totals_are_the_sum_of_settlements_and_estimates_are_told_apart() {
    let mut ledger = Rows::default();
    ledger.settle(settlement("b", 3, Certainty::Reported));
    ledger.settle(settlement("a", 10, Certainty::Reported));
    ledger.settle(settlement("a", 5, Certainty::Estimated));
    let mut other = Rows::default();
    other.settle(settlement("a", 2, Certainty::Reported));
    ledger.merge(&other);

    let rows: Vec<_> = ledger.rows().collect();
    assert_eq!(rows.len(), 2);
    let (key, row) = &rows[0];
    assert_eq!(
        (key.model.as_str(), row.requests, row.usage.output),
        ("a", 3, 17),
        "ordered by name, not by number"
    );
    assert_eq!((row.estimated_requests, row.estimated_usage.output), (1, 5));
    assert_eq!(rows[1].1.usage.total, 4);
}

#[test]
fn a_full_ledger_keeps_its_totals() {
    let mut ledger = Rows::default();
    for model in 0..MOST_ROWS + 10 {
        ledger.settle(settlement(&model.to_string(), 1, Certainty::Reported));
    }
    let output: u64 = ledger.rows().map(|(_, row)| row.usage.output).sum();
    assert_eq!(output, MOST_ROWS as u64 + 10);
    assert_eq!(ledger.booked.len(), MOST_ROWS + 1, "one row more for all others of that hour");
    let known = ledger.names.clone();

    // Nor does a clock that shows any day make it grow for ever.
    for day in 0..20_000 {
        ledger.add(&key("bob", "new", day * 100), &row(1));
    }
    assert!(ledger.booked.len() <= MOST_ROWS + MOST_OTHER_ROWS + 9_000, "{}", ledger.booked.len());
    assert_eq!(total(&ledger).0, MOST_ROWS as u64 + 10 + 20_000);
    assert_eq!(ledger.names, known, "names that no row can have are not kept");
}

#[test]
fn names_that_are_too_long_are_others() {
    let mut ledger = Rows::default();
    let long = "x".repeat(256);
    ledger.add(&key(&long, "a", DAY), &row(1));
    ledger.add(&key(&format!("{long}x"), "a", DAY), &row(2));
    let rows: Vec<_> = ledger.rows().map(|(key, row)| (key.consumer, row.requests)).collect();
    assert_eq!(rows, [(Rows::OTHER.to_owned(), 2), (long, 1)]);
}

#[test]
fn an_operators_change_stands_beside_the_row() {
    let mut ledger = Rows::default();
    ledger.add(&key("alice", "a", DAY), &row(5));
    ledger.change(&key("alice", "a", DAY), &Change { requests: -2, ..Change::default() });
    ledger.change(&key("alice", "a", DAY), &Change { requests: 1, cost_nano_usd: -7, ..Change::default() });
    ledger.change(&key("bob", "a", DAY), &Change { requests: 3, ..Change::default() });
    let lines = ledger.query(&Query { group_by: vec![GroupBy::Consumer], ..Query::default() });
    let lines: Vec<_> = lines
        .iter()
        .map(|line| {
            (
                line.consumer.as_deref().unwrap(),
                line.row.requests,
                line.change.requests,
                line.change.cost_nano_usd,
            )
        })
        .collect();
    assert_eq!(lines, [("alice", 5, -1, -7), ("bob", 0, 3, 0)], "also of a row that nobody settled");
}

#[test]
#[rustfmt::skip]
fn any_period_can_be_asked_for_by_anything() {
    use GroupBy::{Consumer, Day, Model, Month};
    let mut ledger = Rows::default();
    // 2024-10-04 and 05, and 2024-11-04.
    for (consumer, model, day, requests) in [
        ("bob", "a", DAY, 1), ("alice", "a", DAY, 2), ("alice", "b", DAY + 1, 4), ("alice", "a", DAY + 31, 8),
    ] {
        ledger.add(&key(consumer, model, day), &row(requests));
    }
    let all = Query::default;
    let alice = || Query { consumer: Some("alice".to_owned()), ..all() };
    let rows: [(Query, Vec<GroupBy>, &[&str], &str); 12] = [
        (all(), vec![], &["15"], "all of it"),
        (all(), vec![Consumer], &["alice 14", "bob 1"], "ordered by name"),
        (all(), vec![Model, Consumer], &["alice a 10", "alice b 4", "bob a 1"], "always in one order"),
        (all(), vec![Day], &["2024-10-04 3", "2024-10-05 4", "2024-11-04 8"], "by day"),
        (all(), vec![Month], &["2024-10 7", "2024-11 8"], "by month"),
        (all(), vec![Month, Day], &["2024-10-04 3", "2024-10-05 4", "2024-11-04 8"], "the finer one"),
        (alice(), vec![], &["14"], "hers"),
        (Query { model: Some("a".to_owned()), ..alice() }, vec![Month], &["2024-10 2", "2024-11 8"], "hers, of one model"),
        (Query { backend: Some("none".to_owned()), ..all() }, vec![], &[], "a name that no row has"),
        (Query { since_hour: (DAY + 1) * 24, ..all() }, vec![], &["12"], "from a day on"),
        (Query { until_hour: Some((DAY + 1) * 24), ..all() }, vec![], &["3"], "up to a day, without it"),
        (Query { since_hour: (DAY + 1) * 24, until_hour: Some((DAY + 1) * 24), ..all() }, vec![], &[], "no day"),
    ];
    for (query, group_by, want, why) in rows {
        let lines = ledger.query(&Query { group_by, ..query });
        assert_eq!(shown(&lines), want, "{why}");
    }
}

fn shown(lines: &[Line]) -> Vec<String> {
    let mut shown = Vec::new();
    for line in lines {
        let names = [&line.consumer, &line.model, &line.backend].into_iter().flatten().cloned();
        let term = line.term.map(|term| term.to_string());
        let coarse = line.coarse.then(|| "coarse".to_owned());
        let parts: Vec<_> = names.chain(term).chain([line.row.requests.to_string()]).chain(coarse).collect();
        shown.push(parts.join(" "));
    }
    shown
}

#[test]
#[rustfmt::skip]
fn old_rows_fold_into_whole_months_and_years() {
    let mut ledger = Rows::default();
    // 2023-12-31, 2024-01-01, 2024-01-31, 2024-02-01, 2024-10-04.
    for (day, requests) in [(19_722, 1), (19_723, 2), (19_753, 4), (19_754, 8), (DAY, 16)] {
        ledger.add(&key("alice", "a", day), &row(requests));
    }
    ledger.change(&key("alice", "a", 19_753), &Change { requests: -3, ..Change::default() });
    let retention = Retention { days_of_hours: 0, keep_days: 30, keep_months: 3 };
    let rows: [(u32, &[&str], &str); 7] = [
        // today, by day, why
        (19_752, &["2023-12-31 1", "2024-01-01 2", "2024-01-31 4", "2024-02-01 8", "2024-10-04 16"], "December ended 29 days ago"),
        (19_753, &["2023-12 1 coarse", "2024-01-01 2", "2024-01-31 4", "2024-02-01 8", "2024-10-04 16"], "and now 30"),
        (19_783, &["2023-12 1 coarse", "2024-01-01 2", "2024-01-31 4", "2024-02-01 8", "2024-10-04 16"], "a month folds as a whole"),
        (19_784, &["2023-12 1 coarse", "2024-01 6 coarse", "2024-02-01 8", "2024-10-04 16"], "30 days after its last one"),
        (19_813, &["2023-12 1 coarse", "2024-01 6 coarse", "2024-02 8 coarse", "2024-10-04 16"], "March has not ended for long, February has"),
        (19_814, &["2023 1 coarse", "2024-01 6 coarse", "2024-02 8 coarse", "2024-10-04 16"], "April 1st: 2023 ended three months ago"),
        (u32::MAX, &["2023 1 coarse", "2024 30 coarse"], "in the end, years"),
    ];
    for (today, want, why) in rows {
        ledger.fold(today, retention);
        assert_eq!(shown(&ledger.query(&Query { group_by: vec![GroupBy::Day], ..Query::default() })), want, "{why}");
        assert_eq!(total(&ledger), (31, -3), "nothing is lost: {why}");
    }
}

#[test]
#[rustfmt::skip]
fn an_answer_says_where_it_holds_more_days_than_asked() {
    let mut ledger = Rows::default();
    // 2024-01-10, folded into its month, and 2024-10-04.
    ledger.add(&key("alice", "a", 19_732), &row(1));
    ledger.add(&key("alice", "a", DAY), &row(2));
    ledger.fold(DAY, Retention { days_of_hours: 0, keep_days: 30, keep_months: 100 });
    let asked = |since_day: u32, until_day: u32, group_by: &[GroupBy]| Query {
        since_hour: since_day * 24,
        until_hour: Some(until_day.saturating_mul(24)),
        group_by: group_by.to_vec(),
        ..Query::default()
    };
    let rows: [(Query, &[&str], &str); 7] = [
        (asked(19_723, 19_754, &[]),                &["1"],                         "exactly its month"),
        (asked(0, u32::MAX, &[]),                   &["3"],                         "around it"),
        (asked(19_724, 19_754, &[]),                &["1 coarse"],                  "begins within it"),
        (asked(19_723, 19_753, &[]),                &["1 coarse"],                  "ends within it"),
        (asked(19_754, u32::MAX, &[]),              &["2"],                         "after it"),
        (asked(0, u32::MAX, &[GroupBy::Month]),     &["2024-01 1", "2024-10 2"],    "months are fine enough"),
        (asked(0, u32::MAX, &[GroupBy::Day]),       &["2024-01 1 coarse", "2024-10-04 2"], "days are not"),
    ];
    for (query, want, why) in rows {
        assert_eq!(shown(&ledger.query(&query)), want, "{why}");
    }
    ledger.add(&key("alice", "a", 19_732), &row(4));
    let january = asked(19_723, 19_754, &[GroupBy::Day]);
    assert_eq!(shown(&ledger.query(&january)), ["2024-01 1 coarse", "2024-01-10 4"], "a late settlement is an hour again");
    ledger.fold(DAY, Retention { days_of_hours: 0, keep_days: 30, keep_months: 100 });
    assert_eq!(shown(&ledger.query(&january)).len(), 2, "once a day is enough");
    ledger.fold(DAY + 1, Retention { days_of_hours: 0, keep_days: 30, keep_months: 100 });
    assert_eq!(shown(&ledger.query(&january)), ["2024-01 5 coarse"], "until it folds too");
}

#[test]
#[rustfmt::skip]
fn hours_are_told_apart_until_they_fold_into_their_day() {
    use GroupBy::{Day, Hour};
    let hour = |of_day: u32| DAY * 24 + of_day;
    let mut ledger = Rows::default();
    for (hour, requests) in [(hour(0), 1), (hour(23), 2), (hour(24), 4)] {
        ledger.add(&at("alice", "a", hour), &row(requests));
    }
    let asked = |since_hour, until_hour, by: &[GroupBy]| Query {
        since_hour, until_hour: Some(until_hour), group_by: by.to_vec(), ..Query::default()
    };
    let whole: &[&str] = &["2024-10-04T00:00Z 1", "2024-10-04T23:00Z 2", "2024-10-05T00:00Z 4"];
    let rows: [(u32, Query, &[&str], &str); 8] = [
        // today, what is asked, the answer, why
        (DAY,      asked(0, u32::MAX, &[Hour]),            whole,                                    "by hour"),
        (DAY,      asked(0, u32::MAX, &[Day, Hour]),       whole,                                    "the finer one"),
        (DAY,      asked(0, u32::MAX, &[Day]),             &["2024-10-04 3", "2024-10-05 4"],        "hours make days"),
        (DAY,      asked(hour(1), hour(24), &[]),          &["2"],                                   "a part of a day"),
        (DAY + 7,  asked(0, u32::MAX, &[Hour]),            whole,                                    "it ended six days ago"),
        (DAY + 8,  asked(0, u32::MAX, &[Hour]),            &["2024-10-04 3 coarse", "2024-10-05T00:00Z 4"], "and now seven"),
        (DAY + 8,  asked(hour(1), hour(24), &[]),          &["3 coarse"],                            "more hours than asked for"),
        (DAY + 9,  asked(0, u32::MAX, &[Hour]),            &["2024-10-04 3 coarse", "2024-10-05 4 coarse"], "a day later the next"),
    ];
    for (today, query, want, why) in rows {
        ledger.fold(today, Retention::default());
        assert_eq!(shown(&ledger.query(&query)), want, "{why}");
    }
}

#[test]
fn a_crowded_table_keeps_only_todays_hours() {
    let mut ledger = Rows::default();
    for model in 0..=u32::try_from(MOST_ROWS / 2).unwrap() / 2 {
        for hour in [11, 12] {
            ledger.add(&at("alice", &model.to_string(), DAY * 24 + hour), &row(1));
        }
    }
    let crowded = ledger.booked.len();
    ledger.fold(DAY, Retention::default());
    assert_eq!(ledger.booked.len(), crowded, "today is not over");
    ledger.fold(DAY + 1, Retention::default());
    assert_eq!(ledger.booked.len(), crowded / 2, "two hours a row");
    assert_eq!(total(&ledger).0, crowded as u64);
}

#[test]
fn a_year_does_not_fold_before_its_days_may() {
    let mut ledger = Rows::default();
    ledger.add(&key("alice", "a", 19_722), &row(1)); // 2023-12-31
    let by_day = Query { group_by: vec![GroupBy::Day], ..Query::default() };
    for (today, want) in [(19_782, "2023-12-31 1"), (19_783, "2023 1 coarse")] {
        ledger.fold(today, Retention { days_of_hours: 0, keep_days: 60, keep_months: 0 });
        assert_eq!(shown(&ledger.query(&by_day)), [want]);
    }
}

/// Whatever is booked and whenever it folds: by name, sums stay what they are without folding.
#[test]
fn folding_never_changes_a_total() {
    let mut dice = Dice(5);
    for round in 0..40 {
        let (mut folded, mut plain) = (Rows::default(), Rows::default());
        let mut today = DAY;
        for _ in 0..150 {
            today += u32::try_from(dice.below(40)).unwrap();
            let day = today - u32::try_from(dice.below(900)).unwrap();
            let key = key(["alice", "bob"][usize::from(dice.below(2) == 0)], &dice.below(3).to_string(), day);
            let change = Change { requests: 3 - i64::try_from(dice.below(7)).unwrap(), ..Change::default() };
            let row = row(dice.below(100));
            for ledger in [&mut folded, &mut plain] {
                ledger.add(&key, &row);
                ledger.change(&key, &change);
            }
            let retention = Retention {
                days_of_hours: u32::try_from(dice.below(9)).unwrap(),
                keep_days: u32::try_from(dice.below(200)).unwrap(),
                keep_months: u32::try_from(dice.below(30)).unwrap(),
            };
            folded.fold(today, retention);
        }
        let by =
            Query { group_by: vec![GroupBy::Consumer, GroupBy::Model, GroupBy::Backend], ..Query::default() };
        assert_eq!(folded.query(&by), plain.query(&by), "round {round}");
        assert!(folded.booked.len() < plain.booked.len(), "round {round}: and something was folded");
    }
}

#[test]
fn a_table_is_written_and_read_again_byte_for_byte() {
    let mut ledger = Rows::default();
    for n in 0..50 {
        ledger.add(&key("alice", &n.to_string(), DAY - n * 20), &row(u64::from(n)));
    }
    ledger.change(&key("bob", "a", DAY), &Change { requests: -2, ..Change::default() });
    ledger.fold(DAY, Retention { days_of_hours: 0, keep_days: 30, keep_months: 6 });
    let bytes = written(&ledger);
    let mut again = Rows::default();
    let mut reader = Reader::begin(bytes.as_slice()).unwrap();
    while let Some(chunk) = reader.chunk().unwrap() {
        again.take(&chunk).unwrap();
    }
    assert_eq!(again, ledger);
    assert_eq!(written(&again), bytes);
    // Names get the same numbers afterwards as in a table that was never written.
    for table in [&mut again, &mut ledger] {
        table.add(&key("carol", "new", DAY), &row(1));
    }
    assert_eq!(written(&again), written(&ledger));
}

fn written(rows: &Rows) -> Vec<u8> {
    let mut writer = Writer::begin([0; 16], Vec::new()).unwrap();
    rows.write(&mut writer).unwrap();
    writer.finish().unwrap()
}
