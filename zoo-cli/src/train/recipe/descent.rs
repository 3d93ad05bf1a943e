//! The keys that all families share which are trained in epochs.

use gmnm_core::optim::OptimizerConfig;
use serde::{Deserialize, Serialize};

use super::RecipeError;
use super::error::{require, require_part, require_positive};
use crate::train::early_stopping::EarlyStopping;
use crate::train::precision::PrecisionChoice;
use crate::train::schedule::Schedule;

/// Steps along gradients of batches of examples, in epochs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Descent {
    /// Passes over the training examples, at least 1.
    pub epochs: usize,
    /// Examples a step, at least 1. An epoch drops the rest that does not fill a batch (another rest every epoch).
    pub batch_size: usize,
    /// Examples a forward pass of an evaluation, at least 1.
    pub evaluation_batch_size: usize,
    /// Which numbers a step is computed in.
    #[serde(default = "PrecisionChoice::unrecorded")]
    pub precision: PrecisionChoice,
    /// The update rule and its rates.
    pub optimizer: OptimizerConfig,
    /// The learning rate over the run.
    pub schedule: Schedule,
    /// The moving average of the weights.
    pub ema: EmaConfig,
    /// Training examples that are held out to watch the run.
    pub validation: Validation,
    /// When to stop before the last epoch.
    pub early_stopping: EarlyStopping,
    /// How often the state is saved.
    pub checkpoint: CheckpointConfig,
    /// Patterns of the names of parameters that are not trained, `*` standing for any characters and `?` for one. Their
    /// batch norms use and keep the running statistics. `--freeze` sets it.
    #[serde(default)]
    pub freeze: Vec<String>,
    /// Epochs for which they are not trained, and all tensors that `--from` gave where `freeze` is empty; 0 for the
    /// whole run, and for no tensors where `freeze` is empty.
    #[serde(default)]
    pub freeze_epochs: usize,
    /// Factor on the learning rate of the parameters that `--from` gave, above 0.
    #[serde(default = "one")]
    pub from_rate: f64,
    /// What becomes of the running statistics that `--from` gave.
    #[serde(default)]
    pub norm: TakenNorm,
}

fn one() -> f64 {
    1.0
}

/// What becomes of the running statistics of a trained model's batch norms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TakenNorm {
    /// Training goes on with them.
    #[default]
    Keep,
    /// Before the first step they become those of training images.
    Renew,
}

impl Default for Descent {
    fn default() -> Self {
        Self {
            epochs: 10,
            batch_size: 128,
            evaluation_batch_size: 256,
            precision: PrecisionChoice::Auto,
            optimizer: OptimizerConfig::default(),
            schedule: Schedule::default(),
            ema: EmaConfig::default(),
            validation: Validation::default(),
            early_stopping: EarlyStopping::default(),
            checkpoint: CheckpointConfig::default(),
            freeze: Vec::new(),
            freeze_epochs: 0,
            from_rate: 1.0,
            norm: TakenNorm::Keep,
        }
    }
}

/// The moving average of the weights, an [`Ema`](gmnm_core::optim::Ema).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmaConfig {
    /// Weight of the past at each step, in 0..1; 0 turns the average off.
    pub decay: f64,
    /// Training batches, at most one epoch of them, over which batch norms take new running statistics under the
    /// averaged weights before these are tested and kept; 0 keeps the averaged statistics.
    #[serde(default)]
    pub norm_batches: usize,
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

impl Descent {
    /// Checks every range.
    ///
    /// # Errors
    /// Names the first key whose value cannot be used.
    pub fn validate(&self) -> Result<(), RecipeError> {
        let at_least_one = |key, value: usize| require(key, value >= 1, value, "at least 1");
        at_least_one("epochs", self.epochs)?;
        at_least_one("batch_size", self.batch_size)?;
        at_least_one("evaluation_batch_size", self.evaluation_batch_size)?;
        let not_negative = |key, value: f64| {
            let fits = value.is_finite() && value >= 0.0;
            require(key, fits, value, "a number of at least 0")
        };
        let optimizer = &self.optimizer;
        require_positive("optimizer.learning_rate", optimizer.learning_rate)?;
        require_part("optimizer.momentum", optimizer.momentum)?;
        require_part("optimizer.betas", optimizer.betas[0])?;
        require_part("optimizer.betas", optimizer.betas[1])?;
        require_positive("optimizer.epsilon", optimizer.epsilon)?;
        not_negative("optimizer.weight_decay", optimizer.weight_decay)?;
        require_positive("optimizer.mixture_rate", optimizer.mixture_rate)?;
        require_positive("optimizer.bias_rate", optimizer.bias_rate)?;
        require_positive("optimizer.norm_bias_rate", optimizer.norm_bias_rate)?;
        not_negative("optimizer.clip_norm", optimizer.clip_norm)?;
        require_part("schedule.warmup", self.schedule.warmup)?;
        let factor = |key, value: f64| {
            let fits = (0.0..=1.0).contains(&value);
            require(key, fits, value, "between 0 and 1")
        };
        factor("schedule.initial_factor", self.schedule.initial_factor)?;
        factor("schedule.final_factor", self.schedule.final_factor)?;
        require_part("ema.decay", self.ema.decay)?;
        require_part("validation.fraction", self.validation.fraction)?;
        require_positive("from_rate", self.from_rate)?;
        if self.early_stopping.patience > 0 && self.validation.fraction == 0.0 {
            return Err(RecipeError::invalid(
                "early_stopping.patience",
                "stopping early needs held-out examples, set validation.fraction too",
            ));
        }
        Ok(())
    }
}
