//! How a network over the plane is trained.

use serde::{Deserialize, Serialize};

/// Every setting of a run. All models of a family are trained by the same one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldRecipe {
    /// Random training points inside the square.
    pub points: usize,
    /// Random training points on its boundary (equations).
    pub boundary_points: usize,
    /// Weight of the mean squared residual inside (equations).
    pub interior_weight: f64,
    /// Weight of the mean square on the boundary (equations).
    pub boundary_weight: f64,
    /// Further random points, by whose mean squared error the starts are judged (surfaces); none for the training loss.
    pub selection_points: usize,
    /// How many first parameters are tried; the start that is best after the three minimisers goes on.
    pub starts: usize,
    /// Iterations of Adam, in each start.
    pub adam_iterations: usize,
    /// Adam's first learning rate; it falls to zero along a cosine.
    pub learning_rate: f64,
    /// Iterations of L-BFGS after it.
    pub lbfgs_iterations: usize,
    /// Steps that L-BFGS remembers.
    pub lbfgs_history: usize,
    /// Iterations of Levenberg-Marquardt after that.
    pub levenberg_marquardt_iterations: usize,
    /// Iterations of Levenberg-Marquardt that only the chosen start makes.
    pub final_iterations: usize,
    /// Grid intervals that a spline network starts with, before its grids are refined to the configured ones; the
    /// iterations of the last two minimisers of a start are shared evenly between the grids. Empty for no refinement.
    pub coarse_grids: Vec<usize>,
}

impl Default for FieldRecipe {
    fn default() -> Self {
        Self {
            points: 1000,
            boundary_points: 0,
            interior_weight: 1.0,
            boundary_weight: 1.0,
            selection_points: 0,
            starts: 1,
            adam_iterations: 200,
            learning_rate: 0.02,
            lbfgs_iterations: 100,
            lbfgs_history: 20,
            levenberg_marquardt_iterations: 250,
            final_iterations: 0,
            coarse_grids: Vec::new(),
        }
    }
}

impl FieldRecipe {
    /// Makes it one of so many iterations in all, shared among the minimisers as before; what does not divide goes to
    /// the last.
    pub fn scale(&mut self, iterations: usize) {
        let total = self.iterations().max(1) as f64;
        let share = |n: usize| (n as f64 / total * iterations as f64) as usize;
        self.adam_iterations = share(self.adam_iterations);
        self.lbfgs_iterations = share(self.lbfgs_iterations);
        self.levenberg_marquardt_iterations = share(self.levenberg_marquardt_iterations);
        self.final_iterations = 0;
        self.final_iterations = iterations.saturating_sub(self.iterations());
    }

    /// Iterations of all starts and all minimisers.
    pub fn iterations(&self) -> usize {
        self.starts * self.start_iterations() + self.final_iterations
    }

    /// Iterations of the chosen start, from its first parameters to the end.
    pub(super) fn path_iterations(&self) -> usize {
        self.start_iterations() + self.final_iterations
    }

    pub(super) fn start_iterations(&self) -> usize {
        self.adam_iterations + self.lbfgs_iterations + self.levenberg_marquardt_iterations
    }
}
