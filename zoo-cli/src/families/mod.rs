//! The architecture families: one file each for all that depends on the architecture of a network. A new family is a
//! file here and a line in [`of`].

pub mod class_weights;
pub mod classification;
mod curves;
mod field;
pub mod forecasting;
mod image_parts;
mod image_size;
pub mod reconstruction;

use anyhow::bail;
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use models::{ModelConfig, ModelDir};

use crate::train::record::TrainingRecord;
use crate::train::{Descent, Measure, Recipe, Trainable};

/// A network: inputs, and whether it is in training, to outputs.
pub type Forward = Box<dyn Fn(&Tensor, bool) -> candle_core::Result<Tensor> + Send + Sync>;

/// A family of networks.
pub trait Family: Trainable {
    /// The kind of its task by its name on the Hub.
    fn pipeline_tag(&self) -> &'static str;

    /// The subcommand that uses the network `model`, with its arguments.
    fn usage(&self, model: &str) -> String;

    /// What else a model card says of a network that was trained so.
    fn about(&self, record: &TrainingRecord) -> Option<String> {
        let _ = record;
        None
    }

    /// The files that its training writes beside those of every family.
    fn drawings(&self) -> &'static [&'static str] {
        &[]
    }

    /// The shape of a batch of two inputs.
    ///
    /// # Errors
    /// When the network is of another family.
    fn example_shape(&self, model: &ModelDir) -> anyhow::Result<Vec<usize>>;

    /// The network of `config` over the parameters of `weights`.
    ///
    /// # Errors
    /// When the network is of another family, or `weights` do not fit it.
    fn network(&self, config: &ModelConfig, weights: VarBuilder) -> anyhow::Result<Forward>;

    /// Predictions that need no training and that networks are held against, by name.
    fn naive(&self) -> &'static [&'static str] {
        &[]
    }

    /// How networks are trained by `recipe` and measured, as a part of a sentence.
    fn protocol(&self, recipe: &Recipe) -> String {
        let epochs = recipe.descent().map_or_else(
            |_| String::new(),
            |d| format!("{} epochs in batches of {}, ", d.epochs, d.batch_size),
        );
        epochs + "measured once on the test part"
    }

    /// The columns of `metrics.csv` that show how training by `recipe` went.
    fn courses(&self, recipe: &Recipe) -> Vec<Course> {
        // The test part is measured only once.
        let watched = |d: &Descent| d.validation.fraction > 0.0;
        let (part, words) = match recipe.descent().is_ok_and(watched) {
            true => ("validation", "held-out"),
            false => ("train", "training"),
        };
        let measures = self.measures();
        let measure = measures.all[measures.objective];
        vec![Course {
            over: "epoch",
            column: format!("{part}_{}", measure.name),
            title: format!("{words} {}", measure.name),
            measure,
        }]
    }
}

/// A measure in the course of a training.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    /// What the first column counts, as in `epoch`.
    pub over: &'static str,
    /// The column of `metrics.csv`.
    pub column: String,
    /// What it shows, for people.
    pub title: String,
    /// What is measured.
    pub measure: Measure,
}

/// The family of a network.
pub fn of(config: &ModelConfig) -> &'static dyn Family {
    match config {
        ModelConfig::Classifier(_) => &classification::Classifiers,
        ModelConfig::Generator(_) => &reconstruction::Generators,
        ModelConfig::Forecaster(_) => &forecasting::Forecasters,
        ModelConfig::Surface(_) => &field::SURFACES,
        ModelConfig::Poisson(_) => &field::EQUATIONS,
    }
}

/// The family of a network, for the session that trains it.
pub fn trainable(config: &ModelConfig) -> &'static dyn Trainable {
    of(config)
}

/// The network of a model directory, ready to evaluate in f32.
///
/// # Errors
/// When its tensors do not fit it, or cannot be brought to `device`.
pub fn load(model: &ModelDir, device: &Device) -> anyhow::Result<Forward> {
    let weights = model.store(DType::F32, device)?.detached();
    of(&model.config).network(&model.config, weights.var_builder())
}

/// That `zoo COMMAND` uses networks such as `config`, that of the model called `name`.
///
/// # Errors
/// When another command does; it is named.
pub fn expect(command: &str, name: &str, config: &ModelConfig) -> anyhow::Result<()> {
    let usage = of(config).usage(name);
    if usage.split(' ').next() != Some(command) {
        bail!("`zoo {command}` has no use for `{name}`; it is used with `zoo {usage}`");
    }
    Ok(())
}
