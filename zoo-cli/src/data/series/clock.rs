//! The order and the steps of dates.

use std::path::Path;

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use models::forecaster::Step;
use serde::{Deserialize, Serialize};

use super::date::{Column, Order};
use super::malformed;
use super::step::Grid;
use super::timeline::{Clock, Timeline, describe};
use crate::data::DataError;

/// A grid may have so many rows more than the file, and so many times as many.
const MOST_EMPTY: (usize, usize) = (1000, 20);

/// What the dates of a series tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepReading {
    /// When each row was: rows that the steps call for may be missing.
    #[default]
    Auto,
    /// Only in which order the rows follow each other: their steps count as even.
    Rows,
}

/// Rows in the order of time, at even steps.
#[derive(Debug)]
pub(super) struct Ordered {
    pub(super) timeline: Timeline,
    /// The places of the rows in the table, in the order of time.
    pub(super) rows: Vec<usize>,
    /// The step of the timeline at which each of them stands.
    pub(super) places: Vec<usize>,
    /// Whether the file has them the other way round.
    pub(super) newest_first: bool,
    /// How many steps there are from the first to the last.
    pub(super) steps: usize,
    /// The order in which their dates are written, where it was chosen from several.
    pub(super) order: Option<Order>,
}

impl Ordered {
    /// Rows without dates.
    ///
    /// # Errors
    /// When there is only one.
    pub(super) fn as_they_stand(path: &Path, rows: &[usize]) -> Result<Self, DataError> {
        if rows.len() < 2 {
            return Err(one_row(path));
        }
        Ok(Self {
            timeline: Timeline::rows(),
            rows: rows.to_vec(),
            places: (0..rows.len()).collect(),
            newest_first: false,
            steps: rows.len(),
            order: None,
        })
    }
}

fn one_row(path: &Path) -> DataError {
    malformed(path, "it has one row only; give a longer series")
}

/// One way of reading the dates.
struct Reading {
    order: Order,
    clock: Clock,
    /// In the order of time; strictly growing unless there is a problem.
    dates: Vec<DateTime>,
    rows: Vec<usize>,
    newest_first: bool,
    /// The first two rows that are not in the order of time.
    disordered: Option<(usize, usize)>,
    grid: Option<Grid>,
}

impl Reading {
    fn new(
        order: Order,
        clock: Clock,
        mut dates: Vec<DateTime>,
        mut rows: Vec<usize>,
        step: StepReading,
    ) -> Self {
        let newest_first = dates.len() > 1
            && dates.first() > dates.last()
            && dates.windows(2).all(|pair| pair[0] >= pair[1]);
        if newest_first {
            dates.reverse();
            rows.reverse();
        }
        let even = step == StepReading::Rows;
        let wrong = |pair: &[DateTime]| pair[0] > pair[1] || pair[0] == pair[1] && !even;
        let wrong = dates.windows(2).position(wrong);
        let grid = || {
            if even {
                Grid::even(dates.len())
            } else {
                Grid::of(&dates)
            }
        };
        Self {
            disordered: wrong.map(|at| (at, at + 1)),
            grid: (wrong.is_none() && dates.len() > 1).then(grid),
            order,
            clock,
            dates,
            rows,
            newest_first,
        }
    }

    /// How well the reading fits: in order, on the grid, few empty places; smaller is better.
    fn misfit(&self) -> (usize, usize, usize) {
        match &self.grid {
            None => (1, 0, 0),
            Some(grid) => (0, grid.beside.map_or(0, |(_, count)| count), grid.empty()),
        }
    }

    fn is_even(&self) -> bool {
        self.grid.as_ref().is_some_and(Grid::is_even)
    }
}

