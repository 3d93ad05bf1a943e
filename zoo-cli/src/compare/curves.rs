//! Learning curves over the seeds of a case.

use std::path::Path;

use super::{Case, Results, run_dir};
use crate::layout::METRICS_CSV;

/// A measure over the course of training.
#[derive(Debug, Default)]
pub(super) struct Curve {
    /// The median of all seeds.
    pub(super) median: Vec<(f64, f64)>,
    /// The least and the largest.
    pub(super) range: Vec<(f64, f64, f64)>,
}

/// The column `name` of the metrics of every finished run of `case` under `dir`, over their first column. Rows without
/// a value are left out; a run that ended before others keeps its last value.
pub(super) fn curve(dir: &Path, results: &Results, case: &Case, name: &str) -> Curve {
    let seeds = results.of(case).into_iter().map(|run| run.seed);
    let files = seeds.map(|seed| run_dir(dir, case, seed).join(METRICS_CSV));
    let curves: Vec<Vec<(f64, f64)>> = files.filter_map(|path| column(&path, name)).collect();
    over(&curves)
}

fn over(curves: &[Vec<(f64, f64)>]) -> Curve {
    let longest = (curves.iter()).max_by(|a, b| end(a).total_cmp(&end(b)));
    let mut curve = Curve::default();
    for (x, _) in longest.into_iter().flatten() {
        let at = |points: &Vec<(f64, f64)>| {
            let reached = points.partition_point(|point| point.0 <= *x).max(1);
            Some(points.get(reached - 1)?.1)
        };
        let mut values: Vec<f64> = curves.iter().filter_map(at).collect();
        values.sort_by(f64::total_cmp);
        curve.median.push((*x, values[values.len() / 2]));
        curve.range.push((*x, values[0], values[values.len() - 1]));
    }
    curve
}

fn end(points: &[(f64, f64)]) -> f64 {
    points.last().map_or(f64::NEG_INFINITY, |point| point.0)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_unlike_length_are_held_together_where_they_were() {
        let curve = over(&[
            vec![(1.0, 9.0), (3.0, 1.0)],
            vec![(1.0, 8.0), (2.0, 6.0), (4.0, 5.0)],
            vec![],
            vec![(2.0, 7.0)],
        ]);
        assert_eq!(curve.median, [(1.0, 8.0), (2.0, 7.0), (4.0, 5.0)]);
        let range = [(1.0, 7.0, 9.0), (2.0, 6.0, 9.0), (4.0, 1.0, 7.0)];
        assert_eq!(curve.range, range);
    }
}
