//! L-BFGS with a line search for the strong Wolfe conditions.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use super::{Minimum, Objective, Observer, Stop, along, dot};

/// Limited-memory BFGS (Nocedal and Wright, Numerical Optimization, 2nd edition, algorithms 7.4, 7.5, 3.5 and 3.6).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lbfgs {
    /// At most this many iterations.
    pub iterations: usize,
    /// How many past steps describe the curvature.
    pub history: usize,
}

/// Sufficient decrease and curvature, as is usual for quasi-Newton methods.
const DECREASE: f64 = 1e-4;
const CURVATURE: f64 = 0.9;
/// Evaluations that one line search may take.
const EVALUATIONS: usize = 40;

/// A point on the search line: the step, and value, slope, gradient there.
struct Trial {
    step: f64,
    value: f64,
    slope: f64,
    gradient: Vec<f64>,
}

impl Lbfgs {
    /// Minimises from `start`. A line search that fails after a restart along the gradient ends it with the best
    /// point so far and [`Stop::LineSearch`].
    pub fn minimize(
        &self,
        objective: &dyn Objective,
        start: &[f64],
        observer: &mut Observer,
    ) -> Minimum {
        let mut at = Minimum {
            parameters: start.to_vec(),
            value: f64::INFINITY,
            iterations: 0,
            stop: Stop::Iterations,
        };
        let mut gradient = vec![0.0; start.len()];
        at.value = objective.gradient(start, &mut gradient);
        if !at.value.is_finite() || gradient.iter().any(|g| !g.is_finite()) {
            at.stop = Stop::NotFinite;
            return at;
        }
        // (s, y, 1/(y·s)), the latest last.
        let mut pairs: VecDeque<(Vec<f64>, Vec<f64>, f64)> = VecDeque::new();
        while at.iterations < self.iterations {
            let size = dot(&gradient, &gradient).sqrt();
            if size <= 1e-15 * (1.0 + at.value) {
                at.stop = Stop::Converged;
                return at;
            }
            let direction = direction(&gradient, &pairs);
            let slope = dot(&direction, &gradient);
            let first = if pairs.is_empty() {
                (1.0 / size).min(1.0)
            } else {
                1.0
            };
            let found = (slope < 0.0)
                .then(|| search(objective, &at, &direction, slope, first))
                .flatten();
            let Some(trial) = found else {
                if pairs.is_empty() {
                    at.stop = Stop::LineSearch;
                    return at;
                }
                pairs.clear();
                continue;
            };
            let s: Vec<f64> = direction.iter().map(|d| trial.step * d).collect();
            let y = along(&trial.gradient, -1.0, &gradient);
            let ys = dot(&y, &s);
            if ys > 1e-14 * dot(&y, &y).sqrt() * dot(&s, &s).sqrt() {
                if pairs.len() == self.history.max(1) {
                    pairs.pop_front();
                }
                pairs.push_back((s, y, 1.0 / ys));
            }
            let gained = at.value - trial.value;
            at.parameters = along(&at.parameters, trial.step, &direction);
            at.value = trial.value;
            gradient = trial.gradient;
            at.iterations += 1;
            if observer(at.iterations, at.value, &at.parameters) == ControlFlow::Break(()) {
                at.stop = Stop::Interrupted;
                return at;
            }
            if gained <= 1e-15 * at.value {
                at.stop = Stop::Converged;
                return at;
            }
        }
        at
    }
}

/// −H·g by the two-loop recursion.
fn direction(gradient: &[f64], pairs: &VecDeque<(Vec<f64>, Vec<f64>, f64)>) -> Vec<f64> {
    let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut weights = Vec::with_capacity(pairs.len());
    for (s, y, rho) in pairs.iter().rev() {
        let weight = rho * dot(s, &q);
        q = along(&q, -weight, y);
        weights.push(weight);
    }
    if let Some((_, y, rho)) = pairs.back() {
        let scale = 1.0 / (rho * dot(y, y));
        q.iter_mut().for_each(|q| *q *= scale);
    }
    for ((s, y, rho), weight) in pairs.iter().zip(weights.into_iter().rev()) {
        let correction = weight - rho * dot(y, &q);
        q = along(&q, correction, s);
    }
    q
}

