//! The images of a dataset as the parts of a run.

use std::sync::Arc;

use anyhow::Context;
use candle_core::{Device, Result, Tensor};
use models::preprocessor::{Interpolation, ResamplePrecision, ResizeRule};
use models::{ModelDir, Preprocessor};

use crate::data::augment::{Augmentation, MAX_MAGNITUDE};
use crate::data::inventory::Inventory;
use crate::data::loader::{Batch, Loader, LoaderOptions};
use crate::data::mixing::Mixing;
use crate::data::resident::Resident;
use crate::data::sampling::Sampling;
use crate::data::split::hold_out;
use crate::data::{ImageDataset, ImageShape, Images};
use crate::train::recipe::{RecipeError, require, require_part};
use crate::train::record::TrainingRecord;
use crate::train::{Batches, Examples, Part, Run};

/// Training images in their batches, those that are watched, and test images, all normalised alike.
#[derive(Debug, Clone)]
pub(super) struct ImageParts {
    train: Arc<Images>,
    /// The training images on the device, where that is not the CPU and has room.
    resident: Option<Resident>,
    kept: Vec<usize>,
    watched: Watched,
    training: Loader,
    test: Arc<Images>,
    mean: Vec<f32>,
    std: Vec<f32>,
    device: Device,
}

/// How training images are shown. The default shows each once in an epoch, as it is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Shown {
    pub(super) augmentation: Augmentation,
    pub(super) sampling: Sampling,
    pub(super) mixing: Mixing,
}

/// The images that are watched in training.
#[derive(Debug, Clone)]
enum Watched {
    /// Training images that are held out.
    HeldOut(Vec<usize>),
    /// The validation part of the dataset.
    Part(Arc<Images>),
}

impl ImageParts {
    /// The parts of `data` to train on as `run` says, its pixels normalised with `mean` and `std` for each channel.
    pub(super) fn training(
        data: ImageDataset,
        (mean, std): (Vec<f32>, Vec<f32>),
        shown: Shown,
        run: &Run<'_>,
    ) -> anyhow::Result<Self> {
        let recipe = run.record.recipe.descent()?;
        let (seed, device) = (run.record.seed, run.device);
        let (kept, watched) = match data.validation {
            Some(part) => {
                let all = (0..data.train.len()).collect();
                (all, Watched::Part(Arc::new(part)))
            }
            None => {
                let fraction = recipe.validation.fraction;
                let (kept, held) = hold_out(&data.train.labels, fraction, seed);
                (kept, Watched::HeldOut(held))
            }
        };
        let train = Arc::new(data.train);
        let options = LoaderOptions {
            // A dataset smaller than a batch is one batch.
            batch_size: recipe.batch_size.min(kept.len()).max(1),
            mean: mean.clone(),
            std: std.clone(),
            seed,
            shuffle: true,
            drop_last: true,
            augmentation: shown.augmentation,
            sampling: shown.sampling,
            mixing: shown.mixing,
        };
        Ok(Self {
            training: Loader::new(train.clone(), Some(kept.clone()), options)?,
            resident: Resident::on(device, &train)?,
            train,
            kept,
            watched,
            test: Arc::new(data.test),
            mean,
            std,
            device: device.clone(),
        })
    }

    /// Images to measure a trained network on, and some that its training held out, normalised as `model` says.
    pub(super) fn evaluation(
        test: Images,
        held_out: Option<Images>,
        model: &ModelDir,
        device: &Device,
    ) -> anyhow::Result<Self> {
        let Preprocessor { mean, std, .. } = input(model)?;
        let test = Arc::new(test);
        let none = LoaderOptions::evaluation(1, mean, std);
        Ok(Self {
            training: Loader::new(test.clone(), Some(Vec::new()), none)?,
            train: test.clone(),
            resident: None,
            kept: Vec::new(),
            watched: match held_out {
                Some(images) => Watched::Part(Arc::new(images)),
                None => Watched::HeldOut(Vec::new()),
            },
            test,
            mean: mean.clone(),
            std: std.clone(),
            device: device.clone(),
        })
    }

    /// The test images with these indices in one batch, normalised.
    pub(super) fn test_images(&self, indices: Vec<usize>) -> Result<Tensor> {
        let options = LoaderOptions::evaluation(indices.len().max(1), &self.mean, &self.std);
        let loader = Loader::new(self.test.clone(), Some(indices), options)?;
        one_batch(&loader, &self.device)
    }

    /// The test images.
    pub(super) fn test(&self) -> &Arc<Images> {
        &self.test
    }

    /// Mean and standard deviation of each channel, for pixels scaled to 0..=1.
    pub(super) fn statistics(&self) -> (&[f32], &[f32]) {
        (&self.mean, &self.std)
    }

    /// The number of images of each of so many classes that are trained on.
    pub(super) fn counts(&self, classes: usize) -> Vec<usize> {
        let mut counts = vec![0; classes];
        for &index in &self.kept {
            counts[self.train.labels[index] as usize] += 1;
        }
        counts
    }

    /// Some training images as they are, at most `count` and spread over all, normalised.
    pub(super) fn some(&self, count: usize) -> Result<Tensor> {
        let chosen = self.kept.len().min(count);
        let spread = (0..chosen).map(|i| self.kept[i * self.kept.len() / chosen]);
        let indices = Some(spread.collect());
        let options = LoaderOptions::evaluation(chosen.max(1), &self.mean, &self.std);
        let loader = Loader::new(self.train.clone(), indices, options)?;
        one_batch(&loader, &self.device)
    }

