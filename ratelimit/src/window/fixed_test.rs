//! Calendars that grow, run out and are refused.

use super::*;

fn days(boundaries: &[u64]) -> Fixed {
    Fixed {
        every: Period::Day,
        zone: "UTC".to_owned(),
        boundaries: boundaries.iter().copied().map(Timestamp).collect(),
    }
}

fn stamps(boundaries: &[u64]) -> Vec<Timestamp> {
    boundaries.iter().copied().map(Timestamp).collect()
}

/// Known, later, at, left, why.
type Growth<'a> = (&'a [u64], &'a [u64], u64, &'a [u64], &'a str);

#[test]
#[rustfmt::skip]
fn a_calendar_grows_at_its_end_and_forgets_at_its_start() {
    let rows: [Growth<'_>; 8] = [
        // known,              later,           at, left,                      why
        (&[10, 20, 30],        &[40, 50],       12, &[10, 20, 30, 40, 50],     "the current window is the first"),
        (&[10, 20, 30],        &[40],           25, &[10, 20, 30, 40],         "one that ended stays, for late settlements"),
        (&[10, 20, 30, 40],    &[50],           30, &[20, 30, 40, 50],         "the second that ended does not"),
        (&[10, 20, 30],        &[20, 30, 40],   12, &[10, 20, 30, 40],         "said again, what is known stays as it is"),
        (&[10, 20, 30],        &[15, 25, 35],   12, &[10, 20, 30, 35],         "even where it is said otherwise"),
        (&[10, 20, 30],        &[],             99, &[20, 30],                 "never fewer than a window"),
        (&[10, 20, 30],        &[40, 50],       45, &[20, 30, 40, 50],         "windows that are added already ended go with the next extension"),
        (&[10, 20],            &[30],            5, &[10, 20, 30],             "before the first one"),
    ];
    for (known, later, at, left, why) in rows {
        let mut calendar = days(known);
        calendar.extend(&stamps(later), Timestamp(at)).unwrap();
        assert_eq!(calendar.boundaries, stamps(left), "{why}");
        calendar.extend(&stamps(later), Timestamp(at)).unwrap();
        assert_eq!(calendar.boundaries.last(), stamps(left).last(), "twice: {why}");
        calendar.check().unwrap();
    }
}

#[test]
fn an_extension_that_is_refused_changes_nothing() {
    let too_many: Vec<u64> = (0..MOST_BOUNDARIES as u64).map(|n| 100 + n).collect();
    let rows: [(&[u64], &str); 3] =
        [(&[50, 40], "not in order"), (&[40, 40], "an empty window"), (&too_many, "over the limit")];
    for (later, why) in rows {
        let mut calendar = days(&[10, 20, 30]);
        let before = calendar.clone();
        assert_eq!(calendar.extend(&stamps(later), Timestamp(25)).unwrap_err().field, "boundaries", "{why}");
        assert_eq!(calendar, before, "{why}");
    }
    let mut minutes = Fixed { every: Period::Minute, zone: "UTC".to_owned(), boundaries: Vec::new() };
    assert!(minutes.extend(&stamps(&[1]), Timestamp(0)).is_err(), "arithmetic has no boundaries");
}

#[test]
fn a_calendar_runs_out_with_its_last_boundary() {
    let calendar = days(&[10, 20, 30]);
    for (at, runs_out, why) in
        [(29, false, "still in a window"), (30, true, "the end is not in it"), (31, true, "past it")]
    {
        assert_eq!(calendar.runs_out_before(Timestamp(at)), runs_out, "{why}");
        assert_eq!(calendar.span_at(Timestamp(at)).is_none(), runs_out, "the same said by the span: {why}");
    }
    let seconds = Fixed { every: Period::Second, zone: "UTC".to_owned(), boundaries: Vec::new() };
    assert!(!seconds.runs_out_before(Timestamp::NEVER), "arithmetic does not");
    let last = seconds.span_at(Timestamp::NEVER).unwrap();
    assert!(last.start <= Timestamp::NEVER, "nor does it overflow");
}

#[test]
#[rustfmt::skip]
fn a_window_that_can_not_be_kept_is_refused_by_field() {
    use super::super::{Rolling, Window};
    let fixed = |every, zone: &str, boundaries: &[u64]| {
        Window::Fixed(Fixed { every, zone: zone.to_owned(), boundaries: stamps(boundaries) })
    };
    let many: Vec<u64> = (0..=MOST_BOUNDARIES as u64).collect();
    let long = "x".repeat(65);
    let rows = [
        (fixed(Period::Day, "UTC", &[1, 2]),               None,               "the least that there is"),
        (fixed(Period::Day, "UTC", &[1]),                  Some("boundaries"), "no window"),
        (fixed(Period::Day, "UTC", &[2, 2]),               Some("boundaries"), "an empty window"),
        (fixed(Period::Day, "UTC", &[2, 1]),               Some("boundaries"), "backwards"),
        (fixed(Period::Day, "UTC", &many),                 Some("boundaries"), "one too many"),
        (fixed(Period::Day, "UTC", &many[1..]),            None,               "the most"),
        (fixed(Period::Minute, "UTC", &[]),                None,               "arithmetic"),
        (fixed(Period::Minute, "UTC", &[1, 2]),            Some("boundaries"), "which has none"),
        (fixed(Period::Day, "", &[1, 2]),                  Some("zone"),       "no zone"),
        (fixed(Period::Day, &long, &[1, 2]),               Some("zone"),       "too long"),
        (fixed(Period::Day, "Europe/ Berlin", &[1, 2]),    Some("zone"),       "blanks"),
        (Window::Rolling(Rolling { period_ms: 1, burst: 1 }), None,            "the least"),
        (Window::Rolling(Rolling { period_ms: 0, burst: 1 }), Some("period"),  "no time"),
        (Window::Rolling(Rolling { period_ms: 1, burst: 0 }), Some("burst"),   "never anything to spend"),
        (Window::Rolling(Rolling { period_ms: 1, burst: u64::MAX }), Some("burst"), "more than can be counted"),
        (Window::Lifetime,                                 None,               "nothing to say"),
    ];
    for (window, field, why) in rows {
        assert_eq!(window.check().err().map(|invalid| invalid.field), field, "{why}");
    }
}
