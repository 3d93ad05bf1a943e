//! Image reconstruction: mean squared error of pixels, PSNR and SSIM; then a Gaussian over the latent vectors.

mod device_quality;
pub mod quality;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::bail;
use candle_core::{DType, Device, Result, Tensor};
use candle_nn::VarBuilder;
use gmnm_core::ops::cast;
use models::generator::{Generator, GeneratorConfig, Latents};
use models::{ModelConfig, ModelDir, Preprocessor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use self::quality::{psnr, ssim};
use super::image_parts::{
    ImageParts, Shown, about, check_augmentation, check_channels, input, preprocessor,
};
use super::{Family, Forward, curves};
use crate::data::augment::Augmentation;
use crate::data::loader::Batch;
use crate::data::{ImageDataset, OpenOptions, Source, open_images};
use crate::train::metrics::Row;
use crate::train::recipe::{RecipeError, Schema};
use crate::train::record::TrainingRecord;
use crate::train::{
    Contrast, Digits, Ended, Examples, Finished, Loss, Measure, Measures, Part, Problem, Run,
    Section, Sums, Task, Trainable, Wanted, Watch, evaluate, train,
};

/// Mean and deviation that pixels are normalised with, the same for all channels and datasets: the loss is then a
/// multiple of the normalised difference, and every pixel counts alike.
const CENTER: f32 = 0.5;
const SCALE: f32 = 0.25;

/// All of pixels in 0..=1, those of a reconstruction cut to this range as in the image that it becomes; PSNR and SSIM
/// are means over the images.
const MEASURES: Measures = Measures {
    all: &[
        Measure::lower("mse", Contrast::Ratio, Digits::Fixed(6)),
        Measure::higher("psnr", Digits::Fixed(2)),
        Measure::higher("ssim", Digits::Fixed(4)),
    ],
    objective: 0,
};

/// The image generators.
#[derive(Debug, Clone, Copy)]
pub(super) struct Generators;

/// `[reconstruction]` of a recipe.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReconstructionRecipe {
    /// Random changes to training images.
    pub augment: Augmentation,
}

impl Section for ReconstructionRecipe {
    const NAME: &'static str = "reconstruction";

    fn validate(&self) -> std::result::Result<(), RecipeError> {
        check_augmentation(&self.augment)
    }
}

impl Trainable for Generators {
    fn schema(&self) -> Schema {
        Schema::in_epochs::<ReconstructionRecipe>()
    }

    fn recipes(&self) -> &'static [(&'static str, &'static str)] {
        &[(
            "image-generator",
            include_str!("../recipes/image-generator.toml"),
        )]
    }

    fn unit(&self) -> &'static str {
        "images"
    }

    fn measures(&self) -> Measures {
        MEASURES
    }

    fn open(&self, wanted: &Wanted<'_>) -> anyhow::Result<Box<dyn Problem>> {
        let config = settings(wanted.config)?;
        let options = OpenOptions {
            size: Some((config.height, config.width)),
            ..wanted.options.clone()
        };
        Ok(Box::new(Pictures {
            data: open_images(wanted.data, wanted.default, &options)?,
            evaluation_batch_size: wanted.recipe.descent()?.evaluation_batch_size,
        }))
    }
}

impl Family for Generators {
    fn pipeline_tag(&self) -> &'static str {
        "unconditional-image-generation"
    }

    fn usage(&self, model: &str) -> String {
        format!("generate {model} photo.jpg")
    }

    fn about(&self, record: &TrainingRecord) -> Option<String> {
        about(record)
    }

    fn example_shape(&self, model: &ModelDir) -> anyhow::Result<Vec<usize>> {
        let config = settings(&model.config)?;
        Ok(vec![2, config.height, config.width, config.channels])
    }

    fn network(&self, config: &ModelConfig, weights: VarBuilder) -> anyhow::Result<Forward> {
        let network = Generator::new(settings(config)?, weights)?;
        Ok(Box::new(move |images, training| {
            network.forward(images, training)
        }))
    }
}

/// Images at the size of a generator; their labels are not used.
#[derive(Debug)]
struct Pictures {
    data: ImageDataset,
    evaluation_batch_size: usize,
}

impl Problem for Pictures {
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

    fn adapt(&self, model: ModelConfig) -> anyhow::Result<ModelConfig> {
        let mut config = settings(&model)?.clone();
        config.channels = self.data.train.channels;
        Ok(ModelConfig::Generator(config))
    }