    /// The batches of `loader`, made on the device where its images are `resident`.
    fn epoch<'a>(
        &self,
        loader: &Loader,
        resident: Option<&Resident>,
        epoch: u64,
        first_step: usize,
    ) -> Batches<'a, Batch> {
        match resident.map(|images| images.epoch(loader, epoch, first_step)) {
            None => Box::new(loader.epoch(epoch, first_step, &self.device)),
            Some(Ok(batches)) => Box::new(batches),
            Some(Err(error)) => Box::new(std::iter::once(Err(error))),
        }
    }
}

/// The images of the first batch of `loader`.
fn one_batch(loader: &Loader, device: &Device) -> Result<Tensor> {
    match loader.epoch(0, 0, device).next() {
        Some(batch) => Ok(batch?.images),
        None => candle_core::bail!("there are no images"),
    }
}

impl Examples for ImageParts {
    type Batch = Batch;

    fn count(&self, part: Part) -> usize {
        match part {
            Part::Train => self.kept.len(),
            Part::Validation => match &self.watched {
                Watched::HeldOut(held) => held.len(),
                Watched::Part(images) => images.len(),
            },
            Part::Test => self.test.len(),
        }
    }

    fn steps(&self) -> u64 {
        self.training.steps() as u64
    }

    fn training_batches(&self, epoch: usize, first_step: u64) -> Batches<'_, Batch> {
        let first_step = usize::try_from(first_step).unwrap_or(usize::MAX);
        let resident = self.resident.as_ref();
        let resident = resident.filter(|_| !self.training.needs_host());
        self.epoch(&self.training, resident, epoch as u64, first_step)
    }

    fn batches(&self, part: Part, batch_size: usize) -> Batches<'_, Batch> {
        let resident = self.resident.as_ref();
        let (images, resident, indices) = match part {
            Part::Train => (&self.train, resident, Some(self.kept.clone())),
            Part::Validation => match &self.watched {
                Watched::HeldOut(held) => (&self.train, resident, Some(held.clone())),
                Watched::Part(images) => (images, None, None),
            },
            Part::Test => (&self.test, None, None),
        };
        let options = LoaderOptions::evaluation(batch_size, &self.mean, &self.std);
        match Loader::new(images.clone(), indices, options) {
            Ok(loader) => self.epoch(&loader, resident, 0, 0),
            Err(error) => Box::new(std::iter::once(Err(error))),
        }
    }

    fn batch_len(&self, batch: &Batch) -> usize {
        batch.labels.elem_count()
    }
}

/// Checks how a recipe varies images.
///
/// # Errors
/// Names the first key whose value cannot be used.
pub(super) fn check_augmentation(augment: &Augmentation) -> std::result::Result<(), RecipeError> {
    require_part("augment.crop", augment.crop)?;
    let (key, magnitude) = ("augment.magnitude", augment.magnitude);
    let fits = magnitude <= MAX_MAGNITUDE;
    require(key, fits, magnitude, format!("at most {MAX_MAGNITUDE}"))?;
    let (key, policy) = ("augment.policy", augment.policy);
    require(key, policy <= 16, policy, "at most 16 changes of an image")?;
    let jitter = augment.jitter;
    for (key, value) in [
        ("augment.jitter.brightness", jitter.brightness),
        ("augment.jitter.contrast", jitter.contrast),
        ("augment.jitter.saturation", jitter.saturation),
    ] {
        let fits = (0.0..=10.0).contains(&value);
        require(key, fits, value, "between 0 and 10")?;
    }
    let fits = (0.0..=0.5).contains(&jitter.hue);
    require("augment.jitter.hue", fits, jitter.hue, "between 0 and 0.5")
}

/// What a model card says of the images that a network learned from.
pub(super) fn about(record: &TrainingRecord) -> Option<String> {
    let inventory = record.data.inventory.clone()?;
    let inventory: Inventory = serde_json::from_value(inventory).ok()?;
    Some(inventory.card())
}

/// How images become inputs of a trained network.
pub(super) fn input(model: &ModelDir) -> anyhow::Result<&Preprocessor> {
    (model.preprocessor.as_ref()).with_context(|| {
        format!(
            "`{}` has no `preprocessor_config.json`, which says how images are normalised; add it",
            model.model
        )
    })
}

/// How images become inputs of a network that learned from images of `shape`, normalised with these means and
/// deviations.
pub(super) fn preprocessor(shape: ImageShape, (mean, std): (&[f32], &[f32])) -> Preprocessor {
    Preprocessor {
        height: shape.height,
        width: shape.width,
        channels: shape.channels,
        mean: mean.to_vec(),
        std: std.to_vec(),
        interpolation: Interpolation::Bilinear,
        resize: ResizeRule::Crop,
        precision: ResamplePrecision::Uint8,
    }
}

/// Refuses a network for another number of channels than the images of a dataset have.
pub(super) fn check_channels(channels: usize, data: &ImageDataset) -> anyhow::Result<()> {
    let found = data.train.channels;
    anyhow::ensure!(
        channels == found,
        "`model.channels` is {channels}, the images of `{}` have {found}; leave it out",
        data.source.name
    );
    Ok(())
}
