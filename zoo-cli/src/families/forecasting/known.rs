//! Which values of a series were there, and not filled in: only they count in a loss or a measure.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{Device, Result, Tensor};

use super::resident::ResidentRows;

/// The marks of all values of a series.
#[derive(Debug, Clone)]
pub(super) struct KnownRows {
    /// 1 where a value was there and 0 where it was filled in, row after row.
    marks: Arc<[f32]>,
    /// The same on a device that is not the CPU.
    resident: Option<ResidentRows>,
    /// How many values were there before each row, and in all.
    before: Vec<usize>,
    columns: usize,
}

/// The marks of a batch.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// As the values that they belong to: `[windows, horizon, columns]`.
    marks: Tensor,
    /// What each value that was there counts, where a batch counts as many as it has windows.
    weight: f64,
}

impl KnownRows {
    /// The marks of values that were `filled` or not, row after row, for windows of `length` rows; none where no value
    /// was filled.
    pub(super) fn new(
        filled: &[bool],
        columns: usize,
        length: usize,
        device: &Device,
    ) -> Result<Option<Self>> {
        if !filled.contains(&true) {
            return Ok(None);
        }
        let marks: Arc<[f32]> = filled.iter().map(|filled| f32::from(!filled)).collect();
        let mut before = vec![0];
        for row in filled.chunks_exact(columns) {
            let there = row.iter().filter(|filled| !**filled).count();
            before.push(before[before.len() - 1] + there);
        }
        Ok(Some(Self {
            resident: match device.is_cpu() {
                true => None,
                false => Some(ResidentRows::new(&marks, columns, length, device)?),
            },
            marks,
            before,
            columns,
        }))
    }

    /// How many values were there in some rows.
    pub(super) fn count(&self, rows: Range<usize>) -> usize {
        self.before[rows.end] - self.before[rows.start]
    }

    /// The marks of `count` rows from `offset` on of the windows that begin at these rows, each value counting `weight`.
    pub(super) fn batch(
        &self,
        starts: &[usize],
        (offset, count): (usize, usize),
        weight: f64,
        device: &Device,
    ) -> Result<Known> {
        let marks = match &self.resident {
            Some(resident) => resident
                .windows(starts)?
                .narrow(1, offset, count)?
                .contiguous()?,
            None => rows_of_windows(&self.marks, self.columns, starts, (offset, count), device)?,
        };
        Ok(Known { marks, weight })
    }
}

impl Known {
    /// The sum of errors over the values that were there, and what each counts.
    pub(super) fn sum(&self, errors: &Tensor) -> Result<(Tensor, f64)> {
        Ok(((errors * &self.marks)?.sum_all()?, self.weight))
    }
}

/// `count` rows from `offset` on of the windows that begin at these rows: `[windows, count, columns]`.
pub(super) fn rows_of_windows(
    values: &[f32],
    columns: usize,
    starts: &[usize],
    (offset, count): (usize, usize),
    device: &Device,
) -> Result<Tensor> {
    let mut rows = Vec::with_capacity(starts.len() * count * columns);
    for start in starts {
        let from = (start + offset) * columns;
        rows.extend_from_slice(&values[from..from + count * columns]);
    }
    Tensor::from_vec(rows, (starts.len(), count, columns), device)
}