    fn check(&self, model: &ModelConfig) -> anyhow::Result<()> {
        let config = settings(model)?;
        let (name, shape) = (&self.data.source.name, self.data.train.shape());
        check_channels(config.channels, &self.data)?;
        if (config.height, config.width) != (shape.height, shape.width) {
            bail!(
                "`model.height` and `model.width` are {}×{}, the images of `{name}` were read as {}×{}; give the size \
                 with `--set`",
                config.height,
                config.width,
                shape.height,
                shape.width
            );
        }
        Ok(())
    }

    fn train(self: Box<Self>, run: &Run<'_>) -> anyhow::Result<Ended<Finished>> {
        let config = settings(&run.record.config)?;
        let recipe: ReconstructionRecipe = run.record.recipe.section()?;
        let precision = run.record.recipe.descent()?.precision;
        let shape = self.data.test.shape();
        let statistics = (vec![CENTER; config.channels], vec![SCALE; config.channels]);
        let shown = Shown {
            augmentation: recipe.augment,
            ..Shown::default()
        };
        let task = Reconstruction {
            config: config.clone(),
            activations: precision.precision().dtype(),
            parts: ImageParts::training(self.data, statistics, shown, run)?,
        };
        train(&task, run)?.try_map(|mut finished| {
            finished.model.preprocessor = Some(preprocessor(shape, task.parts.statistics()));
            Ok(finished)
        })
    }

    fn evaluate(
        self: Box<Self>,
        model: &ModelDir,
        device: &Device,
        watch: &dyn Watch,
    ) -> anyhow::Result<Vec<f64>> {
        let (network, _) = load(model, device)?;
        let task = Reconstruction {
            config: network.config().clone(),
            activations: DType::F32,
            parts: ImageParts::evaluation(self.data.test, None, model, device)?,
        };
        let batch_size = self.evaluation_batch_size;
        Ok(evaluate(&task, &network, Part::Test, batch_size, watch)?)
    }
}

/// The settings of a generator.
fn settings(config: &ModelConfig) -> anyhow::Result<&GeneratorConfig> {
    match config {
        ModelConfig::Generator(config) => Ok(config),
        _ => {
            bail!("this network is no image generator, and only image generators can be used here")
        }
    }
}

/// The generator of a model directory, ready to evaluate, with the way in which images become its input.
///
/// # Errors
/// When the network is another one, or does not say how images are read, or not at its size.
pub fn load(model: &ModelDir, device: &Device) -> anyhow::Result<(Generator, Preprocessor)> {
    let config = settings(&model.config)?;
    let input = input(model)?;
    if (input.height, input.width) != (config.height, config.width) {
        bail!(
            "the network takes images of {}×{}, `preprocessor_config.json` gives {}×{}; make them agree",
            config.height,
            config.width,
            input.height,
            input.width
        );
    }
    let store = model.store(DType::F32, device)?;
    let network = Generator::new(config, store.detached().var_builder())?;
    Ok((network, input.clone()))
}

/// Mean squared error, PSNR and SSIM of each pair of images `[n, height, width, channels]`, both normalised with `mean`
/// and `std` for each channel, as pixels in 0..=1.
///
/// # Errors
/// When the shapes differ, or there is not one mean and deviation a channel.
pub fn quality(
    images: &Tensor,
    originals: &Tensor,
    (mean, std): (&[f32], &[f32]),
) -> Result<Vec<[f64; 3]>> {
    let (_, height, width, channels) = images.dims4()?;
    if images.dims() != originals.dims() || [mean.len(), std.len()] != [channels; 2] {
        candle_core::bail!(
            "images {:?} with {} means and {} deviations cannot be compared with {:?}",
            images.dims(),
            mean.len(),
            std.len(),
            originals.dims()
        );
    }
    let [images, originals] = [images, originals].map(|t| t.flatten_all()?.to_vec1::<f32>());
    let (images, originals, size) = (images?, originals?, height * width * channels);
    Ok(images
        .par_chunks_exact(size)
        .zip(originals.par_chunks_exact(size))
        .map(|(image, original)| {
            let image = pixels(image, mean, std);
            let original = pixels(original, mean, std);
            let pairs = image.iter().zip(&original);
            let squares = pairs.map(|(a, b)| f64::from(a - b).powi(2));
            let mse = squares.sum::<f64>() / size as f64;
            let similarity = ssim(&image, &original, height, width, channels);
            [mse, psnr(mse), similarity]
        })
        .collect())
}

