//! Boundaries on real days of changing clocks. The instants are written with their offsets, so that each can be checked
//! against the published rule that the row names.

use super::*;

fn at(written: &str) -> Timestamp {
    timestamp(written.parse().unwrap_or_else(|why| panic!("{written}: {why}")))
}

fn written(boundaries: &[Timestamp]) -> Vec<String> {
    boundaries.iter().map(|boundary| instant(*boundary).unwrap().to_string()).collect()
}

#[test]
#[rustfmt::skip]
fn windows_begin_with_the_first_moment_of_what_they_are_named_after() {
    use Period::{Day, Hour, Month, Week, Year};
    let rows: [(Period, &str, &str, &[&str], &str); 25] = [
        // every, zone,                 from,                        boundaries, why
        (Day,  "UTC",                  "1970-01-01T00:00:00Z",      &["1970-01-01T00:00:00Z", "1970-01-02T00:00:00Z"], "the first moment there is"),
        (Day,  "Asia/Tokyo",           "1970-01-01T00:00:00Z",      &["1970-01-01T00:00:00Z", "1970-01-02T00:00:00+09:00"], "began in 1969, as far as cluster time can say so"),
        (Day,  "Europe/Berlin",        "2025-03-30T12:00:00+02:00", &["2025-03-30T00:00:00+01:00", "2025-03-31T00:00:00+02:00"], "23 hours: 02:00 becomes 03:00 on the last Sunday of March"),
        (Day,  "Europe/Berlin",        "2025-10-26T02:30:00+01:00", &["2025-10-26T00:00:00+02:00", "2025-10-27T00:00:00+01:00"], "25 hours: 03:00 becomes 02:00 on the last Sunday of October"),
        (Day,  "europe/berlin",        "2025-10-27T00:00:00+01:00", &["2025-10-27T00:00:00+01:00", "2025-10-28T00:00:00+01:00"], "a boundary begins its own window; letters' case does not matter"),
        (Day,  "Asia/Beirut",          "2024-03-31T00:59:59+02:00", &["2024-03-31T01:00:00+03:00", "2024-04-01T00:00:00+03:00"], "midnight becomes 01:00; the row's `from` is written by the old clock and is past the change"),
        (Day,  "Asia/Beirut",          "2024-10-26T23:30:00+02:00", &["2024-10-26T00:00:00+03:00", "2024-10-27T00:00:00+02:00"], "midnight becomes 23:00 of the day before: that day has its last hour twice"),
        (Day,  "Africa/Cairo",         "2024-04-25T12:00:00+02:00", &["2024-04-25T00:00:00+02:00", "2024-04-26T01:00:00+03:00"], "midnight becomes 01:00 on the last Friday of April"),
        (Day,  "America/Santiago",     "2024-09-07T12:00:00-04:00", &["2024-09-07T00:00:00-04:00", "2024-09-08T01:00:00-03:00"], "midnight becomes 01:00 on the first Sunday after September 1st"),
        (Day,  "America/Havana",       "2024-11-03T00:30:00-05:00", &["2024-11-03T00:00:00-04:00", "2024-11-04T00:00:00-05:00"], "01:00 becomes 00:00: the first of two midnights counts"),
        (Day,  "America/St_Johns",     "2010-11-06T23:30:00-03:30", &["2010-11-07T00:00:00-02:30", "2010-11-08T00:00:00-03:30"], "00:01 becomes 23:01 of the day before, which does not begin again"),
        (Day,  "Pacific/Apia",         "2011-12-29T12:00:00-10:00", &["2011-12-29T00:00:00-10:00", "2011-12-31T00:00:00+14:00", "2012-01-01T00:00:00+14:00"], "December 30th 2011 did not exist"),
        (Day,  "Asia/Kathmandu",       "1985-12-31T12:00:00+05:30", &["1985-12-31T00:00:00+05:30", "1986-01-01T00:15:00+05:45"], "a quarter of an hour was skipped at midnight"),
        (Year, "Asia/Kathmandu",       "1985-12-31T12:00:00+05:30", &["1985-01-01T00:00:00+05:30", "1986-01-01T00:15:00+05:45", "1987-01-01T00:00:00+05:45"], "and that was the first moment of the year"),
        (Hour, "America/New_York",     "2024-03-10T01:30:00-05:00", &["2024-03-10T01:00:00-05:00", "2024-03-10T03:00:00-04:00", "2024-03-10T04:00:00-04:00"], "02:00 does not exist on the second Sunday of March"),
        (Hour, "America/New_York",     "2024-11-03T01:30:00-04:00", &["2024-11-03T01:00:00-04:00", "2024-11-03T01:00:00-05:00", "2024-11-03T02:00:00-05:00"], "the hour after 01:00 comes twice, and is two windows"),
        (Hour, "Australia/Lord_Howe",  "2024-04-07T01:15:00+11:00", &["2024-04-07T01:00:00+11:00", "2024-04-07T01:30:00+10:30", "2024-04-07T02:00:00+10:30"], "02:00 becomes 01:30: the repeated half hour is a window"),
        (Hour, "Australia/Lord_Howe",  "2024-10-06T01:15:00+10:30", &["2024-10-06T01:00:00+10:30", "2024-10-06T02:30:00+11:00", "2024-10-06T03:00:00+11:00"], "02:00 becomes 02:30: half of that hour is left"),
        (Hour, "America/St_Johns",     "2010-11-07T00:00:30-02:30", &["2010-11-07T00:00:00-02:30", "2010-11-06T23:01:00-03:30", "2010-11-07T00:00:00-03:30"], "00:01 becomes 23:01: a change within an hour ends it"),
        (Hour, "Asia/Kolkata",         "2024-01-01T00:15:00+05:30", &["2024-01-01T00:00:00+05:30", "2024-01-01T01:00:00+05:30"], "full hours of a clock that is 30 minutes off"),
        (Hour, "Asia/Kathmandu",       "2024-01-01T00:59:59+05:45", &["2024-01-01T00:00:00+05:45", "2024-01-01T01:00:00+05:45"], "45 minutes off"),
        (Week, "Europe/Berlin",        "2025-03-30T23:59:59+02:00", &["2025-03-24T00:00:00+01:00", "2025-03-31T00:00:00+02:00", "2025-04-07T00:00:00+02:00"], "Sunday is the last day, an hour short"),
        (Month, "Europe/Berlin",       "2025-03-31T12:00:00+02:00", &["2025-03-01T00:00:00+01:00", "2025-04-01T00:00:00+02:00", "2025-05-01T00:00:00+02:00"], "by the clock of each first"),
        (Month, "UTC",                 "2024-02-29T12:00:00Z",      &["2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"], "a leap day is in February"),
        (Year, "Pacific/Kiritimati",   "1994-12-30T12:00:00-10:00", &["1994-01-01T00:00:00-10:00", "1995-01-01T00:00:00+14:00"], "its last day was skipped: the new year follows December 30th"),
    ];
    for (every, zone, from, want, why) in rows {
        let want: Vec<_> = want.iter().map(|one| at(one)).collect();
        let got = upcoming(every, zone, at(from), want.len()).unwrap();
        assert_eq!(written(&got), written(&want), "{every:?} in {zone} from {from}: {why}");
    }
}

