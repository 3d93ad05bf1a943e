//! How a model is trained: every default in an embedded TOML file, every key open to an override.
//!
//! Layers, later ones over earlier ones: the model's embedded recipe; its section `[datasets.NAME]` for the dataset
//! at hand; the file of `--recipe` with a section of its own; each `--set key=value`. A key that no recipe knows is an
//! error that suggests the nearest.

mod layers;
mod series;

use std::path::Path;

use candle_core::Device;
use models::ModelConfig;
use serde::{Deserialize, Serialize};

use super::early_stopping::EarlyStopping;
use super::ema::EmaConfig;
use super::optimizer::OptimizerConfig;
use super::precision::PrecisionChoice;
use super::schedule::Schedule;
use crate::data::augment::Augmentation;

pub(crate) use layers::Layers;
pub use layers::resolve;
pub use series::{SeriesLoss, SeriesRecipe};

/// Every setting of a training run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Passes over the training examples, at least 1.
    pub epochs: usize,
    /// Examples a step, at least 1. An epoch drops the rest that does not fill a batch (another rest every epoch).
    pub batch_size: usize,
    /// Examples a forward pass of an evaluation, at least 1.
    pub evaluation_batch_size: usize,
    /// Which numbers a step is computed in.
    #[serde(default = "PrecisionChoice::unrecorded")]
    pub precision: PrecisionChoice,
    /// Share of the target distribution that is spread over all classes, in 0..1.
    pub label_smoothing: f64,
    /// Epochs in which the bias of a whitening stem is trained; 0 for all.
    #[serde(default)]
    pub stem_epochs: usize,
    /// The update rule and its rates.
    pub optimizer: OptimizerConfig,
    /// The learning rate over the run.
    pub schedule: Schedule,
    /// The moving average of the weights.
    pub ema: EmaConfig,
    /// Random changes to training images.
    pub augment: Augmentation,
    /// Reading and sampling of series.
    pub series: SeriesRecipe,
    /// Training examples that are held out to watch the run.
    pub validation: Validation,
    /// When to stop before the last epoch.
    pub early_stopping: EarlyStopping,
    /// How often the state is saved.
    pub checkpoint: CheckpointConfig,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            epochs: 10,
            batch_size: 128,
            evaluation_batch_size: 256,
            precision: PrecisionChoice::Auto,
            label_smoothing: 0.0,
            stem_epochs: 0,
            optimizer: OptimizerConfig::default(),
            schedule: Schedule::default(),
            ema: EmaConfig::default(),
            augment: Augmentation::default(),
            series: SeriesRecipe::default(),
            validation: Validation::default(),
            early_stopping: EarlyStopping::default(),
            checkpoint: CheckpointConfig::default(),
        }
    }
}

/// The part of the training examples that is measured after every epoch and never trained on.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validation {
    /// Their share, in 0..1; 0 trains on everything and measures only at the end.
    pub fraction: f64,
}

/// How often the state is saved, besides the end of every epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointConfig {
    /// Steps between two checkpoints within an epoch; 0 for none within.
    pub every_steps: u64,
}

/// Why a recipe cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// The file of `--recipe` cannot be read.
    #[error("cannot read recipe `{path}`: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A recipe is not TOML.
    #[error("{origin} is not valid TOML: {problem}")]
    Syntax {
        /// The recipe.
        origin: String,
        /// The parser's complaint, on one line.
        problem: String,
    },
    /// `--set` without a `=`.
    #[error("`--set {0}` has no value, write `--set key=value`")]
    NoValue(String),
    /// A key that does not exist.
    #[error("{origin}: there is no key `{key}`, did you mean `{nearest}`?")]
    UnknownKey {
        /// The recipe or flag.
        origin: String,
        /// The dotted key.
        key: String,
        /// The existing key nearest to it.
        nearest: String,
    },
    /// A value of another type than the key's.
    #[error("{origin}: `{key}` needs {expected}, not {found}")]
    WrongType {
        /// The recipe or flag.
        origin: String,
        /// The dotted key.
        key: String,
        /// The type that would be right.
        expected: &'static str,
        /// What was given.
        found: String,
    },
    /// A value of the right type that cannot be used.
    #[error("{origin}: {problem}")]
    Invalid {
        /// The recipe, flag or key.
        origin: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
}