/// A step that meets the strong Wolfe conditions, or at least lowers the value enough.
fn search(
    objective: &dyn Objective,
    from: &Minimum,
    direction: &[f64],
    slope: f64,
    first: f64,
) -> Option<Trial> {
    let mut left = EVALUATIONS;
    let mut evaluate = |step: f64| -> Option<Trial> {
        left = left.checked_sub(1)?;
        let mut gradient = vec![0.0; direction.len()];
        let value = objective.gradient(&along(&from.parameters, step, direction), &mut gradient);
        let slope = dot(&gradient, direction);
        // A point that cannot be evaluated is as good as an infinitely high one: the search comes closer.
        let (value, slope) = if value.is_finite() && slope.is_finite() {
            (value, slope)
        } else {
            (f64::INFINITY, 0.0)
        };
        Some(Trial {
            step,
            value,
            slope,
            gradient,
        })
    };
    let too_high = |t: &Trial| t.value > from.value + DECREASE * t.step * slope;
    let flat_enough = |t: &Trial| t.slope.abs() <= -CURVATURE * slope;

    let mut low = Trial {
        step: 0.0,
        value: from.value,
        slope,
        gradient: Vec::new(),
    };
    let mut step = first;
    // Widen until a minimum is bracketed between `low` and `high`.
    let mut high = loop {
        let trial = evaluate(step)?;
        if too_high(&trial) || (low.step > 0.0 && trial.value >= low.value) {
            break trial;
        }
        if flat_enough(&trial) {
            return Some(trial);
        }
        if trial.slope >= 0.0 {
            break std::mem::replace(&mut low, trial);
        }
        step = 2.0 * trial.step;
        low = trial;
    };
    // Narrow it.
    loop {
        let step = interpolate(&low, &high);
        let narrow = (high.step - low.step).abs() <= 1e-14 * high.step.abs().max(low.step.abs());
        let trial = if narrow { None } else { evaluate(step) };
        let Some(trial) = trial else {
            // Out of tries: a lower point without the curvature condition is still progress.
            let progress = low.step > 0.0 && low.value < from.value;
            return progress.then_some(low);
        };
        if too_high(&trial) || trial.value >= low.value {
            high = trial;
        } else {
            if flat_enough(&trial) {
                return Some(trial);
            }
            if trial.slope * (high.step - low.step) >= 0.0 {
                high = low;
            }
            low = trial;
        }
    }
}

/// The minimiser of the cubic through both ends where it lies well inside, else the middle.
fn interpolate(low: &Trial, high: &Trial) -> f64 {
    let span = high.step - low.step;
    let middle = low.step + 0.5 * span;
    if !high.value.is_finite() {
        return low.step + 0.1 * span;
    }
    let d1 = low.slope + high.slope - 3.0 * (high.value - low.value) / span;
    let d2 = d1 * d1 - low.slope * high.slope;
    if d2 < 0.0 {
        return middle;
    }
    let d2 = d2.sqrt().copysign(span);
    let step = high.step - span * (high.slope + d2 - d1) / (high.slope - low.slope + 2.0 * d2);
    let inside = (step - low.step) / span;
    if (0.05..=0.95).contains(&inside) {
        step
    } else {
        middle
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Rosenbrock, go_on};
    use super::*;

    const LBFGS: Lbfgs = Lbfgs {
        iterations: 200,
        history: 10,
    };

    #[test]
    fn finds_the_end_of_the_valley() {
        let minimum = LBFGS.minimize(&Rosenbrock, &[-1.2, 1.0], &mut go_on);
        assert!(minimum.value < 1e-20, "{minimum:?}");
        assert!(minimum.iterations < 60, "{minimum:?}");
    }

    /// |x|: no step satisfies the curvature condition, and from 0 none goes down.
    struct Kink;

    impl Objective for Kink {
        fn value(&self, p: &[f64]) -> f64 {
            p[0].abs()
        }

        fn gradient(&self, p: &[f64], gradient: &mut [f64]) -> f64 {
            gradient[0] = if p[0] < 0.0 { -1.0 } else { 1.0 };
            p[0].abs()
        }
    }

    #[test]
    fn a_failing_line_search_keeps_the_best_point_and_says_so() {
        let minimum = LBFGS.minimize(&Kink, &[0.0], &mut go_on);
        assert_eq!((minimum.stop, minimum.value), (Stop::LineSearch, 0.0));
        assert_eq!(minimum.parameters, [0.0]);
    }

    /// ln x: not a number left of 0 and falling without end towards it.
    struct Cliff;

    impl Objective for Cliff {
        fn value(&self, p: &[f64]) -> f64 {
            p[0].ln()
        }

        fn gradient(&self, p: &[f64], gradient: &mut [f64]) -> f64 {
            gradient[0] = 1.0 / p[0];
            p[0].ln()
        }
    }

    #[test]
    fn values_that_are_not_finite_are_walked_around() {
        let minimum = LBFGS.minimize(&Cliff, &[1.0], &mut go_on);
        assert!(
            minimum.value.is_finite() && minimum.value < 0.0,
            "{minimum:?}"
        );
        let lost = LBFGS.minimize(&Cliff, &[-1.0], &mut go_on);
        assert_eq!(lost.stop, Stop::NotFinite);
    }
}