/// Puts the rows `rows` of the table in the order of time; `lines` are those of all rows, `alike` tells whether two of
/// them hold the same.
///
/// # Errors
/// When they cannot be ordered, or have no even step, or their dates can be read in two ways.
pub(super) fn order(
    path: &Path,
    lines: &[u64],
    column: &Column,
    rows: &[usize],
    step: StepReading,
    doubt: &str,
    alike: impl Fn(usize, usize) -> bool,
) -> Result<Ordered, DataError> {
    let mut readings = Vec::with_capacity(column.readings.len());
    for (order, dates) in &column.readings {
        let local: Vec<DateTime> = rows.iter().map(|&row| dates[row]).collect();
        readings.push(of_zone(path, lines, column, *order, local, rows, step)?);
    }
    let several = readings.len() > 1;
    let reading = choose(path, lines, readings)?;
    check(path, lines, &reading, doubt, alike)?;
    let Some(grid) = reading.grid else {
        return Err(one_row(path));
    };
    let timeline = match grid.step {
        Step::Rows => Timeline::rows(),
        _ => Timeline {
            start: reading.dates[0],
            step: grid.step,
            anchor: grid.anchor,
            clock: reading.clock,
        },
    };
    Ok(Ordered {
        timeline,
        steps: grid.rows(),
        places: grid.places,
        rows: reading.rows,
        newest_first: reading.newest_first,
        order: several.then_some(reading.order),
    })
}

/// The reading of `local` dates by the clock that the column has.
fn of_zone(
    path: &Path,
    lines: &[u64],
    column: &Column,
    order: Order,
    local: Vec<DateTime>,
    rows: &[usize],
    step: StepReading,
) -> Result<Reading, DataError> {
    let reading = |clock, dates| Reading::new(order, clock, dates, rows.to_vec(), step);
    let offsets: Option<Vec<Offset>> = match (&column.offsets, &column.place) {
        (Some(offsets), _) => Some(rows.iter().map(|&row| offsets[row]).collect()),
        (None, Some(place)) => Some(offsets_at(path, lines, place, &local, rows)?),
        (None, None) => None,
    };
    let Some(offsets) = offsets else {
        return Ok(reading(Clock::Local, local));
    };
    let place = column.place.clone();
    if place.is_none() && offsets.iter().all(|offset| *offset == offsets[0]) {
        return Ok(reading(Clock::Fixed(offsets[0]), local));
    }
    let utc: Option<Vec<DateTime>> = local
        .iter()
        .zip(&offsets)
        .map(|(date, offset)| Some(Offset::UTC.to_datetime(offset.to_timestamp(*date).ok()?)))
        .collect();
    let utc = utc.ok_or_else(|| malformed(path, "its dates lie too far off; repair them"))?;
    let clock = place
        .clone()
        .map_or(Clock::Fixed(Offset::UTC), Clock::Place);
    let in_utc = reading(clock, utc);
    let clock = place.map_or(Clock::Local, Clock::PlaceByDay);
    let by_day = reading(clock, local);
    // Hours are even in UTC, days by the clock of the place; where both are even, days are the safer step.
    let day = by_day
        .dates
        .iter()
        .all(|date| date.time() == by_day.dates[0].time());
    // By the clock of the place no hour is missing where the rows say that one is.
    let on_grid = in_utc
        .grid
        .as_ref()
        .is_some_and(|grid| grid.beside.is_none());
    Ok(match by_day.misfit().cmp(&in_utc.misfit()) {
        std::cmp::Ordering::Less if day || !on_grid => by_day,
        std::cmp::Ordering::Equal if day => by_day,
        _ => in_utc,
    })
}

/// How far the clock of `place` was ahead of UTC when it showed these dates. Of the two times that it shows the same
/// hour, the first is meant until the hour comes again.
fn offsets_at(
    path: &Path,
    lines: &[u64],
    place: &TimeZone,
    local: &[DateTime],
    rows: &[usize],
) -> Result<Vec<Offset>, DataError> {
    let backward = local.first() > local.last();
    let mut offsets: Vec<Offset> = Vec::with_capacity(local.len());
    for (i, date) in local.iter().enumerate() {
        let offset = match place.to_ambiguous_timestamp(*date).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Gap { .. } => {
                return Err(malformed(
                    path,
                    format!(
                        "line {}: the clock of `{}` never showed {} {}; name another place with \
                         `--set series.time_zone=…`, or repair the date",
                        lines[rows[i]],
                        place.iana_name().unwrap_or("UTC"),
                        date.date(),
                        date.time()
                    ),
                ));
            }
            AmbiguousOffset::Fold { before, after } => {
                let (first, second) = if backward {
                    (after, before)
                } else {
                    (before, after)
                };
                let again = i > 0 && {
                    let came_back = if backward {
                        local[i - 1] <= *date
                    } else {
                        local[i - 1] >= *date
                    };
                    let in_fold = place.to_ambiguous_timestamp(local[i - 1]).is_ambiguous();
                    came_back || in_fold && offsets[i - 1] == second
                };
                if again { second } else { first }
            }
        };
        offsets.push(offset);
    }
    Ok(offsets)
}

