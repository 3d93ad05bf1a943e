//! How a network over the plane is trained.

use std::path::Path;

use models::registry::edit_distance;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

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
    /// How many first parameters are tried; the start whose loss is the lowest after the three minimisers goes on.
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

/// Why a recipe cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{origin}: {problem}")]
pub struct RecipeError {
    origin: String,
    problem: String,
}

fn error(origin: &str, problem: impl Into<String>) -> RecipeError {
    RecipeError {
        origin: origin.to_string(),
        problem: problem.into(),
    }
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
    /// The embedded recipe `name`, with the file of `--recipe`, `--epochs` (iterations in all, shared as in the
    /// recipe) and each `--set key=value` over it.
    ///
    /// # Errors
    /// Names the key, with the nearest where it does not exist.
    pub fn resolve(
        name: &str,
        file: Option<&Path>,
        set: &[String],
        epochs: Option<usize>,
    ) -> Result<Self, RecipeError> {
        let text = EMBEDDED
            .iter()
            .find(|(key, _)| *key == name)
            .map_or("", |(_, text)| text);
        let mut table = parse(name, text)?;
        if let Some(path) = file {
            let origin = path.display().to_string();
            let text = std::fs::read_to_string(path)
                .map_err(|e| error(&origin, format!("cannot be read: {e}")))?;
            for (key, value) in parse(&origin, &text)? {
                lay(&mut table, &origin, &key, value)?;
            }
        }
        for assignment in set {
            let origin = format!("--set {assignment}");
            let Some((key, value)) = assignment.split_once('=') else {
                return Err(error(&origin, "there is no value, write `--set key=value`"));
            };
            let value = format!("v = {}", value.trim())
                .parse::<Table>()
                .ok()
                .and_then(|mut t| t.remove("v"))
                .ok_or_else(|| {
                    error(
                        &origin,
                        format!("`{value}` is not a number or a list of numbers"),
                    )
                })?;
            lay(&mut table, &origin, key.trim(), value)?;
        }
        let mut recipe: Self = Value::Table(table)
            .try_into()
            .map_err(|e: toml::de::Error| error(name, e.message().to_string()))?;
        if let Some(epochs) = epochs {
            recipe.scale(epochs)?;
        }
        recipe.check(name)?;
        Ok(recipe)
    }

    fn scale(&mut self, epochs: usize) -> Result<(), RecipeError> {
        if epochs == 0 {
            return Err(error(
                "--epochs 0",
                "there is nothing to train, give at least 1",
            ));
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

    fn check(&self, origin: &str) -> Result<(), RecipeError> {
        for (key, value, most) in [
            ("points", self.points, 1_000_000),
            ("boundary_points", self.boundary_points.max(1), 1_000_000),
            ("lbfgs_history", self.lbfgs_history, 1000),
            ("starts", self.starts, 1000),
        ] {
            if !(1..=most).contains(&value) {
                return Err(error(
                    origin,
                    format!("`{key}` is {value}, not within 1 to {most}"),
                ));
            }
        }
        for (key, value) in [
            ("learning_rate", self.learning_rate),
            ("interior_weight", self.interior_weight),
            ("boundary_weight", self.boundary_weight),
        ] {
            if !(value > 0.0 && value.is_finite()) {
                return Err(error(
                    origin,
                    format!("`{key}` is {value}, not a positive number"),
                ));
            }
        }
        match self.coarse_grids.iter().find(|g| !(1..=1000).contains(*g)) {
            Some(g) => Err(error(
                origin,
                format!("`coarse_grids` holds {g}, not within 1 to 1000"),
            )),
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

fn parse(origin: &str, text: &str) -> Result<Table, RecipeError> {
    text.parse()
        .map_err(|e: toml::de::Error| error(origin, format!("not valid TOML, {}", e.message())))
}

/// Replaces the value of `key`, which must exist with that type; an integer may stand for a number with a fraction.
fn lay(table: &mut Table, origin: &str, key: &str, value: Value) -> Result<(), RecipeError> {
    let Some(there) = table.get_mut(key) else {
        let nearest = table.keys().min_by_key(|k| edit_distance(k, key)).cloned();
        let hint = nearest.map_or(String::new(), |k| format!(", did you mean `{k}`?"));
        return Err(error(origin, format!("there is no key `{key}`{hint}")));
    };
    *there = match (&*there, value) {
        (Value::Float(_), Value::Integer(n)) => Value::Float(n as f64),
        (Value::Integer(_), Value::Integer(n)) if n < 0 => {
            return Err(error(origin, format!("`{key}` is {n}, not a count")));
        }
        (old, new) if old.same_type(&new) => new,
        (old, new) => {
            let (needs, has) = (old.type_str(), new.type_str());
            return Err(error(
                origin,
                format!("`{key}` needs a value of type {needs}, not {has}"),
            ));
        }
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(set: &[&str], epochs: Option<usize>) -> Result<FieldRecipe, String> {
        let set: Vec<String> = set.iter().map(ToString::to_string).collect();
        FieldRecipe::resolve("surface-fitter", None, &set, epochs).map_err(|e| e.to_string())
    }

    #[test]
    fn overrides_lie_over_the_embedded_recipe() {
        let recipe = resolve(&["points=77", "learning_rate = 1"], Some(100)).unwrap();
        assert_eq!((recipe.points, recipe.learning_rate), (77, 1.0));
        assert_eq!(recipe.iterations(), 100);
        assert!(FieldRecipe::resolve("poisson-solver", None, &[], None).is_ok());
    }

    #[test]
    fn wrong_overrides_are_one_sentence() {
        for (set, expected) in [
            ("point=3", "did you mean `points`?"),
            ("points", "write `--set key=value`"),
            ("points=-3", "not a count"),
            ("points=0", "within 1 to"),
            ("points=many", "not a number"),
            ("learning_rate=nan", "not a positive number"),
            ("coarse_grids=3", "needs a value of type array"),
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
