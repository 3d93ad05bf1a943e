//! From text to a series: first what lies there, then its values.

use std::path::Path;

use jiff::civil::DateTime;

use super::clock::{self, Ordered};
use super::columns::{DateColumns, unread_dates};
use super::date::{Column, Order};
use super::inventory::{ColumnInventory, Gap, Gaps, Parts, SeriesInventory};
use super::key;
use super::missing::{Absent, Missing, fill};
use super::number::{self, Decimal};
use super::numbering::unnamed;
use super::select::{Selection, Wrong};
use super::table::Table;
use super::timeline::{Timeline, describe};
use super::{Series, SeriesOptions, Split, malformed, text};
use crate::data::readers::known::pixel_table;
use crate::data::{DataError, Source};

/// Gaps that an inventory lists at most.
const MOST_GAPS: usize = 100;

/// A file of series, read as far as its values can be.
pub(super) struct Reading {
    name: String,
    pub(super) inventory: SeriesInventory,
    timeline: Timeline,
    columns: Vec<String>,
    /// Row after row, NaN where there is no value.
    values: Vec<f64>,
    /// The line and column of the first missing value of a row that is there.
    first_missing: Option<(u64, usize)>,
    /// The first row after a gap: its line, its place, and that of the row before it.
    first_gap: Option<(u64, usize, usize)>,
    /// What else may be wrong where most rows are missing.
    doubt: String,
    /// Why the file cannot be used as it is.
    problem: Option<DataError>,
}

/// The rows that are read, in the order of time.
struct Rows {
    ordered: Ordered,
    dates: DateColumns,
    keys: Option<key::Series>,
    /// Why one of several series must be chosen first.
    problem: Option<DataError>,
    written: Option<&'static str>,
}

impl Reading {
    /// Reads the text of `spec` as `options` say.
    pub(super) fn new(spec: &str, options: &SeriesOptions) -> Result<Self, DataError> {
        let name = text::name(spec).to_string();
        let path = Path::new(&name);
        let text = text::read(spec)?;
        let file = (!text::is_stream(spec)).then_some(path);
        if let Some(problem) = pixel_table::refusal(text.as_bytes(), file) {
            return Err(malformed(path, problem));
        }
        let absent = Absent::new(&options.missing_tokens);
        let table = Table::parse(path, &text, &absent)?;
        for (i, name) in table.header.iter().enumerate() {
            if !name.is_empty() && table.header[..i].contains(name) {
                let line = table.header_line;
                return Err(malformed(
                    path,
                    format!("line {line}: two columns are called `{name}`; rename one"),
                ));
            }
        }
        let mut left_out = table.left_out.clone();
        let dates = DateColumns::find(path, &table, &absent, options.dates)?;
        let mut used = dates.all();
        let unread = match dates {
            DateColumns::None => unread_dates(&table, &absent),
            _ => Vec::new(),
        };
        let unnamed = unnamed(path, &table, &used, &absent)?;
        for (column, out) in unread.into_iter().chain(unnamed) {
            used.push(column);
            left_out.push(out);
        }
        let mut rows = rows(path, &table, dates, &used, options, &absent)?;
        if let Some(keys) = &rows.keys {
            used.extend(&keys.columns);
        }
        let selection = Selection::of(path, &table, &used, &rows.ordered.rows, options, &absent)?;
        left_out.extend(selection.left_out.iter().cloned());
        let cells = selection.columns.iter().flat_map(|&column| {
            table
                .rows
                .iter()
                .map(move |row| (row.line, row.cell(column)))
        });
        let decimal = match options.decimal {
            Decimal::Auto => number::settle(path, cells, table.semicolons)?,
            said => said,
        };
        let problem = rows.problem.take();
        let mut reading =
            Self::of_rows(&name, &table, &rows, &selection, decimal, &absent, options);
        reading.inventory.left_out = left_out;
        reading.problem = problem.or(reading.problem);
        Ok(reading)
    }

