//! Dates that are written as plain numbers.

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, date};

use super::DateReading;

/// What the numbers of a column stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// `2016`
    Year,
    /// `201607`, `20160701`, `201607010530` or `20160701053000`: so many digits.
    Digits(usize),
    /// Since 1970, so many a second.
    Epoch(i64),
    /// Days since the end of 1899.
    Excel,
}

impl Meaning {
    /// What all numbers of a column can stand for together, or what `reading` says; `None` where they are no dates.
    pub(super) fn of<'a>(
        texts: impl Iterator<Item = &'a str> + Clone,
        reading: DateReading,
    ) -> Option<Self> {
        texts.clone().next()?;
        let asked = match reading {
            DateReading::Seconds => Some(Self::Epoch(1)),
            DateReading::Milliseconds => Some(Self::Epoch(1000)),
            DateReading::Excel => Some(Self::Excel),
            _ => None,
        };
        let fits = |meaning: &Self| texts.clone().all(|text| meaning.at(text).is_some());
        if let Some(asked) = asked {
            return Some(asked).filter(fits);
        }
        // The likely ones only: a number of seconds before 1973 may be anything.
        let likely = |meaning: &Self| match meaning {
            Self::Year => texts
                .clone()
                .all(|text| ("1000".."3000").contains(&whole(text))),
            Self::Epoch(a_second) => texts.clone().all(|text| {
                let seconds = text.parse().unwrap_or(0.0) / *a_second as f64;
                (1e8..1e11).contains(&seconds)
            }),
            // `240101` and `240201` are two days of 2024, not two months of January.
            Self::Digits(6) => {
                let part = |text: &'a str, from: usize, to: usize| whole(text).get(from..to);
                let near = |text| {
                    let year = part(text, 0, 4).and_then(|year| year.parse().ok());
                    year.is_some_and(|year: u16| (1850..=2150).contains(&year))
                };
                let month = texts.clone().next().and_then(|text| part(text, 4, 6));
                let months = texts.clone().any(|text| part(text, 4, 6) != month);
                let is_day = |text| digits(&format!("20{}", whole(text)), 8).is_some();
                texts.clone().any(near) && months || !texts.clone().all(is_day)
            }
            Self::Digits(_) | Self::Excel => true,
        };
        [14, 12, 8, 6]
            .map(Self::Digits)
            .into_iter()
            .chain([Self::Year])
            .chain([1, 1_000, 1_000_000, 1_000_000_000].map(Self::Epoch))
            .find(|meaning| fits(meaning) && likely(meaning))
    }

    /// The date that a number stands for.
    pub(super) fn at(self, text: &str) -> Option<DateTime> {
        match self {
            Self::Year => year(whole(text)).map(|year| date(year, 1, 1).at(0, 0, 0, 0)),
            Self::Digits(count) => digits(whole(text), count),
            Self::Epoch(a_second) => {
                let per_unit = 1_000_000_000 / a_second;
                let nanos = scaled(text, per_unit.into())?;
                let since = SignedDuration::try_from_nanos_i128(nanos)?;
                date(1970, 1, 1).at(0, 0, 0, 0).checked_add(since).ok()
            }
            Self::Excel => {
                // A minute of a day is no short decimal: rounded to milliseconds.
                let nanos = scaled(text, 86_400_000_000_000)?;
                let millis = (nanos + 500_000).div_euclid(1_000_000);
                let since = SignedDuration::from_millis(i64::try_from(millis).ok()?);
                date(1899, 12, 30).at(0, 0, 0, 0).checked_add(since).ok()
            }
        }
    }

    /// In words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Year => "years",
            Self::Digits(6) => "YYYYMM",
            Self::Digits(8) => "YYYYMMDD",
            Self::Digits(12) => "YYYYMMDDhhmm",
            Self::Digits(_) => "YYYYMMDDhhmmss",
            Self::Epoch(1) => "seconds since 1970",
            Self::Epoch(1_000) => "milliseconds since 1970",
            Self::Epoch(1_000_000) => "microseconds since 1970",
            Self::Epoch(_) => "nanoseconds since 1970",
            Self::Excel => "days of a spreadsheet",
        }
    }
}

/// Whether a text is a number that can stand for a date: digits, with a sign and decimals at most.
pub(super) fn is_plain(text: &str) -> bool {
    scaled(text, 1).is_some()
}

/// A number without decimals that are 0.
fn whole(text: &str) -> &str {
    match text.split_once('.') {
        Some((whole, zeros)) if zeros.bytes().all(|b| b == b'0') => whole,
        _ => text,
    }
}

