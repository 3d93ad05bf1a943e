//! Networks over the plane: surfaces that are fitted and Poisson equations that are solved.

use anyhow::bail;
use candle_core::Module;
use candle_nn::VarBuilder;
use models::field::Field;
use models::registry::{Entry, Task};
use models::{ModelConfig, ModelDir};

use super::{Family, Forward, Usage};
use crate::field::{FieldRecipe, Problem as Known};
use crate::train::recipe::{self, Overrides, Recipe, RecipeError, Schema, require};
use crate::train::record::TrainingRecord;
use crate::train::{Contrast, Digits, Measure, Measures, Problem, Section, Trainable, Wanted};

/// The networks over the plane that learn one kind of problem.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields {
    task: Task,
    pipeline_tag: &'static str,
    measures: Measures,
}

const fn error(name: &'static str) -> Measure {
    Measure::lower(name, Contrast::Ratio, Digits::Scientific(3))
}

/// Fitted to surfaces.
pub(super) const SURFACES: Fields = Fields {
    task: Task::Fitting,
    pipeline_tag: "tabular-regression",
    measures: Measures {
        all: &[error("test_rmse"), error("train_rmse")],
        objective: 0,
    },
};

/// Solving Poisson equations.
pub(super) const EQUATIONS: Fields = Fields {
    task: Task::Poisson,
    pipeline_tag: "other",
    measures: Measures {
        all: &[
            error("squared_l2"),
            error("boundary_mse"),
            error("residual_mse"),
        ],
        objective: 0,
    },
};

impl Section for FieldRecipe {
    const NAME: &'static str = "field";

    fn validate(&self) -> Result<(), RecipeError> {
        for (key, value, range) in [
            ("points", self.points, 1..=1_000_000),
            ("boundary_points", self.boundary_points, 0..=1_000_000),
            ("lbfgs_history", self.lbfgs_history, 1..=1000),
            ("selection_points", self.selection_points, 0..=1_000_000),
            ("starts", self.starts, 1..=1000),
        ] {
            let expected = format!("from {} to {}", range.start(), range.end());
            require(key, range.contains(&value), value, expected)?;
        }
        for (key, value) in [
            ("learning_rate", self.learning_rate),
            ("interior_weight", self.interior_weight),
            ("boundary_weight", self.boundary_weight),
        ] {
            recipe::require_positive(key, value)?;
        }
        (self.coarse_grids.iter()).try_for_each(|grid| {
            let fits = (1..=1000).contains(grid);
            require("coarse_grids", fits, grid, "numbers from 1 to 1000")
        })
    }
}

impl Trainable for Fields {
    fn schema(&self) -> Schema {
        Schema::own_steps::<FieldRecipe>()
    }

    fn recipes(&self) -> &'static [(&'static str, &'static str)] {
        &[
            (
                "surface-fitter",
                include_str!("../recipes/surface-fitter.toml"),
            ),
            (
                "poisson-solver",
                include_str!("../recipes/poisson-solver.toml"),
            ),
        ]
    }

    fn unit(&self) -> &'static str {
        "points"
    }

    fn measures(&self) -> Measures {
        self.measures
    }

    /// Epochs are iterations in all, shared among the minimisers as in the recipe.
    fn set_epochs(&self, recipe: &mut Recipe, epochs: usize) -> Result<(), RecipeError> {
        if epochs == 0 {
            let problem = "there is nothing to train, give at least 1";
            return Err(RecipeError::invalid("--epochs 0", problem));
        }
        let mut section: FieldRecipe = recipe.section()?;
        section.scale(epochs);
        recipe.set_section(&section)
    }

    fn open(&self, _: &Wanted<'_>) -> anyhow::Result<Box<dyn Problem>> {
        bail!("this network is fitted to a problem over the plane, it has no dataset")
    }
}

impl Family for Fields {
    fn pipeline_tag(&self) -> &'static str {
        self.pipeline_tag
    }

    fn usage(&self) -> Usage {
        Usage {
            command: "eval",
            argument: "",
        }
    }

    fn about(&self, record: &TrainingRecord) -> Option<String> {
        let problem = Known::find(self.task, &record.data.name).ok()?;
        Some(format!(
            "It learned `{}`: {}. Inputs are points `[n, 2]` of [−1, 1]², outputs `[n, 1]`.",
            problem.name(),
            problem.formula()
        ))
    }

    fn example_shape(&self, _: &ModelDir) -> anyhow::Result<Vec<usize>> {
        Ok(vec![2, 2])
    }

    fn network(&self, config: &ModelConfig, weights: VarBuilder) -> anyhow::Result<Forward> {
        let (ModelConfig::Surface(config) | ModelConfig::Poisson(config)) = config else {
            bail!("this network is none over the plane");
        };
        let network = Field::new(config, weights)?;
        Ok(Box::new(move |points, _| network.forward(points)))
    }
}

/// The recipe of `entry` for `problem` and its network, with `overrides` over both.
///
/// # Errors
/// When a key does not exist, a value has another type or is out of range, or the file cannot be read.
pub fn resolve(
    entry: &Entry,
    problem: &str,
    overrides: &Overrides<'_>,
) -> Result<(FieldRecipe, ModelConfig), RecipeError> {
    let family = super::trainable(&entry.config());
    let resolved = recipe::resolve(family, entry, problem, &entry.config(), overrides)?;
    Ok((resolved.recipe.section()?, resolved.model))
}

#[cfg(test)]
mod tests {
    use models::registry;

    use super::*;

    fn resolved(set: &[&str], epochs: Option<usize>) -> Result<(FieldRecipe, ModelConfig), String> {
        let set: Vec<String> = set.iter().map(ToString::to_string).collect();
        let overrides = Overrides {
            set: &set,
            epochs,
            ..Overrides::default()
        };
        let entry = registry::find("surface-fitter").unwrap();
        resolve(entry, "peak", &overrides).map_err(|e| e.to_string())
    }

    #[test]
    fn overrides_lie_over_the_embedded_recipe_and_the_network() {
        let set = ["points=77", "learning_rate = 1", "model.projections=[2, 2]"];
        let (recipe, model) = resolved(&set, Some(100)).unwrap();
        assert_eq!((recipe.points, recipe.learning_rate), (77, 1.0));
        assert_eq!(recipe.iterations(), 100);
        let before = resolved(&[], None).unwrap().1;
        assert!(model.parameter_count().unwrap() > before.parameter_count().unwrap());
        for entry in registry::entries() {
            if matches!(entry.task, Task::Fitting | Task::Poisson) {
                resolve(entry, "", &Overrides::default()).unwrap();
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
            let (recipe, _) = resolve(entry, problem, &overrides).unwrap();
            assert_eq!(recipe.points, points);
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
            let problem = resolved(&[set], None).unwrap_err();
            assert!(
                problem.contains(expected) && !problem.contains('\n'),
                "{problem}"
            );
        }
        assert!(resolved(&[], Some(0)).is_err());
    }
}