/// Normalised values `[.., channels]` as pixels, cut to 0..=1.
pub fn pixels(values: &[f32], mean: &[f32], std: &[f32]) -> Vec<f32> {
    let channels = mean.iter().zip(std).cycle();
    let pixel = |(value, (mean, std)): (&f32, (&f32, &f32))| (value * std + mean).clamp(0.0, 1.0);
    values.iter().zip(channels).map(pixel).collect()
}

/// Reconstructing the images of one dataset.
#[derive(Debug, Clone)]
struct Reconstruction {
    config: GeneratorConfig,
    /// What images are given to the network in, in training.
    activations: DType,
    parts: ImageParts,
}

impl Reconstruction {
    /// The sums over a batch of what is measured, for normalised outputs.
    fn sums(&self, outputs: &Tensor, batch: &Batch) -> Result<Sums> {
        if !outputs.device().is_cpu() {
            let sums = device_quality::sums(outputs, &batch.images, self.parts.statistics())?;
            return Ok(Sums::Queued(sums.map(|sum| (sum, 1.0)).into()));
        }
        let mut sums = vec![0.0; 3];
        for measured in quality(outputs, &batch.images, self.parts.statistics())? {
            for (sum, value) in sums.iter_mut().zip(measured) {
                *sum += value;
            }
        }
        Ok(Sums::Known(sums))
    }
}

impl Task for Reconstruction {
    type Model = Generator;
    type Examples = ImageParts;

    fn examples(&self) -> &ImageParts {
        &self.parts
    }

    fn build(&self, vb: VarBuilder) -> Result<Generator> {
        Generator::new(&self.config, vb)
    }

    fn measures(&self) -> Measures {
        MEASURES
    }

    /// The mean squared error in units of pixels; not cut to 0..=1, or what lies outside would learn nothing.
    fn loss(&self, model: &Generator, batch: &Batch) -> Result<Loss> {
        let images = cast(&batch.images, self.activations)?;
        let outputs = cast(&model.forward(&images, true)?, DType::F32)?;
        let difference = (&outputs - &batch.images)?;
        let value = (difference.sqr()?.mean_all()? * f64::from(SCALE * SCALE))?;
        Ok(Loss {
            value,
            sums: self.sums(&outputs.detach(), batch)?,
        })
    }

    fn measure(&self, model: &Generator, batch: &Batch) -> Result<Sums> {
        self.sums(&model.forward(&batch.images, false)?, batch)
    }

    /// A Gaussian over the latent vectors of the training images, unchanged and not held out.
    fn conclude(
        &self,
        network: &Generator,
        batch_size: usize,
        watch: &dyn Watch,
        stop: &AtomicBool,
    ) -> Result<Option<BTreeMap<String, Tensor>>> {
        let (total, mut done) = (self.parts.count(Part::Train), 0);
        let mut latents = Vec::new();
        for batch in self.parts.batches(Part::Train, batch_size) {
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let batch = batch?;
            latents.push(network.encode(&batch.images, false)?);
            done += self.parts.batch_len(&batch);
            watch.evaluated(Part::Train, done, total);
        }
        Latents::fit(&Tensor::cat(&latents, 0)?).map(Some)
    }

    fn curves(&self, title: &str, history: &[Row]) -> String {
        curves::svg(title, MEASURES.all, history)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quality_is_measured_image_by_image_on_cut_pixels() {
        // −3 and 1 are the pixels 0 (cut) and 0.75.
        let outputs = [-3f32, 1.0].map(|v| Tensor::full(v, (1, 4, 4, 1), &Device::Cpu).unwrap());
        let images = Tensor::cat(&outputs, 0).unwrap();
        // 0 is the pixel 0.5.
        let originals = images.zeros_like().unwrap();
        let statistics: (&[f32], &[f32]) = (&[CENTER], &[SCALE]);
        let measured = quality(&images, &originals, statistics).unwrap();
        for ([mse, psnr, _], expected) in measured.iter().zip([0.25, 0.0625f64]) {
            assert!((mse - expected).abs() < 1e-9, "{mse}");
            assert!((psnr + 10.0 * expected.log10()).abs() < 1e-6, "{psnr}");
        }
        let fewer = images.narrow(0, 0, 1).unwrap();
        assert!(quality(&images, &fewer, statistics).is_err());
    }
}
