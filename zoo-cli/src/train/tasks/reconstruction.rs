//! Image reconstruction: mean squared error of pixels, PSNR and SSIM; then a Gaussian over the latent vectors.

use anyhow::bail;
use candle_core::{DType, Device, Result, Tensor};
use candle_nn::VarBuilder;
use gmnm_core::ops::cast;
use models::generator::{Generator, GeneratorConfig};
use models::latents::Latents;
use models::preprocessor::{Interpolation, ResizeRule};
use models::{ModelConfig, ModelDir, Preprocessor};
use rayon::prelude::*;

use super::device_quality;
use super::image_parts::ImageParts;
use super::image_quality::{psnr, ssim};
use super::kind::{Ending, Finished, Kind};
use super::{Batches, Loss, Measure, Measures, Part, Sums, Task};
use crate::data::loader::Batch;
use crate::data::{DataError, ImageDataset, OpenOptions, Source, open_images};
use crate::train::early_stopping::Better;
use crate::train::{Ended, Recipe, Run, Trained, Watch, evaluate, train};

/// Mean and deviation that pixels are normalised with, the same for all channels and datasets: the loss is then a
/// multiple of the normalised difference, and every pixel counts alike.
const CENTER: f32 = 0.5;
const SCALE: f32 = 0.25;

/// All of pixels in 0..=1, those of a reconstruction cut to this range as in the image that it becomes; PSNR and SSIM
/// are means over the images.
pub const MEASURES: Measures = Measures {
    all: &[
        Measure {
            name: "mse",
            better: Better::Lower,
            decimals: 6,
        },
        Measure {
            name: "psnr",
            better: Better::Higher,
            decimals: 2,
        },
        Measure {
            name: "ssim",
            better: Better::Higher,
            decimals: 4,
        },
    ],
    objective: 0,
};

/// Images to train a generator on; their labels are not used.
#[derive(Debug)]
pub struct Pictures(ImageDataset);

impl Pictures {
    /// The images of `spec`, or of `default`, at the size of `config`; see [`open_images`].
    ///
    /// # Errors
    /// When they cannot be had.
    pub fn open(
        config: &GeneratorConfig,
        spec: Option<&str>,
        default: &str,
        options: &OpenOptions<'_>,
    ) -> std::result::Result<Self, DataError> {
        let options = OpenOptions {
            size: Some((config.height, config.width)),
            ..options.clone()
        };
        open_images(spec, default, &options).map(Self)
    }
}

impl Kind for Pictures {
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
        Ok(ModelConfig::Generator(config))
    }

    fn check(&self, model: &ModelConfig) -> anyhow::Result<()> {
        let config = settings(model)?;
        let (name, shape) = (&self.0.source.name, self.0.train.shape());
        if config.channels != shape.channels {
            bail!(
                "`model.channels` is {}, the images of `{name}` have {}; leave it out",
                config.channels,
                shape.channels
            );
        }
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

    fn train(self: Box<Self>, model: &ModelConfig, run: &Run<'_>) -> anyhow::Result<Ending> {
        let config = settings(model)?;
        let task = Reconstruction::training(config, self.0, run.recipe, run.seed, run.device)?;
        let trained = match train(&task, run)? {
            Ended::Interrupted { epoch, step } => return Ok(Ending::Interrupted { epoch, step }),
            Ended::Finished(trained) => *trained,
        };
        let mut tensors = trained.store.tensors();
        tensors.extend(task.fit_latents(&trained, run)?);
        let (mean, std) = task.parts.statistics();
        Ok(Ending::Finished(Box::new(Finished {
            examples: (task.examples(Part::Train), task.examples(Part::Test)),
            tensors,
            trained,
            labels: Vec::new(),
            preprocessor: Some(Preprocessor {
                height: config.height,
                width: config.width,
                channels: config.channels,
                mean: mean.to_vec(),
                std: std.to_vec(),
                interpolation: Interpolation::Bilinear,
                resize: ResizeRule::Crop,
            }),
        })))
    }

    fn evaluate(
        self: Box<Self>,
        model: &ModelDir,
        batch_size: usize,
        device: &Device,
        watch: &dyn Watch,
    ) -> anyhow::Result<Vec<f64>> {
        let (network, input) = load(model, device)?;
        let parts = ImageParts::evaluation(self.0, (&input.mean, &input.std), device)?;
        let task = Reconstruction {
            config: network.config().clone(),
            activations: DType::F32,
            parts,
        };
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
    let Some(input) = &model.preprocessor else {
        bail!(
            "the model has no `preprocessor_config.json`, which says how images are normalised; add it"
        );
    };
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
    fn training(
        config: &GeneratorConfig,
        data: ImageDataset,
        recipe: &Recipe,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        let statistics = (vec![CENTER; config.channels], vec![SCALE; config.channels]);
        Ok(Self {
            config: config.clone(),
            activations: recipe.precision.precision().dtype(),
            parts: ImageParts::training(data, statistics, recipe, seed, device)?,
        })
    }

    /// The buffers of a Gaussian over the latent vectors of the training images, unchanged and not held out.
    fn fit_latents(
        &self,
        trained: &Trained,
        run: &Run<'_>,
    ) -> Result<std::collections::BTreeMap<String, Tensor>> {
        let network = self.build(trained.store.detached().var_builder())?;
        let (total, mut done) = (self.examples(Part::Train), 0);
        let mut latents = Vec::new();
        for batch in self.batches(Part::Train, run.recipe.evaluation_batch_size) {
            let batch = batch?;
            latents.push(network.encode(&batch.images, false)?);
            done += self.batch_len(&batch);
            run.watch.evaluated(Part::Train, done, total);
        }
        Latents::fit(&Tensor::cat(&latents, 0)?)
    }

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
    type Batch = Batch;

    fn build(&self, vb: VarBuilder) -> Result<Generator> {
        Generator::new(&self.config, vb)
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
