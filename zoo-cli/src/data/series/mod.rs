//! Series: numbers in columns, one row for each of evenly spaced dates, from a CSV file or the embedded sample.
//!
//! The dates stand in one column (`date`, `ts`, `time`, `timestamp`, `datetime`, or the first column whose first cell
//! is a date) or in columns `year`, `month`, `day` and, if there, `hour` and `minute`. All other columns are numbers,
//! unless some are chosen. Rows must be in the order of time, each date once, all steps the same.

pub mod date;
mod missing;
mod sample;
mod split;
mod table;

use std::path::Path;

use models::forecaster::Step;
use sha2::{Digest, Sha256};

use self::missing::{fill, is_missing};
use self::table::Table;
use super::{DataError, Source};

pub use missing::Missing;
pub use split::Split;

/// The name of the embedded sample.
pub const SAMPLE: &str = "sample";

/// How a series is read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SeriesOptions {
    /// The columns of numbers, in this order; empty for all.
    pub columns: Vec<String>,
    /// What becomes of missing values.
    pub missing: Missing,
    /// The share of all rows that is watched during training, where no standard split says otherwise.
    pub held_out: f64,
}

/// A series in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// Finite values, row after row.
    pub values: Vec<f64>,
    /// The date of the first row.
    pub start: date::Seconds,
    /// The time between two rows.
    pub step: Step,
    /// Where it came from.
    pub source: Source,
}

/// The mean and standard deviation of every column over some rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    /// One a column.
    pub mean: Vec<f64>,
    /// One a column, above 0.
    pub std: Vec<f64>,
}

impl Series {
    /// The series of `spec`: the path of a CSV file, or `sample`. Without it the series is `default`.
    ///
    /// # Errors
    /// One sentence that names the file, the line and what to do next.
    pub fn open(
        spec: Option<&str>,
        default: &str,
        options: &SeriesOptions,
    ) -> Result<Self, DataError> {
        let spec = spec.unwrap_or(default);
        let mut series = if spec == SAMPLE {
            sample::load().select(&options.columns)?
        } else {
            Self::read(Path::new(spec), options)?
        };
        series.seal();
        Ok(series)
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.values.len() / self.columns.len().max(1)
    }

    /// The date of row `row`, which may lie beyond the end.
    pub fn date(&self, row: usize) -> date::Seconds {
        date::after(self.start, self.step, row)
    }

    /// The rows that are learned from, watched, and tested on.
    pub fn split(&self, held_out: f64) -> Split {
        let name = Path::new(&self.source.name).file_stem();
        let name = name.and_then(|name| name.to_str()).unwrap_or_default();
        Split::new(name, self.rows(), held_out)
    }

    /// The values in units of `std` from `mean`, one of each a column, row after row.
    ///
    /// # Errors
    /// When a value is so large that it has no place among those of 32 bits.
    pub fn scaled(&self, mean: &[f64], std: &[f64]) -> Result<Vec<f32>, DataError> {
        let columns = self.columns.len();
        let scaled = self.values.iter().enumerate().map(|(i, value)| {
            let column = i % columns;
            let scaled = ((value - mean[column]) / std[column]) as f32;
            if scaled.is_finite() {
                return Ok(scaled);
            }
            Err(self.too_large(column))
        });
        scaled.collect()
    }

    fn too_large(&self, column: usize) -> DataError {
        malformed(
            Path::new(&self.source.name),
            format!(
                "column `{}` holds a value that is too large to be scaled; repair it, or choose columns with \
                 `--set series.columns=[…]`",
                self.columns[column]
            ),
        )
    }

