//! Which columns of a table hold the dates.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::Path;

use super::date::{DateReading, are_dates, is_date, is_time, with_colons};
use super::inventory::LeftOut;
use super::malformed;
use super::missing::Absent;
use super::numbering::counts;
use super::records::Row;
use super::table::Table;
use crate::data::DataError;

/// What columns of dates are called, the likeliest first; capitals, blanks, `_` and `-` aside.
const DATES: [&str; 13] = [
    "date",
    "ts",
    "time",
    "timestamp",
    "datetime",
    "ds",
    "datum",
    "day",
    "utc",
    "unix",
    "unixtime",
    "epoch",
    "period",
];

/// What columns of times of day are called.
const TIMES: [&str; 6] = ["time", "hour", "timeofday", "zeit", "uhrzeit", "heure"];

/// The columns that hold the date of each row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DateColumns {
    /// None: the rows follow each other.
    None,
    /// One.
    One(usize),
    /// One for the day and one for the time of day.
    DayAndTime(usize, usize),
    /// One for the day, one for the hour, perhaps one for the minute.
    DayAndHour(usize, usize, Option<usize>),
    /// Year and a part of it, perhaps hour and minute.
    Parts {
        year: usize,
        part: Part,
        hour: Option<usize>,
        minute: Option<usize>,
    },
}

/// Columns beside one of years.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    MonthAndDay(usize, usize),
    Month(usize),
    Quarter(usize),
    DayOfYear(usize),
}

/// A name without capitals, blanks and dashes.
fn plain(name: &str) -> String {
    let kept = name
        .chars()
        .filter(|c| !c.is_whitespace() && !['_', '-'].contains(c));
    kept.flat_map(char::to_lowercase).collect()
}

fn named(table: &Table, names: &[&str]) -> Option<usize> {
    let of = |name: &&str| {
        table
            .header
            .iter()
            .position(|column| plain(column) == **name)
    };
    names.iter().find_map(of)
}

/// Whether a column is called as columns of dates are, or begins with that word.
pub(super) fn is_date_name(name: &str) -> bool {
    let word = name.split(|c: char| !c.is_alphanumeric()).next();
    let known = |name: &str| {
        let name = plain(name);
        name == "year" || DATES.contains(&name.as_str()) || TIMES.contains(&name.as_str())
    };
    known(name) || word.is_some_and(known)
}

