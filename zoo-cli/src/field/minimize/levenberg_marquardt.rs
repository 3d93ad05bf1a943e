//! Levenberg-Marquardt: Gauss-Newton steps inside a region that is trusted.

use std::ops::ControlFlow;

use candle_core::Result;
use models::field::{cholesky_factor, cholesky_substitute};

use super::{LeastSquares, Linearization, Minimum, Observer, Stop, along, dot};

/// Levenberg-Marquardt with Moré's scaling, Nielsen's damping (Madsen, Nielsen and Tingleff, "Methods for non-linear
/// least squares problems", 2004) and geodesic acceleration (Transtrum and Sethna, arXiv 1201.5885).
///
/// Meant for up to a few hundred parameters: each iteration factors a dense matrix of that size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LevenbergMarquardt {
    /// At most this many accepted or rejected steps.
    pub iterations: usize,
}

/// Damping of the first step, relative to the scaled curvature.
const FIRST_DAMPING: f64 = 1e-3;
const MOST_DAMPING: f64 = 1e16;
/// The correction may be at most this part of the step.
const ACCELERATION: f64 = 0.75;
/// Step of the difference along the direction, relative to it.
const DIFFERENCE: f64 = 0.1;

impl LevenbergMarquardt {
    /// Minimises from `start`.
    ///
    /// # Errors
    /// When the tensor library refuses a product, as for want of memory.
    pub fn minimize(
        &self,
        problem: &dyn LeastSquares,
        start: &[f64],
        observer: &mut Observer,
    ) -> Result<Minimum> {
        let n = start.len();
        let mut local = problem.linearize(start)?;
        let mut at = Minimum {
            parameters: start.to_vec(),
            value: local.value,
            iterations: 0,
            stop: Stop::Iterations,
        };
        if !is_finite(&local) {
            at.stop = Stop::NotFinite;
            return Ok(at);
        }
        let mut scale = vec![0.0f64; n];
        let (mut damping, mut growth) = (FIRST_DAMPING, 2.0);
        let mut small_gains = 0;
        while at.iterations < self.iterations {
            at.iterations += 1;
            let largest = (0..n).map(|i| local.gram[i * n + i]).fold(0.0, f64::max);
            for (i, s) in scale.iter_mut().enumerate() {
                // A parameter without influence must not make the matrix singular.
                *s = s.max(local.gram[i * n + i]).max(1e-14 * largest);
            }
            let step = step(problem, &local, &at.parameters, &scale, damping)?;
            let gained = step.and_then(|step| {
                let parameters = along(&at.parameters, 1.0, &step.whole);
                let value = problem.value(&parameters);
                (value < at.value).then_some((parameters, value, step.predicted))
            });
            let Some((parameters, value, predicted)) = gained else {
                damping *= growth;
                growth *= 2.0;
                if damping > MOST_DAMPING {
                    at.stop = Stop::Converged;
                    return Ok(at);
                }
                continue;
            };
            let ratio = (at.value - value) / predicted.max(f64::MIN_POSITIVE);
            damping *= (1.0 - (2.0 * ratio - 1.0).powi(3)).clamp(1.0 / 5.0, 2.0);
            damping = damping.max(1e-18);
            growth = 2.0;
            small_gains = if at.value - value <= 1e-7 * at.value {
                small_gains + 1
            } else {
                0
            };
            (at.parameters, at.value) = (parameters, value);
            if observer(at.iterations, at.value, &at.parameters) == ControlFlow::Break(()) {
                at.stop = Stop::Interrupted;
                return Ok(at);
            }
            if small_gains >= 10 {
                at.stop = Stop::Converged;
                return Ok(at);
            }
            local = problem.linearize(&at.parameters)?;
            if !is_finite(&local) {
                at.stop = Stop::NotFinite;
                return Ok(at);
            }
        }
        Ok(at)
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
fn step(
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
    use super::super::tests::{Rosenbrock, go_on};
    use super::*;

    #[test]
    fn finds_the_end_of_the_valley() -> Result<()> {
        let method = LevenbergMarquardt { iterations: 100 };
        let minimum = method.minimize(&Rosenbrock, &[-1.2, 1.0], &mut go_on)?;
        assert!(
            minimum.value < 1e-20 && minimum.iterations < 40,
            "{minimum:?}"
        );
        Ok(())
    }

    #[test]
    fn a_start_that_is_not_finite_is_handed_back() -> Result<()> {
        let method = LevenbergMarquardt { iterations: 10 };
        let minimum = method.minimize(&Rosenbrock, &[f64::NAN, 1.0], &mut go_on)?;
        assert_eq!((minimum.stop, minimum.iterations), (Stop::NotFinite, 0));
        Ok(())
    }
}
