//! One date as text.

use jiff::Span;
use jiff::civil::{Date, DateTime, ISOWeekDate, Time, Weekday};
use jiff::tz::Offset;

/// Which number of a date such as `01/02/2024` is the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Order {
    /// Day, month, year.
    Dmy,
    /// Month, day, year.
    Mdy,
    /// Year of two digits, month, day.
    Ymd,
}

impl Order {
    /// All of them; the place of an order here is its place in [`Day::Either`].
    pub(in super::super) const ALL: [Self; 3] = [Self::Dmy, Self::Mdy, Self::Ymd];

    /// As the user writes it in `series.dates`.
    pub(in super::super) fn option(self) -> &'static str {
        match self {
            Self::Dmy => "dmy",
            Self::Mdy => "mdy",
            Self::Ymd => "ymd",
        }
    }

    /// In words.
    pub(in super::super) fn words(self) -> &'static str {
        match self {
            Self::Dmy => "day, month, year",
            Self::Mdy => "month, day, year",
            Self::Ymd => "year, month, day",
        }
    }
}

/// A day as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Day {
    /// It can be read in one way.
    Known(Date),
    /// The day of every order of [`Order::ALL`], where there is such a day.
    Either([Option<Date>; 3]),
}

/// What a text says of its zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zone<'a> {
    /// The clock is ahead of UTC by so much.
    Offset(Offset),
    /// A name, as in `Europe/Berlin`.
    Name(&'a str),
}

/// A date as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell<'a> {
    pub(super) day: Day,
    time: Time,
    /// `24:00`: the beginning of the next day.
    next_day: bool,
    pub(super) zone: Option<Zone<'a>>,
}

impl<'a> Cell<'a> {
    /// Reads a date with or without a time and a zone: `2016-07-01 00:00:00.5+02:00`, `1990/1/2 0:00`, `01.02.2024`,
    /// `1/2/24 3:15 PM`, `1 Feb 2024`, `Mon, 1 Feb 2024 00:00:00 GMT`, `2016-07`, `2016Q3`, `2016-W05`, `2016-183`,
    /// `20160701T0000`; of two with ` - ` between them the first. `None` where the text is none of these, or no such day exists. A text that could be a plain number is none.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let text = match text.split_once(" - ") {
            Some((_, to)) if to.contains(" - ") => return None,
            Some((from, to)) => Self::parse(to).map(|_| from)?.trim(),
            None => text.trim(),
        };
        let (text, place) = match text.strip_suffix(']').and_then(|t| t.split_once('[')) {
            Some((text, place)) => (text.trim_end(), Some(place)),
            None => (text, None),
        };
        let (day, clock) = split(text)?;
        let clock = match clock {
            Some(clock) => Clock::parse(clock)?,
            None => Clock::default(),
        };
        let named = clock.zone.filter(|zone| matches!(zone, Zone::Offset(_)));
        Some(Self {
            day: parse_day(without_weekday(day.trim()))?,
            time: clock.time,
            next_day: clock.next_day,
            zone: named.or(place.map(Zone::Name)).or(clock.zone),
        })
    }

    /// What the clock shows, where the date is read in this order.
    pub(super) fn at(&self, order: Order) -> Option<DateTime> {
        let day = match self.day {
            Day::Known(day) => Some(day),
            Day::Either(days) => days[order as usize],
        }?;
        let day = if self.next_day {
            day.tomorrow().ok()?
        } else {
            day
        };
        Some(day.to_datetime(self.time))
    }
}

/// The text of the day, and that of the time with its zone.
fn split(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(colon) = text.find(':') {
        let start = text[..colon]
            .trim_end_matches(|c: char| c.is_ascii_digit())
            .len();
        let day = text[..start].trim_end_matches([' ', ',', '_']);
        let day = day.strip_suffix(['T', 't']).unwrap_or(day);
        return (day.len() < start).then_some((day, Some(&text[start..])));
    }
    // `20160701T0000Z`, `2016-07-01T05`
    let compact = text.split_once('T').filter(|(day, time)| {
        day.ends_with(|c: char| c.is_ascii_digit())
            && time.starts_with(|c: char| c.is_ascii_digit())
    });
    match compact {
        Some((day, time)) => Some((day, Some(time))),
        None => Some((text, None)),
    }
}

/// A time of day.
#[derive(Debug, Clone, Copy, Default)]
struct Clock<'a> {
    time: Time,
    next_day: bool,
    zone: Option<Zone<'a>>,
}

