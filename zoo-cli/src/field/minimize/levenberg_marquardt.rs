//! Levenberg-Marquardt: Gauss-Newton steps inside a region that is trusted.

use std::ops::ControlFlow;

use candle_core::Result;
use models::field::{cholesky_factor, cholesky_substitute};
use serde::{Deserialize, Serialize};

use super::{LeastSquares, Linearization, Point, Stop, along, dot};

/// Levenberg-Marquardt with Moré's scaling, Nielsen's damping (Madsen, Nielsen and Tingleff, "Methods for non-linear
/// least squares problems", 2004) and geodesic acceleration (Transtrum and Sethna, arXiv 1201.5885).
///
/// Meant for up to a few hundred parameters: each iteration factors a dense matrix of that size. A rejected step is an
/// iteration too.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LevenbergMarquardt {
    iterations: usize,
    pub(super) made: usize,
    pub(super) at: Point,
    /// The largest curvature met along each parameter.
    scale: Vec<f64>,
    damping: f64,
    /// By how much the damping grows with the next rejected step.
    growth: f64,
    /// Steps in a row that gained next to nothing.
    small_gains: usize,
    /// The problem near `at`; computed again where it is not at hand.
    #[serde(skip)]
    local: Option<Linearization>,
}

/// Damping of the first step, relative to the scaled curvature.
const FIRST_DAMPING: f64 = 1e-3;
const MOST_DAMPING: f64 = 1e16;
/// The correction may be at most this part of the step.
const ACCELERATION: f64 = 0.75;
/// Step of the difference along the direction, relative to it.
const DIFFERENCE: f64 = 0.1;

impl LevenbergMarquardt {
    /// Of at most so many `iterations` from `start`.
    ///
    /// # Errors
    /// When the tensor library refuses a product, as for want of memory.
    pub fn new(iterations: usize, start: Vec<f64>, problem: &dyn LeastSquares) -> Result<Self> {
        let local = problem.linearize(&start)?;
        Ok(Self {
            iterations,
            made: 0,
            scale: vec![0.0; start.len()],
            at: Point {
                value: local.value,
                parameters: start,
            },
            damping: FIRST_DAMPING,
            growth: 2.0,
            small_gains: 0,
            local: Some(local),
        })
    }

    pub(super) fn step(&mut self, problem: &dyn LeastSquares) -> Result<ControlFlow<Stop>> {
        if self.made >= self.iterations {
            return Ok(ControlFlow::Break(Stop::Iterations));
        }
        let local = match &mut self.local {
            Some(local) => local,
            none => none.insert(problem.linearize(&self.at.parameters)?),
        };
        if !is_finite(local) {
            return Ok(ControlFlow::Break(Stop::NotFinite));
        }
        self.made += 1;
        let n = self.scale.len();
        let largest = (0..n).map(|i| local.gram[i * n + i]).fold(0.0, f64::max);
        for (i, s) in self.scale.iter_mut().enumerate() {
            // A parameter without influence must not make the matrix singular.
            *s = s.max(local.gram[i * n + i]).max(1e-14 * largest);
        }
        let from = &self.at;
        let step = damped(problem, local, &from.parameters, &self.scale, self.damping)?;
        let gained = step.and_then(|step| {
            let parameters = along(&from.parameters, 1.0, &step.whole);
            let value = problem.value(&parameters);
            (value < from.value).then_some((Point { parameters, value }, step.predicted))
        });
        let Some((to, predicted)) = gained else {
            self.damping *= self.growth;
            self.growth *= 2.0;
            return Ok(match self.damping > MOST_DAMPING {
                true => ControlFlow::Break(Stop::Converged),
                false => ControlFlow::Continue(()),
            });
        };
        let gain = from.value - to.value;
        let ratio = gain / predicted.max(f64::MIN_POSITIVE);
        self.damping *= (1.0 - (2.0 * ratio - 1.0).powi(3)).clamp(1.0 / 5.0, 2.0);
        self.damping = self.damping.max(1e-18);
        self.growth = 2.0;
        self.small_gains = if gain <= 1e-7 * from.value {
            self.small_gains + 1
        } else {
            0
        };
        (self.at, self.local) = (to, None);
        Ok(match self.small_gains >= 10 {
            true => ControlFlow::Break(Stop::Converged),
            false => ControlFlow::Continue(()),
        })
    }

    pub(super) fn fits(&self, count: usize) -> bool {
        self.at.parameters.len() == count && self.scale.len() == count
    }
}