/// The one of several readings that fits.
fn choose(path: &Path, lines: &[u64], mut readings: Vec<Reading>) -> Result<Reading, DataError> {
    let keep = |readings: &mut Vec<Reading>, fits: fn(&Reading) -> bool| {
        if readings.iter().any(fits) {
            readings.retain(fits);
        }
    };
    if readings.len() > 1 {
        keep(&mut readings, |reading| reading.disordered.is_none());
        keep(&mut readings, Reading::is_even);
    }
    if let [a, b, ..] = &readings[..] {
        let differ = (0..a.rows.len())
            .find(|&i| a.dates[i] != b.dates[i])
            .unwrap_or(0);
        return Err(malformed(
            path,
            format!(
                "its dates can be read as {} or as {} (line {}: {} or {}); say which with `--set series.dates={}` or \
                 `--set series.dates={}`",
                a.order.words(),
                b.order.words(),
                lines[a.rows[differ]],
                a.dates[differ].date(),
                b.dates[differ].date(),
                a.order.option(),
                b.order.option()
            ),
        ));
    }
    Ok(readings.swap_remove(0))
}

/// That the rows of a reading are in the order of time and at even steps.
fn check(
    path: &Path,
    lines: &[u64],
    reading: &Reading,
    doubt: &str,
    alike: impl Fn(usize, usize) -> bool,
) -> Result<(), DataError> {
    let line = |at: usize| lines[reading.rows[at]];
    let date = |at: usize| {
        let (date, time) = (reading.dates[at].date(), reading.dates[at].time());
        format!("{date} {time}")
    };
    if let Some((a, b)) = reading.disordered {
        let (first, second) = (line(a).min(line(b)), line(a).max(line(b)));
        return Err(malformed(
            path,
            if reading.dates[a] > reading.dates[b] {
                format!(
                    "line {} ({}) is earlier than line {}; sort the rows by date{doubt}",
                    line(b),
                    date(b),
                    line(a)
                )
            } else if alike(reading.rows[a], reading.rows[b]) {
                format!(
                    "lines {first} and {second} have the same date ({}) and the same values; remove one of them",
                    date(a)
                )
            } else {
                format!(
                    "lines {first} and {second} have the same date ({}) and other values; if a clock was set back there, \
                     name its place with `--set series.time_zone=Europe/Berlin`, say; if they belong to several series, \
                     add a column that names these and choose one with `--key`; if the rows only follow each other, \
                     take them so with `--set series.step=rows`",
                    date(a)
                )
            },
        ));
    }
    let Some(grid) = &reading.grid else {
        return Ok(());
    };
    let words = describe(grid.step);
    let rows = reading.rows.len();
    let spaced = "take the rows as evenly spaced with `--set series.step=rows`";
    let (more, times) = MOST_EMPTY;
    let problem = match grid.beside {
        Some((_, count)) if 2 * count > rows => format!(
            "its rows are not evenly spaced: {count} of {rows} lie beside steps of {words}, the commonest; round their \
             dates to even steps, or {spaced}"
        ),
        Some((at, count)) => format!(
            "{count} of {rows} rows lie beside the steps of {words} that most have, the first in line {} ({}); round \
             their dates to such steps, or {spaced}",
            line(at),
            date(at)
        ),
        None if grid.rows() > more + times * rows => format!(
            "its {rows} rows are spread over {} steps of {words}; {spaced}",
            grid.rows()
        ),
        None => return Ok(()),
    };
    Err(malformed(path, problem + doubt))
}