impl<'a> Clock<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (hour, rest) = number(text, 2)?;
        let (minute, second, fraction, rest) = if let Some(rest) = rest.strip_prefix(':') {
            let (minute, rest) = number(rest, 2)?;
            match rest.strip_prefix(':') {
                Some(rest) => {
                    let (second, rest) = number(rest, 2)?;
                    let (fraction, rest) = fraction(rest)?;
                    (minute, second, fraction, rest)
                }
                None => (minute, 0, 0, rest),
            }
        } else {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (digits, rest) = rest.split_at(digits);
            match digits.len() {
                0 => (0, 0, 0, rest),
                2 => (digits.parse().ok()?, 0, 0, rest),
                4 => (
                    digits[..2].parse().ok()?,
                    digits[2..].parse().ok()?,
                    0,
                    rest,
                ),
                _ => return None,
            }
        };
        let (half, rest) = half(rest.trim_start());
        let (hour, next_day) = match (hour, half) {
            (12, Some(Half::Am)) => (0, false),
            (1..=11, Some(Half::Pm)) => (hour + 12, false),
            (1..=12, Some(_)) => (hour, false),
            (_, Some(_)) => return None,
            (24, None) if (minute, second, fraction) == (0, 0, 0) => (0, true),
            (_, None) => (hour, false),
        };
        let small = |n: u32| i8::try_from(n).ok();
        let time = Time::new(
            small(hour)?,
            small(minute)?,
            small(second)?,
            fraction as i32,
        );
        Some(Self {
            time: time.ok()?,
            next_day,
            zone: zone(rest.trim())?,
        })
    }
}

/// Whether a text is a time of day and nothing else, as in `17:30` or `5:30 PM`.
pub(super) fn is_time(text: &str) -> bool {
    text.contains(':') && Clock::parse(text.trim()).is_some()
}

/// `18.00.00` as `18:00:00`, where a text is such a time of day; it may be a date as well.
pub(super) fn with_colons(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.trim().split('.').collect();
    let short =
        |part: &&str| (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    let time = (parts.len() == 3 && parts.iter().all(short)).then(|| parts.join(":"))?;
    is_time(&time).then_some(time)
}

#[derive(Debug, Clone, Copy)]
enum Half {
    Am,
    Pm,
}

/// `AM`, `p.m.` and the like at the beginning of a text, and the rest of it.
fn half(text: &str) -> (Option<Half>, &str) {
    for (mark, half) in [
        ("a.m.", Half::Am),
        ("p.m.", Half::Pm),
        ("am", Half::Am),
        ("pm", Half::Pm),
    ] {
        let start = text.get(..mark.len());
        if start.is_some_and(|start| start.eq_ignore_ascii_case(mark)) {
            return (Some(half), &text[mark.len()..]);
        }
    }
    (None, text)
}

/// A number of at most `most` digits at the beginning of a text, and the rest of it.
fn number(text: &str, most: usize) -> Option<(u32, &str)> {
    let digits = text
        .bytes()
        .take(most)
        .take_while(u8::is_ascii_digit)
        .count();
    let (digits, rest) = text.split_at(digits);
    Some((digits.parse().ok()?, rest))
}

/// Nanoseconds of `.5` or `,123456789` at the beginning of a text, if it is there, and the rest of it.
fn fraction(text: &str) -> Option<(u32, &str)> {
    let Some(digits) = text.strip_prefix(['.', ',']) else {
        return Some((0, text));
    };
    let (value, rest) = number(digits, 9)?;
    let count = digits.len() - rest.len();
    // Digits beyond the ninth would be lost.
    let rest = rest.trim_start_matches('0');
    let whole = !rest.starts_with(|c: char| c.is_ascii_digit());
    whole.then_some((value * 10u32.pow(9 - count as u32), rest))
}

/// The zone that a text is, or none where it is empty; `None` where it is something else.
#[allow(clippy::option_option)]
fn zone(text: &str) -> Option<Option<Zone<'_>>> {
    if text.is_empty() {
        return Some(None);
    }
    let hours = |hours| Offset::from_hours(hours).ok();
    let known = match text {
        "Z" | "z" | "UTC" | "GMT" | "UT" | "WET" => hours(0),
        "WEST" | "CET" => hours(1),
        "CEST" | "EET" => hours(2),
        "EEST" => hours(3),
        "EDT" => hours(-4),
        "EST" => hours(-5),
        "MDT" => hours(-6),
        "MST" | "PDT" => hours(-7),
        "PST" => hours(-8),
        _ => None,
    };
    if let Some(offset) = known {
        return Some(Some(Zone::Offset(offset)));
    }
    let signed = text
        .strip_prefix("UTC")
        .or(text.strip_prefix("GMT"))
        .unwrap_or(text);
    let negative = signed.starts_with(['-', '\u{2212}']);
    if let Some(digits) = signed.strip_prefix(['+', '-', '\u{2212}']) {
        let (hours, rest) = number(digits, 2)?;
        let (minutes, rest) = match rest.strip_prefix(':').unwrap_or(rest) {
            "" => (0, ""),
            rest => number(rest, 2)?,
        };
        if !rest.is_empty() || minutes > 59 {
            return None;
        }
        let seconds = (hours * 3600 + minutes * 60) as i32;
        let offset = Offset::from_seconds(if negative { -seconds } else { seconds });
        return Some(Some(Zone::Offset(offset.ok()?)));
    }
    let of_name = |c: char| c.is_ascii_alphanumeric() || "/_+-".contains(c);
    let name = text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(of_name);
    name.then_some(Some(Zone::Name(text)))
}