    /// The scale of the rows `rows`.
    ///
    /// # Errors
    /// When a column is constant there, or has no finite deviation.
    pub fn scale(&self, rows: std::ops::Range<usize>) -> Result<Scale, DataError> {
        let columns = self.columns.len();
        let part = &self.values[rows.start * columns..rows.end * columns];
        let count = rows.len().max(1) as f64;
        let (mut mean, mut std) = (Vec::new(), Vec::new());
        for (c, name) in self.columns.iter().enumerate() {
            let column = || part.iter().skip(c).step_by(columns);
            let middle = column().sum::<f64>() / count;
            let variance = column().map(|v| (v - middle).powi(2)).sum::<f64>() / count;
            let deviation = variance.sqrt();
            // Rounding leaves a constant column with a deviation of this order.
            if deviation <= 1e-12 * middle.abs() {
                return Err(malformed(
                    Path::new(&self.source.name),
                    format!(
                        "column `{name}` is constant in the training part ({} rows), so that nothing can be scaled; \
                         leave it out with `--set series.columns=[…]`",
                        rows.len()
                    ),
                ));
            }
            if !deviation.is_finite() {
                return Err(self.too_large(c));
            }
            mean.push(middle);
            std.push(deviation);
        }
        Ok(Scale { mean, std })
    }

    fn read(path: &Path, options: &SeriesOptions) -> Result<Self, DataError> {
        let table = Table::read(path)?;
        let dates = Dates::find(path, &table)?;
        let chosen = choose(path, &table, &dates, &options.columns)?;
        let (start, step) = dates.check(path, &table)?;
        let mut values = Vec::with_capacity(table.rows.len() * chosen.len());
        let mut holes = vec![0usize; chosen.len()];
        let mut first_hole = None;
        for (line, cells) in &table.rows {
            for (at, &column) in chosen.iter().enumerate() {
                let (cell, name) = (&cells[column], &table.header[column]);
                if is_missing(cell) {
                    first_hole.get_or_insert((*line, name));
                    holes[at] += 1;
                    values.push(f64::NAN);
                    continue;
                }
                match cell.parse::<f64>() {
                    Ok(value) if value.is_finite() => values.push(value),
                    _ => {
                        return Err(malformed(
                            path,
                            format!(
                                "line {line}, column `{name}`: `{cell}` is no number; repair it, or choose columns \
                                 with `--set series.columns=[…]`"
                            ),
                        ));
                    }
                }
            }
        }
        let mut notice = None;
        if let Some((line, name)) = first_hole {
            let total: usize = holes.iter().sum();
            let where_ = format!("{total} missing, the first in line {line}, column `{name}`");
            if options.missing == Missing::Refuse {
                return Err(malformed(
                    path,
                    format!(
                        "values are missing ({where_}); fill them with `--set series.missing=forward` or `linear` \
                         (`zoo forecast` takes `--missing`)"
                    ),
                ));
            }
            notice = Some(format!("values were filled in ({where_})"));
            for (at, &column) in chosen.iter().enumerate() {
                if holes[at] == table.rows.len() {
                    let name = &table.header[column];
                    return Err(malformed(
                        path,
                        format!(
                            "column `{name}` has no value at all; leave it out with `--set series.columns=[…]`"
                        ),
                    ));
                }
                fill(&mut values, at, chosen.len(), options.missing);
            }
        }
        let columns = chosen.iter().map(|&c| table.header[c].clone()).collect();
        Ok(Self {
            columns,
            values,
            start,
            step,
            source: Source {
                name: path.display().to_string(),
                notice,
                ..Source::default()
            },
        })
    }

    /// The columns of these names, in their order; all where none is named.
    fn select(self, names: &[String]) -> Result<Self, DataError> {
        if names.is_empty() {
            return Ok(self);
        }
        let path = Path::new(&self.source.name);
        let chosen = names
            .iter()
            .map(|name| {
                let found = self.columns.iter().position(|column| column == name);
                found.ok_or_else(|| no_column(path, name, &self.columns))
            })
            .collect::<Result<Vec<usize>, _>>()?;
        let rows = self.values.chunks_exact(self.columns.len());
        let values = rows
            .flat_map(|row| chosen.iter().map(|&c| row[c]))
            .collect();
        Ok(Self {
            values,
            columns: names.to_vec(),
            ..self
        })
    }

    fn seal(&mut self) {
        let mut hash = Sha256::new();
        for name in &self.columns {
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name.as_bytes());
        }
        hash.update(self.start.to_le_bytes());
        for value in &self.values {
            hash.update(value.to_le_bytes());
        }
        let digest = hash.finalize();
        self.source.fingerprint = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    }
}

fn malformed(path: &Path, problem: impl Into<String>) -> DataError {
    DataError::Malformed {
        path: path.into(),
        format: "a series",
        problem: problem.into(),
    }
}

