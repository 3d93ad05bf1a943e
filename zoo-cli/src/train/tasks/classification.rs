//! Image classification: cross-entropy and accuracy.

use std::collections::BTreeSet;

use anyhow::bail;
use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::VarBuilder;
use gmnm_core::ParamStore;
use gmnm_core::ops::{cast, cross_entropy};
use models::classifier::{Classifier, ClassifierConfig};
use models::preprocessor::{Interpolation, ResizeRule};
use models::{ModelConfig, ModelDir, Preprocessor};

use super::image_parts::ImageParts;
use super::kind::{Ending, Finished, Kind};
use super::{Batches, Loss, Measure, Measures, Part, Sums, Task};
use crate::data::loader::Batch;
use crate::data::{DataError, ImageDataset, OpenOptions, Source, open_images};
use crate::train::early_stopping::Better;
use crate::train::{Ended, Run, Watch, evaluate, train};

const MEASURES: Measures = Measures {
    all: &[
        Measure {
            name: "loss",
            better: Better::Lower,
            decimals: 4,
        },
        Measure {
            name: "accuracy",
            better: Better::Higher,
            decimals: 4,
        },
    ],
    objective: 1,
};

/// Training images that initial values may depend on.
const INITIAL_IMAGES: usize = 2000;

/// Labelled images to train a classifier on.
#[derive(Debug)]
pub struct Labelled(ImageDataset);

impl Labelled {
    /// The images of `spec`, or of `default`; see [`open_images`].
    ///
    /// # Errors
    /// When they cannot be had.
    pub fn open(
        spec: Option<&str>,
        default: &str,
        options: &OpenOptions<'_>,
    ) -> std::result::Result<Self, DataError> {
        open_images(spec, default, options).map(Self)
    }
}

impl Kind for Labelled {
    fn source(&self) -> &Source {
        &self.0.source
    }

    fn examples(&self) -> (usize, usize) {
        (self.0.train.len(), self.0.test.len())
    }

    fn unit(&self) -> &'static str {
        "images"
    }

    fn measures(&self) -> Measures {
        MEASURES
    }

    fn fit(&self, model: ModelConfig) -> anyhow::Result<ModelConfig> {
        let mut config = settings(&model)?.clone();
        config.channels = self.0.train.channels;
        config.classes = self.0.label_names.len();
        Ok(ModelConfig::Classifier(config))
    }

    fn check(&self, model: &ModelConfig) -> anyhow::Result<()> {
        let config = settings(model)?;
        let (name, shape) = (&self.0.source.name, self.0.train.shape());
        if config.classes != self.0.label_names.len() {
            bail!(
                "`model.classes` is {}, `{name}` has {} classes; leave it out",
                config.classes,
                self.0.label_names.len()
            );
        }
        if config.channels != shape.channels {
            bail!(
                "`model.channels` is {}, the images of `{name}` have {}; leave it out",
                config.channels,
                shape.channels
            );
        }
        let least = config.min_image_size();
        if shape.height < least || shape.width < least {
            bail!(
                "the images of `{name}` are {}×{}, and {} stages need at least {least}×{least}; give fewer \
                 `model.widths`",
                shape.height,
                shape.width,
                config.widths.len()
            );
        }
        Ok(())
    }

    fn train(self: Box<Self>, model: &ModelConfig, run: &Run<'_>) -> anyhow::Result<Ending> {
        let config = settings(model)?;
        let shape = self.0.test.shape();
        let labels = self.0.label_names.clone();
        let statistics = self.0.train.channel_statistics();
        let task = Classification {
            config: config.clone(),
            label_smoothing: run.recipe.label_smoothing,
            activations: run.recipe.precision.precision().dtype(),
            stem_epochs: run.recipe.stem_epochs,
            parts: ImageParts::training(self.0, statistics, run.recipe, run.seed, run.device)?,
        };
        let trained = match train(&task, run)? {
            Ended::Interrupted { epoch, step } => return Ok(Ending::Interrupted { epoch, step }),
            Ended::Finished(trained) => *trained,
        };
        let (mean, std) = task.parts.statistics();
        Ok(Ending::Finished(Box::new(Finished {
            examples: (task.examples(Part::Train), task.examples(Part::Test)),
            tensors: trained.store.tensors(),
            trained,
            labels,
            preprocessor: Some(Preprocessor {
                height: shape.height,
                width: shape.width,
                channels: shape.channels,
                mean: mean.to_vec(),
                std: std.to_vec(),
                interpolation: Interpolation::Bilinear,
                resize: ResizeRule::Crop,
            }),
        })))
    }

    fn evaluate(
        mut self: Box<Self>,
        model: &ModelDir,
        batch_size: usize,
        device: &Device,
        watch: &dyn Watch,
    ) -> anyhow::Result<Vec<f64>> {
        self.0.align_labels(&model.labels)?;
        let config = settings(&model.config)?;
        let Some(input) = &model.preprocessor else {
            bail!(
                "the model has no `preprocessor_config.json`, which says how images are normalised"
            );
        };
        let task = Classification {
            config: config.clone(),
            label_smoothing: 0.0,
            activations: DType::F32,
            stem_epochs: 0,
            parts: ImageParts::evaluation(self.0, (&input.mean, &input.std), device)?,
        };
        let network = load(model, device)?;
        Ok(evaluate(&task, &network, Part::Test, batch_size, watch)?)
    }
}

