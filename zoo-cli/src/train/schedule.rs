//! The learning rate over a run.

use serde::{Deserialize, Serialize};

/// What the learning rate does after its warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// Half a cosine down to the final rate.
    Cosine,
    /// A straight line down to the final rate.
    Triangular,
    /// The peak until the end.
    Constant,
}

/// A linear warm-up to the peak, then [`Shape`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// What follows the warm-up.
    pub shape: Shape,
    /// Part of all steps that warms up, in 0..1.
    pub warmup: f64,
    /// Where the warm-up starts as a part of the peak, in 0..=1.
    #[serde(default)]
    pub initial_factor: f64,
    /// The last rate as a part of the peak, in 0..=1.
    pub final_factor: f64,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            shape: Shape::Cosine,
            warmup: 0.1,
            initial_factor: 0.0,
            final_factor: 0.0,
        }
    }
}

impl Schedule {
    /// The factor on the peak learning rate at `step` (from 0) of `total` steps, in 0..=1.
    pub fn factor(&self, step: u64, total: u64) -> f64 {
        let warmup = (self.warmup * total as f64).round();
        // The middle of the step: neither the first nor the last step is wasted on a rate of 0.
        let position = step as f64 + 0.5;
        if position < warmup {
            return self.initial_factor + (1.0 - self.initial_factor) * position / warmup;
        }
        let progress = ((position - warmup) / (total as f64 - warmup).max(1.0)).clamp(0.0, 1.0);
        let remaining = match self.shape {
            Shape::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
            Shape::Triangular => 1.0 - progress,
            Shape::Constant => return 1.0,
        };
        self.final_factor + (1.0 - self.final_factor) * remaining
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factors(shape: Shape, final_factor: f64) -> Vec<f64> {
        let schedule = Schedule {
            shape,
            warmup: 0.25,
            initial_factor: 0.0,
            final_factor,
        };
        (0..100).map(|step| schedule.factor(step, 100)).collect()
    }

    #[test]
    fn warms_up_then_falls_to_the_final_factor() {
        for shape in [Shape::Cosine, Shape::Triangular] {
            let all = factors(shape, 0.1);
            assert!(all[..25].windows(2).all(|w| w[0] < w[1]), "{shape:?}");
            assert!(all[25..].windows(2).all(|w| w[0] > w[1]), "{shape:?}");
            assert!(all[0] > 0.0 && all[0] < 0.05, "{shape:?}");
            assert!((all[24] - 0.98).abs() < 1e-12, "{shape:?}");
            assert!((all[99] - 0.1).abs() < 0.01, "{shape:?}");
        }
        assert!(
            factors(Shape::Constant, 0.0)[25..]
                .iter()
                .all(|&f| f == 1.0)
        );
    }

    #[test]
    fn shapes_are_what_their_names_say() {
        let half = |shape| factors(shape, 0.0)[62];
        assert!((half(Shape::Triangular) - 0.5).abs() < 1e-9);
        assert!((half(Shape::Cosine) - 0.5).abs() < 1e-9);
        let quarter = factors(Shape::Cosine, 0.0)[25 + 18];
        let expected = 0.5 * (1.0 + (std::f64::consts::PI * 18.5 / 75.0).cos());
        assert!((quarter - expected).abs() < 1e-12);
    }

    #[test]
    fn the_warm_up_starts_at_the_initial_factor() {
        let schedule = Schedule {
            warmup: 0.5,
            initial_factor: 0.2,
            ..Schedule::default()
        };
        assert!((schedule.factor(0, 100) - 0.208).abs() < 1e-12);
        assert!((schedule.factor(24, 100) - 0.592).abs() < 1e-12);
        assert!((schedule.factor(49, 100) - 0.992).abs() < 1e-12);
    }

    #[test]
    fn one_step_has_a_rate() {
        assert!(Schedule::default().factor(0, 1) > 0.0);
    }
}
