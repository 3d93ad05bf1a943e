//! Minimisers for small problems in f64 whose every step sees all of the data.

mod adam;
mod collocation;
mod lbfgs;
mod levenberg_marquardt;

use std::ops::ControlFlow;

pub use adam::Adam;
pub use collocation::{Collocation, Condition};
pub use lbfgs::Lbfgs;
pub use levenberg_marquardt::LevenbergMarquardt;

/// A function of many parameters and its gradient.
pub trait Objective {
    /// The value at `parameters`.
    fn value(&self, parameters: &[f64]) -> f64;

    /// The value at `parameters`; its gradient is written to `gradient`, of the same length.
    fn gradient(&self, parameters: &[f64], gradient: &mut [f64]) -> f64;
}

/// A sum of squared residuals: value(p) = Σ r(p)².
pub trait LeastSquares: Objective {
    /// The residuals r at `parameters`.
    fn residuals(&self, parameters: &[f64]) -> Vec<f64>;

    /// The linearisation at `parameters`.
    ///
    /// # Errors
    /// When the tensor library refuses the product, as for want of memory.
    fn linearize(&self, parameters: &[f64]) -> candle_core::Result<Linearization>;
}

/// A least-squares problem near a point, J being the Jacobian of the residuals.
#[derive(Debug, Clone)]
pub struct Linearization {
    /// Σ r².
    pub value: f64,
    /// r.
    pub residuals: Vec<f64>,
    /// Jᵀr, half of the value's gradient.
    pub gradient: Vec<f64>,
    /// JᵀJ, row by row.
    pub gram: Vec<f64>,
    /// J, as `[residuals, parameters]`.
    pub jacobian: candle_core::Tensor,
}

/// Why a minimiser stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Nothing is left to gain at the precision of the numbers.
    Converged,
    /// All iterations were made.
    Iterations,
    /// No acceptable step was found; the best point so far is returned.
    LineSearch,
    /// Values were no longer finite; the best point so far is returned.
    NotFinite,
    /// The observer asked for it.
    Interrupted,
    /// It made the network worse where it is judged; the network from before it was kept.
    Undone,
}

impl Stop {
    /// The reason in words.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Converged => "converged",
            Self::Iterations => "all iterations made",
            Self::LineSearch => "the line search found no better point, the best was kept",
            Self::NotFinite => "values were not finite, the best point was kept",
            Self::Interrupted => "interrupted",
            Self::Undone => "undone, the error at the selection points rose",
        }
    }
}

/// Where a minimiser ended.
#[derive(Debug, Clone)]
pub struct Minimum {
    /// The best parameters that were met.
    pub parameters: Vec<f64>,
    /// The value there.
    pub value: f64,
    /// The iterations made.
    pub iterations: usize,
    /// Why it ended there.
    pub stop: Stop,
}

/// Sees each iteration (its number from 1, the value, the parameters) and may end the minimisation.
pub type Observer<'a> = dyn FnMut(usize, f64, &[f64]) -> ControlFlow<()> + 'a;

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// a + scale·b
fn along(a: &[f64], scale: f64, b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(x, y)| x + scale * y).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Rosenbrock's valley in two dimensions, as residuals 10·(y − x²) and 1 − x.
    pub(crate) struct Rosenbrock;

    impl Objective for Rosenbrock {
        fn value(&self, p: &[f64]) -> f64 {
            self.residuals(p).iter().map(|r| r * r).sum()
        }

        fn gradient(&self, p: &[f64], gradient: &mut [f64]) -> f64 {
            let r = self.residuals(p);
            gradient[0] = 2.0 * (-20.0 * p[0] * r[0] - r[1]);
            gradient[1] = 20.0 * r[0];
            self.value(p)
        }
    }

    impl LeastSquares for Rosenbrock {
        fn residuals(&self, p: &[f64]) -> Vec<f64> {
            vec![10.0 * (p[1] - p[0] * p[0]), 1.0 - p[0]]
        }

        fn linearize(&self, p: &[f64]) -> candle_core::Result<Linearization> {
            let r = self.residuals(p);
            let j = [-20.0 * p[0], 10.0, -1.0, 0.0];
            let product = |a: usize, b: usize| j[a] * j[b] + j[2 + a] * j[2 + b];
            Ok(Linearization {
                value: self.value(p),
                gradient: (0..2).map(|k| j[k] * r[0] + j[2 + k] * r[1]).collect(),
                gram: vec![product(0, 0), product(0, 1), product(1, 0), product(1, 1)],
                jacobian: candle_core::Tensor::from_slice(&j, (2, 2), &candle_core::Device::Cpu)?,
                residuals: r,
            })
        }
    }

    pub(crate) fn go_on(_: usize, _: f64, _: &[f64]) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}
