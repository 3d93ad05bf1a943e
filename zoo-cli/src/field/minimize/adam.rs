//! Adam over the whole data, as a warm start.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::{Objective, Point, Stop};

/// Adam (arXiv 1412.6980) with a learning rate that falls to zero along a cosine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adam {
    iterations: usize,
    learning_rate: f64,
    pub(super) made: usize,
    pub(super) at: Point,
    gradient: Vec<f64>,
    /// The moving averages of the gradient and of its square.
    moments: [Vec<f64>; 2],
    pub(super) best: Point,
}

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

impl Adam {
    /// Of so many `iterations`, from `start`; `learning_rate` is that of the first.
    pub fn new(
        iterations: usize,
        learning_rate: f64,
        start: Vec<f64>,
        objective: &dyn Objective,
    ) -> Self {
        let zero = vec![0.0; start.len()];
        let mut gradient = zero.clone();
        let at = Point {
            value: objective.gradient(&start, &mut gradient),
            parameters: start,
        };
        Self {
            iterations,
            learning_rate,
            made: 0,
            best: at.clone(),
            at,
            gradient,
            moments: [zero.clone(), zero],
        }
    }

    pub(super) fn step(&mut self, objective: &dyn Objective) -> ControlFlow<Stop> {
        if !self.is_finite() {
            return ControlFlow::Break(Stop::NotFinite);
        }
        if self.made >= self.iterations {
            return ControlFlow::Break(Stop::Iterations);
        }
        let part = self.made as f64 / self.iterations as f64;
        let rate = self.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * part).cos());
        self.made += 1;
        let k = self.made as i32;
        let (fix1, fix2) = (1.0 - BETA1.powi(k), 1.0 - BETA2.powi(k));
        let [first, second] = &mut self.moments;
        for (i, p) in self.at.parameters.iter_mut().enumerate() {
            let g = self.gradient[i];
            first[i] += (1.0 - BETA1) * (g - first[i]);
            second[i] += (1.0 - BETA2) * (g * g - second[i]);
            *p -= rate * (first[i] / fix1) / ((second[i] / fix2).sqrt() + EPSILON);
        }
        self.at.value = objective.gradient(&self.at.parameters, &mut self.gradient);
        if self.is_finite() && self.at.value < self.best.value {
            self.best.clone_from(&self.at);
        }
        ControlFlow::Continue(())
    }

    pub(super) fn fits(&self, count: usize) -> bool {
        let [first, second] = &self.moments;
        let (at, best) = (&self.at.parameters, &self.best.parameters);
        [at, best, &self.gradient, first, second]
            .iter()
            .all(|v| v.len() == count)
    }

    fn is_finite(&self) -> bool {
        self.at.value.is_finite() && self.gradient.iter().all(|g| g.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Minimizer;
    use super::super::tests::{Rosenbrock, minimize};
    use super::*;
    use candle_core::Result;
    use proptest::prelude::*;

    fn adam(iterations: usize, learning_rate: f64) -> Minimizer {
        let start = vec![-1.2, 1.0];
        Minimizer::Adam(Adam::new(iterations, learning_rate, start, &Rosenbrock))
    }

    #[test]
    fn descends_into_the_valley() -> Result<()> {
        let (end, stop) = minimize(adam(3000, 0.05), &Rosenbrock, usize::MAX)?;
        let best = end.best();
        assert!(best.value < 1e-4, "{best:?}");
        assert_eq!(best.value, Rosenbrock.value(&best.parameters));
        assert_eq!((end.iterations(), stop), (3000, Stop::Iterations));
        Ok(())
    }

    #[test]
    fn a_climb_keeps_the_best_point() -> Result<()> {
        // So high a rate that the first step leaves the valley for good.
        let (end, _) = minimize(adam(3, 1e3), &Rosenbrock, usize::MAX)?;
        assert!(end.current().value > 1e6);
        assert_eq!(end.best().parameters, [-1.2, 1.0]);
        let (end, stop) = minimize(adam(9, 1e200), &Rosenbrock, usize::MAX)?;
        assert_eq!((end.iterations(), stop), (1, Stop::NotFinite));
        assert_eq!(end.best().parameters, [-1.2, 1.0]);
        Ok(())
    }

    proptest! {
        #[test]
        fn stored_at_any_iteration_it_ends_the_same(iterations in 0usize..60, stop in 0usize..70) {
            let unbroken = minimize(adam(iterations, 0.05), &Rosenbrock, usize::MAX).unwrap();
            let broken = minimize(adam(iterations, 0.05), &Rosenbrock, stop).unwrap();
            prop_assert_eq!(format!("{unbroken:?}"), format!("{broken:?}"));
        }
    }
}