fn no_column(path: &Path, name: &str, known: &[String]) -> DataError {
    let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    malformed(
        path,
        format!("it has no column `{name}`; it has {}", known.join(", ")),
    )
}

/// The columns of numbers that are read.
fn choose(
    path: &Path,
    table: &Table,
    dates: &Dates,
    names: &[String],
) -> Result<Vec<usize>, DataError> {
    if !names.is_empty() {
        let find = |name: &String| {
            let found = table.column(name).filter(|c| !dates.columns.contains(c));
            found.ok_or_else(|| no_column(path, name, &table.header))
        };
        return names.iter().map(find).collect();
    }
    let all: Vec<usize> = (0..table.header.len())
        .filter(|c| !dates.columns.contains(c))
        .collect();
    if all.is_empty() {
        return Err(malformed(
            path,
            "it has no column of numbers beside the date; add one",
        ));
    }
    Ok(all)
}

/// The columns that hold the date.
struct Dates {
    columns: Vec<usize>,
}

impl Dates {
    fn find(path: &Path, table: &Table) -> Result<Self, DataError> {
        let named = |name: &str| {
            let mut names = table.header.iter();
            names.position(|column| column.eq_ignore_ascii_case(name))
        };
        let one = ["date", "ts", "time", "timestamp", "datetime"]
            .iter()
            .find_map(|name| named(name));
        let first = &table.rows[0].1;
        let one = one.or_else(|| first.iter().position(|cell| date::parse(cell).is_some()));
        if let Some(column) = one {
            return Ok(Self {
                columns: vec![column],
            });
        }
        if let (Some(year), Some(month), Some(day)) = (named("year"), named("month"), named("day"))
        {
            let mut columns = vec![year, month, day];
            columns.extend(named("hour"));
            if columns.len() == 4 {
                columns.extend(named("minute"));
            }
            return Ok(Self { columns });
        }
        Err(malformed(
            path,
            "it has no column of dates; call one `date` and write dates as 2016-07-01 00:00:00",
        ))
    }

    fn of(&self, cells: &[String]) -> Option<date::Seconds> {
        if let [column] = self.columns[..] {
            return date::parse(&cells[column]);
        }
        let part = |at: usize| match self.columns.get(at) {
            Some(&column) => cells[column].parse::<i64>().ok(),
            None => Some(0),
        };
        date::civil(part(0)?, part(1)?, part(2)?, part(3)?, part(4)?, 0)
    }

    /// The first date and the step, after checking every row.
    fn check(&self, path: &Path, table: &Table) -> Result<(date::Seconds, Step), DataError> {
        let mut read = Vec::with_capacity(table.rows.len());
        for (line, cells) in &table.rows {
            let Some(date) = self.of(cells) else {
                let texts: Vec<&str> = self.columns.iter().map(|&c| cells[c].as_str()).collect();
                return Err(malformed(
                    path,
                    format!(
                        "line {line}: `{}` is no date; write dates as 2016-07-01 00:00:00",
                        texts.join(" ")
                    ),
                ));
            };
            if let Some(&(before, at)) = read.last() {
                let problem = if date == before {
                    format!(
                        "lines {at} and {line} have the same date ({}); remove one",
                        date::format(date)
                    )
                } else if date < before {
                    format!(
                        "line {line} ({}) is earlier than line {at}; sort the rows by date",
                        date::format(date)
                    )
                } else {
                    String::new()
                };
                if !problem.is_empty() {
                    return Err(malformed(path, problem));
                }
            }
            read.push((date, *line));
        }
        let [(start, _), (second, _), ..] = read[..] else {
            return Err(malformed(path, "it has one row only; give a longer series"));
        };
        let step = date::between(start, second);
        for (i, &(date, line)) in read.iter().enumerate() {
            let expected = date::after(start, step, i);
            if date != expected {
                return Err(malformed(
                    path,
                    format!(
                        "line {line} is dated {} where {} follows at steps of {}; the steps must be even, so add the \
                         rows that are missing (their values may stay empty) or take out the odd one",
                        date::format(date),
                        date::format(expected),
                        date::describe(step)
                    ),
                ));
            }
        }
        Ok((start, step))
    }
}

#[cfg(test)]
mod tests;
