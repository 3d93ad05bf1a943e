//! Networks over the plane: surfaces that are fitted and Poisson equations that are solved.

mod figures;
mod problem;

use anyhow::bail;
use candle_core::Module;
use candle_nn::VarBuilder;
use models::field::{Field, FieldConfig};
use models::registry::{Entry, Task};
use models::{ModelConfig, ModelDir};

use self::problem::Plane;
use super::{Course, Family, Forward};
use crate::field::{FieldRecipe, Problem as Known};
use crate::layout::PICTURE;
use crate::train::recipe::{self, Recipe, RecipeError, Schema, require};
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

    fn pass(&self) -> &'static str {
        "start"
    }

    fn in_f64(&self) -> bool {
        true
    }

    fn is_name(&self, data: &str) -> bool {
        Known::find(self.task, data).is_ok()
    }

    fn open(&self, wanted: &Wanted<'_>) -> anyhow::Result<Box<dyn Problem>> {
        let known = Known::find(self.task, wanted.data.unwrap_or(wanted.default))?;
        let recipe = wanted.recipe.section()?;
        Ok(Box::new(Plane::new(known, recipe, wanted.seed)))
    }
}

impl Family for Fields {
    fn pipeline_tag(&self) -> &'static str {
        self.pipeline_tag
    }

    fn usage(&self, model: &str) -> String {
        format!("eval {model}")
    }

    fn about(&self, record: &TrainingRecord) -> Option<String> {
        let problem = Known::find(self.task, &record.data.name).ok()?;
        Some(format!(
            "It learned `{}`: {}. Inputs are points `[n, 2]` of [−1, 1]², outputs `[n, 1]`.",
            problem.name(),
            problem.formula()
        ))
    }

    fn protocol(&self, recipe: &Recipe) -> String {
        let Ok(recipe) = recipe.section::<FieldRecipe>() else {
            return String::new();
        };
        let (problem, boundary) = match self.task {
            Task::Poisson => (
                "−Δu = f on [−1, 1]² with u = 0 on the boundary",
                format!(" and {} on the boundary", recipe.boundary_points),
            ),
            _ => ("surfaces over [−1, 1]²", String::new()),
        };
        let chosen = match (self.task, recipe.selection_points) {
            (Task::Poisson, _) | (_, 0) => "training loss".to_string(),
            (_, points) => format!("error at {points} further points"),
        };
        format!(
            "{problem}, in f64, {} random points{boundary}, {} starts in turn of the shapes that a model has, each of \
             {} iterations of Adam, {} of L-BFGS and {} of Levenberg-Marquardt, then {} of Levenberg-Marquardt on the \
             one with the lowest {chosen}",
            recipe.points,
            recipe.starts,
            recipe.adam_iterations,
            recipe.lbfgs_iterations,
            recipe.levenberg_marquardt_iterations,
            recipe.final_iterations,
        )
    }

    fn courses(&self, _: &Recipe) -> Vec<Course> {
        let shown = match self.task {
            Task::Poisson => self.measures.all,
            _ => &self.measures.all[..1],
        };
        let course = |measure: &Measure| Course {
            over: "iteration",
            column: measure.name.to_string(),
            title: measure.name.replace('_', " "),
            measure: *measure,
        };
        shown.iter().map(course).collect()
    }

    fn drawings(&self) -> &'static [&'static str] {
        &[PICTURE]
    }

    fn example_shape(&self, _: &ModelDir) -> anyhow::Result<Vec<usize>> {
        Ok(vec![2, 2])
    }

    fn network(&self, config: &ModelConfig, weights: VarBuilder) -> anyhow::Result<Forward> {
        let network = Field::new(settings(config)?, weights)?;
        Ok(Box::new(move |points, _| network.forward(points)))
    }
}

/// The settings of a network over the plane.
///
/// # Errors
/// When the network is another one.
fn settings(config: &ModelConfig) -> anyhow::Result<&FieldConfig> {
    match config {
        ModelConfig::Surface(config) | ModelConfig::Poisson(config) => Ok(config),
        _ => bail!("this network is none over the plane"),
    }
}

/// The shapes that the starts of a training take in turn: that of `model`, and the alternatives of `entry` where `model`
/// is its default. A shape that somebody chose is the only one.
fn shapes(entry: &Entry, model: &ModelConfig) -> anyhow::Result<Vec<FieldConfig>> {
    let mut all = vec![model.clone()];
    if *model == entry.config() {
        all.extend(entry.alternatives());
    }
    all.iter().map(|model| settings(model).cloned()).collect()
}

#[cfg(test)]
mod tests {
    use models::registry;

    use super::*;
    use crate::train::recipe::Overrides;

    fn resolve(
        entry: &Entry,
        problem: &str,
        overrides: &Overrides<'_>,
    ) -> Result<(FieldRecipe, ModelConfig), RecipeError> {
        let config = entry.config();
        let resolved = recipe::resolve(&SURFACES, entry, problem, &config, overrides)?;
        Ok((resolved.recipe.section()?, resolved.model))
    }

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
