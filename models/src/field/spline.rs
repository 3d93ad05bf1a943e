//! Cubic B-splines on a uniform grid.

use serde::{Deserialize, Serialize};

use crate::check::{ConfigError, ensure, in_range};

/// The basis of cubic splines over `intervals` equal intervals of [`low`, `high`]: `intervals + 3` bumps, each the
/// cardinal cubic B-spline of that width. Outside the range they fade to zero over three more intervals.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplineGrid {
    /// Where the grid begins.
    pub low: f64,
    /// Where it ends.
    pub high: f64,
    /// G, the number of intervals.
    pub intervals: usize,
}

impl SplineGrid {
    /// Checks every field.
    ///
    /// # Errors
    /// Names the first field that does not fit.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        in_range("grids.intervals", self.intervals, 1..=1000)?;
        let (low, high) = (self.low, self.high);
        let holds = low < high && high - low < 1e6 && low.abs() < 1e6;
        ensure(holds, "grids", || {
            format!("{low} to {high} is not a range of numbers within ±10⁶")
        })
    }

    /// The number of basis functions.
    pub fn basis_count(&self) -> usize {
        self.intervals + 3
    }

    /// The width of an interval.
    pub fn step(&self) -> f64 {
        (self.high - self.low) / self.intervals as f64
    }

    /// The (at most four) basis functions that are not zero at `x`: index, and B, B′, B″, B‴ there.
    pub fn active(&self, x: f64) -> impl Iterator<Item = (usize, [f64; 4])> + use<> {
        let h = self.step();
        let t = (x - self.low) / h;
        // Bump j is centred on j − 1 and two intervals wide to each side. A NaN has no active bump.
        let first = (t.floor() as i64).clamp(-4, self.intervals as i64 + 4);
        let count = self.basis_count() as i64;
        let range = if t.is_nan() { 0..0 } else { first..first + 4 };
        range
            .filter(move |j| (0..count).contains(j))
            .map(move |j| (j as usize, bump(t - (j - 1) as f64, h)))
    }
}

/// The cardinal cubic B-spline (2 − |s|)₊³/6 − 4·(1 − |s|)₊³/6 and its three derivatives by x, for s in units of `h`.
fn bump(s: f64, h: f64) -> [f64; 4] {
    let c = s.abs();
    let (r2, r1) = ((2.0 - c).max(0.0), (1.0 - c).max(0.0));
    let side = if s < 0.0 { 1.0 } else { -1.0 };
    let inside = |r: f64| f64::from(u8::from(r > 0.0));
    [
        (r2.powi(3) - 4.0 * r1.powi(3)) / 6.0,
        side * (r2 * r2 - 4.0 * r1 * r1) / (2.0 * h),
        (r2 - 4.0 * r1) / (h * h),
        side * (inside(r2) - 4.0 * inside(r1)) / (h * h * h),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_basis_sums_to_one_inside_the_grid() {
        let grid = SplineGrid {
            low: -1.0,
            high: 2.0,
            intervals: 7,
        };
        for i in 0..=100 {
            let x = -1.0 + 0.03 * f64::from(i);
            let sums = grid.active(x).fold([0.0; 3], |sum, (_, b)| {
                [sum[0] + b[0], sum[1] + b[1], sum[2] + b[2]]
            });
            assert!(
                (sums[0] - 1.0).abs() < 1e-12 && sums[1].abs() < 1e-12 && sums[2].abs() < 1e-9,
                "{x}: {sums:?}"
            );
        }
    }

    #[test]
    fn far_away_nothing_is_active() {
        let grid = SplineGrid {
            low: 0.0,
            high: 1.0,
            intervals: 4,
        };
        for x in [-1e300, -2.0, 3.0, 1e300, f64::NAN, f64::INFINITY] {
            assert!(grid.active(x).all(|(_, b)| b == [0.0; 4]), "{x}");
        }
    }
}