    fn of_rows(
        name: &str,
        table: &Table,
        rows: &Rows,
        selection: &Selection,
        decimal: Decimal,
        absent: &Absent<'_>,
        options: &SeriesOptions,
    ) -> Self {
        let ordered = &rows.ordered;
        let width = selection.columns.len();
        let mut values = vec![f64::NAN; ordered.steps * width];
        let mut wrong = Vec::new();
        let mut first_missing = None;
        for (&row, &place) in ordered.rows.iter().zip(&ordered.places) {
            let row = &table.rows[row];
            for (at, &column) in selection.columns.iter().enumerate() {
                let cell = row.cell(column);
                if absent.is(cell) {
                    first_missing.get_or_insert((row.line, at));
                } else if let Some(value) = number::parse(cell, decimal) {
                    values[place * width + at] = value;
                } else {
                    wrong.push(Wrong {
                        line: row.line,
                        column,
                        cell: cell.to_string(),
                    });
                }
            }
        }
        let name_of = |&column: &usize| table.header[column].clone();
        let columns: Vec<String> = selection.columns.iter().map(name_of).collect();
        let split = Split::of(name, ordered.steps, options.held_out);
        let places = selection.columns.iter().enumerate();
        let numbering: Vec<usize> = places
            .filter(|(_, column)| selection.numbering.contains(column))
            .map(|(at, _)| at)
            .collect();
        let column_inventory = ColumnInventory::of(&columns, &values, &split, &numbering);
        let problem = selection.problem(Path::new(name), table, &wrong, &column_inventory, options);
        let date = |row: usize| ordered.timeline.at(row).to_string();
        let keys = rows.keys.as_ref().and_then(|keys| {
            let (read, _) = keys.rows(Path::new(name), table, &options.key).ok()?;
            Some(keys.inventory(table, Some(read)))
        });
        let after_gap = ordered
            .places
            .windows(2)
            .position(|pair| pair[1] > pair[0] + 1);
        let inventory = SeriesInventory {
            rows: ordered.steps,
            first: date(0),
            last: date(ordered.steps - 1),
            step: ordered.timeline.step_in_words(),
            date_columns: rows.dates.all().iter().map(name_of).collect(),
            dates_written: ordered
                .order
                .map(Order::words)
                .or(rows.written)
                .map(String::from),
            time_zone: ordered.timeline.zone(),
            newest_first: ordered.newest_first,
            decimal_comma: decimal == Decimal::Comma,
            named: table.named,
            header_lines: table.header_lines,
            excluded: options.exclude.clone(),
            missing_tokens: options.missing_tokens.clone(),
            columns: column_inventory,
            gaps: gaps(ordered),
            keys,
            parts: Parts::new(&split, ordered.steps),
            left_out: Vec::new(),
        };
        Self {
            name: name.to_string(),
            inventory,
            timeline: ordered.timeline.clone(),
            columns,
            values,
            first_missing,
            first_gap: after_gap.map(|at| {
                let line = table.rows[ordered.rows[at + 1]].line;
                (line, ordered.places[at + 1], ordered.places[at])
            }),
            doubt: options.dates.doubt(),
            problem,
        }
    }

    /// The series, what is missing filled by `rule`.
    ///
    /// # Errors
    /// When something must be chosen or repaired first.
    pub(super) fn series(mut self, rule: Missing) -> Result<Series, DataError> {
        if let Some(problem) = self.problem.take() {
            return Err(problem);
        }
        let width = self.columns.len();
        let total = self.values.iter().filter(|value| value.is_nan()).count();
        let mut notice = None;
        let mut filled = Vec::new();
        if total > 0 {
            let said = self.missing_in_words(total);
            if rule == Missing::Refuse {
                let spaced = match 2 * self.inventory.gaps.rows > self.inventory.rows {
                    true => format!(
                        ", or take the rows as evenly spaced with `--set series.step=rows`{}",
                        self.doubt
                    ),
                    false => String::new(),
                };
                return Err(malformed(
                    Path::new(&self.name),
                    format!(
                        "values are missing ({said}); fill them with `--set series.missing=forward` or \
                         `--set series.missing=linear`{spaced}"
                    ),
                ));
            }
            filled = self.values.iter().map(|value| value.is_nan()).collect();
            if let Some(empty) = self
                .inventory
                .columns
                .iter()
                .find(|c| c.missing == self.inventory.rows)
            {
                return Err(malformed(
                    Path::new(&self.name),
                    format!(
                        "column `{}` has no value at all; give a series that has some",
                        empty.name
                    ),
                ));
            }
            for at in 0..width {
                fill(&mut self.values, at, width, rule);
            }
            notice = Some(format!(
                "values were filled in ({said}); they count in no loss and no measure"
            ));
        }
        Ok(Series {
            columns: self.columns,
            values: self.values,
            filled,
            timeline: self.timeline,
            source: Source {
                name: self.name,
                notice,
                ..Source::default()
            },
            inventory: self.inventory,
        })
    }

