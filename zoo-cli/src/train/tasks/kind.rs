//! A kind of problem together with its data: the one place that tells from a network what it learns from.

use std::collections::BTreeMap;

use anyhow::bail;
use candle_core::{Device, Tensor};
use models::{ModelConfig, ModelDir, Preprocessor};

use super::Measures;
use super::classification::Labelled;
use super::forecasting::Windows;
use super::reconstruction::Pictures;
use crate::data::series::SeriesOptions;
use crate::data::{OpenOptions, Source};
use crate::train::{Run, Trained, Watch};

/// A kind of problem with its data open: what a run trains on, and what a trained network is measured on.
pub trait Kind {
    /// Where the data came from.
    fn source(&self) -> &Source;

    /// Training examples, the held-out ones among them, and test examples.
    fn examples(&self) -> (usize, usize);

    /// What the examples are, as in `images`.
    fn unit(&self) -> &'static str;

    /// What is measured.
    fn measures(&self) -> Measures;

    /// `model` with the settings that the data decide, such as the number of classes.
    ///
    /// # Errors
    /// When the network is of another kind.
    fn fit(&self, model: ModelConfig) -> anyhow::Result<ModelConfig>;

    /// Checks that `model` fits the data.
    ///
    /// # Errors
    /// Names the setting that does not fit.
    fn check(&self, model: &ModelConfig) -> anyhow::Result<()>;

    /// Trains `model` as `run` says.
    ///
    /// # Errors
    /// When training diverges or files cannot be written.
    fn train(self: Box<Self>, model: &ModelConfig, run: &Run<'_>) -> anyhow::Result<Ending>;

    /// The measures of a trained network on the test part, `batch_size` examples a forward pass.
    ///
    /// # Errors
    /// When model and data do not fit each other, or there are no test examples.
    fn evaluate(
        self: Box<Self>,
        model: &ModelDir,
        batch_size: usize,
        device: &Device,
        watch: &dyn Watch,
    ) -> anyhow::Result<Vec<f64>>;
}

/// How [`Kind::train`] ended.
#[derive(Debug)]
pub enum Ending {
    /// With a network.
    Finished(Box<Finished>),
    /// On request, its state saved.
    Interrupted {
        /// The epoch, from 1.
        epoch: usize,
        /// Steps done in it.
        step: u64,
    },
}

/// What a finished run puts into its model directory and its summary.
#[derive(Debug)]
pub struct Finished {
    /// What the trainer gave.
    pub trained: Trained,
    /// Examples that were trained on (without the held-out ones), and that were tested on.
    pub examples: (usize, usize),
    /// Every tensor to save: the kept weights, and what was fitted to the training examples afterwards.
    pub tensors: BTreeMap<String, Tensor>,
    /// Names of the classes, for classifiers.
    pub labels: Vec<String>,
    /// How an image becomes an input, for networks that take images.
    pub preprocessor: Option<Preprocessor>,
}

/// Opens the data of a network to train: `spec` is what `--data` says, `default` the model's own dataset.
///
/// # Errors
/// When the data cannot be had, or the network is not trained by the loop of [`train`](crate::train::train).
pub fn open(
    model: &ModelConfig,
    spec: Option<&str>,
    default: &str,
    options: &OpenOptions<'_>,
) -> anyhow::Result<Box<dyn Kind>> {
    match model {
        ModelConfig::Classifier(_) => Ok(Box::new(Labelled::open(spec, default, options)?)),
        ModelConfig::Forecaster(config) => {
            let windows = Windows::open(config, spec, default, &options.series)?;
            Ok(Box::new(windows))
        }
        ModelConfig::Generator(config) => {
            Ok(Box::new(Pictures::open(config, spec, default, options)?))
        }
        ModelConfig::Surface(_) | ModelConfig::Poisson(_) => {
            bail!("this network is fitted to a problem over the plane, it has no dataset")
        }
    }
}

/// Opens the data of a trained network, brought to its input.
///
/// # Errors
/// As [`open`]; and when the model does not say how images are read.
pub fn open_trained(
    model: &ModelDir,
    spec: Option<&str>,
    default: &str,
    options: OpenOptions<'_>,
) -> anyhow::Result<Box<dyn Kind>> {
    if model.config.channels().is_some() && model.preprocessor.is_none() {
        bail!(
            "`{}` has no `preprocessor_config.json`, which says how images are normalised; add it",
            model.model
        );
    }
    let options = OpenOptions {
        preprocessor: model.preprocessor.clone(),
        series: SeriesOptions {
            columns: model.config.columns().to_vec(),
            ..options.series
        },
        ..options
    };
    open(&model.config, spec, default, &options)
}