/// The settings of a classifier.
fn settings(config: &ModelConfig) -> anyhow::Result<&ClassifierConfig> {
    match config {
        ModelConfig::Classifier(config) => Ok(config),
        _ => bail!("this network is no classifier, and only classifiers can be used here"),
    }
}

/// The classifier of a model directory, ready to evaluate.
///
/// # Errors
/// When the network is another one.
pub fn load(model: &ModelDir, device: &Device) -> anyhow::Result<Classifier> {
    let config = settings(&model.config)?;
    let store = model.store(DType::F32, device)?;
    Ok(Classifier::new(config, store.detached().var_builder())?)
}

/// Classifying the images of one dataset.
#[derive(Debug, Clone)]
struct Classification {
    config: ClassifierConfig,
    label_smoothing: f64,
    /// What the network computes in, in training.
    activations: DType,
    stem_epochs: usize,
    parts: ImageParts,
}

/// How many of `logits` `[n, k]` are largest at their label: a scalar.
fn correct(logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
    let hits = logits.argmax(D::Minus1)?.eq(labels)?;
    hits.to_dtype(DType::F32)?.sum_all()
}

/// The sums of what is measured over a batch with this mean loss.
fn sums(loss: &Tensor, logits: &Tensor, labels: &Tensor) -> Result<Sums> {
    let examples = labels.elem_count() as f64;
    let correct = correct(&logits.detach(), labels)?;
    Ok(Sums::Queued(vec![
        (loss.detach(), examples),
        (correct, 1.0),
    ]))
}

impl Task for Classification {
    type Model = Classifier;
    type Batch = Batch;

    fn build(&self, vb: VarBuilder) -> Result<Classifier> {
        Classifier::new(&self.config, vb)
    }

    fn initialize(&self, store: &ParamStore) -> Result<()> {
        let drawn = store.tensors();
        let first = self
            .config
            .initial(drawn, &self.parts.some(INITIAL_IMAGES)?)?;
        store.load_strict(&first).map_err(candle_core::Error::wrap)
    }

    fn frozen(&self, epoch: usize) -> BTreeSet<String> {
        let trained = self.stem_epochs == 0 || epoch < self.stem_epochs;
        match &self.config.stem {
            Some(_) if !trained => BTreeSet::from(["stem.bias".to_string()]),
            _ => BTreeSet::new(),
        }
    }

    fn examples(&self, part: Part) -> usize {
        self.parts.examples(part)
    }

    fn measures(&self) -> Measures {
        MEASURES
    }

    fn steps(&self) -> u64 {
        self.parts.steps()
    }

    fn training_batches(&self, epoch: usize, first_step: u64) -> Batches<'_, Batch> {
        self.parts.training_batches(epoch, first_step)
    }

    fn batches(&self, part: Part, batch_size: usize) -> Batches<'_, Batch> {
        self.parts.batches(part, batch_size)
    }

    fn batch_len(&self, batch: &Batch) -> usize {
        batch.labels.elem_count()
    }

    fn loss(&self, model: &Classifier, batch: &Batch) -> Result<Loss> {
        let logits = model.forward_in(&batch.images, true, self.activations)?;
        let logits = cast(&logits, DType::F32)?;
        let value = cross_entropy(&logits, &batch.labels, self.label_smoothing)?;
        let sums = sums(&value, &logits, &batch.labels)?;
        Ok(Loss { value, sums })
    }

    fn measure(&self, model: &Classifier, batch: &Batch) -> Result<Sums> {
        let logits = model.forward(&batch.images, false)?;
        let loss = cross_entropy(&logits, &batch.labels, 0.0)?;
        sums(&loss, &logits, &batch.labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_rows_whose_largest_logit_is_at_the_label() {
        let logits = [[0.1f32, 0.9, 0.0], [0.5, 0.2, 0.3], [-1.0, -3.0, -0.5]];
        let logits = Tensor::new(&logits, &Device::Cpu).unwrap();
        let count = |labels: [u32; 3]| {
            let labels = Tensor::new(&labels, &Device::Cpu).unwrap();
            let count = correct(&logits, &labels).unwrap();
            count.to_scalar::<f32>().unwrap()
        };
        assert_eq!(count([1, 0, 2]), 3.0);
        assert_eq!(count([1, 1, 2]), 2.0);
        assert_eq!(count([0, 1, 1]), 0.0);
    }
}