/// Told another way than they are made: the clock shows another date just before, and no hour is longer than one.
#[test]
fn in_every_zone_windows_follow_each_other() {
    let database = TimeZoneDatabase::bundled();
    let from = at("2024-02-20T12:34:56.789Z");
    let mut zones = 0;
    for name in database.available() {
        let name = name.as_str();
        let Ok(hours) = upcoming(Period::Hour, name, from, 300) else { continue };
        zones += 1;
        assert!(
            hours.windows(2).all(|pair| (1..=3_600_000).contains(&pair[1].since(pair[0]))),
            "{name}: hours"
        );
        let zone = database.get(name).unwrap();
        for (every, count) in
            [(Period::Day, 300), (Period::Week, 40), (Period::Month, 30), (Period::Year, 12)]
        {
            let found = upcoming(every, name, from, count).unwrap();
            assert_eq!(found.len(), count, "{name}: {every:?}");
            assert!(found[0] <= from && from < found[1], "{name}: {every:?} begins around `from`");
            for boundary in found {
                let date = |ms: u64| zone.to_datetime(instant(Timestamp(ms)).unwrap()).date();
                let (before, first) = (date(boundary.0 - 1), date(boundary.0));
                let begins = match every {
                    Period::Second | Period::Minute | Period::Hour => false,
                    Period::Day => before < first,
                    Period::Week => first.weekday() == Weekday::Monday,
                    Period::Month => before.month() != first.month() && first.day() == 1,
                    Period::Year => before.year() < first.year() && first.day_of_year() == 1,
                };
                assert!(begins && before < first, "{name}: {every:?} at {boundary:?}");
            }
        }
    }
    assert!(zones > 400, "the bundled data were read: {zones}");
}

/// What `first_moment` leans on.
#[test]
fn clocks_that_skip_midnight_do_so_from_midnight_on() {
    let database = TimeZoneDatabase::bundled();
    let end = "2040-01-01T00:00:00Z".parse().unwrap();
    for name in database.available() {
        let zone = database.get(name.as_str()).unwrap();
        for change in
            zone.following(jiff::Timestamp::UNIX_EPOCH).take_while(|change| change.timestamp() < end)
        {
            let would_be = zone.to_datetime(change.timestamp() - 1.second()) + 1.second();
            let is = zone.to_datetime(change.timestamp());
            let skips = would_be < is && would_be.date() < is.date();
            let midnight = jiff::civil::Time::midnight();
            assert!(
                !skips || would_be.time() == midnight || is.time() == midnight,
                "{}: {is}",
                name.as_str()
            );
        }
    }
}

#[test]
fn what_can_not_be_told_is_said() {
    for zone in ["", "Mars/Olympus", "Etc/Unknown", "../etc/localtime", "Europe/Berlin\0"] {
        assert_eq!(upcoming(Period::Day, zone, Timestamp(0), 2), Err(UnknownZone { zone: zone.to_owned() }));
    }
    let rows = [
        (Period::Second, Timestamp(0), 0, "seconds are arithmetic"),
        (Period::Minute, Timestamp(0), 0, "and so are minutes"),
        (Period::Year, at("9998-06-01T00:00:00Z"), 2, "the calendar ends with 9999"),
        (Period::Day, Timestamp::NEVER, 0, "and nothing is after it"),
        (Period::Day, Timestamp(0), 5, "as many as were asked for"),
    ];
    for (every, from, want, why) in rows {
        assert_eq!(upcoming(every, "Europe/Berlin", from, 5).unwrap().len(), want, "{why}");
    }
    assert_eq!(upcoming(Period::Day, "UTC", Timestamp(0), 0).unwrap(), [], "none");
    assert_eq!(
        upcoming(Period::Hour, "UTC", Timestamp(0), usize::MAX).unwrap().len(),
        MOST_BOUNDARIES,
        "a bound"
    );
}
