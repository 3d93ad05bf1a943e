//! Dates of rows, as seconds on the proleptic Gregorian calendar without time zones.

use models::forecaster::Step;

/// Seconds since 1970-01-01 00:00:00.
pub type Seconds = i64;

const DAY: i64 = 86_400;

/// Reads `2016-07-01 00:00:00`, `2016-07-01T00:00`, `1990/1/2 0:00`, `2016-07-01` or `2016-07`; a `Z` and fractions of
/// a second are dropped. `None` where the text is none of these, or no such day exists.
pub fn parse(text: &str) -> Option<Seconds> {
    let text = text.trim();
    let (day, time) = match text.split_once([' ', 'T']) {
        Some((day, time)) => (day, time.trim().trim_end_matches('Z')),
        None => (text, ""),
    };
    let numbers = |text: &str, marks: &[char]| -> Option<Vec<i64>> {
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit()) && part.len() <= 4;
        text.split(marks)
            .map(|part| digits(part).then(|| part.parse().ok())?)
            .collect()
    };
    if day.find(['-', '/']) != Some(4) {
        return None;
    }
    let (year, month, day) = match numbers(day, &['-', '/'])?[..] {
        [year, month] => (year, month, 1),
        [year, month, day] => (year, month, day),
        _ => return None,
    };
    let time = time.split('.').next().unwrap_or_default();
    let (hour, minute, second) = match time {
        "" => (0, 0, 0),
        time => match numbers(time, &[':'])?[..] {
            [hour, minute] => (hour, minute, 0),
            [hour, minute, second] => (hour, minute, second),
            _ => return None,
        },
    };
    civil(year, month, day, hour, minute, second)
}

/// The date of these numbers; `None` where there is none.
pub fn civil(
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
) -> Option<Seconds> {
    let fits = (1..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..60).contains(&second);
    fits.then(|| days(year, month, day) * DAY + hour * 3600 + minute * 60 + second)
}

/// `2016-07-01 00:00:00`.
pub fn format(date: Seconds) -> String {
    let (year, month, day) = calendar(date.div_euclid(DAY));
    let time = date.rem_euclid(DAY);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}",
        time / 3600,
        time / 60 % 60,
        time % 60
    )
}

/// The date `count` steps after `date`; a day that a month does not have becomes its last.
pub fn after(date: Seconds, step: Step, count: usize) -> Seconds {
    let count = count as i64;
    match step {
        Step::Seconds(seconds) => date.saturating_add((seconds as i64).saturating_mul(count)),
        Step::Months(months) => {
            let (year, month, day) = calendar(date.div_euclid(DAY));
            let index = year * 12 + month - 1 + i64::from(months) * count;
            let (year, month) = (index.div_euclid(12), index.rem_euclid(12) + 1);
            let day = day.min(days_in(year, month));
            days(year, month, day) * DAY + date.rem_euclid(DAY)
        }
    }
}

/// The step from one date to a later one: whole months where day and time are the same, else seconds.
pub fn between(earlier: Seconds, later: Seconds) -> Step {
    let (from, to) = (
        calendar(earlier.div_euclid(DAY)),
        calendar(later.div_euclid(DAY)),
    );
    let months = (to.0 - from.0) * 12 + to.1 - from.1;
    if months > 0 && from.2 == to.2 && earlier.rem_euclid(DAY) == later.rem_euclid(DAY) {
        return Step::Months(u32::try_from(months).unwrap_or(u32::MAX));
    }
    Step::Seconds((later - earlier).max(0) as u64)
}

/// A step in words, as in `1 h` or `3 months`.
pub fn describe(step: Step) -> String {
    match step {
        Step::Months(1) => "1 month".into(),
        Step::Months(n) => format!("{n} months"),
        Step::Seconds(s) if s.is_multiple_of(DAY as u64) => format!("{} d", s / DAY as u64),
        Step::Seconds(s) if s.is_multiple_of(3600) => format!("{} h", s / 3600),
        Step::Seconds(s) if s.is_multiple_of(60) => format!("{} min", s / 60),
        Step::Seconds(s) => format!("{s} s"),
    }
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01, by the era of 400 years that begins in March (H. Hinnant, "chrono-compatible low-level date
/// algorithms").
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day of a day since 1970-01-01; the inverse of [`days`].
fn calendar(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        assert_eq!(parse("1970-01-01"), Some(0));
        assert_eq!(parse("2000-03-01 00:00:01"), Some(951_868_801));
        assert_eq!(parse("2024/2/29 23:59"), Some(1_709_251_140));
        assert_eq!(parse(" 1969-12-31T23:59:59.5Z "), Some(-1));
        assert_eq!(parse("1990-05"), parse("1990/5/1 0:00"));
        for wrong in [
            "",
            "NA",
            "1.5",
            "2023-02-29",
            "2016-13-01",
            "2016-00-01",
            "01/02/2016",
            "2016-1-1 24:00",
            "2016-1-1 1",
            "2016--1",
            "2016-1-1 00:00:00+02:00",
            "20160701",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_day_of_many_years_comes_back() {
        for day in -200_000..200_000 {
            let text = format(day * DAY + 5);
            assert_eq!(parse(&text), Some(day * DAY + 5), "{text}");
        }
    }

    #[test]
    fn steps() {
        let at = |text| parse(text).unwrap();
        let hour = between(at("2016-07-01"), at("2016-07-01 01:00"));
        assert_eq!(
            (hour, describe(hour).as_str()),
            (Step::Seconds(3600), "1 h")
        );
        let month = between(at("2016-01-31"), at("2016-03-31"));
        assert_eq!(
            (month, describe(month).as_str()),
            (Step::Months(2), "2 months")
        );
        assert_eq!(
            format(after(at("2015-12-31"), Step::Months(2), 1)),
            "2016-02-29 00:00:00"
        );
        assert_eq!(
            format(after(at("2016-12-31 23:00"), hour, 2)),
            "2017-01-01 01:00:00"
        );
    }
}