/// A name on one line.
pub(super) fn one_line(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a column is called in messages.
pub(super) fn called(table: &Table, column: usize) -> String {
    match &table.header[column] {
        name if name.is_empty() => format!("column {}", column + 1),
        name => format!("column `{}`", one_line(name)),
    }
}

impl DateColumns {
    /// Finds them by their names or by what the rows hold.
    pub(super) fn find(
        path: &Path,
        table: &Table,
        absent: &Absent<'_>,
        reading: DateReading,
    ) -> Result<Self, DataError> {
        if reading == DateReading::None {
            return Ok(Self::None);
        }
        let is_filled = |cell: &&str| !absent.is(cell);
        let first = |column: usize| table.cells(column).find(is_filled).unwrap_or_default();
        let by_name = named(table, &DATES).filter(|&column| !is_time(first(column)));
        let asked = matches!(
            reading,
            DateReading::Seconds | DateReading::Milliseconds | DateReading::Excel
        );
        let is_sure =
            |&column: &usize| is_date(first(column)) || asked || are_dates(table.cells(column));
        let by_content = || (0..table.header.len()).find(|&column| is_date(first(column)));
        if let Some(day) = by_name.filter(is_sure).or_else(by_content) {
            return Ok(Self::with_time(table, day, first(day)));
        }
        if let Some(parts) = Self::parts(table) {
            return Ok(parts);
        }
        if let Some(day) = by_name {
            return Ok(Self::with_time(table, day, first(day)));
        }
        // Numbers that can only be dates, before all others.
        let column = (0..table.header.len()).find(|&column| !counts(table.cells(column)));
        if let Some(column) =
            column.filter(|&column| are_dates(table.cells(column)) && grows(table, column))
        {
            return Ok(Self::One(column));
        }
        if let Some(time) = (0..table.header.len()).find(|&column| is_time(first(column))) {
            let name = called(table, time);
            return Err(malformed(
                path,
                format!(
                    "{name} has times without a day; add a column `date` with days as 2016-07-01"
                ),
            ));
        }
        if table
            .header
            .iter()
            .skip(1)
            .filter(|name| is_date(name) || is_year(name))
            .count()
            > 2
        {
            return Err(malformed(
                path,
                "its columns are called by dates, so that each row is a series; transpose it: a row for each date, a \
                 column for each series",
            ));
        }
        let numbered = match has_numbered_names(table) {
            true => {
                "; if each row is a series, as the numbers in the names of the columns suggest, transpose it: a row \
                     for each date, a column for each series"
            }
            false => "",
        };
        Err(malformed(
            path,
            format!(
                "it has no column of dates; call one `date` and write dates as 2016-07-01 00:00:00, or take the rows \
                 as evenly spaced with `--set series.dates=none`{numbered}"
            ),
        ))
    }

    /// `day` with the column of the time of day beside it, if there is one.
    fn with_time(table: &Table, day: usize, first: &str) -> Self {
        if first.contains(':') {
            return Self::One(day);
        }
        let repeats = || {
            let mut seen = HashSet::new();
            !table.cells(day).all(|cell| seen.insert(cell))
        };
        let others = || (0..table.header.len()).filter(move |&column| column != day);
        let known = |column: &usize| TIMES.contains(&plain(&table.header[*column]).as_str());
        let times = |column: &usize| table.cells(*column).all(is_time);
        let pointed = |column: &usize| table.cells(*column).all(|cell| with_colons(cell).is_some());
        let time = others()
            .filter(known)
            .find(|column| times(column) || pointed(column));
        if let Some(time) = time.or_else(|| others().find(times).filter(|_| repeats())) {
            return Self::DayAndTime(day, time);
        }
        let hour = named(table, &["hour", "hr", "std", "time"])
            .filter(|&column| column != day && whole_numbers(table, column, 0..=24) && repeats());
        match hour {
            Some(hour) => Self::DayAndHour(day, hour, named(table, &["minute", "min"])),
            None => Self::One(day),
        }
    }

    fn parts(table: &Table) -> Option<Self> {
        let year = named(table, &["year"]).filter(|&c| whole_numbers(table, c, 1..=9999))?;
        let month = named(table, &["month", "mo", "mnth"]);
        let day = named(table, &["day", "dy"]);
        let part = match (month, day) {
            (Some(month), Some(day)) => Part::MonthAndDay(month, day),
            (Some(month), None) => Part::Month(month),
            (None, _) => match named(table, &["doy", "dayofyear"]) {
                Some(day) => Part::DayOfYear(day),
                None => match named(table, &["quarter", "qtr"]) {
                    Some(quarter) => Part::Quarter(quarter),
                    None => return Some(Self::One(year)),
                },
            },
        };
        let has_days = !matches!(part, Part::Month(_) | Part::Quarter(_));
        let hour = named(table, &["hour", "hr"]).filter(|_| has_days);
        let minute = named(table, &["minute", "min"]).filter(|_| hour.is_some());
        Some(Self::Parts {
            year,
            part,
            hour,
            minute,
        })
    }

    /// The columns, in the order of the date's parts.
    pub(super) fn all(&self) -> Vec<usize> {
        match *self {
            Self::None => Vec::new(),
            Self::One(column) => vec![column],
            Self::DayAndTime(day, time) => vec![day, time],
            Self::DayAndHour(day, hour, minute) => [day, hour].into_iter().chain(minute).collect(),
            Self::Parts {
                year,
                part,
                hour,
                minute,
            } => {
                let part = match part {
                    Part::MonthAndDay(month, day) => vec![month, day],
                    Part::Month(one) | Part::Quarter(one) | Part::DayOfYear(one) => vec![one],
                };
                [year]
                    .into_iter()
                    .chain(part)
                    .chain(hour)
                    .chain(minute)
                    .collect()
            }
        }
    }

    /// The date of a row as one text.
    pub(super) fn text<'a>(&self, row: &'a Row) -> Cow<'a, str> {
        let whole = |column: usize| row.cell(column).trim_end_matches(".0");
        let clock = |hour: Option<usize>, minute: Option<usize>| match hour {
            Some(hour) => format!(" {}:{:0>2}", whole(hour), minute.map_or("00", whole)),
            None => String::new(),
        };
        match *self {
            Self::None => Cow::Borrowed(""),
            Self::One(column) => Cow::Borrowed(row.cell(column)),
            Self::DayAndTime(day, time) => {
                let (day, time) = (row.cell(day), row.cell(time));
                let colons = with_colons(time);
                format!("{day} {}", colons.as_deref().unwrap_or(time)).into()
            }
            Self::DayAndHour(day, hour, minute) => {
                format!("{}{}", row.cell(day), clock(Some(hour), minute)).into()
            }
            Self::Parts {
                year,
                part,
                hour,
                minute,
            } => {
                let year = format!("{:0>4}", whole(year));
                let day = match part {
                    Part::MonthAndDay(month, day) => {
                        format!("{year}-{}-{}", whole(month), whole(day))
                    }
                    Part::Month(month) => format!("{year}-{}", whole(month)),
                    Part::Quarter(quarter) => {
                        format!("{year}Q{}", whole(quarter).trim_start_matches(['Q', 'q']))
                    }
                    Part::DayOfYear(day) => format!("{year}-{:0>3}", whole(day)),
                };
                format!("{day}{}", clock(hour, minute)).into()
            }
        }
    }
}

