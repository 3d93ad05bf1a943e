//! A column of dates, read as a whole.

use std::path::Path;

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

use super::DateReading;
use super::cell::{Cell, Order};
use super::day::Day;
use super::number::{Meaning, is_plain};
use super::time::Zone;
use crate::data::DataError;
use crate::data::series::malformed;

/// How to write dates, at the end of a sentence.
const WRITE: &str = "write dates as 2016-07-01 00:00:00";

/// What else may help, where other rows have dates.
const REMOVE: &str = "remove the line if it is no row of the series";

/// The dates of all rows of a file.
#[derive(Debug)]
pub(in super::super) struct Column {
    /// What the clock shows in each row, in every order that all rows can be read in; at least one.
    pub(in super::super) readings: Vec<(Order, Vec<DateTime>)>,
    /// How far the clock of each row is ahead of UTC, where the dates say so.
    pub(in super::super) offsets: Option<Vec<Offset>>,
    /// The place whose clock it is, where the dates or the user name one.
    pub(in super::super) place: Option<TimeZone>,
    /// How they are written, where that is not year, month, day.
    pub(in super::super) written: Option<&'static str>,
}

impl Column {
    /// Reads the dates `texts` of the lines `lines` as `reading` says; `place` is the time zone of those that name none.
    pub(in super::super) fn read(
        path: &Path,
        lines: &[u64],
        texts: &[&str],
        reading: DateReading,
        place: &str,
    ) -> Result<Self, DataError> {
        let place = named(path, place)?;
        if let Some(at) = texts.iter().position(|text| text.trim().is_empty()) {
            let line = lines[at];
            let problem = format!("line {line} has no date; {WRITE}, or {REMOVE}");
            return Err(malformed(path, problem));
        }
        if texts.iter().all(|text| is_plain(text)) {
            return Self::of_numbers(path, lines, texts, reading, place);
        }
        let mut cells = Vec::with_capacity(texts.len());
        for (text, line) in texts.iter().zip(lines) {
            let Some(cell) = Cell::parse(text) else {
                return Err(malformed(path, no_date(lines, texts, *line, text)));
            };
            cells.push(cell);
        }
        if let Some(at) = lone_months(texts) {
            return Err(malformed(
                path,
                format!(
                    "line {}: `{}` is either a month of a year or a day of a month; {WRITE}",
                    lines[at], texts[at]
                ),
            ));
        }
        let asked = match reading {
            DateReading::Dmy => Some(Order::Dmy),
            DateReading::Mdy => Some(Order::Mdy),
            DateReading::Ymd => Some(Order::Ymd),
            _ => None,
        };
        let mut readings = Vec::new();
        let mut broken = Vec::new();
        for order in Order::ALL
            .into_iter()
            .filter(|order| asked.is_none_or(|a| a == *order))
        {
            match cells.iter().position(|cell| cell.at(order).is_none()) {
                None => readings.push((order, cells.iter().filter_map(|c| c.at(order)).collect())),
                Some(at) => broken.push((order, at)),
            }
        }
        if readings.is_empty() {
            return Err(malformed(path, unlike(&broken, lines, texts)));
        }
        readings.dedup_by(|(_, later), (_, earlier)| later == earlier);
        let (offsets, place) = zones(path, lines, texts, &cells, place)?;
        let settled = cells.iter().all(|cell| matches!(cell.day, Day::Known(_)));
        Ok(Self {
            written: match &readings[..] {
                [(order, _)] if !settled => Some(order.words()),
                _ => None,
            },
            readings,
            offsets,
            place,
        })
    }

    fn of_numbers(
        path: &Path,
        lines: &[u64],
        texts: &[&str],
        reading: DateReading,
        place: Option<TimeZone>,
    ) -> Result<Self, DataError> {
        let Some(meaning) = Meaning::of(texts.iter().copied(), reading) else {
            let (line, text) = (lines[0], texts[0]);
            return Err(malformed(
                path,
                format!(
                    "line {line}: the number `{text}` is no date by itself; say what it counts with \
                     `--set series.dates=seconds` or `--set series.dates=milliseconds` (since 1970) or \
                     `--set series.dates=excel` (days of a spreadsheet), or take the rows as evenly spaced with \
                     `--set series.dates=none`"
                ),
            ));
        };
        let dates = texts.iter().filter_map(|text| meaning.at(text));
        let utc = matches!(meaning, Meaning::Epoch(_));
        Ok(Self {
            readings: vec![(Order::Dmy, dates.collect())],
            offsets: utc.then(|| vec![Offset::UTC; texts.len()]),
            place,
            written: Some(meaning.words()),
        })
    }
}