fn is_finite(local: &Linearization) -> bool {
    local.value.is_finite()
        && local
            .gram
            .iter()
            .chain(&local.gradient)
            .all(|v| v.is_finite())
}

struct Step {
    whole: Vec<f64>,
    /// How much lower the linearised value is after the plain step.
    predicted: f64,
}

/// The damped step with its acceleration, or nothing where the matrix is not positive definite or the correction too
/// large to be trusted.
fn damped(
    problem: &dyn LeastSquares,
    local: &Linearization,
    parameters: &[f64],
    scale: &[f64],
    damping: f64,
) -> Result<Option<Step>> {
    let n = parameters.len();
    let mut factor = local.gram.clone();
    for (i, s) in scale.iter().enumerate() {
        factor[i * n + i] += damping * s;
    }
    if !cholesky_factor(&mut factor, n) {
        return Ok(None);
    }
    let mut velocity: Vec<f64> = local.gradient.iter().map(|g| -g).collect();
    cholesky_substitute(&factor, &mut velocity);
    if velocity.iter().any(|v| !v.is_finite()) {
        return Ok(None);
    }
    let stretch: f64 = velocity
        .iter()
        .zip(scale)
        .map(|(v, s)| damping * s * v * v)
        .sum();
    let predicted = stretch - dot(&velocity, &local.gradient);

    // The second derivative of the residuals along the step: 2/h·((r(p + h·v) − r(p))/h − J·v).
    let ahead = problem.residuals(&along(parameters, DIFFERENCE, &velocity));
    let linear = times(&local.jacobian, &velocity)?;
    let bend: Vec<f64> = ahead
        .iter()
        .zip(&local.residuals)
        .zip(&linear)
        .map(|((a, r), l)| 2.0 / DIFFERENCE * ((a - r) / DIFFERENCE - l))
        .collect();
    let mut acceleration = transposed_times(&local.jacobian, &bend)?;
    cholesky_substitute(&factor, &mut acceleration);
    let weigh = |v: &[f64]| -> f64 { v.iter().zip(scale).map(|(v, s)| s * v * v).sum() };
    let part = (weigh(&acceleration) / weigh(&velocity)).sqrt();
    if part.is_nan() || part > ACCELERATION {
        return Ok(None);
    }
    Ok(Some(Step {
        whole: along(&velocity, -0.5, &acceleration),
        predicted,
    }))
}

fn times(jacobian: &candle_core::Tensor, v: &[f64]) -> Result<Vec<f64>> {
    let v = candle_core::Tensor::from_slice(v, (v.len(), 1), jacobian.device())?;
    jacobian.matmul(&v)?.flatten_all()?.to_vec1()
}

fn transposed_times(jacobian: &candle_core::Tensor, r: &[f64]) -> Result<Vec<f64>> {
    let r = candle_core::Tensor::from_slice(r, (1, r.len()), jacobian.device())?;
    r.matmul(jacobian)?.flatten_all()?.to_vec1()
}

#[cfg(test)]
mod tests {
    use super::super::Minimizer;
    use super::super::tests::{Rosenbrock, minimize};
    use super::*;
    use proptest::prelude::*;

    fn run(iterations: usize, start: f64, stop: usize) -> Result<(Minimizer, Stop)> {
        let method = LevenbergMarquardt::new(iterations, vec![start, 1.0], &Rosenbrock)?;
        minimize(Minimizer::LevenbergMarquardt(method), &Rosenbrock, stop)
    }

    #[test]
    fn finds_the_end_of_the_valley() -> Result<()> {
        let (end, _) = run(100, -1.2, usize::MAX)?;
        assert!(end.best().value < 1e-20 && end.iterations() < 40, "{end:?}");
        Ok(())
    }

    #[test]
    fn a_start_that_is_not_finite_is_handed_back() -> Result<()> {
        let (end, stop) = run(10, f64::NAN, usize::MAX)?;
        assert_eq!((stop, end.iterations()), (Stop::NotFinite, 0));
        Ok(())
    }

    proptest! {
        #[test]
        fn stored_at_any_iteration_it_ends_the_same(
            iterations in 0usize..40,
            start in -3.0f64..3.0,
            stop in 0usize..40,
        ) {
            let (unbroken, broken) = (run(iterations, start, usize::MAX), run(iterations, start, stop));
            let ((unbroken, why), (broken, also)) = (unbroken.unwrap(), broken.unwrap());
            prop_assert_eq!(why, also);
            prop_assert_eq!(unbroken.iterations(), broken.iterations());
            prop_assert_eq!(unbroken.best(), broken.best());
        }
    }
}