/// Whether most columns are called by one word with numbers behind it that count, as `V2`, `V3` or `d_1`, `d_2`.
fn has_numbered_names(table: &Table) -> bool {
    let parted = |name: &String| {
        let word = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let number = name[word.len()..].parse::<usize>().ok()?;
        Some((word.to_string(), number))
    };
    let parts: Vec<Option<(String, usize)>> = table.header.iter().map(parted).collect();
    let follows = |pair: &[Option<(String, usize)>]| match pair {
        [Some((a, first)), Some((b, second))] => a == b && first.checked_add(1) == Some(*second),
        _ => false,
    };
    let count = parts.windows(2).filter(|pair| follows(pair)).count();
    table.named && count > 10 && 2 * count > table.header.len()
}

/// Whether a text can be a year.
fn is_year(text: &str) -> bool {
    text.parse()
        .is_ok_and(|year: u32| (1500..2200).contains(&year))
}

/// Whether all cells are whole numbers in a range.
fn whole_numbers(table: &Table, column: usize, range: std::ops::RangeInclusive<i64>) -> bool {
    let number = |cell: &str| cell.trim_end_matches(".0").parse().ok();
    table
        .cells(column)
        .all(|cell| number(cell).is_some_and(|n| range.contains(&n)))
}

/// Whether the numbers of a column only grow, or only fall, or come more than once as in a file of many series.
fn grows(table: &Table, column: usize) -> bool {
    let numbers: Vec<f64> = table
        .cells(column)
        .filter_map(|cell| cell.parse().ok())
        .collect();
    let all = |holds: fn(f64, f64) -> bool| numbers.windows(2).all(|pair| holds(pair[0], pair[1]));
    all(|a, b| a <= b) || all(|a, b| a >= b)
}

/// The columns that hold dates or are called so, of a table whose dates are not read.
pub(super) fn unread_dates(table: &Table, absent: &Absent<'_>) -> Vec<(usize, LeftOut)> {
    let is_date_column = |&column: &usize| {
        let first = table
            .cells(column)
            .find(|cell| !absent.is(cell))
            .unwrap_or_default();
        is_date(first) || is_time(first) || named(table, &DATES) == Some(column)
    };
    let columns = (0..table.header.len()).filter(is_date_column);
    let out = |column| LeftOut::new(called(table, column), "dates are not read");
    columns.map(|column| (column, out(column))).collect()
}