/// That the date of a line is none, or that of another line, where most are numbers and this one is one of them.
fn no_date(lines: &[u64], texts: &[&str], line: u64, text: &str) -> String {
    let numbers = texts.iter().filter(|text| is_plain(text)).count();
    let other = texts.iter().position(|text| !is_plain(text));
    let (line, text) = match other.filter(|_| 2 * numbers > texts.len()) {
        Some(other) => (lines[other], texts[other]),
        None => (line, text),
    };
    let others = numbers > 0 || texts.iter().any(|text| Cell::parse(text).is_some());
    match others {
        true => format!("line {line}: `{text}` is no date; {WRITE}, or {REMOVE}"),
        false => format!("line {line}: `{text}` is no date; {WRITE}"),
    }
}

/// The first of two neighbours such as `Jan-01` and `Jan-02` in a column of such dates: years apart, or days.
fn lone_months(texts: &[&str]) -> Option<usize> {
    let part = |text: &&str| {
        let (month, number) = text.trim().split_once('-')?;
        let is_word = month.bytes().all(|byte| byte.is_ascii_alphabetic());
        let day = number.parse().ok().filter(|day| (1..=31).contains(day))?;
        (is_word && number.len() == 2).then(|| (month.to_ascii_lowercase(), day))
    };
    let parts: Vec<(String, u8)> = texts.iter().map(part).collect::<Option<_>>()?;
    parts.windows(2).position(|pair| pair[0].0 == pair[1].0)
}

/// Why no order reads all dates.
fn unlike(broken: &[(Order, usize)], lines: &[u64], texts: &[&str]) -> String {
    match broken {
        [(order, at)] => format!(
            "line {}: `{}` is no date in the order {}; leave out `series.dates={}`, or {WRITE}",
            lines[*at],
            texts[*at],
            order.words(),
            order.option()
        ),
        _ => {
            let (a, b) = (broken[0].1, broken[1].1);
            format!(
                "line {} (`{}`) cannot have the day first and line {} (`{}`) cannot have the month first; {WRITE}",
                lines[a], texts[a], lines[b], texts[b]
            )
        }
    }
}

/// The time zone called `name`; none where it is empty.
fn named(path: &Path, name: &str) -> Result<Option<TimeZone>, DataError> {
    if name.is_empty() {
        return Ok(None);
    }
    let found = TimeZone::get(name).map_err(|_| {
        malformed(
            path,
            format!(
                "`series.time_zone={name}` is no time zone; write one as in `series.time_zone=Europe/Berlin`"
            ),
        )
    });
    found.map(Some)
}

type Zones = (Option<Vec<Offset>>, Option<TimeZone>);

/// What the dates of a column say of their zone, or the `place` that the user names.
fn zones(
    path: &Path,
    lines: &[u64],
    texts: &[&str],
    cells: &[Cell<'_>],
    place: Option<TimeZone>,
) -> Result<Zones, DataError> {
    // With a place from the user a short name such as BST only repeats it.
    let said = |cell: &Cell<'_>| match cell.zone {
        Some(Zone::Name(name)) if place.is_some() && !name.contains('/') => None,
        zone => zone.map(|zone| match zone {
            Zone::Offset(offset) => Ok(offset),
            Zone::Name(name) => Err(name.to_string()),
        }),
    };
    let first = said(&cells[0]);
    if let Some(at) = cells
        .iter()
        .position(|cell| said(cell).is_some() != first.is_some())
    {
        let (with, without) = if first.is_some() { (0, at) } else { (at, 0) };
        return Err(malformed(
            path,
            format!(
                "line {} (`{}`) has a time zone and line {} (`{}`) has none; write all alike",
                lines[with], texts[with], lines[without], texts[without]
            ),
        ));
    }
    let Some(first) = first else {
        return Ok((None, place));
    };
    let name = first.err();
    let mut offsets = Vec::with_capacity(cells.len());
    for (i, cell) in cells.iter().enumerate() {
        match (said(cell), &name) {
            (Some(Ok(offset)), None) => offsets.push(offset),
            (Some(Err(other)), Some(name)) if other == *name => {}
            _ => {
                return Err(malformed(
                    path,
                    format!(
                        "line {} (`{}`) names another time zone than line {} (`{}`); write all with offsets, as in \
                         2016-07-01 00:00:00+02:00",
                        lines[i], texts[i], lines[0], texts[0]
                    ),
                ));
            }
        }
    }
    let Some(name) = name else {
        return Ok((Some(offsets), place));
    };
    let found = TimeZone::get(&name).map_err(|_| {
        malformed(
            path,
            format!(
                "line {}: `{name}` does not say which time zone it is; name the place with \
                 `--set series.time_zone=Europe/London`, say",
                lines[0]
            ),
        )
    })?;
    Ok((None, Some(found)))
}
