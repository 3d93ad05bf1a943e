//! A day, a month, a quarter, a week or a year as text.

use jiff::Span;
use jiff::civil::{Date, ISOWeekDate, Weekday};

use super::time::number;

/// A day as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Day {
    /// It can be read in one way.
    Known(Date),
    /// The day of every order of [`Order::ALL`](super::cell::Order::ALL), where there is such a day.
    Either([Option<Date>; 3]),
}

/// A day without the name of its weekday before it.
pub(super) fn without_weekday(text: &str) -> &str {
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

/// Reads a day, or the first one of a month, a quarter or a week; `None` where the text is none of these.
pub(super) fn parse_day(text: &str) -> Option<Day> {
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
