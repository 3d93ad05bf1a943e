//! How a network over the plane is trained.

use models::registry::Entry;
use serde::{Deserialize, Serialize};

use crate::train::recipe::{Layers, Overrides, RecipeError, Resolved};

use super::minimize::{Adam, Lbfgs, LevenbergMarquardt};

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
    #[serde(default)]
    pub selection_points: usize,
    /// How many first parameters are tried; the start that is best after the three minimisers goes on.
    #[serde(default = "one")]
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
    #[serde(default)]
    pub final_iterations: usize,
    /// Grid intervals that a spline network starts with, before its grids are refined to the configured ones; the
    /// iterations of the last two minimisers of a start are shared evenly between the grids. Empty for no refinement.
    pub coarse_grids: Vec<usize>,
}

/// The starts of a recipe that was written before there were several.
fn one() -> usize {
    1
}

const EMBEDDED: &[(&str, &str)] = &[
    (
        "surface-fitter",
        include_str!("../recipes/surface-fitter.toml"),
    ),
    (
        "poisson-solver",
        include_str!("../recipes/poisson-solver.toml"),
    ),
];

impl FieldRecipe {
    /// The embedded recipe of `entry` and its network, with `overrides` over both; a file of recipes may have a section
    /// for `problem`. Epochs are iterations in all, shared among the minimisers as in the recipe.
    ///
    /// # Errors
    /// When a key does not exist, a value has another type or is out of range, or the file cannot be read.
    pub fn resolve(
        entry: &Entry,
        problem: &str,
        overrides: &Overrides<'_>,
    ) -> Result<Resolved<Self>, RecipeError> {
        let text = (EMBEDDED.iter().find(|(key, _)| *key == entry.recipe)).map(|(_, text)| text);
        let embedded: Self = toml::from_str(text.unwrap_or(&"")).map_err(|e| {
            let problem = e.message().to_string();
            invalid(&format!("recipe `{}`", entry.recipe), problem)
        })?;
        let mut layers = Layers::new(&embedded, &entry.config())?;
        layers.overrides(overrides, problem)?;
        let mut resolved = layers.finish()?;
        if let Some(epochs) = overrides.epochs {
            resolved.recipe.scale(epochs)?;
        }
        resolved.recipe.check()?;
        Ok(resolved)
    }

    fn scale(&mut self, epochs: usize) -> Result<(), RecipeError> {
        if epochs == 0 {
            let problem = "there is nothing to train, give at least 1";
            return Err(invalid("--epochs 0", problem.into()));
        }
        let total = self.iterations().max(1) as f64;
        let share = |n: usize| (n as f64 / total * epochs as f64) as usize;
        self.adam_iterations = share(self.adam_iterations);
        self.lbfgs_iterations = share(self.lbfgs_iterations);
        self.levenberg_marquardt_iterations = share(self.levenberg_marquardt_iterations);
        self.final_iterations = 0;
        self.final_iterations = epochs.saturating_sub(self.iterations());
        Ok(())
    }

    /// Iterations of all starts and all minimisers.
    pub fn iterations(&self) -> usize {
        self.starts * self.start_iterations() + self.final_iterations
    }

    /// Iterations of the chosen start, from its first parameters to the end.
    pub(super) fn path_iterations(&self) -> usize {
        self.start_iterations() + self.final_iterations
    }

    fn start_iterations(&self) -> usize {
        self.adam_iterations + self.lbfgs_iterations + self.levenberg_marquardt_iterations
    }

    fn check(&self) -> Result<(), RecipeError> {
        let refuse = |key: &str, value: String, expected: &str| {
            let problem = format!("{value} cannot be used, it must be {expected}");
            Err(invalid(&format!("`{key}`"), problem))
        };
        for (key, value, range) in [
            ("points", self.points, 1..=1_000_000),
            ("boundary_points", self.boundary_points, 0..=1_000_000),
            ("lbfgs_history", self.lbfgs_history, 1..=1000),
            ("selection_points", self.selection_points, 0..=1_000_000),
            ("starts", self.starts, 1..=1000),
        ] {
            if !range.contains(&value) {
                let expected = format!("from {} to {}", range.start(), range.end());
                return refuse(key, value.to_string(), &expected);
            }
        }
        for (key, value) in [
            ("learning_rate", self.learning_rate),
            ("interior_weight", self.interior_weight),
            ("boundary_weight", self.boundary_weight),
        ] {
            if !(value > 0.0 && value.is_finite()) {
                return refuse(key, value.to_string(), "a number above 0");
            }
        }
        match self.coarse_grids.iter().find(|g| !(1..=1000).contains(*g)) {
            Some(g) => refuse("coarse_grids", g.to_string(), "numbers from 1 to 1000"),
            None => Ok(()),
        }
    }