    /// How much is missing and where it begins.
    fn missing_in_words(&self, total: usize) -> String {
        let (gaps, rows) = (self.inventory.gaps.count, self.inventory.gaps.rows);
        let cells = total - rows * self.columns.len();
        let mut parts = Vec::new();
        if let Some((line, column)) = self.first_missing {
            let name = &self.columns[column];
            parts.push(format!(
                "{cells} missing, the first in line {line}, column `{name}`"
            ));
        }
        if let Some((line, at, before)) = self.first_gap {
            let (at, expected) = (self.timeline.at(at), self.timeline.at(before + 1));
            parts.push(format!(
                "{} missing in {}: line {line} is dated {at} where {expected} follows at steps of {}",
                if rows == 1 { "1 row is".into() } else { format!("{rows} rows are") },
                if gaps == 1 { "1 gap".into() } else { format!("{gaps} gaps") },
                describe(self.timeline.step)
            ));
        }
        parts.join("; ")
    }
}

/// The rows that are read, and what tells them.
fn rows(
    path: &Path,
    table: &Table,
    dates: DateColumns,
    used: &[usize],
    options: &SeriesOptions,
    absent: &Absent<'_>,
) -> Result<Rows, DataError> {
    let lines: Vec<u64> = table.rows.iter().map(|row| row.line).collect();
    let texts: Vec<_> = table.rows.iter().map(|row| dates.text(row)).collect();
    let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
    let column = match dates {
        DateColumns::None => None,
        _ => Some(Column::read(
            path,
            &lines,
            &texts,
            options.dates,
            &options.time_zone,
        )?),
    };
    let moments: Vec<_> = match &column {
        // Rows without dates differ by where they stand.
        None => (0..lines.len())
            .map(|row| (DateTime::ZERO, row as i64))
            .collect(),
        Some(column) => {
            let offset = |row: usize| {
                column
                    .offsets
                    .as_ref()
                    .map_or(0, |o| o[row].seconds().into())
            };
            let dates = column.readings[0].1.iter();
            dates
                .enumerate()
                .map(|(row, &date)| (date, offset(row)))
                .collect()
        }
    };
    let keys = key::Series::find(path, table, &moments, used, &options.key, absent)?;
    let all: Vec<usize> = (0..lines.len()).collect();
    let (chosen, problem) = match &keys {
        Some(keys) => {
            let asks = options.key.text.is_empty() && keys.count() > 1;
            let problem = asks.then(|| malformed(path, keys.choose(table)));
            (keys.rows(path, table, &options.key)?.1, problem)
        }
        None => {
            let asked = options.columns.iter();
            let asked = asked.filter_map(|name| table.column(name));
            let others: Vec<usize> = used.iter().copied().chain(asked).collect();
            key::expect_none(path, table, &options.key, &others, absent)?;
            (&all[..], None)
        }
    };
    let ordered = match &column {
        None => Ordered::as_they_stand(path, chosen),
        Some(column) => {
            let alike = |a: usize, b: usize| table.rows[a].is_like(&table.rows[b]);
            let doubt = options.dates.doubt();
            clock::order(path, &lines, column, chosen, options.step, &doubt, alike)
        }
    };
    let (ordered, problem) = match (ordered, problem) {
        (Ok(ordered), problem) => (ordered, problem),
        (Err(_), Some(problem)) | (Err(problem), None) => return Err(problem),
    };
    Ok(Rows {
        ordered,
        dates,
        keys,
        problem,
        written: column.and_then(|column| column.written),
    })
}

/// The steps that no row has.
fn gaps(ordered: &Ordered) -> Gaps {
    let mut gaps = Gaps::default();
    for pair in ordered
        .places
        .windows(2)
        .filter(|pair| pair[1] > pair[0] + 1)
    {
        let rows = pair[1] - pair[0] - 1;
        gaps.count += 1;
        gaps.rows += rows;
        if gaps.first.len() < MOST_GAPS {
            gaps.first.push(Gap {
                from: ordered.timeline.at(pair[0] + 1).to_string(),
                rows,
            });
        }
    }
    gaps
}
