//! Image classification: cross-entropy and accuracy.

mod examine;
mod grad_cam;
mod targets;

use std::collections::BTreeSet;

use anyhow::bail;
use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::VarBuilder;
use gmnm_core::ops::{cast, cross_entropy, soft_cross_entropy};
use gmnm_core::{ParamStore, Precision};
use models::classifier::{Classifier, ClassifierConfig};
use models::{ModelConfig, ModelDir, Preprocessor};
use serde::{Deserialize, Serialize};

use super::class_weights::ClassWeights;
use super::image_parts::{
    ImageParts, Shown, about, check_augmentation, check_channels, preprocessor,
};
use super::image_size::ImageSize;
use super::{Family, Forward, curves};
use crate::data::augment::Augmentation;
use crate::data::loader::Batch;
use crate::data::mixing::Mixing;
use crate::data::sampling::Sampling;
use crate::data::{ImageDataset, OpenOptions, Source, open_images};
use crate::evaluation::{Examination, Examined};
use crate::train::metrics::Row;
use crate::train::recipe::{RecipeError, Schema, require, require_part};
use crate::train::record::TrainingRecord;
use crate::train::{
    Contrast, Digits, Ended, Finished, Loss, Measure, Measures, Part, Problem, Run, Section, Sums,
    Task, Trainable, Wanted, Watch, evaluate, train,
};

pub use self::examine::features_and_logits;
pub use self::grad_cam::grad_cam;
pub use self::targets::targets;

/// Of every network that tells the classes of images apart.
pub(super) const MEASURES: Measures = Measures {
    all: &[
        Measure::lower("loss", Contrast::Difference, Digits::Fixed(4)),
        Measure::higher("accuracy", Digits::Fixed(4)),
    ],
    objective: 1,
};

/// The image classifiers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Classifiers;

/// `[classification]` of a recipe.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassificationRecipe {
    /// Share of the target distribution that is spread over all classes, in 0..1.
    pub label_smoothing: f64,
    /// Epochs in which the bias of a whitening stem is trained; 0 for all.
    pub stem_epochs: usize,
    /// What images are brought to: one side in pixels, or height and width; none for their own size, where all have
    /// the same of at most 64×64, else 32×32.
    #[serde(default)]
    pub image_size: ImageSize,
    /// How much each class counts in the training loss: `none`, `auto` (as much as the others, however many images it
    /// has), or `cat=2,dog=0.5` by name. What is measured counts every image the same.
    #[serde(default)]
    pub class_weights: ClassWeights,
    /// `balanced` shows every class as often as the others.
    #[serde(default)]
    pub sampling: Sampling,
    /// α of the mixture of two images, in 0..=10; 0 is off, 0.2 is usual.
    #[serde(default)]
    pub mixup: f64,
    /// α of the part of another image in each, in 0..=10; 0 is off, 1 is usual. With `mixup` either is drawn.
    #[serde(default)]
    pub cutmix: f64,
    /// Random changes to training images.
    pub augment: Augmentation,
}

impl Section for ClassificationRecipe {
    const NAME: &'static str = "classification";

    fn validate(&self) -> std::result::Result<(), RecipeError> {
        require_part("label_smoothing", self.label_smoothing)?;
        for (key, alpha) in [("mixup", self.mixup), ("cutmix", self.cutmix)] {
            let fits = (0.0..=10.0).contains(&alpha);
            require(key, fits, alpha, "between 0 and 10")?;
        }
        check_augmentation(&self.augment)
    }
}

impl Trainable for Classifiers {
    fn schema(&self) -> Schema {
        Schema::in_epochs::<ClassificationRecipe>()
    }