    pub(super) fn adam(&self) -> Adam {
        Adam {
            iterations: self.adam_iterations,
            learning_rate: self.learning_rate,
        }
    }

    pub(super) fn lbfgs(&self, stages: usize) -> Lbfgs {
        Lbfgs {
            iterations: self.lbfgs_iterations / stages,
            history: self.lbfgs_history,
        }
    }

    pub(super) fn levenberg_marquardt(&self, stages: usize) -> LevenbergMarquardt {
        LevenbergMarquardt {
            iterations: self.levenberg_marquardt_iterations / stages,
        }
    }

    pub(super) fn last(&self) -> LevenbergMarquardt {
        LevenbergMarquardt {
            iterations: self.final_iterations,
        }
    }
}

fn invalid(origin: &str, problem: String) -> RecipeError {
    RecipeError::Invalid {
        origin: origin.to_string(),
        problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use models::registry::{self, Task};

    fn resolve(set: &[&str], epochs: Option<usize>) -> Result<Resolved<FieldRecipe>, String> {
        let set: Vec<String> = set.iter().map(ToString::to_string).collect();
        let overrides = Overrides {
            set: &set,
            epochs,
            ..Overrides::default()
        };
        let entry = registry::find("surface-fitter").unwrap();
        FieldRecipe::resolve(entry, "peak", &overrides).map_err(|e| e.to_string())
    }

    #[test]
    fn overrides_lie_over_the_embedded_recipe_and_the_network() {
        let set = ["points=77", "learning_rate = 1", "model.projections=[2, 2]"];
        let Resolved { recipe, model } = resolve(&set, Some(100)).unwrap();
        assert_eq!((recipe.points, recipe.learning_rate), (77, 1.0));
        assert_eq!(recipe.iterations(), 100);
        let before = resolve(&[], None).unwrap().model;
        assert!(model.parameter_count().unwrap() > before.parameter_count().unwrap());
        for entry in registry::entries() {
            if matches!(entry.task, Task::Fitting | Task::Poisson) {
                FieldRecipe::resolve(entry, "", &Overrides::default()).unwrap();
            }
        }
    }

    #[test]
    fn a_section_of_a_file_is_for_one_problem() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "points = 8\n[datasets.peak]\npoints = 9\n").unwrap();
        let overrides = Overrides {
            file: Some(file.path()),
            ..Overrides::default()
        };
        let entry = registry::find("surface-fitter").unwrap();
        for (problem, points) in [("peak", 9), ("chirp", 8)] {
            let resolved = FieldRecipe::resolve(entry, problem, &overrides).unwrap();
            assert_eq!(resolved.recipe.points, points);
        }
    }

    #[test]
    fn wrong_overrides_are_one_sentence() {
        for (set, expected) in [
            ("point=3", "did you mean `points`?"),
            ("points", "write `--set key=value`"),
            ("points=-3", "`points` needs a whole number of at least 0"),
            ("points=0", "must be from 1 to"),
            ("selection_points=1000001", "must be from 0 to 1000000"),
            ("boundary_points=1000001", "must be from 0 to 1000000"),
            ("points=many", "needs a whole number"),
            ("learning_rate=nan", "must be a number above 0"),
            ("coarse_grids=3", "needs a list"),
            ("coarse_grids=[0]", "must be numbers from 1 to 1000"),
            ("model.hiden=[3]", "did you mean `model.hidden`?"),
            ("model.hidden=[3, 3]", "3 layers need as many numbers"),
            ("model.components=[12, 0]", "components"),
        ] {
            let problem = resolve(&[set], None).unwrap_err();
            assert!(
                problem.contains(expected) && !problem.contains('\n'),
                "{problem}"
            );
        }
        assert!(resolve(&[], Some(0)).is_err());
    }
}
