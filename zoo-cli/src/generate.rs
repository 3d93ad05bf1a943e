//! What an image generator makes of images, and what it makes up, on one sheet.

use anyhow::{Context, bail};
use candle_core::{Device, Tensor};
use gmnm_core::rng::Philox;
use models::generator::Generator;
use models::{ModelDir, Preprocessor};

use crate::data::ImageShape;
use crate::data::normalise::Normaliser;
use crate::families::reconstruction::{self, quality};
use crate::plot::Sheet;

/// Images side by side.
const COLUMNS: usize = 8;
/// Rows of interpolations at most.
const INTERPOLATIONS: usize = 4;

/// The most originals on one sheet.
pub const MAX_ORIGINALS: usize = 64;

/// A generator with its preprocessing.
#[derive(Debug)]
pub struct Painter {
    network: Generator,
    input: Preprocessor,
    device: Device,
}

/// What a [`Painter`] draws.
#[derive(Debug)]
pub struct Painted {
    /// The sheet as the bytes of a PNG file. From the top: originals, each row with its reconstructions below;
    /// samples; in each of the last rows, the way from one original (or sample, where there are fewer than two
    /// originals) to the next in equal steps of the latent vector.
    pub png: Vec<u8>,
    /// Means over the originals of mean squared error, PSNR and SSIM, in the order of
    /// the family of generators; none without originals.
    pub quality: Option<[f64; 3]>,
}

impl Painter {
    /// The generator of a model directory.
    ///
    /// # Errors
    /// When it is no generator, or does not say how images are read.
    pub fn new(model: &ModelDir, device: &Device) -> anyhow::Result<Self> {
        let (network, input) = reconstruction::load(model, device)?;
        Ok(Self {
            network,
            input,
            device: device.clone(),
        })
    }

    /// The input of the network, which originals must be brought to.
    pub fn input(&self) -> &Preprocessor {
        &self.input
    }

    /// Draws `originals`, `[height, width, channels]` bytes each, and `samples` samples, which `seed` fixes.
    ///
    /// # Errors
    /// When an original has another size, there is nothing to draw, or the network fails.
    pub fn draw(
        &self,
        originals: &[Vec<u8>],
        samples: usize,
        seed: u64,
    ) -> anyhow::Result<Painted> {
        if originals.is_empty() && samples == 0 {
            bail!("there is nothing to draw; give images, or ask for samples with `--samples`");
        }
        let shape = self.shape();
        let mut sheet = Sheet::new((shape.height, shape.width, shape.channels), COLUMNS);
        let (mut ends, mut measured) = (Vec::new(), None);
        if !originals.is_empty() {
            let images = self.normalised(originals)?;
            let latents = self.network.encode(&images, false)?;
            let outputs = self.network.decode(&latents, false)?;
            let statistics = (self.input.mean.as_slice(), self.input.std.as_slice());
            let each = quality(&outputs, &images, statistics)?;
            let mean = |i: usize| each.iter().map(|q| q[i]).sum::<f64>() / each.len() as f64;
            measured = Some([mean(0), mean(1), mean(2)]);
            let outputs = self.tiles(&outputs)?;
            for (above, below) in originals.chunks(COLUMNS).zip(outputs.chunks(COLUMNS)) {
                sheet.group([
                    ("original", above.to_vec()),
                    ("reconstruction", below.to_vec()),
                ]);
            }
            ends.push(latents);
        }
        if samples > 0 {
            let length = self.network.config().latent;
            let mut rng = Philox::named(seed, "samples");
            let noise: Vec<f32> = (0..samples * length).map(|_| rng.normal() as f32).collect();
            let noise = Tensor::from_vec(noise, (samples, length), &self.device)?;
            let latents = self.network.latents().sample(&noise)?;
            let tiles = self.tiles(&self.network.decode(&latents, false)?)?;
            sheet.group(tiles.chunks(COLUMNS).map(|row| ("sample", row.to_vec())));
            ends.push(latents);
        }
        let two = |latents: &&Tensor| latents.dim(0).is_ok_and(|n| n >= 2);
        if let Some(latents) = ends.iter().find(two) {
            let rows = self.between(latents)?;
            sheet.group(rows.into_iter().map(|row| ("interpolation", row)));
        }
        Ok(Painted {
            png: sheet.png().context("the sheet cannot be written as PNG")?,
            quality: measured,
        })
    }

    /// Rows from each latent vector to the next.
    fn between(&self, latents: &Tensor) -> anyhow::Result<Vec<Vec<Vec<u8>>>> {
        let rows = (latents.dim(0)? - 1).min(INTERPOLATIONS);
        (0..rows)
            .map(|i| {
                let (from, to) = (latents.narrow(0, i, 1)?, latents.narrow(0, i + 1, 1)?);
                let steps: Vec<Tensor> = (0..COLUMNS)
                    .map(|step| {
                        let part = step as f64 / (COLUMNS - 1) as f64;
                        (&from * (1.0 - part))? + (&to * part)?
                    })
                    .collect::<candle_core::Result<_>>()?;
                self.tiles(&self.network.decode(&Tensor::cat(&steps, 0)?, false)?)
            })
            .collect()
    }

    fn normalised(&self, images: &[Vec<u8>]) -> anyhow::Result<Tensor> {
        let shape = self.shape();
        if images.iter().any(|image| image.len() != shape.len()) {
            bail!("an image has another size than the network's input");
        }
        let normaliser = Normaliser::new(&self.input.mean, &self.input.std);
        let mut values = vec![0f32; images.len() * shape.len()];
        for (image, values) in images.iter().zip(values.chunks_exact_mut(shape.len())) {
            normaliser.apply(image, values);
        }
        let shape = (images.len(), shape.height, shape.width, shape.channels);
        Ok(Tensor::from_vec(values, shape, &self.device)?)
    }

    fn shape(&self) -> ImageShape {
        ImageShape::new(self.input.height, self.input.width, self.input.channels)
    }

    /// Outputs of the network as the bytes of images.
    fn tiles(&self, outputs: &Tensor) -> anyhow::Result<Vec<Vec<u8>>> {
        let values = outputs.flatten_all()?.to_vec1::<f32>()?;
        let byte = |value: &f32| (value * 255.0).round() as u8;
        let image = |values: &[f32]| {
            let pixels = reconstruction::pixels(values, &self.input.mean, &self.input.std);
            pixels.iter().map(byte).collect()
        };
        Ok(values.chunks_exact(self.shape().len()).map(image).collect())
    }
}