    fn recipes(&self) -> &'static [(&'static str, &'static str)] {
        &[
            (
                "cifar-classifier",
                include_str!("../recipes/cifar-classifier.toml"),
            ),
            (
                "cifar-classifier.fast",
                include_str!("../recipes/cifar-classifier-fast.toml"),
            ),
        ]
    }

    fn unit(&self) -> &'static str {
        "images"
    }

    fn measures(&self) -> Measures {
        MEASURES
    }

    fn precision(&self, device: &Device) -> Precision {
        match Precision::multiplies_bf16(device) {
            true => Precision::Bf16,
            false => Precision::F32,
        }
    }

    fn open(&self, wanted: &Wanted<'_>) -> anyhow::Result<Box<dyn Problem>> {
        let recipe: ClassificationRecipe = wanted.recipe.section()?;
        let options = OpenOptions {
            size: recipe.image_size.get(),
            ..wanted.options.clone()
        };
        Ok(Box::new(Labelled {
            data: open_images(wanted.data, wanted.default, &options)?,
            class_weights: recipe.class_weights,
            evaluation_batch_size: wanted.recipe.descent()?.evaluation_batch_size,
        }))
    }
}

impl Family for Classifiers {
    fn pipeline_tag(&self) -> &'static str {
        "image-classification"
    }

    fn usage(&self, model: &str) -> String {
        format!("infer {model} photo.jpg")
    }

    fn about(&self, record: &TrainingRecord) -> Option<String> {
        about(record)
    }

    fn example_shape(&self, model: &ModelDir) -> anyhow::Result<Vec<usize>> {
        let channels = settings(&model.config)?.channels;
        let size = |input: &Preprocessor| (input.height, input.width);
        let (height, width) = model.preprocessor.as_ref().map_or((32, 32), size);
        Ok(vec![2, height, width, channels])
    }

    fn network(&self, config: &ModelConfig, weights: VarBuilder) -> anyhow::Result<Forward> {
        let network = Classifier::new(settings(config)?, weights)?;
        Ok(Box::new(move |images, training| {
            network.forward(images, training)
        }))
    }
}

/// Training images that initial values may depend on.
const INITIAL_IMAGES: usize = 2000;

/// Labelled images.
#[derive(Debug)]
struct Labelled {
    data: ImageDataset,
    class_weights: ClassWeights,
    evaluation_batch_size: usize,
}

impl Problem for Labelled {
    fn source(&self) -> &Source {
        &self.data.source
    }

    fn inventory(&self) -> Option<serde_json::Value> {
        serde_json::to_value(&self.data.inventory).ok()
    }

    fn about_data(&self) -> Vec<String> {
        self.data.inventory.lines()
    }

    fn examples(&self) -> (usize, usize) {
        (self.data.train.len(), self.data.test.len())
    }

    fn labels(&self) -> &[String] {
        &self.data.label_names
    }

    fn adapt(&self, model: ModelConfig) -> anyhow::Result<ModelConfig> {
        let mut config = settings(&model)?.clone();
        config.channels = self.data.train.channels;
        config.classes = self.data.label_names.len();
        Ok(ModelConfig::Classifier(config))
    }

    fn check(&self, model: &ModelConfig) -> anyhow::Result<()> {
        let config = settings(model)?;
        let (name, shape) = (&self.data.source.name, self.data.train.shape());
        if config.classes != self.data.label_names.len() {
            bail!(
                "`model.classes` is {}, `{name}` has {} classes; leave it out",
                config.classes,
                self.data.label_names.len()
            );
        }
        check_channels(config.channels, &self.data)?;
        let counts = vec![1; self.data.label_names.len()];
        self.class_weights.of(&self.data.label_names, &counts)?;
        let least = config.min_image_size();
        if shape.height < least || shape.width < least {
            bail!(
                "the images of `{name}` are read at {}×{}, and {} stages need at least {least}×{least}; give fewer \
                 `model.widths`, or a larger `image_size`",
                shape.width,
                shape.height,
                config.widths.len()
            );
        }
        Ok(())
    }

