//! One run and its directory.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use models::field::FieldConfig;
use models::model_dir::{self, Storage, replace_file};
use models::registry::{Entry, Task};
use models::{ModelConfig, ModelDir};
use serde::{Deserialize, Serialize};

use super::{FieldRecipe, Fit, Problem, UnknownProblem, curves, fit, picture};

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no such problem.
    #[error(transparent)]
    Problem(#[from] UnknownProblem),
    /// The model is trained by another command path.
    #[error("`{0}` is no network over the plane")]
    Model(String),
    /// The output directory is in use.
    #[error("output directory `{}` is not empty; choose another or give --overwrite", .0.display())]
    NotEmpty(PathBuf),
    /// A file could not be written.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
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
    /// The problem.
    pub problem: Problem,
    /// How.
    pub recipe: FieldRecipe,
    /// The seed of every random choice.
    pub seed: u64,
    /// The directory.
    pub dir: PathBuf,
    /// Whether files that are there may be replaced.
    pub overwrite: bool,
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
/// A run that `watch` interrupts is written as well, marked so in its card.
///
/// # Errors
/// When the directory is in use or cannot be written (before anything is trained), or training fails.
pub fn train(
    options: &RunOptions,
    watch: &mut dyn FnMut(usize, f64) -> ControlFlow<()>,
) -> Result<Fit, RunError> {
    let dir = &options.dir;
    let failed = |source| RunError::Write {
        path: dir.clone(),
        source,
    };
    std::fs::create_dir_all(dir).map_err(failed)?;
    let used = std::fs::read_dir(dir).map_err(failed)?.next().is_some();
    if used && !options.overwrite {
        return Err(RunError::NotEmpty(dir.clone()));
    }
    let model_config = options.entry.config();
    let Some(config) = field_config(&model_config) else {
        return Err(RunError::Model(options.entry.name.to_string()));
    };
    let trained = fit(
        &options.problem,
        config,
        &options.recipe,
        options.seed,
        watch,
    )?;
    let write = |name: &str, text: &str| {
        let path = dir.join(name);
        replace_file(&path, text.as_bytes()).map_err(|source| RunError::Write { path, source })
    };
    let title = format!("{} on {}", options.entry.name, options.problem.name());
    write("metrics.csv", &csv(&options.problem, &trained))?;
    write(
        "curves.svg",
        &curves(&title, &options.problem, &trained).svg(),
    )?;
    write(
        "picture.svg",
        &picture(&title, &options.problem, config, &trained).svg(),
    )?;
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
    let text = serde_json::to_string_pretty(&record).map_err(|e| failed(e.into()))?;
    write("training.json", &format!("{text}\n"))?;
    write("README.md", &card(options, config, &trained))?;
    let model = ModelDir {
        model: options.entry.name.to_string(),
        config: model_config.clone(),
        labels: Vec::new(),
        preprocessor: None,
        tensors: trained.tensors(config)?,
    };
    model_dir::save(dir, &model, Storage::Full)?;
    Ok(trained)
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

fn card(options: &RunOptions, config: &FieldConfig, fit: &Fit) -> String {
    let mut text = format!(
        "# {}\n\n{} on `{}` ({}), {} parameters, seed {}.\n\n",
        options.entry.name,
        options.entry.task.name(),
        options.problem.name(),
        options.problem.formula(),
        config.parameter_count(),
        options.seed
    );
    if fit.interrupted {
        text += "**Note:** the training was interrupted.\n\n";
    }
    text += "| measure | value |\n|---|---|\n";
    for (name, value) in &fit.measures {
        text += &format!("| {name} | {value:.3e} |\n");
    }
    text += "\nInput: points `[n, 2]` of [−1, 1]², f64; output `[n, 1]`. Network: `config.json`. Weights: \
             `model.safetensors`. How it was made: `training.json`, `metrics.csv`, `curves.svg`, `picture.svg`.\n";
    text
}

/// The first free directory `parent/NAME-N`.
///
/// # Errors
/// When it cannot be made.
pub fn numbered(parent: &Path, name: &str) -> Result<PathBuf, RunError> {
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| RunError::Write { path, source }
    };
    std::fs::create_dir_all(parent).map_err(failed(parent))?;
    let mut n = 1u32;
    loop {
        let path = parent.join(format!("{name}-{n}"));
        match std::fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => n += 1,
            Err(e) => return Err(failed(&path)(e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use models::registry;

    fn options(dir: &Path) -> RunOptions<'static> {
        let set = [
            "points=50",
            "adam_iterations=5",
            "lbfgs_iterations=5",
            "levenberg_marquardt_iterations=5",
        ];
        RunOptions {
            entry: registry::find("surface-fitter").unwrap(),
            problem: Problem::find(Task::Fitting, "peak").unwrap(),
            recipe: FieldRecipe::resolve("surface-fitter", None, &set.map(String::from), None)
                .unwrap(),
            seed: 1,
            dir: dir.to_path_buf(),
            overwrite: false,
        }
    }

    #[test]
    fn a_run_is_a_model_directory_with_the_same_values() {
        let dir = tempfile::tempdir().unwrap();
        let fit = train(&options(dir.path()), &mut |_, _| ControlFlow::Continue(())).unwrap();
        let model = model_dir::load(dir.path()).unwrap();
        let (config, task, loaded) = parameters(&model).unwrap();
        assert_eq!((loaded, task), (fit.parameters, Task::Fitting));
        assert_eq!(config.parameter_count(), 200);
        for name in [
            "metrics.csv",
            "curves.svg",
            "picture.svg",
            "training.json",
            "README.md",
        ] {
            assert!(dir.path().join(name).is_file(), "{name}");
        }
        let again = train(&options(dir.path()), &mut |_, _| ControlFlow::Continue(()));
        assert!(matches!(again, Err(RunError::NotEmpty(_))));
    }
}