/// A day without the name of its weekday before it.
fn without_weekday(text: &str) -> &str {
    const NAMES: [&str; 7] = [
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
    ];
    let letters = text.len()
        - text
            .trim_start_matches(|c: char| c.is_ascii_alphabetic())
            .len();
    let (word, rest) = text.split_at(letters);
    let word = word.to_ascii_lowercase();
    match NAMES
        .iter()
        .any(|name| word.len() >= 3 && name.starts_with(&word))
    {
        true => rest.trim_start_matches(['.', ',', ' ']),
        false => text,
    }
}

/// The month of a name that is written out or cut to three letters or more.
fn month(word: &str) -> Option<i8> {
    const NAMES: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let word = word.to_ascii_lowercase();
    let found = NAMES
        .iter()
        .position(|name| word.len() >= 3 && name.starts_with(&word));
    Some(found? as i8 + 1)
}

/// A part of a day: digits or letters.
#[derive(Debug, Clone, Copy)]
enum Part<'a> {
    Digits(&'a str),
    Word(&'a str),
}

/// The parts of a day and the marks between them, at most three; a blank or nothing where there is no other mark.
fn parts(text: &str) -> Option<(Vec<Part<'_>>, Vec<char>)> {
    let (mut parts, mut marks) = (Vec::new(), Vec::new());
    let mut rest = text;
    while !rest.is_empty() {
        let length = |of: fn(&char) -> bool| rest.chars().take_while(of).count();
        let (digits, letters) = (
            length(char::is_ascii_digit),
            length(char::is_ascii_alphabetic),
        );
        if parts.len() == 3 || digits + letters == 0 {
            return None;
        }
        let (part, after) = rest.split_at(digits + letters);
        parts.push(if digits > 0 {
            Part::Digits(part)
        } else {
            Part::Word(part)
        });
        rest = after.trim_start();
        let mark = rest.chars().next().filter(|c| "-/.,".contains(*c));
        if let Some(mark) = mark {
            rest = rest[mark.len_utf8()..].trim_start();
        }
        if !rest.is_empty() {
            marks.push(mark.unwrap_or(' '));
        } else if mark.is_some() {
            return None;
        }
    }
    Some((parts, marks))
}

fn parse_day(text: &str) -> Option<Day> {
    use Part::{Digits, Word};
    if let Some(day) = period(text) {
        return Some(Day::Known(day));
    }
    let (parts, marks) = parts(text)?;
    let small = |digits: &str| -> Option<i8> { (digits.len() <= 2).then(|| digits.parse().ok())? };
    let year = |digits: &str| -> Option<i16> {
        let year = digits.parse().ok()?;
        match digits.len() {
            4 => (year > 0).then_some(year),
            // As POSIX has it.
            2 => Some(if year < 69 { 2000 + year } else { 1900 + year }),
            _ => None,
        }
    };
    let date = |y: i16, m: i8, d: i8| Date::new(y, m, d).ok();
    let known = |day: Option<Date>| day.map(Day::Known);
    let same = marks.windows(2).all(|pair| pair[0] == pair[1]);
    match (&parts[..], &marks[..]) {
        ([Digits(ymd)], []) if ymd.len() == 8 => known(date(
            ymd[..4].parse().ok()?,
            ymd[4..6].parse().ok()?,
            ymd[6..].parse().ok()?,
        )),
        ([Digits(y), Digits(day)], ['-']) if y.len() == 4 && day.len() == 3 => {
            let first = date(year(y)?, 1, 1)?;
            let day: i16 = day
                .parse()
                .ok()
                .filter(|day| (1..=first.days_in_year()).contains(day))?;
            known(first.checked_add(Span::new().days(day - 1)).ok())
        }
        // `2016.07` is a number.
        ([Digits(y), Digits(m)], ['-' | '/']) if y.len() == 4 => {
            known(date(year(y)?, small(m)?, 1))
        }
        ([Digits(m), Digits(y)], ['-' | '/']) if y.len() == 4 => {
            known(date(year(y)?, small(m)?, 1))
        }
        ([Digits(y), Digits(m), Digits(d)], ['-' | '/' | '.', _]) if y.len() == 4 && same => {
            known(date(year(y)?, small(m)?, small(d)?))
        }
        ([Digits(a), Digits(b), Digits(c)], [mark @ ('-' | '/' | '.'), _]) if same => {
            let (first, second, last) = (small(a)?, small(b)?, year(c)?);
            // Nobody puts points between the numbers and the month first.
            let points = *mark == '.';
            let short = c.len() == 2 && a.len() == 2 && !points;
            let days = [
                date(last, second, first),
                date(last, first, second).filter(|_| !points),
                short.then(|| date(year(a)?, second, small(c)?)).flatten(),
            ];
            days.iter()
                .any(Option::is_some)
                .then_some(Day::Either(days))
        }
        ([Digits(d), Word(m), Digits(y)], _) if y.len() != 1 && d.len() <= 2 => {
            known(date(year(y)?, month(m)?, small(d)?))
        }
        ([Digits(y), Word(m), Digits(d)], _) if y.len() == 4 => {
            known(date(year(y)?, month(m)?, small(d)?))
        }
        ([Word(m), Digits(d), Digits(y)], _) if y.len() == 4 && month(m).is_some() => {
            known(date(year(y)?, month(m)?, small(d)?))
        }
        ([Word(m), Digits(y)], [mark]) if month(m).is_some() => {
            let whole = y.len() == 4 || y.len() == 2 && *mark == '-';
            known(whole.then(|| date(year(y)?, month(m)?, 1)).flatten())
        }
        ([Digits(y), Word(m)], [_]) if y.len() == 4 && month(m).is_some() => {
            known(date(year(y)?, month(m)?, 1))
        }
        _ => None,
    }
}

/// The first day of `2016Q3`, `Q3 2016`, `2016M07`, `2016-W05`, or the day `2016-W05-1`.
fn period(text: &str) -> Option<Date> {
    let text = text.to_ascii_uppercase();
    let at = text.find(['Q', 'M', 'W'])?;
    let (before, after) = (text[..at].trim_end_matches(['-', ' ']), &text[at + 1..]);
    let (count, rest) = number(after, 2)?;
    let rest = rest.trim_start_matches(['-', ' ']);
    let (year, day) = if before.is_empty() {
        (rest, "")
    } else {
        (before, rest)
    };
    let (year, none) = (year.len() == 4).then(|| number(year, 4))??;
    if !none.is_empty() {
        return None;
    }
    let (year, count) = (i16::try_from(year).ok()?, i8::try_from(count).ok()?);
    match text.as_bytes()[at] {
        b'W' => {
            let weekday = if day.is_empty() { 1 } else { day.parse().ok()? };
            let weekday = Weekday::from_monday_one_offset(weekday).ok()?;
            Some(ISOWeekDate::new(year, count, weekday).ok()?.date())
        }
        _ if !day.is_empty() => None,
        b'Q' => (1..=4)
            .contains(&count)
            .then(|| Date::new(year, 3 * count - 2, 1).ok())?,
        _ => Date::new(year, count, 1).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, order: Order) -> Option<String> {
        let cell = Cell::parse(text)?;
        Some(cell.at(order)?.to_string())
    }

    #[test]
    fn dates_as_they_are_written() {
        for (text, expected) in [
            ("1970-01-01", "1970-01-01T00:00:00"),
            ("2000-03-01 00:00:01", "2000-03-01T00:00:01"),
            ("2024/2/29 23:59", "2024-02-29T23:59:00"),
            (" 1969-12-31T23:59:59.5Z ", "1969-12-31T23:59:59.5"),
            ("1990-05", "1990-05-01T00:00:00"),
            ("1990/5/1 0:00", "1990-05-01T00:00:00"),
            ("2024-01-01 00:00:00+00:00", "2024-01-01T00:00:00"),
            ("2024-01-01T00:00:00,25", "2024-01-01T00:00:00.25"),
            ("2024-01-01 24:00", "2024-01-02T00:00:00"),
            ("01.02.2024", "2024-02-01T00:00:00"),
            ("1.2.24 5:00", "2024-02-01T05:00:00"),
            ("1/2/2024 12:30 AM", "2024-02-01T00:30:00"),
            ("1/2/2024 12:30:15 p.m.", "2024-02-01T12:30:15"),
            ("1/2/99 1:00PM", "1999-02-01T13:00:00"),
            ("20160701T0530Z", "2016-07-01T05:30:00"),
            ("20160701 05:30", "2016-07-01T05:30:00"),
            ("2016-07-01T05", "2016-07-01T05:00:00"),
            ("1 Feb 2024", "2024-02-01T00:00:00"),
            ("01-Feb-24", "2024-02-01T00:00:00"),
            ("Feb 1, 2024", "2024-02-01T00:00:00"),
            ("February 2024", "2024-02-01T00:00:00"),
            ("Feb-24", "2024-02-01T00:00:00"),
            ("Thu, 01 Feb 2024 05:00:00 GMT", "2024-02-01T05:00:00"),
            ("Thursday 1 February 2024", "2024-02-01T00:00:00"),
            ("2024-Feb-01", "2024-02-01T00:00:00"),
            ("02/2024", "2024-02-01T00:00:00"),
            ("2024-032", "2024-02-01T00:00:00"),
            ("01.02.2024 00:00 - 01.02.2024 01:00", "2024-02-01T00:00:00"),
            ("2024Q2", "2024-04-01T00:00:00"),
            ("2024-Q2", "2024-04-01T00:00:00"),
            ("Q2 2024", "2024-04-01T00:00:00"),
            ("2024M02", "2024-02-01T00:00:00"),
            ("2024-W05", "2024-01-29T00:00:00"),
            ("2024W05", "2024-01-29T00:00:00"),
            ("2024-W05-3", "2024-01-31T00:00:00"),
        ] {
            assert_eq!(at(text, Order::Dmy).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(at("1/2/2024", Order::Mdy).unwrap(), "2024-01-02T00:00:00");
        assert_eq!(at("24/01/02", Order::Ymd).unwrap(), "2024-01-02T00:00:00");
        assert_eq!(at("13/1/2024", Order::Mdy), None);
        assert_eq!(at("1.2.2024", Order::Mdy), None);
    }

    #[test]
    fn what_is_no_date() {
        for wrong in [
            "",
            "NA",
            "1.5",
            "2023-02-29",
            "2016-13-01",
            "2016-00-01",
            "2016-1-1 24:01",
            "2016-1-1 1",
            "2016--1",
            "2016-1-1 13:00 PM",
            "2016-1-1 0:00 AM",
            "2016-1-1 00:00:00+02:00:00",
            "2016.07",
            "12.2024",
            "12:30",
            "1/2/3",
            "31/31/2024",
            "yesterday",
            "2024Q5",
            "2024-W54",
            "May",
            "Mayor 1, 2024",
            "1-2.2024",
            "2024-01-01T00:00:00.0000000001",
            "2024-01-01 - 2024-01-02 - 2024-01-03",
        ] {
            assert_eq!(Cell::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn zones() {
        let zone = |text| Cell::parse(text).unwrap().zone;
        let offset = |seconds| Some(Zone::Offset(Offset::from_seconds(seconds).unwrap()));
        assert_eq!(zone("2024-01-01 00:00"), None);
        for (text, seconds) in [
            ("2024-01-01 00:00Z", 0),
            ("2024-01-01 00:00 UTC", 0),
            ("2024-01-01 00:00:00.5+05:30", 19_800),
            ("2024-01-01T00:00-0330", -12_600),
            ("2024-01-01 00:00 +01", 3600),
            ("2024-01-01 00:00 GMT+2", 7200),
            ("2024-01-01 1:00 PM CEST", 7200),
            ("2024-01-01T00:00+01:00[Europe/Berlin]", 3600),
        ] {
            assert_eq!(zone(text), offset(seconds), "{text}");
        }
        for text in [
            "2024-01-01 00:00[Europe/Berlin]",
            "2024-01-01 00:00 Europe/Berlin",
        ] {
            assert_eq!(zone(text), Some(Zone::Name("Europe/Berlin")), "{text}");
        }
    }
}
