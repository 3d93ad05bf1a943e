//! Series: numbers in columns, one row for each of evenly spaced dates, from a CSV file, stdin, or the embedded sample.
//!
//! A file is read in this order: its text, unpacked and decoded; a table of cells; the columns of the dates; the rows of
//! one series where there are several; their order and their step; the columns of numbers; the values. What is left out,
//! reversed or filled on the way stands in the [`SeriesInventory`]; what can be read in two ways is an error that says
//! how to choose.

mod clock;
mod columns;
mod date;
mod header;
mod inventory;
mod key;
mod missing;
mod number;
mod numbering;
mod options;
mod read;
mod records;
mod row_names;
mod sample;
mod select;
mod split;
mod stand_in;
mod step;
mod table;
mod text;
mod timeline;

use std::path::Path;

use sha2::{Digest, Sha256};

use self::read::Reading;
use self::select::{exclude, listed};
use super::{DataError, Source};

pub use clock::StepReading;
pub use date::DateReading;
pub use inventory::{
    ColumnInventory, Gap, Gaps, Keys, LeftOut as SeriesLeftOut, Parts, SeriesInventory,
};
pub use key::Key;
pub use missing::Missing;
pub use number::Decimal;
pub use options::SeriesOptions;
pub use split::Split;
pub use text::is_stream;
pub use timeline::{Moment, Timeline, describe};

/// The name of the embedded sample.
pub const SAMPLE: &str = "sample";

/// A series in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// Finite values, row after row.
    pub values: Vec<f64>,
    /// For each value whether it was filled in; empty where none was.
    pub filled: Vec<bool>,
    /// The dates of the rows.
    pub timeline: Timeline,
    /// Where it came from.
    pub source: Source,
    /// What was found there.
    pub inventory: SeriesInventory,
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
    /// The series of `spec`: the path of a CSV file, `-` for stdin, or `sample`. Without it the series is `default`.
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
            sample::load(options)?
        } else {
            Reading::new(spec, options)?.series(options.missing)?
        };
        series.seal();
        Ok(series)
    }

    /// What lies in the series of `spec`, and why it cannot be used as it is, where something must be chosen or repaired
    /// first.
    ///
    /// # Errors
    /// When it cannot be read at all.
    pub fn inspect(
        spec: &str,
        options: &SeriesOptions,
    ) -> Result<(SeriesInventory, Option<DataError>), DataError> {
        if spec == SAMPLE {
            return Ok((sample::load(options)?.inventory, None));
        }
        let reading = Reading::new(spec, options)?;
        let inventory = reading.inventory.clone();
        let series = reading.series(options.missing);
        let scale = series.and_then(|series| {
            let learned = series.split(options.held_out).train;
            series.scale(learned)
        });
        Ok((inventory, scale.err()))
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.values.len() / self.columns.len().max(1)
    }

    /// The date of row `row`, which may lie beyond the end.
    pub fn date(&self, row: usize) -> Moment {
        self.timeline.at(row)
    }

    /// The columns that tell it from the other series of its file; none where it is the only one.
    pub fn key_columns(&self) -> Vec<String> {
        let keys = self.inventory.keys.as_ref();
        keys.map_or_else(Vec::new, |keys| keys.columns.clone())
    }

    /// The rows that are learned from, watched, and tested on.
    pub fn split(&self, held_out: f64) -> Split {
        Split::of(&self.source.name, self.rows(), held_out)
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
                "column `{}` holds a value that is too large to be scaled; repair it, or leave the column out with {}",
                self.columns[column],
                exclude(&self.without(&[&self.columns[column]]))
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
        let (mut mean, mut std, mut constant) = (Vec::new(), Vec::new(), Vec::new());
        for (c, name) in self.columns.iter().enumerate() {
            let column = || part.iter().skip(c).step_by(columns);
            let middle = column().sum::<f64>() / count;
            let variance = column().map(|v| (v - middle).powi(2)).sum::<f64>() / count;
            let deviation = variance.sqrt();
            // Rounding leaves a constant column with a deviation of this order.
            if deviation <= 1e-12 * middle.abs() {
                constant.push(name);
            }
            if !deviation.is_finite() {
                return Err(self.too_large(c));
            }
            mean.push(middle);
            std.push(deviation);
        }
        if constant.is_empty() {
            return Ok(Scale { mean, std });
        }
        let advice = match constant.len() < self.columns.len() {
            true => format!(
                "leave out what is constant with {}",
                exclude(&self.without(&constant))
            ),
            false => "give a series that changes".into(),
        };
        Err(malformed(
            Path::new(&self.source.name),
            format!(
                "{} constant in the training part ({} rows), so that nothing can be scaled; {advice}",
                listed(&constant),
                rows.len()
            ),
        ))
    }

    /// What `series.exclude` must name to leave out these columns as well.
    fn without<'a>(&'a self, columns: &[&'a String]) -> Vec<&'a String> {
        self.inventory
            .excluded
            .iter()
            .chain(columns.iter().copied())
            .collect()
    }

    fn seal(&mut self) {
        let mut hash = Sha256::new();
        for name in &self.columns {
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name.as_bytes());
        }
        let (seconds, nanos) = self.timeline.origin();
        hash.update(seconds.to_le_bytes());
        if nanos != 0 {
            hash.update(nanos.to_le_bytes());
        }
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
        // Names of columns may have several lines.
        problem: problem.into().replace(['\r', '\n'], " "),
    }
}

fn no_column(path: &Path, name: &str, known: &[String]) -> DataError {
    let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    malformed(
        path,
        format!("it has no column `{name}`; it has {}", known.join(", ")),
    )
}

#[cfg(test)]
mod tests;
