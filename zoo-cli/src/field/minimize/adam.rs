//! Adam over the whole data, as a warm start.

use std::ops::ControlFlow;

use super::{Minimum, Objective, Observer, Stop};

/// Adam (arXiv 1412.6980) with a learning rate that falls to zero along a cosine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// The number of steps.
    pub iterations: usize,
    /// The learning rate of the first step.
    pub learning_rate: f64,
}

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

impl Adam {
    /// Minimises from `start`.
    pub fn minimize(
        &self,
        objective: &dyn Objective,
        start: &[f64],
        observer: &mut Observer,
    ) -> Minimum {
        let n = start.len();
        let (mut p, mut first, mut second) = (start.to_vec(), vec![0.0; n], vec![0.0; n]);
        let mut gradient = vec![0.0; n];
        let mut best = Minimum {
            parameters: p.clone(),
            value: f64::INFINITY,
            iterations: 0,
            stop: Stop::Iterations,
        };
        for k in 1..=self.iterations + 1 {
            let value = objective.gradient(&p, &mut gradient);
            if !value.is_finite() || gradient.iter().any(|g| !g.is_finite()) {
                best.stop = Stop::NotFinite;
                return best;
            }
            if value < best.value {
                best.value = value;
                best.parameters.clone_from(&p);
            }
            // The last round only looks at where the last step has led.
            if k > self.iterations {
                break;
            }
            best.iterations = k;
            if observer(k, value, &p) == ControlFlow::Break(()) {
                best.stop = Stop::Interrupted;
                return best;
            }
            let part = (k - 1) as f64 / self.iterations as f64;
            let rate = self.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * part).cos());
            let (fix1, fix2) = (1.0 - BETA1.powi(k as i32), 1.0 - BETA2.powi(k as i32));
            for i in 0..n {
                first[i] += (1.0 - BETA1) * (gradient[i] - first[i]);
                second[i] += (1.0 - BETA2) * (gradient[i] * gradient[i] - second[i]);
                p[i] -= rate * (first[i] / fix1) / ((second[i] / fix2).sqrt() + EPSILON);
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Rosenbrock, go_on};
    use super::*;

    #[test]
    fn descends_into_the_valley() {
        let adam = Adam {
            iterations: 3000,
            learning_rate: 0.05,
        };
        let minimum = adam.minimize(&Rosenbrock, &[-1.2, 1.0], &mut go_on);
        assert!(minimum.value < 1e-4, "{minimum:?}");
        assert_eq!(minimum.value, Rosenbrock.value(&minimum.parameters));
    }

    #[test]
    fn an_observer_can_stop_it() {
        let adam = Adam {
            iterations: 10,
            learning_rate: 0.1,
        };
        let minimum = adam.minimize(&Rosenbrock, &[0.0, 0.0], &mut |k, _, _| match k {
            3 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        });
        assert_eq!((minimum.stop, minimum.iterations), (Stop::Interrupted, 3));
    }
}
