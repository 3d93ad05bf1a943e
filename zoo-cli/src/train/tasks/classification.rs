//! Image classification: cross-entropy and accuracy.

use std::sync::Arc;

use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::VarBuilder;
use gmnm_core::ops::cross_entropy;
use models::classifier::{Classifier, ClassifierConfig};

use super::{Batches, Loss, Measure, Part, Task};
use crate::data::loader::{Batch, Loader, LoaderOptions};
use crate::data::split::hold_out;
use crate::data::{ImageDataset, Images};
use crate::train::Recipe;
use crate::train::early_stopping::Better;

/// What classifiers are measured by.
pub const MEASURES: &[Measure] = &[
    Measure {
        name: "loss",
        better: Better::Lower,
    },
    Measure {
        name: "accuracy",
        better: Better::Higher,
    },
];

/// Classifying the images of one dataset.
#[derive(Debug, Clone)]
pub struct Classification {
    config: ClassifierConfig,
    label_smoothing: f64,
    mean: Vec<f32>,
    std: Vec<f32>,
    training: Loader,
    validation: Option<(Arc<Images>, Vec<usize>)>,
    test: Arc<Images>,
    device: Device,
}

impl Classification {
    /// The problem of training `config` on `data` as `recipe` says. Pixels are normalised with the training images'
    /// statistics.
    ///
    /// # Errors
    /// When the recipe does not fit the images.
    pub fn training(
        config: &ClassifierConfig,
        data: ImageDataset,
        recipe: &Recipe,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        let (kept, held) = hold_out(&data.train.labels, recipe.validation.fraction, seed);
        let train = Arc::new(data.train);
        let (mean, std) = train.channel_statistics();
        let options = LoaderOptions {
            // A dataset smaller than a batch is one batch.
            batch_size: recipe.batch_size.min(kept.len()).max(1),
            mean: mean.clone(),
            std: std.clone(),
            seed,
            shuffle: true,
            drop_last: true,
            augmentation: recipe.augment,
        };
        Ok(Self {
            config: config.clone(),
            label_smoothing: recipe.label_smoothing,
            mean,
            std,
            training: Loader::new(train.clone(), Some(kept), options)?,
            validation: (!held.is_empty()).then_some((train, held)),
            test: Arc::new(data.test),
            device: device.clone(),
        })
    }

    /// Mean and standard deviation of each channel, for pixels scaled to 0..=1.
    pub fn statistics(&self) -> (&[f32], &[f32]) {
        (&self.mean, &self.std)
    }

    /// The problem of measuring a trained network on the test part of `data`, its pixels normalised with `mean` and
    /// `std` for each channel.
    ///
    /// # Errors
    /// When the statistics do not fit the images.
    pub fn evaluation(
        config: &ClassifierConfig,
        data: ImageDataset,
        (mean, std): (&[f32], &[f32]),
        device: &Device,
    ) -> Result<Self> {
        let test = Arc::new(data.test);
        let none = LoaderOptions::evaluation(1, mean, std);
        Ok(Self {
            config: config.clone(),
            label_smoothing: 0.0,
            mean: mean.to_vec(),
            std: std.to_vec(),
            training: Loader::new(test.clone(), Some(Vec::new()), none)?,
            validation: None,
            test,
            device: device.clone(),
        })
    }
}

/// How many of `logits` `[n, k]` are largest at their label.
fn correct(logits: &Tensor, labels: &Tensor) -> Result<f64> {
    let hits = logits.argmax(D::Minus1)?.eq(labels)?;
    hits.to_dtype(DType::F64)?.sum_all()?.to_scalar()
}

impl Task for Classification {
    type Model = Classifier;
    type Batch = Batch;

    fn build(&self, vb: VarBuilder) -> Result<Classifier> {
        Classifier::new(&self.config, vb)
    }

    fn examples(&self, part: Part) -> usize {
        match part {
            Part::Train => self.training.len(),
            Part::Validation => self.validation.as_ref().map_or(0, |(_, held)| held.len()),
            Part::Test => self.test.len(),
        }
    }

    fn measures(&self) -> &'static [Measure] {
        MEASURES
    }

    fn objective(&self) -> usize {
        1
    }

    fn steps(&self) -> u64 {
        self.training.steps() as u64
    }

    fn training_batches(&self, epoch: usize, first_step: u64) -> Batches<'_, Batch> {
        let first_step = usize::try_from(first_step).unwrap_or(usize::MAX);
        Box::new(self.training.epoch(epoch as u64, first_step, &self.device))
    }

    fn batches(&self, part: Part, batch_size: usize) -> Batches<'_, Batch> {
        let options = LoaderOptions::evaluation(batch_size, &self.mean, &self.std);
        let loader = match (part, &self.validation) {
            (Part::Train, _) => return Box::new(self.training.epoch(0, 0, &self.device)),
            (Part::Validation, Some((images, held))) => {
                Loader::new(images.clone(), Some(held.clone()), options)
            }
            (Part::Validation, None) => return Box::new(std::iter::empty()),
            (Part::Test, _) => Loader::new(self.test.clone(), None, options),
        };
        match loader {
            Ok(loader) => Box::new(loader.epoch(0, 0, &self.device)),
            Err(error) => Box::new(std::iter::once(Err(error))),
        }
    }

    fn batch_len(&self, batch: &Batch) -> usize {
        batch.labels.elem_count()
    }

    fn loss(&self, model: &Classifier, batch: &Batch) -> Result<Loss> {
        let logits = model.forward(&batch.images, true)?;
        let value = cross_entropy(&logits, &batch.labels, self.label_smoothing)?;
        let mean = value.to_dtype(DType::F64)?.to_scalar::<f64>()?;
        let examples = self.batch_len(batch) as f64;
        let correct = correct(&logits.detach(), &batch.labels)?;
        Ok(Loss {
            value,
            sums: vec![mean * examples, correct],
        })
    }

    fn measure(&self, model: &Classifier, batch: &Batch) -> Result<Vec<f64>> {
        let logits = model.forward(&batch.images, false)?;
        let loss = cross_entropy(&logits, &batch.labels, 0.0)?;
        let mean = loss.to_dtype(DType::F64)?.to_scalar::<f64>()?;
        let examples = self.batch_len(batch) as f64;
        Ok(vec![mean * examples, correct(&logits, &batch.labels)?])
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
            correct(&logits, &labels).unwrap()
        };
        assert_eq!(count([1, 0, 2]), 3.0);
        assert_eq!(count([1, 1, 2]), 2.0);
        assert_eq!(count([0, 1, 1]), 0.0);
    }
}
