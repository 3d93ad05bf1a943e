//! Learning curves over the seeds of a case.

use std::path::Path;

use super::{Case, Results, run_dir};
use crate::train::run_dir::METRICS_CSV;

/// A measure over the course of training.
#[derive(Debug, Default)]
pub(super) struct Curve {
    /// The median of all seeds.
    pub(super) median: Vec<(f64, f64)>,
    /// The least and the largest.
    pub(super) range: Vec<(f64, f64, f64)>,
}

/// The column `name` of the metrics of every finished run of `case` under `dir`, over their first column. Rows without
/// a value are left out.
pub(super) fn curve(dir: &Path, results: &Results, case: &Case, name: &str) -> Curve {
    let seeds = results.of(case).into_iter().map(|run| run.seed);
    let files = seeds.map(|seed| run_dir(dir, case, seed).join(METRICS_CSV));
    let curves: Vec<Vec<(f64, f64)>> = files.filter_map(|path| column(&path, name)).collect();
    let longest = curves.iter().max_by_key(|c| c.len());
    let mut curve = Curve::default();
    for (i, (x, _)) in longest.into_iter().flatten().enumerate() {
        let mut values: Vec<f64> = curves.iter().filter_map(|c| Some(c.get(i)?.1)).collect();
        values.sort_by(f64::total_cmp);
        curve.median.push((*x, values[values.len() / 2]));
        curve.range.push((*x, values[0], values[values.len() - 1]));
    }
    curve
}

/// The last value of the column `name` of the metrics at `path`.
pub(super) fn last(path: &Path, name: &str) -> Option<f64> {
    Some(column(path, name)?.last()?.1)
}

fn column(path: &Path, name: &str) -> Option<Vec<(f64, f64)>> {
    let text = std::fs::read_to_string(path).ok()?;
    let mut lines = text.lines();
    let index = lines.next()?.split(',').position(|title| title == name)?;
    let point = |line: &str| {
        let mut cells = line.split(',');
        let x = cells.next()?.parse().ok()?;
        Some((x, cells.nth(index.checked_sub(1)?)?.parse().ok()?))
    };
    Some(lines.filter_map(point).collect())
}
