//! L-BFGS with a line search for the strong Wolfe conditions.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::{Objective, Point, Stop, along, dot};

/// Limited-memory BFGS (Nocedal and Wright, Numerical Optimization, 2nd edition, algorithms 7.4, 7.5, 3.5 and 3.6).
///
/// A line search that fails after a restart along the gradient ends it with the best point so far and
/// [`Stop::LineSearch`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lbfgs {
    iterations: usize,
    history: usize,
    pub(super) made: usize,
    pub(super) at: Point,
    gradient: Vec<f64>,
    /// The latest last.
    pairs: VecDeque<Pair>,
}

/// What one step says of the curvature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Pair {
    /// s, by how much the parameters changed.
    step: Vec<f64>,
    /// y, by how much the gradient did.
    bend: Vec<f64>,
    /// ρ = 1/(y·s).
    rho: f64,
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
    /// Of at most so many `iterations` from `start`; the last `history` steps describe the curvature.
    pub fn new(
        iterations: usize,
        history: usize,
        start: Vec<f64>,
        objective: &dyn Objective,
    ) -> Self {
        let mut gradient = vec![0.0; start.len()];
        let at = Point {
            value: objective.gradient(&start, &mut gradient),
            parameters: start,
        };
        Self {
            iterations,
            history,
            made: 0,
            at,
            gradient,
            pairs: VecDeque::new(),
        }
    }

    pub(super) fn step(&mut self, objective: &dyn Objective) -> ControlFlow<Stop> {
        if !self.at.value.is_finite() || self.gradient.iter().any(|g| !g.is_finite()) {
            return ControlFlow::Break(Stop::NotFinite);
        }
        if self.made >= self.iterations {
            return ControlFlow::Break(Stop::Iterations);
        }
        let size = dot(&self.gradient, &self.gradient).sqrt();
        if size <= 1e-15 * (1.0 + self.at.value) {
            return ControlFlow::Break(Stop::Converged);
        }
        let (direction, trial) = loop {
            let direction = direction(&self.gradient, &self.pairs);
            let slope = dot(&direction, &self.gradient);
            let first = if self.pairs.is_empty() {
                (1.0 / size).min(1.0)
            } else {
                1.0
            };
            let found = (slope < 0.0)
                .then(|| search(objective, &self.at, &direction, slope, first))
                .flatten();
            match found {
                Some(trial) => break (direction, trial),
                None if self.pairs.is_empty() => return ControlFlow::Break(Stop::LineSearch),
                None => self.pairs.clear(),
            }
        };
        let step: Vec<f64> = direction.iter().map(|d| trial.step * d).collect();
        let bend = along(&trial.gradient, -1.0, &self.gradient);
        let product = dot(&bend, &step);
        if product > 1e-14 * dot(&bend, &bend).sqrt() * dot(&step, &step).sqrt() {
            if self.pairs.len() == self.history.max(1) {
                self.pairs.pop_front();
            }
            let rho = 1.0 / product;
            self.pairs.push_back(Pair { step, bend, rho });
        }
        let gained = self.at.value - trial.value;
        self.at = Point {
            parameters: along(&self.at.parameters, trial.step, &direction),
            value: trial.value,
        };
        self.gradient = trial.gradient;
        self.made += 1;
        if gained <= 1e-15 * self.at.value {
            return ControlFlow::Break(Stop::Converged);
        }
        ControlFlow::Continue(())
    }

    pub(super) fn fits(&self, count: usize) -> bool {
        let pairs = self.pairs.iter().flat_map(|pair| [&pair.step, &pair.bend]);
        pairs
            .chain([&self.at.parameters, &self.gradient])
            .all(|v| v.len() == count)
    }
}

/// −H·g by the two-loop recursion.
fn direction(gradient: &[f64], pairs: &VecDeque<Pair>) -> Vec<f64> {
    let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut weights = Vec::with_capacity(pairs.len());
    for pair in pairs.iter().rev() {
        let weight = pair.rho * dot(&pair.step, &q);
        q = along(&q, -weight, &pair.bend);
        weights.push(weight);
    }
    if let Some(Pair { bend, rho, .. }) = pairs.back() {
        let scale = 1.0 / (rho * dot(bend, bend));
        q.iter_mut().for_each(|q| *q *= scale);
    }
    for (pair, weight) in pairs.iter().zip(weights.into_iter().rev()) {
        let correction = weight - pair.rho * dot(&pair.bend, &q);
        q = along(&q, correction, &pair.step);
    }
    q
}

/// A step that meets the strong Wolfe conditions, or at least lowers the value enough.
fn search(
    objective: &dyn Objective,
    from: &Point,
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
    use super::super::Minimizer;
    use super::super::tests::{Rosenbrock, minimize};
    use super::*;
    use candle_core::Result;
    use proptest::prelude::*;

    fn in_the_valley(iterations: usize) -> Minimizer {
        let start = vec![-1.2, 1.0];
        Minimizer::Lbfgs(Lbfgs::new(iterations, 10, start, &Rosenbrock))
    }

    /// Minimises a function of one parameter to the end.
    fn end(objective: &dyn Objective, start: f64) -> (Point, Stop) {
        let mut lbfgs = Lbfgs::new(200, 10, vec![start], objective);
        loop {
            if let ControlFlow::Break(stop) = lbfgs.step(objective) {
                return (lbfgs.at, stop);
            }
        }
    }

    #[test]
    fn finds_the_end_of_the_valley() -> Result<()> {
        let (end, _) = minimize(in_the_valley(200), &Rosenbrock, usize::MAX)?;
        assert!(end.best().value < 1e-20 && end.iterations() < 60, "{end:?}");
        Ok(())
    }

    proptest! {
        #[test]
        fn stored_at_any_iteration_it_ends_the_same(iterations in 0usize..50, stop in 0usize..50) {
            let run = |stop| minimize(in_the_valley(iterations), &Rosenbrock, stop).unwrap();
            prop_assert_eq!(format!("{:?}", run(usize::MAX)), format!("{:?}", run(stop)));
        }
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
        let (minimum, stop) = end(&Kink, 0.0);
        assert_eq!((stop, minimum.value), (Stop::LineSearch, 0.0));
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
        let (minimum, _) = end(&Cliff, 1.0);
        assert!(
            minimum.value.is_finite() && minimum.value < 0.0,
            "{minimum:?}"
        );
        assert_eq!(end(&Cliff, -1.0).1, Stop::NotFinite);
    }
}
