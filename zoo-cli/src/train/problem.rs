//! What the session asks of an architecture family, and of a problem of it whose data are open.

use std::time::Duration;

use candle_core::Device;
use gmnm_core::Precision;
use models::{ModelConfig, ModelDir};

use super::measure::Measures;
use super::recipe::{Recipe, RecipeError, Schema};
use super::{Run, Watch};
use crate::data::{OpenOptions, Source, is_dataset_name};
use crate::evaluation::{Examination, Examined, Findings};

/// A family of networks that can be trained.
pub trait Trainable: Sync {
    /// The keys of its recipes.
    fn schema(&self) -> Schema;

    /// Its embedded recipes as TOML, by name.
    fn recipes(&self) -> &'static [(&'static str, &'static str)];

    /// The keys of its recipes that say how data are read: they may be set for a trained network, too.
    fn reading(&self) -> &'static [&'static str] {
        &[]
    }

    /// What the examples are, as in `images`.
    fn unit(&self) -> &'static str;

    /// What is measured.
    fn measures(&self) -> Measures;

    /// What one round of a training is called.
    fn pass(&self) -> &'static str {
        "epoch"
    }

    /// Whether it computes in f64 on the CPU, whatever else is at hand.
    fn in_f64(&self) -> bool {
        false
    }

    /// Whether `data` names the same data on every machine; else it is a path on this one.
    fn is_name(&self, data: &str) -> bool {
        is_dataset_name(data)
    }

    /// The fastest numbers to compute a step in that are known to reach the same accuracy.
    fn precision(&self, device: &Device) -> Precision {
        let _ = device;
        Precision::F32
    }

    /// Makes `recipe` one of so many epochs.
    ///
    /// # Errors
    /// When there cannot be so many.
    fn set_epochs(&self, recipe: &mut Recipe, epochs: usize) -> Result<(), RecipeError> {
        recipe.descent_mut()?.epochs = epochs;
        Ok(())
    }

    /// Opens the data of a problem.
    ///
    /// # Errors
    /// When they cannot be had.
    fn open(&self, wanted: &Wanted<'_>) -> anyhow::Result<Box<dyn Problem>>;
}

/// Which problem is to be opened, and for what.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// The network that learns from it or is measured on it.
    pub config: &'a ModelConfig,
    /// How the network is or was trained.
    pub recipe: &'a Recipe,
    /// Fixes every random choice of the training.
    pub seed: u64,
    /// What `--data` says.
    pub data: Option<&'a str>,
    /// The model's own dataset.
    pub default: &'a str,
    /// How files are read.
    pub options: &'a OpenOptions<'a>,
}

/// A problem with its data open: what a run trains on, and what a trained network is measured on.
pub trait Problem {
    /// Where the data came from.
    fn source(&self) -> &Source;

    /// What lies in the data and what becomes of it, for the record of a run.
    fn inventory(&self) -> Option<serde_json::Value> {
        None
    }

    /// The same for people, in at most three lines.
    fn about_data(&self) -> Vec<String> {
        Vec::new()
    }

    /// Training examples, the held-out ones among them, and test examples.
    fn examples(&self) -> (usize, usize);

    /// The names of the classes that a network tells apart, in their order.
    fn labels(&self) -> &[String] {
        &[]
    }

    /// `model` with the settings that the data decide, such as the number of classes.
    ///
    /// # Errors
    /// When the network is of another family.
    fn adapt(&self, model: ModelConfig) -> anyhow::Result<ModelConfig> {
        Ok(model)
    }

    /// Checks that `model` fits the data.
    ///
    /// # Errors
    /// Names the setting that does not fit.
    fn check(&self, model: &ModelConfig) -> anyhow::Result<()> {
        let _ = model;
        Ok(())
    }

    /// Trains the network of `run` from the newest checkpoint in its directory or from the start: by
    /// [`train`](super::train), or in steps of the family's own.
    ///
    /// # Errors
    /// When training diverges or files cannot be written.
    fn train(self: Box<Self>, run: &Run<'_>) -> anyhow::Result<Ended<Finished>>;

    /// The measures of a trained network on the test part.
    ///
    /// # Errors
    /// When model and data do not fit each other, or there are no test examples.
    fn evaluate(
        self: Box<Self>,
        model: &ModelDir,
        device: &Device,
        watch: &dyn Watch,
    ) -> anyhow::Result<Vec<f64>>;

    /// The measures of a trained network on the test part, and what else is found of it example by example.
    ///
    /// # Errors
    /// As [`Self::evaluate`].
    fn examine(
        self: Box<Self>,
        model: &ModelDir,
        device: &Device,
        watch: &dyn Watch,
        how: &Examination,
    ) -> anyhow::Result<Examined> {
        let _ = how;
        Ok(Examined {
            measures: self.evaluate(model, device, watch)?,
            findings: Findings::None,
        })
    }

    /// The measures of a prediction that needs no training, one of those that the family names.
    ///
    /// # Errors
    /// When there is no such prediction, or it cannot be made of these data.
    fn naive(&self, name: &str) -> anyhow::Result<Vec<f64>> {
        anyhow::bail!(
            "there is no prediction `{name}` for `{}`",
            self.source().name
        )
    }
}

/// How a run ended.
#[derive(Debug, Clone)]
pub enum Ended<T> {
    /// With its last epoch.
    Finished(Box<T>),
    /// On request, its state saved.
    Interrupted(Place),
}

impl<T> Ended<T> {
    /// The same end with something else for what was finished.
    ///
    /// # Errors
    /// When `change` fails.
    pub fn try_map<U>(
        self,
        change: impl FnOnce(T) -> anyhow::Result<U>,
    ) -> anyhow::Result<Ended<U>> {
        Ok(match self {
            Self::Finished(finished) => Ended::Finished(Box::new(change(*finished)?)),
            Self::Interrupted(place) => Ended::Interrupted(place),
        })
    }
}

/// Where a run was interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Steps done in it.
    pub step: u64,
}

/// What came of a run.
#[derive(Debug)]
pub struct Finished {
    /// The network, with what was fitted to the training examples afterwards.
    pub model: ModelDir,
    /// The measures of the test part.
    pub test: Vec<f64>,
    /// Examples that were trained on (without the held-out ones), and that were tested on.
    pub examples: (usize, usize),
    /// What else is to be said of it, a sentence each.
    pub notes: Vec<String>,
    /// The work of this process.
    pub effort: Effort,
}

/// The work that one process has put into a run.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Effort {
    /// Time in training steps.
    pub time: Duration,
    /// Steps taken.
    pub steps: u64,
    /// Examples trained on.
    pub examples: u64,
}