fn year(text: &str) -> Option<i16> {
    let digits = text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok())?.filter(|&year| year > 0)
}

fn digits(text: &str, count: usize) -> Option<DateTime> {
    if text.len() != count || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize| -> Option<i8> {
        text.get(from..from + 2)
            .map_or(Some(0), |part| part.parse().ok())
    };
    let day = if count > 6 { part(6)? } else { 1 };
    let year = year(&text[..4]).filter(|year| (1000..3000).contains(year))?;
    let date = Date::new(year, part(4)?, day).ok()?;
    let (hour, minute, second) = (part(8)?, part(10)?, part(12)?);
    let time = jiff::civil::Time::new(hour, minute, second, 0).ok()?;
    Some(date.to_datetime(time))
}

/// A decimal number times `by`, what is below 1 cut off.
fn scaled(text: &str, by: i128) -> Option<i128> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(decimals) || whole.len() > 19 {
        return None;
    }
    let decimals = &decimals[..decimals.len().min(15)];
    let part = decimals.parse::<i128>().unwrap_or(0) * by / 10i128.pow(decimals.len() as u32);
    let value = whole.parse::<i128>().ok()? * by + part;
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(texts: &[&str], reading: DateReading) -> Option<(&'static str, String)> {
        let meaning = Meaning::of(texts.iter().copied(), reading)?;
        Some((meaning.words(), meaning.at(texts[0])?.to_string()))
    }

    #[test]
    fn numbers_stand_for_dates_where_all_of_them_can() {
        for (texts, words, first) in [
            (["1990", "1991.0"], "years", "1990-01-01T00:00:00"),
            (["201607", "201608"], "YYYYMM", "2016-07-01T00:00:00"),
            (["20160701", "20160702"], "YYYYMMDD", "2016-07-01T00:00:00"),
            (
                ["201607010530", "201607010531"],
                "YYYYMMDDhhmm",
                "2016-07-01T05:30:00",
            ),
            (
                ["20160701053001", "20160701053002"],
                "YYYYMMDDhhmmss",
                "2016-07-01T05:30:01",
            ),
            (
                ["1704067200", "1704070800"],
                "seconds since 1970",
                "2024-01-01T00:00:00",
            ),
            (
                ["1704067200.25", "1704067200.5"],
                "seconds since 1970",
                "2024-01-01T00:00:00.25",
            ),
            (
                ["1704067200000", "1704067200100"],
                "milliseconds since 1970",
                "2024-01-01T00:00:00",
            ),
            (
                ["1704067200000000001", "1704067200000000002"],
                "nanoseconds since 1970",
                "2024-01-01T00:00:00.000000001",
            ),
        ] {
            assert_eq!(
                read(&texts, DateReading::Auto),
                Some((words, first.into())),
                "{texts:?}"
            );
        }
        for texts in [
            ["0", "1"],
            ["45292", "45293"],
            ["1.5", "2.5"],
            ["3600", "7200"],
            ["20161301", "20161302"],
            ["240101", "240201"],
            ["190101", "190201"],
            ["-5", "x"],
        ] {
            assert_eq!(read(&texts, DateReading::Auto), None, "{texts:?}");
        }
        // Of nanoseconds the first are the year 2286, of seconds beyond every calendar; the last are beyond it either way.
        let late = ["9999999999999999999", "9999999999999999998"];
        let (words, first) = read(&late, DateReading::Auto).unwrap();
        assert_eq!(words, "nanoseconds since 1970");
        assert!(first.starts_with("2286-11-20T17:46:39.99"), "{first}");
        assert_eq!(read(&late, DateReading::Seconds), None);
        let far = [
            "99999999999999999999999999999",
            "99999999999999999999999999998",
        ];
        assert_eq!(read(&far, DateReading::Auto), None);
        assert_eq!(read(&far, DateReading::Seconds), None);
        let asked = |text, reading| read(&[text], reading).unwrap().1;
        assert_eq!(asked("3600", DateReading::Seconds), "1970-01-01T01:00:00");
        assert_eq!(
            asked("-500", DateReading::Milliseconds),
            "1969-12-31T23:59:59.5"
        );
        assert_eq!(asked("45292", DateReading::Excel), "2024-01-01T00:00:00");
        assert_eq!(
            asked("45292.0416666667", DateReading::Excel),
            "2024-01-01T01:00:00"
        );
    }
}
