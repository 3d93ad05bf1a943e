//! One run and its directory.

use std::ops::ControlFlow;

use models::field::FieldConfig;
use models::model_dir::{self, Storage};
use models::registry::{Entry, Task};
use models::{ModelConfig, ModelDir};
use serde::{Deserialize, Serialize};

use super::{FieldRecipe, Fit, Problem, Training, UnknownProblem, curves, picture};
use crate::package::card;
use crate::train::run_dir::{CARD, CURVES, METRICS_CSV, TRAINING};
use crate::train::{RunDir, TrainError};

/// The picture of what was learned.
pub const PICTURE: &str = "picture.svg";

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no such problem.
    #[error(transparent)]
    Problem(#[from] UnknownProblem),
    /// The model is trained by another command path.
    #[error("`{0}` is no network over the plane")]
    Model(String),
    /// The directory cannot be used.
    #[error(transparent)]
    Directory(#[from] Box<TrainError>),
    /// The record could not be put into words.
    #[error("cannot write `{TRAINING}`: {0}")]
    Record(#[from] serde_json::Error),
    /// The model could not be saved.
    #[error(transparent)]
    Save(#[from] model_dir::ModelDirError),
    /// The tensor library refused.
    #[error("training failed: {0}")]
    Compute(#[from] candle_core::Error),
}

/// What is to be trained, and where it is written.
#[derive(Debug, Clone)]
pub struct RunOptions<'a> {
    /// The model.
    pub entry: &'a Entry,
    /// Its network; [`shapes`] says which others are tried.
    pub model: ModelConfig,
    /// The problem.
    pub problem: Problem,
    /// How.
    pub recipe: FieldRecipe,
    /// The seed of every random choice.
    pub seed: u64,
    /// The directory, made before anything is trained.
    pub dir: RunDir,
}

/// `training.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The registry's name.
    pub model: String,
    /// The version of the program.
    pub version: String,
    /// The surface or equation.
    pub problem: String,
    /// The seed.
    pub seed: u64,
    /// The resolved recipe.
    pub recipe: FieldRecipe,
    /// What the network is worth, by name.
    pub measures: std::collections::BTreeMap<String, f64>,
    /// How each minimiser ended.
    pub stops: Vec<(String, String)>,
}

/// The network of a configuration, if it is one over the plane.
fn field_config(config: &ModelConfig) -> Option<&FieldConfig> {
    match config {
        ModelConfig::Surface(config) | ModelConfig::Poisson(config) => Some(config),
        _ => None,
    }
}

/// The shapes that the starts of a training take in turn: that of `model`, and the alternatives of `entry` where `model`
/// is its default. A shape that somebody chose is the only one.
///
/// # Errors
/// When it is no network over the plane.
pub fn shapes(entry: &Entry, model: &ModelConfig) -> Result<Vec<FieldConfig>, RunError> {
    let mut all = vec![model.clone()];
    if *model == entry.config() {
        all.extend(entry.alternatives());
    }
    let field = |config| field_config(config).cloned();
    let shapes: Option<_> = all.iter().map(field).collect();
    shapes.ok_or_else(|| RunError::Model(entry.name.to_string()))
}

/// The parameters of a stored network as one slice, with its configuration and task.
///
/// # Errors
/// When it is no network over the plane.
pub fn parameters(model: &ModelDir) -> Result<(&FieldConfig, Task, Vec<f64>), RunError> {
    let no_field = || RunError::Model(model.model.clone());
    let config = field_config(&model.config).ok_or_else(no_field)?;
    let task = match &model.config {
        ModelConfig::Poisson(_) => Task::Poisson,
        _ => Task::Fitting,
    };
    let mut parameters = Vec::with_capacity(config.parameter_count());
    for (name, _) in config.tensors() {
        let tensor = model.tensors.get(&name).ok_or_else(no_field)?;
        let tensor = tensor.to_dtype(candle_core::DType::F64)?;
        parameters.extend(tensor.flatten_all()?.to_vec1::<f64>()?);
    }
    Ok((config, task, parameters))
}

/// Trains and writes the model directory with `metrics.csv`, `curves.svg`, `picture.svg` and `training.json`.
///
/// Nothing where `watch` stops the run.
///
/// # Errors
/// When training fails or the directory cannot be written.
pub fn train(
    options: &RunOptions,
    watch: &mut dyn FnMut(usize, f64) -> ControlFlow<()>,
) -> Result<Option<Fit>, RunError> {
    let (problem, shapes) = (options.problem, shapes(options.entry, &options.model)?);
    let mut training = Training::new(problem, &shapes, &options.recipe, options.seed, None)?;
    let trained = loop {
        if let Some(fit) = training.step()? {
            break fit;
        }
        if watch(training.iterations(), training.loss()).is_break() {
            return Ok(None);
        }
    };
    let write = |name: &str, text: &str| {
        let written = options.dir.write(name, text.as_bytes());
        written.map_err(Box::new)
    };
    let title = format!("{} on {}", options.entry.name, options.problem.name());
    write(METRICS_CSV, &csv(&options.problem, &trained))?;
    write(CURVES, &curves(&title, &options.problem, &trained).svg())?;
    write(PICTURE, &picture(&title, &options.problem, &trained).svg())?;
    let record = RunRecord {
        model: options.entry.name.to_string(),
        version: env!("CARGO_PKG_VERSION").to_string(),
        problem: options.problem.name().to_string(),
        seed: options.seed,
        recipe: options.recipe.clone(),
        measures: trained
            .measures
            .iter()
            .map(|(n, v)| ((*n).to_string(), *v))
            .collect(),
        stops: (trained.stops.iter())
            .map(|(name, stop)| ((*name).to_string(), stop.describe().to_string()))
            .collect(),
    };
    let text = serde_json::to_string_pretty(&record)?;
    write(TRAINING, &format!("{text}\n"))?;
    let model = ModelDir {
        model: options.entry.name.to_string(),
        config: match options.model {
            ModelConfig::Poisson(_) => ModelConfig::Poisson(trained.config.clone()),
            _ => ModelConfig::Surface(trained.config.clone()),
        },
        labels: Vec::new(),
        preprocessor: None,
        tensors: trained.tensors()?,
    };
    model_dir::save(options.dir.path(), &model, Storage::Full)?;
    let training: card::Training = serde_json::from_value(serde_json::to_value(&record)?)?;
    write(
        CARD,
        &card::render(&model, &training, card::NO_LICENSE, None),
    )?;
    Ok(Some(trained))
}

fn csv(problem: &Problem, fit: &Fit) -> String {
    let mut text = String::from("iteration,stage,loss");
    for name in problem.measure_names() {
        text += &format!(",{name}");
    }
    text.push('\n');
    for row in &fit.history {
        text += &format!("{},{},{:e}", row.iteration, row.stage, row.loss);
        for (_, value) in &row.measures {
            text += &format!(",{value:e}");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::recipe::Overrides;
    use crate::train::run_dir::IfExists;
    use models::registry;
    use std::path::Path;

    fn options(dir: &Path) -> RunOptions<'static> {
        let set = [
            "points=50",
            "adam_iterations=5",
            "lbfgs_iterations=5",
            "levenberg_marquardt_iterations=5",
            "starts=1",
        ];
        let overrides = Overrides {
            set: &set.map(String::from),
            ..Overrides::default()
        };
        let entry = registry::find("surface-fitter").unwrap();
        let (recipe, model) = crate::families::resolve(entry, "peak", &overrides).unwrap();
        RunOptions {
            entry,
            model,
            problem: Problem::find(Task::Fitting, "peak").unwrap(),
            recipe,
            seed: 1,
            dir: RunDir::create(dir, IfExists::Refuse).unwrap(),
        }
    }

    #[test]
    fn a_run_is_a_model_directory_with_the_same_values() {
        let dir = tempfile::tempdir().unwrap();
        let go_on = &mut |_, _| ControlFlow::Continue(());
        let fit = train(&options(dir.path()), go_on).unwrap().unwrap();
        let model = model_dir::load(dir.path()).unwrap();
        let (config, task, loaded) = parameters(&model).unwrap();
        assert_eq!((loaded, task), (fit.parameters, Task::Fitting));
        assert_eq!(*config, fit.config);
        assert_eq!(config.parameter_count(), 205);
        for name in [METRICS_CSV, CURVES, PICTURE, TRAINING, CARD] {
            assert!(dir.path().join(name).is_file(), "{name}");
        }
        let card = std::fs::read_to_string(dir.path().join(CARD)).unwrap();
        for part in [
            "tabular-regression",
            "It learned `peak`",
            "--data peak --seed 1",
        ] {
            assert!(card.contains(part), "{part} is not in: {card}");
        }
    }
}
