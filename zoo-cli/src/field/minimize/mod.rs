//! Minimisers for small problems in f64 whose every step sees all of the data.
//!
//! A minimiser is what it carries from one iteration to the next, as plain numbers: stored between any two iterations and
//! read back, it goes on to the same bits. Only what the problem gives again at the same parameters is left out.

mod adam;
mod collocation;
mod lbfgs;
mod levenberg_marquardt;

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// Nothing is left to gain at the precision of the numbers.
    Converged,
    /// All iterations were made.
    Iterations,
    /// No acceptable step was found; the best point so far is kept.
    LineSearch,
    /// Values were no longer finite; the best point so far is kept.
    NotFinite,
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
            Self::Undone => "undone, the error at the selection points rose",
        }
    }
}

/// Parameters and the value there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The parameters.
    pub parameters: Vec<f64>,
    /// The value.
    pub value: f64,
}

/// A minimisation under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "kebab-case")]
pub enum Minimizer {
    /// By Adam.
    Adam(Adam),
    /// By L-BFGS.
    Lbfgs(Lbfgs),
    /// By Levenberg-Marquardt.
    LevenbergMarquardt(LevenbergMarquardt),
}

impl Minimizer {
    /// Makes one iteration, the same `problem` being given each time; or says why there is none, or none after it.
    ///
    /// # Errors
    /// When the tensor library refuses a product, as for want of memory.
    pub fn step(&mut self, problem: &dyn LeastSquares) -> candle_core::Result<ControlFlow<Stop>> {
        match self {
            Self::Adam(adam) => Ok(adam.step(problem)),
            Self::Lbfgs(lbfgs) => Ok(lbfgs.step(problem)),
            Self::LevenbergMarquardt(method) => method.step(problem),
        }
    }

    /// The iterations made.
    pub fn iterations(&self) -> usize {
        match self {
            Self::Adam(adam) => adam.made,
            Self::Lbfgs(lbfgs) => lbfgs.made,
            Self::LevenbergMarquardt(method) => method.made,
        }
    }

    /// Whether it is one of a function of `count` parameters, as after reading it from a file it may not be.
    pub fn fits(&self, count: usize) -> bool {
        match self {
            Self::Adam(adam) => adam.fits(count),
            Self::Lbfgs(lbfgs) => lbfgs.fits(count),
            Self::LevenbergMarquardt(method) => method.fits(count),
        }
    }

    /// Where it is.
    pub fn current(&self) -> &Point {
        match self {
            Self::Adam(adam) => &adam.at,
            Self::Lbfgs(lbfgs) => &lbfgs.at,
            Self::LevenbergMarquardt(method) => &method.at,
        }
    }

    /// The best that was met: for all but Adam, which may climb, that is where it is.
    pub fn best(&self) -> &Point {
        match self {
            Self::Adam(adam) => &adam.best,
            _ => self.current(),
        }
    }
}

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

    /// Minimises to the end, after `stop` iterations by a copy that was stored and read back. Says why it ended.
    pub(crate) fn minimize(
        mut minimizer: Minimizer,
        problem: &dyn LeastSquares,
        stop: usize,
    ) -> candle_core::Result<(Minimizer, Stop)> {
        for iteration in 0.. {
            if iteration == stop {
                let text = toml::to_string(&minimizer).unwrap();
                minimizer = toml::from_str(&text).unwrap();
                assert_eq!(toml::to_string(&minimizer).unwrap(), text);
            }
            if let ControlFlow::Break(stop) = minimizer.step(problem)? {
                return Ok((minimizer, stop));
            }
        }
        unreachable!("every minimisation ends")
    }
}