/// Where overrides come from.
#[derive(Debug, Clone, Copy, Default)]
pub struct Overrides<'a> {
    /// The file of `--recipe`.
    pub file: Option<&'a Path>,
    /// Each `key=value` of `--set`, in order.
    pub set: &'a [String],
    /// `--epochs`.
    pub epochs: Option<usize>,
    /// Where the network will compute, for what depends on it; the CPU where none is given.
    pub device: Option<&'a Device>,
}

/// A recipe with the network that it trains.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved<R = Recipe> {
    /// The training.
    pub recipe: R,
    /// The network, `model.*` overrides applied.
    pub model: ModelConfig,
}

impl Recipe {
    /// Checks every range.
    ///
    /// # Errors
    /// Names the first key whose value cannot be used.
    pub fn validate(&self) -> Result<(), RecipeError> {
        let at_least_one = |key, value: usize| check(key, value >= 1, value, "at least 1");
        at_least_one("epochs", self.epochs)?;
        at_least_one("batch_size", self.batch_size)?;
        at_least_one("evaluation_batch_size", self.evaluation_batch_size)?;
        let part = |key, value: f64| {
            let fits = (0.0..1.0).contains(&value);
            check(key, fits, value, "at least 0 and below 1")
        };
        let positive = |key, value: f64| {
            let fits = value.is_finite() && value > 0.0;
            check(key, fits, value, "a number above 0")
        };
        let not_negative = |key, value: f64| {
            let fits = value.is_finite() && value >= 0.0;
            check(key, fits, value, "a number of at least 0")
        };
        part("label_smoothing", self.label_smoothing)?;
        let optimizer = &self.optimizer;
        positive("optimizer.learning_rate", optimizer.learning_rate)?;
        part("optimizer.momentum", optimizer.momentum)?;
        part("optimizer.betas", optimizer.betas[0])?;
        part("optimizer.betas", optimizer.betas[1])?;
        positive("optimizer.epsilon", optimizer.epsilon)?;
        not_negative("optimizer.weight_decay", optimizer.weight_decay)?;
        positive("optimizer.mixture_rate", optimizer.mixture_rate)?;
        positive("optimizer.bias_rate", optimizer.bias_rate)?;
        positive("optimizer.norm_bias_rate", optimizer.norm_bias_rate)?;
        not_negative("optimizer.clip_norm", optimizer.clip_norm)?;
        part("schedule.warmup", self.schedule.warmup)?;
        let factor = |key, value: f64| {
            let fits = (0.0..=1.0).contains(&value);
            check(key, fits, value, "between 0 and 1")
        };
        factor("schedule.initial_factor", self.schedule.initial_factor)?;
        factor("schedule.final_factor", self.schedule.final_factor)?;
        part("ema.decay", self.ema.decay)?;
        part("validation.fraction", self.validation.fraction)?;
        if self.early_stopping.patience > 0 && self.validation.fraction == 0.0 {
            return Err(RecipeError::Invalid {
                origin: "early_stopping.patience".into(),
                problem: "stopping early needs held-out examples, set validation.fraction too"
                    .into(),
            });
        }
        Ok(())
    }
}

fn check(
    key: &str,
    fits: bool,
    value: impl std::fmt::Display,
    expected: &str,
) -> Result<(), RecipeError> {
    if fits {
        return Ok(());
    }
    Err(RecipeError::Invalid {
        origin: format!("`{key}`"),
        problem: format!("{value} cannot be used, it must be {expected}"),
    })
}

#[cfg(test)]
mod tests;
