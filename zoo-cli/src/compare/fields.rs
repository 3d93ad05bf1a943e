//! Surfaces and equations.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use models::ModelConfig;
use models::field::FieldConfig;
use models::registry::{self, Entry, Task, UnknownModel};

use super::curves::curve;
use super::{Case, Comparison, Results, RunOutcome};
use crate::field::{FieldRecipe, Problem, RunError, RunOptions, UnknownProblem, shapes, train};
use crate::plot::{Figure, LineChart, Scale};
use crate::train::recipe::{Overrides, RecipeError};
use crate::train::run_dir::IfExists;
use crate::train::{Contrast, Digits, Measure, RunDir};

/// `surfaces` or `poisson`: every model of the family on every problem.
#[derive(Debug)]
pub struct FieldPlan {
    task: Task,
    problems: Vec<Problem>,
    recipe: FieldRecipe,
    models: Vec<(&'static Entry, ModelConfig)>,
    /// By model.
    shapes: BTreeMap<&'static str, Vec<FieldConfig>>,
}

const fn error(name: &'static str) -> Measure {
    Measure::lower(name, Contrast::Ratio, Digits::Scientific(3))
}

const SURFACES: &[Measure] = &[error("test_rmse"), error("train_rmse")];
const EQUATIONS: &[Measure] = &[
    error("squared_l2"),
    error("boundary_mse"),
    error("residual_mse"),
];

/// Why a plan cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The recipe's override is wrong.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// There is no such problem.
    #[error(transparent)]
    Problem(#[from] UnknownProblem),
    /// A model of the family is no network over the plane.
    #[error(transparent)]
    Network(#[from] Box<RunError>),
    /// The registry lacks the family's own name.
    #[error(transparent)]
    Family(#[from] UnknownModel),
}

impl FieldPlan {
    /// The plan of `task` (surfaces unless it is Poisson) on the problem `data`, or on all, by the family's recipe
    /// with `set` over it.
    ///
    /// # Errors
    /// When there is no such problem, or no such key of the recipe.
    pub fn new(task: Task, data: Option<&str>, set: &[String]) -> Result<Self, PlanError> {
        let (task, family) = match task {
            Task::Poisson => (task, "poisson-solver"),
            _ => (Task::Fitting, "surface-fitter"),
        };
        let problems = match data {
            Some(name) => vec![Problem::find(task, name)?],
            None => Problem::all(task),
        };
        let overrides = Overrides {
            set,
            ..Overrides::default()
        };
        let resolve = |entry| crate::families::resolve(entry, "", &overrides);
        let models = (registry::entries().iter())
            .filter(|entry| entry.task == task)
            .map(|entry| Ok((entry, resolve(entry)?.1)))
            .collect::<Result<Vec<_>, RecipeError>>()?;
        let shapes = (models.iter())
            .map(|(entry, model)| Ok((entry.name, shapes(entry, model)?)))
            .collect::<Result<_, RunError>>()
            .map_err(Box::new)?;
        let (recipe, _) = resolve(registry::find(family)?)?;
        Ok(Self {
            task,
            problems,
            recipe,
            models,
            shapes,
        })
    }
}

impl Comparison for FieldPlan {
    fn name(&self) -> &'static str {
        match self.task {
            Task::Poisson => "poisson",
            _ => "surfaces",
        }
    }

    fn about(&self) -> String {
        let r = &self.recipe;
        format!(
            "{} in f64 by one recipe for all models: {} random points{}; {} starts, in turn of the shapes that a model \
             has, each of {} iterations of Adam, {} of \
             L-BFGS, {} of Levenberg-Marquardt, then {} of Levenberg-Marquardt on the one with the lowest {}.",
            match self.task {
                Task::Poisson => "−Δu = f on [−1, 1]² with u = 0 on the boundary,",
                _ => "Surfaces over [−1, 1]²,",
            },
            r.points,
            match self.task {
                Task::Poisson => format!(" and {} on the boundary", r.boundary_points),
                _ => String::new(),
            },
            r.starts,
            r.adam_iterations,
            r.lbfgs_iterations,
            r.levenberg_marquardt_iterations,
            r.final_iterations,
            match (self.task, r.selection_points) {
                (Task::Poisson, _) | (_, 0) => "training loss".to_string(),
                (_, points) => format!("error at {points} further points"),
            }
        )
    }

    fn settings(&self) -> serde_json::Value {
        let problems: Vec<&str> = self.problems.iter().map(Problem::name).collect();
        serde_json::json!({"problems": problems, "recipe": self.recipe, "models": self.shapes})
    }

    fn cases(&self) -> Vec<Case> {
        let case = |problem: &Problem, model: &str| Case {
            problem: problem.name().to_string(),
            model: model.to_string(),
        };
        let problems = self.problems.iter();
        problems
            .flat_map(|p| (self.models.iter()).map(move |(entry, _)| case(p, entry.name)))
            .collect()
    }

    fn measures(&self) -> &[Measure] {
        match self.task {
            Task::Poisson => EQUATIONS,
            _ => SURFACES,
        }
    }

    fn run(
        &self,
        case: &Case,
        seed: u64,
        dir: &Path,
        progress: &mut dyn FnMut(f64) -> bool,
    ) -> anyhow::Result<Option<RunOutcome>> {
        let planned = |(entry, _): &&(&Entry, _)| entry.name == case.model;
        let Some((entry, model)) = self.models.iter().find(planned) else {
            anyhow::bail!("`{}` is not in the plan", case.model);
        };
        let options = RunOptions {
            entry,
            model: model.clone(),
            problem: Problem::find(self.task, &case.problem)?,
            recipe: self.recipe.clone(),
            seed,
            dir: RunDir::create(dir, IfExists::Overwrite)?,
        };
        let (total, mut steps) = (self.recipe.iterations().max(1), 0);
        let started = Instant::now();
        let fit = train(&options, &mut |iteration, _| {
            steps = iteration;
            match progress(iteration as f64 / total as f64) {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        })?;
        Ok(fit.map(|fit| RunOutcome {
            parameters: fit.config.parameter_count(),
            step_ms: started.elapsed().as_secs_f64() * 1e3 / steps.max(1) as f64,
            values: fit.measures.iter().map(|(_, value)| *value).collect(),
        }))
    }

    fn figures(&self, dir: &Path, results: &Results) -> Vec<(String, String)> {
        let columns: &[usize] = match self.task {
            Task::Poisson => &[0, 1, 2],
            _ => &[0],
        };
        let title = format!(
            "{}: median over the seeds, shaded from the best to the worst",
            self.name()
        );
        let mut figure = Figure::new(title, 3).panel_size(390.0, 300.0);
        for problem in &self.problems {
            for column in columns {
                let name = self.measures()[*column].name.replace('_', " ");
                let mut chart = LineChart::new(format!("{}: {name}", problem.name()))
                    .x_label("iteration")
                    .y_scale(Scale::Log);
                for (entry, _) in &self.models {
                    let model = entry.name;
                    let case = Case {
                        problem: problem.name().to_string(),
                        model: model.to_string(),
                    };
                    let curve = curve(dir, results, &case, self.measures()[*column].name);
                    let short = model.split_once('.').map_or("GMNM", |(_, variant)| variant);
                    chart = chart.line(short, curve.median).band(curve.range);
                }
                figure = figure.panel(chart);
            }
        }
        vec![("curves.svg".to_string(), figure.svg())]
    }
}