    fn train(self: Box<Self>, run: &Run<'_>) -> anyhow::Result<Ended<Finished>> {
        let recipe: ClassificationRecipe = run.record.recipe.section()?;
        let descent = run.record.recipe.descent()?;
        let shape = self.data.test.shape();
        let labels = self.data.label_names.clone();
        let statistics = match run.record.base.as_ref().and_then(|base| base.input.clone()) {
            Some(input) => (input.mean, input.std),
            None => self.data.train.channel_statistics(),
        };
        let shown = Shown {
            augmentation: recipe.augment,
            sampling: recipe.sampling,
            mixing: Mixing {
                mixup: recipe.mixup,
                cutmix: recipe.cutmix,
            },
        };
        let parts = ImageParts::training(self.data, statistics, shown, run)?;
        let weights = recipe
            .class_weights
            .of(&labels, &parts.counts(labels.len()))?;
        let weights = weights.map(|weights| Tensor::new(weights, run.device));
        let task = Classification {
            config: settings(&run.record.config)?.clone(),
            label_smoothing: recipe.label_smoothing,
            weights: weights.transpose()?,
            activations: descent.precision.precision().dtype(),
            stem_epochs: recipe.stem_epochs,
            parts,
        };
        train(&task, run)?.try_map(|mut finished| {
            finished.model.labels = labels;
            finished.model.preprocessor = Some(preprocessor(shape, task.parts.statistics()));
            Ok(finished)
        })
    }

    fn evaluate(
        mut self: Box<Self>,
        model: &ModelDir,
        device: &Device,
        watch: &dyn Watch,
    ) -> anyhow::Result<Vec<f64>> {
        self.data.align_labels(&model.labels)?;
        let parts = ImageParts::evaluation(self.data.test, None, model, device)?;
        let task = Classification::evaluation(settings(&model.config)?, parts);
        let network = load(model, device)?;
        let batch_size = self.evaluation_batch_size;
        Ok(evaluate(&task, &network, Part::Test, batch_size, watch)?)
    }

    fn examine(
        self: Box<Self>,
        model: &ModelDir,
        device: &Device,
        watch: &dyn Watch,
        how: &Examination,
    ) -> anyhow::Result<Examined> {
        (*self).examined(model, device, watch, how)
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
    /// Of each class, where they differ.
    weights: Option<Tensor>,
    /// What the network computes in, in training.
    activations: DType,
    stem_epochs: usize,
    parts: ImageParts,
}

impl Classification {
    /// Measuring a trained network.
    fn evaluation(config: &ClassifierConfig, parts: ImageParts) -> Self {
        Self {
            config: config.clone(),
            label_smoothing: 0.0,
            weights: None,
            activations: DType::F32,
            stem_epochs: 0,
            parts,
        }
    }
}

/// How many of `logits` `[n, k]` are largest at their label: a scalar.
fn correct(logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
    let hits = logits.argmax(D::Minus1)?.eq(labels)?;
    hits.to_dtype(DType::F32)?.sum_all()
}

/// The sums of what is measured over a batch with this mean loss.
pub(super) fn sums(loss: &Tensor, logits: &Tensor, labels: &Tensor) -> Result<Sums> {
    let examples = labels.elem_count() as f64;
    let correct = correct(&logits.detach(), labels)?;
    Ok(Sums::Queued(vec![
        (loss.detach(), examples),
        (correct, 1.0),
    ]))
}

impl Task for Classification {
    type Model = Classifier;
    type Examples = ImageParts;

    fn examples(&self) -> &ImageParts {
        &self.parts
    }

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

    fn measures(&self) -> Measures {
        MEASURES
    }

    fn loss(&self, model: &Classifier, batch: &Batch) -> Result<Loss> {
        let logits = model.forward_in(&batch.images, true, self.activations)?;
        let logits = cast(&logits, DType::F32)?;
        let (weights, mixed) = (self.weights.as_ref(), batch.mixed.as_ref());
        let value = match weights.is_some() || mixed.is_some() {
            false => cross_entropy(&logits, &batch.labels, self.label_smoothing)?,
            true => {
                let (classes, smoothing) = (self.config.classes, self.label_smoothing);
                let targets = targets(&batch.labels, mixed, classes, weights, smoothing)?;
                soft_cross_entropy(&logits, &targets)?
            }
        };
        let sums = sums(&value, &logits, &batch.labels)?;
        Ok(Loss { value, sums })
    }

    fn measure(&self, model: &Classifier, batch: &Batch) -> Result<Sums> {
        let logits = model.forward(&batch.images, false)?;
        let loss = cross_entropy(&logits, &batch.labels, 0.0)?;
        sums(&loss, &logits, &batch.labels)
    }

    fn curves(&self, title: &str, history: &[Row]) -> String {
        curves::svg(title, MEASURES.all, history)
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
