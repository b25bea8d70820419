//! Moments as RFC 3339 writes them, to seconds since 1970. Pure arithmetic; the calendar is the proleptic Gregorian.

/// Seconds since 1970-01-01T00:00:00Z; None when the text is no such moment, or one before it.
pub(crate) fn seconds(text: &str) -> Option<u64> {
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let bytes = text.as_bytes();
    let separators = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    if !separators.iter().all(|(at, byte)| bytes.get(*at) == Some(byte))
        || !matches!(bytes.get(10), Some(b'T' | b't'))
    {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let rest = text.get(19..)?;
    let fraction = rest
        .strip_prefix('.')
        .map_or(0, |digits| 1 + digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len()));
    if fraction == 1 {
        return None;
    }
    let offset_s = offset(rest.get(fraction..)?)?;
    let total = days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset_s;
    u64::try_from(total).ok()
}

/// Days since 1970-01-01 of a date such as `2026-01-31`; None when there is no such day, or it is before.
pub(crate) fn day(text: &str) -> Option<u32> {
    let midnight_s = (text.len() == 10).then(|| seconds(&format!("{text}T00:00:00Z")))??;
    u32::try_from(midnight_s / 86_400).ok()
}

fn offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = match zone.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let read = |text: &str, most: i64| -> Option<i64> {
        let fits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|value| fits && *value <= most)
    };
    Some(sign * (read(hours, 23)? * 3_600 + read(minutes, 59)? * 60))
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01, counting years from March so that the leap day is the last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let years = if month <= 2 { year - 1 } else { year };
    let months = (month + 9) % 12;
    let leap_days = years.div_euclid(4) - years.div_euclid(100) + years.div_euclid(400);
    // 719_468 days lie between 0000-03-01 and 1970-01-01.
    years * 365 + leap_days + (months * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read() {
        #[rustfmt::skip]
        let rows = [
            ("1970-01-01T00:00:00Z",          Some(0)),             // the beginning
            ("2026-11-22T15:56:03Z",          Some(1_795_362_963)), // today
            ("2024-02-29T12:00:00.25+02:00",  Some(1_709_200_800)), // leap day, fraction, offset
            ("2000-03-01T00:00:00z",          Some(951_868_800)),   // the day after a leap day
            ("2023-02-29T00:00:00Z",          None),                // no such day
            ("2026-13-01T00:00:00Z",          None),                // no such month
            ("2026-01-01 00:00:00Z",          None),                // no T
            ("2026-01-01T00:00:00",           None),                // no zone
            ("2026-01-01T00:00:00.Z",         None),                // a point without digits
            ("2026-01-01T00:00:00+25:00",     None),                // no such zone
            ("1969-12-31T23:59:59Z",          None),                // before the beginning
            ("",                              None),                // nothing
            ("2026-01-01T00:00:0€Z",          None),                // no digit
        ];
        for (text, want) in rows {
            assert_eq!(seconds(text), want, "{text}");
        }
    }
}
